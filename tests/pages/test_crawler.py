"""A crawler of our own: every page, as each kind of person, and what its answer gives away.

It starts from the URL resolver, follows the links it finds, and looks at headers, cookies, methods,
errors and markup, under production's settings. Each look has a control below: an answer with just
that flaw.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import pytest
from django.contrib.auth.models import Group, User
from django.http import HttpResponse
from django.test import Client

from inbox.views import decisions
from tests.conftest import logged_in
from tests.pages.conftest import Desk

pytestmark = pytest.mark.django_db(transaction=True)

HOST: Final = "https://testserver"
# Scripts have to read these: who is logged in here, and the token that forms send.
READ_BY_SCRIPTS: Final = {"__Host-csrftoken", "__Host-agent"}
FRAMED: Final = re.compile(r"^/sidebar/(?!window/|connect/)")
WITHOUT_COOP: Final = re.compile(r"^/sidebar/connect/|^/login/\?next=.*connect")
# What a stranger could learn from an error page.
INTERNALS: Final = re.compile(
    r"Traceback|RuntimeError|/site-packages/|/inbox/views/|DJANGO_SETTINGS|SECRET_KEY|sqlite3|psycopg"
)
STATIC: Final = "/static/"
# Asked by Prometheus, without TLS and before any other middleware.
WITHOUT_TLS: Final = "/metrics"
# Links that change something when followed, or leave.
NOT_FOLLOWED: Final = ("/inbox/logout/", "/admin/logout/", STATIC)


@pytest.fixture
def safe_desk(desk: Desk, settings: Any) -> Desk:
    """The desk as in production, with sara logged in. Shopify's calls came before, without TLS."""
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_HSTS_SECONDS = 31536000
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.LANGUAGE_COOKIE_SECURE = True
    settings.SESSION_COOKIE_NAME = "__Host-sessionid"
    settings.CSRF_COOKIE_NAME = "__Host-csrftoken"
    settings.LANGUAGE_COOKIE_NAME = "__Host-django_language"
    desk.client.force_login(User.objects.get(username="sara"))
    return desk


