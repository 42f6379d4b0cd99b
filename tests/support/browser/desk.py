"""A local page that plays another help desk: a frame, and Chatwoot's messages to it.

On localhost, while the inbox is on 127.0.0.1: another site to a browser, so that the frame has
no cookie of ours, as it has none in real life.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from playwright.sync_api import Page

# As Chatwoot does it: sends text to the framed page, on load and when asked.
_PAGE = """<!doctype html><html lang="en"><title>Desk</title>
<style>body {{ margin: 0; font: 14px sans-serif; display: grid; grid-template-columns: 1fr 400px;
block-size: 100vh }} iframe {{ border: 0; inline-size: 100%; block-size: 100% }}
@media (max-width: 700px) {{ body {{ grid-template-columns: 0 1fr }} h1 {{ display: none }} }}</style>
<h1>Desk</h1><iframe title="Orders" src="{frame}"></iframe>
<script>
const frame = document.querySelector("iframe");
let told = {told};
const tell = () => told && frame.contentWindow.postMessage(JSON.stringify(told), "*");
frame.addEventListener("load", tell);
addEventListener("message", ({{ data }}) => {{ if (data === "chatwoot-dashboard-app:fetch-info") tell(); }});
window.lookAt = (next) => {{ told = next; tell(); }};
</script></html>"""


def context(email: str, assignee: str, *texts: str, phone: str = "") -> dict[str, object]:
    """Chatwoot's appContext, with what we read of it and some of what we do not."""
    return {
        "event": "appContext",
        "data": {
            "contact": {"id": 1, "name": "Jane", "email": email, "phone_number": phone or None},
            "conversation": {
                "id": 7,
                "meta": {"assignee": {"id": 3, "email": assignee} if assignee else None},
                "messages": [{"message_type": 0, "content": text} for text in texts],
            },
            "currentAgent": {"id": 3, "name": "Alice", "email": "alice@demo.example"},
        },
    }


@dataclass(frozen=True)
class Desk:
    origin: str

    def page(self, frame: str, told: dict[str, object] | None = None) -> str:
        words = {"frame": frame, "told": json.dumps(told)}
        return f"{self.origin}/?{urlencode(words)}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        body = _PAGE.format(
            frame=html.escape(asked.get("frame", ["about:blank"])[0]),
            told=asked.get("told", ["null"])[0].replace("<", "\\u003c"),
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
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
