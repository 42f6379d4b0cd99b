"""A local page that plays another help desk: frames, and that desk's messages to them.

On localhost, while the inbox is on 127.0.0.1: another site to a browser, so that the frame has
no cookie of ours, as it has none in real life.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from playwright.sync_api import Page

_STYLE = """body { margin: 0; font: 14px sans-serif; display: grid; grid-template-columns: 1fr 400px;
block-size: 100vh } iframe { border: 0; inline-size: 100%; block-size: 100% }
@media (max-width: 700px) { body { grid-template-columns: 0 1fr } h1 { display: none } }"""
# A page that keeps its frame and names one customer after the other, in Chatwoot's words.
_PAGE = """<h1>Desk</h1><iframe title="Orders"></iframe>
<script>
const frame = document.querySelector("iframe");
let { told } = window.desk;
const tell = () => told && frame.contentWindow.postMessage(JSON.stringify(told), "*");
frame.addEventListener("load", tell);
addEventListener("message", ({ data }) => { if (data === "chatwoot-dashboard-app:fetch-info") tell(); });
window.lookAt = (next) => { told = next; tell(); };
frame.src = window.desk.frame;
</script>"""
# As Chatwoot 4 does it (app/javascript/dashboard/components/widgets/DashboardApp/Frame.vue and
# conversation/ConversationBox.vue): new components for each conversation, a frame once its tab has
# been opened, one window.onmessage that the app mounted last has set, and an answer to each load.
_CHATWOOT = """<h1>Desk</h1><div id="apps"></div>
<script>
const apps = [window.desk.frame, ...(window.desk.beside ? ["about:blank?another-app"] : [])];
let data = null;
const idOf = (position) => `dashboard-app--frame-${position}-0`;
function onIframeLoad(position) {
  const frame = document.getElementById(idOf(position));
  frame.contentWindow.postMessage(JSON.stringify({ event: "appContext", data }), "*");
}
window.openTab = (position) => {
  for (const frame of document.querySelectorAll("iframe")) frame.hidden = true;
  let frame = document.getElementById(idOf(position));
  if (!frame) {
    frame = Object.assign(document.createElement("iframe"), { id: idOf(position), title: "Orders" });
    frame.addEventListener("load", () => onIframeLoad(position));
    frame.src = apps[position];
    document.getElementById("apps").append(frame);
  }
  frame.hidden = false;
};
window.changed = (next) => { data = next.data; };
window.openConversation = (next) => {
  document.getElementById("apps").replaceChildren();
  data = next.data;
  apps.forEach((_, position) => {
    window.onmessage = (e) => {
      if (typeof e.data !== "string" || e.data !== "chatwoot-dashboard-app:fetch-info") return;
      onIframeLoad(position);
    };
  });
  openTab(0);
};
if (window.desk.told) openConversation(window.desk.told);
</script>"""
# As Help Scout does it (@helpscout/javascript-sdk 0.10): the context as an object, when asked.
_HELP_SCOUT = """<h1>Desk</h1><iframe title="Orders" name="app-4711"></iframe>
<script>
const frame = document.querySelector("iframe");
window.asked = [];
addEventListener("message", ({ data, source }) => {
  if (source !== frame.contentWindow || data?.type !== "GET_APP_CONTEXT") return;
  window.asked.push([data.appId, data.iframeId]);
  tell(window.desk.told);
});
function tell(context) { frame.contentWindow.postMessage({ ...context, type: "SEND_APP_CONTEXT" }, "*"); }
window.lookAt = (next) => { window.desk.told = next; tell(next); };
frame.src = window.desk.frame;
</script>"""
# As Zendesk does it (zendesk_app_framework_sdk 2.0): the app's own page in a frame, a handshake, and
# answers to "get" that leave out what the ticket doesn't have.
_ZENDESK = """<h1>Desk</h1><iframe title="App"></iframe>
<script>
const frame = document.querySelector("iframe");
const { told, settings } = window.desk;
const post = (message) => frame.contentWindow.postMessage(JSON.stringify(message), "*");
addEventListener("message", ({ data, source }) => {
  if (source !== frame.contentWindow || typeof data !== "string") return;
  const { key, id, request, params } = JSON.parse(data);
  if (key === "iframe.handshake") {
    post({ key: "zaf.app.registered", message: { metadata: { settings }, context: {} } });
  } else if (request === "get") {
    const found = params.filter((path) => told[path] !== undefined).map((path) => [path, told[path]]);
    post({ id, result: { ...Object.fromEntries(found), errors: {} } });
  } else if (request === "invoke") post({ id, result: {} });
});
window.change = (next, event) => { Object.assign(told, next); post({ key: `zaf.${event}` }); };
const words = new URLSearchParams({ origin: location.origin, app_guid: "g-1" });
frame.src = `${window.desk.frame}?${words}`;
</script>"""
_FRESHDESK = """<h1>Desk</h1><iframe title="App"></iframe>
<script>
const frame = document.querySelector("iframe");
const { told, settings } = window.desk;
addEventListener("message", ({ data, source }) => {
  if (source !== frame.contentWindow || !data?.fresh) return;
  const { fresh, what, name } = data;
  const value = { iparams: settings, data: { [name]: told[name] }, resize: null }[what];
  source.postMessage({ fresh, value }, "*");
});
window.change = (next, event) => {
  Object.assign(told, next);
  frame.contentWindow.postMessage({ fresh: event }, "*");
};
frame.src = window.desk.frame;
</script>"""
_PAGES = {
    "page": _PAGE,
    "chatwoot": _CHATWOOT,
    "help-scout": _HELP_SCOUT,
    "zendesk": _ZENDESK,
    "freshdesk": _FRESHDESK,
}
_ROOT = Path(__file__).resolve().parents[3]
_STAND_INS = _ROOT / "tests" / "support" / "desks"
_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css"}
AGENTS = {"alice@demo.example": 3, "bob@demo.example": 4}


def context(email: str, assignee: str, *texts: str, phone: str = "") -> dict[str, object]:
    """Chatwoot's appContext, with what we read of it and some of what we do not.

    As its REST API fills its store: an agent has an email address, and who isn't there has no key.
    """
    meta: dict[str, object] = {
        "sender": {"id": 1, "email": email or None},
        "channel": "Channel::Email",
    }
    if assignee:
        meta["assignee"] = {"id": AGENTS[assignee], "email": assignee, "role": "agent"}
    return {
        "event": "appContext",
        "data": {
            "contact": {
                "id": 1,
                "name": "Jane",
                "email": email or None,
                "phone_number": phone or None,
            },
            "conversation": {
                "id": 7,
                "meta": meta,
                "messages": [{"id": 1, "message_type": 0, "content": text} for text in texts],
            },
            "currentAgent": {"id": 3, "name": "Alice", "email": "alice@demo.example"},
        },
    }


def after_live_event(email: str, assignee: str, *texts: str) -> dict[str, object]:
    """The same once a live event has replaced the conversation in Chatwoot's store.

    The event's people are User#push_event_data: without an email address. The contact is the one
    of a conversation whose contact isn't loaded yet.
    """
    told = context(email, "", *texts)
    data: Any = told["data"]
    data["contact"] = {}
    data["conversation"]["meta"]["assignee"] = {
        "id": AGENTS[assignee],
        "name": "Alice",
        "available_name": "Alice",
        "type": "user",
        "availability_status": "online",
    }
    return told


def help_scout_context(email: str, assignee: str, subject: str = "") -> dict[str, object]:
    """Help Scout's context: of the customer's two addresses, the conversation uses the second."""
    addresses = [{"id": 1, "value": "other@example.com"}, {"id": 2, "value": email}]
    agent = {"id": 3, "email": "alice@demo.example"}
    found: dict[str, object] = {
        "customer": {"id": 5, "emails": addresses, "phones": []},
        "conversation": {
            "id": 7,
            "subject": subject,
            "customers": [{"id": 5, "emails": [addresses[0], addresses[1] | {"default": True}]}],
            "assignee": agent | {"type": "user"} if assignee == agent["email"] else None,
        },
        "user": agent,
    }
    return found


@dataclass(frozen=True)
class Desk:
    origin: str

    def app(self, path: str) -> str:
        """The address of a page of an app in integrations/, on this desk's server."""
        return f"{self.origin}/integrations/{path}"

    def page(
        self,
        frame: str,
        told: dict[str, object] | None = None,
        *,
        plays: str = "page",
        **more: object,
    ) -> str:
        """The address of a page with the frame; `plays` names the desk."""
        words = {"plays": plays, "desk": json.dumps({"frame": frame, "told": told, **more})}
        return f"{self.origin}/?{urlencode(words)}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/favicon.ico":
            self.send_error(404)
            return
        if path != "/":
            self._send_part(_ROOT / path.lstrip("/"))
            return
        asked = parse_qs(urlsplit(self.path).query)
        desk = asked.get("desk", ["{}"])[0].replace("<", "\\u003c")
        body = (
            f'<!doctype html><html lang="en"><title>Desk</title><style>{_STYLE}</style>'
            f"<script>window.desk = {desk};</script>{_PAGES[asked.get('plays', ['page'])[0]]}</html>"
        ).encode()
        self._send(body, ".html")

    def _send_part(self, file: Path) -> None:
        """A file of an app in integrations/, as the help desk serves it with its own script."""
        text = file.read_text()
        zaf = "https://static.zdassets.com/zendesk_app_framework_sdk/2.0/zaf_sdk.min.js"
        for script, stands_for in ((zaf, "zaf_sdk.js"), ("{{{appclient}}}", "fresh_client.js")):
            text = text.replace(script, f"/{(_STAND_INS / stands_for).relative_to(_ROOT)}")
        self._send(text.encode(), file.suffix)

    def _send(self, body: bytes, suffix: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", _TYPES[suffix])
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def running_desk() -> Iterator[Desk]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Desk(f"http://localhost:{server.server_address[1]}")
    finally:
        server.shutdown()
        server.server_close()


def signed_address(address: str, secret: str, **said: str) -> str:
    """As the help desk's server makes it: the example of docs/sidebar.md."""
    address, _, _example = address.partition("#")
    frame = address.partition("?frame=")[2]
    said |= {"frame": frame, "ts": str(int(time.time())), "nonce": secrets.token_hex(16)}
    text = "\n".join(f"{name}={said[name]}" for name in sorted(said))
    said["sig"] = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"{address}#{urlencode(said)}"


def set_up(
    page: Page, url: str, origin: str, *, name: str, kind: str, limit: str
) -> tuple[str, str]:
    """As an administrator does it in the browser: the frame's address, and its secret or ""."""
    page.goto(f"{url}/admin/inbox/helpdeskframe/add/")
    page.locator("#id_name").fill(name)
    page.locator("#id_kind").select_option(kind)
    page.locator("#id_origins").fill(origin)
    page.locator("#id_confirm_up_to").fill(limit)
    page.locator("#id_proves_addresses").check()
    page.locator("[name=_continue]").click()
    address = page.locator(".field-address .readonly").inner_text()
    notes = page.locator(".messagelist").inner_text()
    secret = notes.partition("signing secret ")[2].partition(" ")[0]
    return address.partition("#")[0].strip(), secret