# --- What is looked at ----------------------------------------------------------------------------
class Markup(HTMLParser):
    """Collects a page's links and what its markup should not have."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.troubles: list[str] = []
        self._form: str | None = None
        self._has_token = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        for name, value in found.items():
            if name.startswith("on") or name == "style":
                self.troubles.append(f"inline {name} on <{tag}>")
            if name in {"src", "href", "action", "srcset"} and value.startswith("http:"):
                self.troubles.append(f"mixed content: {value}")
            if name in {"src", "href", "action"} and value.lower().startswith("javascript:"):
                self.troubles.append(f"script in {name}")
        if tag == "script" and "src" not in found and "json" not in found.get("type", ""):
            self.troubles.append("inline script")
        if tag == "script" and urlsplit(found.get("src", "")).netloc:
            self.troubles.append(f"script of another host: {found['src']}")
        if tag == "a":
            self.links.append(found.get("href", ""))
            if found.get("target") == "_blank" and "noopener" not in found.get("rel", ""):
                self.troubles.append(f"{found.get('href')} can reach its opener")
        if tag == "form" and found.get("method", "").lower() == "post":
            self._form, self._has_token = found.get("action", ""), False
        if tag == "input" and found.get("name") == "csrfmiddlewaretoken":
            self._has_token = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "form" and self._form is not None:
            if not self._has_token:
                self.troubles.append(f"a form without a CSRF token: {self._form}")
            self._form = None


def in_headers(path: str, answer: Any) -> Iterator[str]:
    headers = answer.headers
    kept = headers.get("Cache-Control", "")
    if path.startswith(STATIC):
        if "public" not in kept:
            yield "a static file that nobody keeps"
    elif "no-store" not in kept:
        yield f"may be stored: {kept!r}"
    wanted = {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Strict-Transport-Security": "max-age=31536000",
        "Permissions-Policy": "camera=()",
    }
    for name, value in wanted.items():
        if value not in headers.get(name, "") and (
            name != "Strict-Transport-Security" or path != WITHOUT_TLS
        ):
            yield f"{name} is {headers.get(name)!r}"
    for name in ("Server", "X-Powered-By", "Access-Control-Allow-Origin"):
        if name in headers:
            yield f"{name}: {headers[name]}"
    if headers.get("Cross-Origin-Resource-Policy") != "same-origin" and not FRAMED.match(path):
        yield "other sites may embed it"
    # JSON is always UTF-8; of text, a browser would guess.
    kind = headers.get("Content-Type", "")
    if re.match(r"text/|[^;]*[/+]xml", kind) and not re.search(r"; ?charset=\"?utf-8", kind):
        yield f"text without an encoding: {kind}"
    elif not kind and has_body(answer):
        yield "content of no type"
    opener = headers.get("Cross-Origin-Opener-Policy")
    if opener != "same-origin" and not (path.startswith(STATIC) or WITHOUT_COOP.match(path)):
        yield f"its opener may reach it: {opener}"
    if headers.get("Content-Type", "").startswith("text/html"):
        yield from in_policy(path, headers)


def in_policy(path: str, headers: Any) -> Iterator[str]:
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in headers.get("Content-Security-Policy", "").split(";")
    )
    for name, value in {
        "default-src": "'none'",
        "object-src": "'none'",
        "base-uri": "'none'",
    }.items():
        if policy.get(name) != value:
            yield f"{name} is {policy.get(name)!r}"
    if "unsafe" in policy.get("script-src", "unsafe") or "*" in policy.get("script-src", ""):
        yield f"script-src is {policy.get('script-src')!r}"
    if FRAMED.match(path):
        if policy.get("frame-ancestors") in {None, "*", "https:"}:
            yield "anyone may frame it"
    elif policy.get("frame-ancestors") != "'none'" or headers.get("X-Frame-Options") != "DENY":
        yield "it may be framed"


def in_cookies(answer: Any) -> Iterator[str]:
    for name, cookie in answer.cookies.items():
        if not cookie["secure"]:
            yield f"{name} travels without TLS"
        if not cookie["httponly"] and name not in READ_BY_SCRIPTS:
            yield f"{name} is open to scripts"
        if cookie["samesite"] not in {"Lax", "Strict"}:
            yield f"{name} goes along with other sites' requests"
        if not name.startswith("__Host-"):
            yield f"{name} could be set by a neighboring host"
        if cookie["domain"] or cookie["path"] != "/":
            yield f"{name} has a domain or path of its own"


def in_body(answer: Any) -> Iterator[str]:
    text = text_of(answer)
    if answer.status_code >= 400 and INTERNALS.search(text):
        yield f"an error page with internals: {INTERNALS.search(text)}"
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        markup = Markup()
        markup.feed(text)
        yield from markup.troubles


def has_body(answer: Any) -> bool:
    return answer.streaming or bool(answer.content)


def text_of(answer: Any) -> str:
    if not answer.streaming:
        return str(answer.content.decode(errors="replace"))
    text = b"".join(answer.streaming_content).decode(errors="replace")
    answer.close()
    return text


def findings(path: str, answer: Any) -> list[str]:
    """Everything wrong with an answer, each as a sentence."""
    looks = (in_headers(path, answer), in_cookies(answer), in_body(answer))
    found = [f"{path} ({answer.status_code}): {trouble}" for look in looks for trouble in look]
    if answer.status_code >= 500:
        found.append(f"{path}: {answer.status_code}")
    return found


# --- The crawl ------------------------------------------------------------------------------------
def crawl(client: Client, seeds: list[str], *, at_most: int = 1000) -> tuple[int, list[str]]:
    """Get the seeds and every link behind them; returns how many pages, and what was found."""
    client.raise_request_exception = False
    waiting, known, found = list(dict.fromkeys(seeds)), set(seeds), list[str]()
    linked: set[str] = set()
    looked = 0
    while waiting and looked < at_most:
        path = waiting.pop(0)
        answer = client.get(path, secure=True)
        looked += 1
        found += findings(path, answer)
        # Django's admin links to related rows without asking who may see them.
        dead = {404} if path.startswith("/admin/") else {403, 404}
        if path in linked and answer.status_code in dead:
            found.append(f"{path} is linked, and answers {answer.status_code}")
        if answer.status_code != 200 or answer.streaming:
            continue
        markup = Markup()
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            markup.feed(answer.content.decode())
        for link in markup.links:
            target = urlsplit(urljoin(f"{HOST}{path}", link))
            # Without the query, except for one's own page: lists link to themselves endlessly.
            if target.netloc != "testserver" or target.path.startswith(NOT_FOLLOWED):
                continue
            if target.path not in known:
                known.add(target.path)
                linked.add(target.path)
                waiting.append(target.path)
    return looked, found


def people(desk: Desk) -> dict[str, Client]:
    """Somebody of each kind; `desk.client` is a supervisor with the admin's rights."""
    found = {"anonymous": Client(), "supervisor": desk.client}
    for name, groups in {"nobody": (), "auditor": ("auditors",), "admin": ("admins",)}.items():
        user = User.objects.create_user(name, password="demo", is_staff=bool(groups))
        user.groups.set([Group.objects.get_or_create(name=group)[0] for group in groups])
        found[name] = logged_in(user)
    found["agent"] = logged_in(User.objects.get(username="alice"))
    return found


def seeds(desk: Desk) -> list[str]:
    return [*desk.pages(), "/", "/login/", "/nowhere/", "/metrics", "/static/inbox/favicon.svg"]


@pytest.mark.slow
def test_no_page_gives_anything_away(safe_desk: Desk) -> None:
    looked, found = 0, []
    for who, client in people(safe_desk).items():
        count, troubles = crawl(
            client, seeds(safe_desk), at_most=400 if who == "supervisor" else 180
        )
        looked += count
        found += [f"{who}: {trouble}" for trouble in troubles]
    assert found == [], "\n".join(sorted(set(found)))
    assert looked > 500


def test_the_front_pages_give_nothing_away(safe_desk: Desk) -> None:
    paths = ["/inbox/", "/inbox/decisions/", "/inbox/tokens/", "/api/docs/", "/sidebar/?frame=1"]
    assert [
        one for path in paths for one in findings(path, safe_desk.client.get(path, secure=True))
    ] == []
    paths = ["/login/", "/inbox/", "/nowhere/", "/api/v1/orders/?q=1", "/api/docs/", "/api/schema/"]
    assert [one for path in paths for one in findings(path, Client().get(path, secure=True))] == []
    for path in ("/inbox/", "/api/docs/"):
        answer = Client().get(path, secure=True)
        assert answer.status_code in {302, 401}, path


def test_no_cookie_can_be_set_by_a_neighboring_host(safe_desk: Desk) -> None:
    """Of all that we set; messages and the language only come with a form that was sent."""
    web = safe_desk.client
    answers = [
        web.post("/language/", {"language": "de"}, secure=True),
        web.post("/inbox/notices/", {}, secure=True),
        Client().get("/login/", secure=True),
    ]
    assert [trouble for answer in answers for trouble in in_cookies(answer)] == []
    names = {name for answer in answers for name in answer.cookies}
    assert names >= {"__Host-django_language", "__Host-messages", "__Host-csrftoken"}


# --- Methods --------------------------------------------------------------------------------------
@pytest.mark.slow
def test_pages_know_no_other_methods(safe_desk: Desk) -> None:
    assert (
        odd_methods(safe_desk.client, [p for p in safe_desk.pages() if not p.startswith("/api/")])
        == []
    )


def odd_methods(client: Client, paths: list[str]) -> list[str]:
    """Where anything but GET, HEAD and POST does more than answer 405."""
    client.raise_request_exception = False
    found = []
    for path in paths:
        for method in ("TRACE", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "NONSENSE"):
            code = client.generic(method, path, secure=True).status_code
            if code != 405:
                found.append(f"{method} {path}: {code}")
        head, get = client.head(path, secure=True), client.get(path, secure=True)
        content = getattr(head, "content", b"")
        if head.status_code not in {get.status_code, 405} or content:
            found.append(f"HEAD {path}: {head.status_code}, GET: {get.status_code}")
    return found


def test_some_pages_know_no_other_methods(safe_desk: Desk) -> None:
    assert odd_methods(safe_desk.client, ["/inbox/", "/login/", "/admin/", "/nowhere/"]) == []
    for method in ("TRACE", "PUT", "DELETE"):
        assert (
            safe_desk.client.generic(method, "/api/v1/orders/?q=1", secure=True).status_code == 405
        )


def test_without_the_check_pages_answer_any_method(safe_desk: Desk, settings: Any) -> None:
    """Negative control."""
    settings.MIDDLEWARE = [m for m in settings.MIDDLEWARE if not m.endswith("KnownMethods")]
    client = logged_in(User.objects.get(username="sara"))
    found = odd_methods(client, ["/inbox/", "/inbox/decisions/", "/inbox/orders/", "/admin/"])
    assert [one for one in found if one.endswith(": 200")]


# --- Without TLS -----------------------------------------------------------------------------------
def test_without_tls_pages_are_sent_on_and_programs_are_refused(safe_desk: Desk) -> None:
    for path in ("/", "/inbox/", "/login/", "/api/docs/"):
        answer = safe_desk.client.get(path)
        assert (answer.status_code, answer["Location"]) == (301, f"{HOST}{path}")
    for path in ("/api/v1/orders/?q=1", "/api/v1/channels/1/messages/", "/api/schema/"):
        for answer in (Client().get(path), Client().post(path, {}, "application/json")):
            assert (answer.status_code, answer["Content-Type"]) == (
                403,
                "application/problem+json",
            )
            assert answer.json()["type"] == "urn:agent-inbox:tls-required"
            assert "Location" not in answer


# --- Errors -----------------------------------------------------------------------------------------
def test_errors_show_no_internals(safe_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the SECRET_KEY is canary-5a5a")

    monkeypatch.setattr(decisions, "render", broken)
    safe_desk.client.raise_request_exception = False
    answers = {
        500: safe_desk.client.get("/inbox/decisions/", secure=True),
        404: safe_desk.client.get("/inbox/conversations/987654321/", secure=True),
        400: safe_desk.client.post("/login/", {f"a{n}": "1" for n in range(600)}, secure=True),
        403: Client(enforce_csrf_checks=True).post("/login/", {}, secure=True),
        405: safe_desk.client.put("/inbox/", secure=True),
    }
    for code, answer in answers.items():
        assert answer.status_code == code
        assert "canary" not in answer.content.decode()
        troubles = findings("/inbox/", answer)
        assert [t for t in troubles if not t.endswith(": 500")] == [], code


# --- Negative controls --------------------------------------------------------------------------------
def an_answer(change: Callable[[Any], None]) -> Any:
    """One that has nothing wrong with it, changed."""
    answer = HttpResponse('<a href="/inbox/">Inbox</a>')
    for name, value in {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Strict-Transport-Security": "max-age=31536000",
        "Permissions-Policy": "camera=()",
        "Content-Type": "text/html; charset=utf-8",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "X-Frame-Options": "DENY",
        "Content-Security-Policy": "default-src 'none'; object-src 'none'; base-uri 'none'; "
        "script-src 'self'; frame-ancestors 'none'",
    }.items():
        answer[name] = value
    answer.set_cookie("__Host-sessionid", "x", secure=True, httponly=True, samesite="Lax")
    change(answer)
    return answer


def header(name: str, value: str = "") -> Callable[[Any], None]:
    return lambda answer: answer.headers.__setitem__(name, value)


def cookie(name: str = "__Host-sessionid", **flags: Any) -> Callable[[Any], None]:
    given = {"secure": True, "httponly": True, "samesite": "Lax"} | flags

    def change(answer: Any) -> None:
        answer.cookies.clear()
        answer.set_cookie(name, "x", **given)

    return change


def body(text: str, code: int = 200) -> Callable[[Any], None]:
    def change(answer: Any) -> None:
        answer.content, answer.status_code = text, code

    return change


FLAWS: Final[dict[str, Callable[[Any], None]]] = {
    "stored": header("Cache-Control", "private"),
    "sniffed": header("X-Content-Type-Options"),
    "no encoding": header("Content-Type", "text/html"),
    "no encoding in XML": header("Content-Type", "image/svg+xml"),
    "no type": header("Content-Type"),
    "referrer": header("Referrer-Policy", "unsafe-url"),
    "no HSTS": header("Strict-Transport-Security"),
    "powers": header("Permissions-Policy"),
    "embedded": header("Cross-Origin-Resource-Policy", "cross-origin"),
    "opener": header("Cross-Origin-Opener-Policy", "unsafe-none"),
    "server's name": header("Server", "uvicorn"),
    "CORS": header("Access-Control-Allow-Origin", "*"),
    "framed": header("X-Frame-Options", "ALLOWALL"),
    "no policy": header("Content-Security-Policy"),
    "unsafe scripts": header(
        "Content-Security-Policy",
        "default-src 'none'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
        "script-src 'self' 'unsafe-inline'",
    ),
    "cookie without TLS": cookie(secure=False),
    "cookie for scripts": cookie(httponly=False),
    "cookie for other sites": cookie(samesite="None"),
    "cookie of neighbors": cookie("sessionid"),
    "cookie of a domain": cookie(domain="example.com"),
    "mixed content": body('<img src="http://example.com/a.png">'),
    "inline script": body("<script>alert(1)</script>"),
    "foreign script": body('<script src="https://example.com/a.js"></script>'),
    "inline handler": body('<p onclick="a()">'),
    "inline style": body('<p style="color: red">'),
    "script in a link": body('<a href="javascript:a()">a</a>'),
    "opener of a link": body('<a href="https://example.com/" target="_blank">a</a>'),
    "form without a token": body('<form method="post" action="/x/"></form>'),
    "traceback": body("Traceback (most recent call last)", 404),
    "server error": body("sorry", 500),
}


def test_a_clean_answer_has_no_findings() -> None:
    assert findings("/inbox/", an_answer(lambda _: None)) == []


@pytest.mark.parametrize("flaw", FLAWS)
def test_each_flaw_is_found(flaw: str) -> None:
    assert len(findings("/inbox/", an_answer(FLAWS[flaw]))) >= 1


def test_a_dead_link_is_found(safe_desk: Desk) -> None:
    client = logged_in(User.objects.get(username="alice"))
    real = Markup.handle_starttag

    def with_dead_link(self: Markup, tag: str, attrs: Any) -> None:
        real(self, tag, attrs)
        self.links.append("/inbox/nowhere/")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Markup, "handle_starttag", with_dead_link)
        _looked, found = crawl(client, ["/inbox/decisions/"], at_most=30)
    assert "/inbox/nowhere/ is linked, and answers 404" in found
