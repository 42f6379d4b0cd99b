"""Going back never shows a fragment, or another language, instead of the page.

A browser that goes back shows what it has kept of an address, however old, unless Vary says that
another request was meant. So every answer that a header decides has to name that header.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from django.conf import settings as configured
from django.test import Client

from inbox import fragment_requests
from tests.pages.conftest import Desk
from tests.support.browser.demo import ROOT

pytestmark = pytest.mark.django_db(transaction=True)
PARTS: Final = "inbox.middleware.VaryOnFragment"
LANGUAGE: Final = "inbox.middleware.PageLanguage"
# New each time, whatever was asked.
_FRESH: Final = re.compile(
    r'csrfmiddlewaretoken" value="[^"]*"|X-CSRFToken": "[^"]*"|\?token=[^"]*|name="token" value="[^"]*"'
    r"|/window/[^/]*/|summary=[^\"]*|data-countdown[^>]*>[^<]*|axk_\w+"
    r'|value="[0-9a-f]{8}-[0-9a-f-]{27}"|live-position="[^"]*"'
)


def sent(desk: Desk) -> list[tuple[str, str]]:
    """Every header that decides an answer, and the first of those that decide none."""
    return [
        ("HX-Request", "true"),
        ("X-Fragment", "view"),
        ("X-Fragment", "list"),
        ("X-Page-Language", "de"),
        ("X-Requested-With", "XMLHttpRequest"),
        ("Authorization", f"Frame {desk.frame_pass}"),
        ("HX-Boosted", "true"),
    ]


# What htmx sends besides; together, as none of them may decide anything.
BESIDES: Final = {
    "HX-Current-URL": "http://testserver/inbox/orders/?q=1",
    "HX-Target": "panel",
    "HX-Trigger": "panel",
    "HX-Trigger-Name": "q",
    "HX-Prompt": "yes",
    "HX-History-Restore-Request": "true",
}


# Each of their answers has a new secret or challenge in it.
NEW_EACH_TIME: Final = {"/account/app/", "/account/passkeys/add/"}


def body(answer: Any) -> bytes:
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    where = answer.headers.get("Location", "") + answer.headers.get("HX-Redirect", "")
    text = f"{answer.status_code} {where} {content.decode(errors='replace')}"
    return _FRESH.sub("", text).encode()


def names(answer: Any) -> set[str]:
    return {name.strip().lower() for name in answer.headers.get("Vary", "").split(",")}


def undeclared(desk: Desk, client: Client, paths: list[str]) -> list[str]:
    """Where a header decides the answer and the answer does not say so."""
    troubles = []
    for path in paths:
        plain = client.get(path)
        whole = body(plain)
        if body(client.get(path)) != whole:
            troubles.append(f"{path} is never the same twice: nothing can be said of it")
        for name, value in sent(desk):
            more = BESIDES if name == "HX-Boosted" else {}
            other = client.get(path, headers={name: value, **more})
            if body(other) == whole:
                continue
            if name.lower() not in names(plain) or name.lower() not in names(other):
                troubles.append(f"{name} decides {path}, and its Vary does not name it")
            if "no-store" not in other.headers.get("Cache-Control", ""):
                troubles.append(f"{path} with {name} may be kept by a browser")
    return troubles


@pytest.mark.slow
def test_what_decides_an_answer_is_in_its_vary(desk: Desk) -> None:
    # Of the admin's lists, which know no parts, two stand for all.
    lists = [path for path in desk.pages() if path.startswith("/admin/")]
    paths = [path for path in desk.pages() if path not in {*lists[3:], *NEW_EACH_TIME}]
    assert len(paths) > 60
    assert undeclared(desk, desk.client, paths) == []


def test_a_login_redirect_declares_its_vary_headers(desk: Desk) -> None:
    paths = ["/inbox/", "/inbox/decisions/", "/login/", "/api/v1/orders/", "/admin/", "/sidebar/"]
    assert undeclared(desk, Client(), paths) == []


def test_without_the_middleware_pages_are_mixed_up(desk: Desk, settings: Any) -> None:
    """Negative control."""
    settings.MIDDLEWARE = [name for name in configured.MIDDLEWARE if name != PARTS]
    paths = ["/inbox/", "/inbox/decisions/", "/inbox/orders/"]
    found = "\n".join(undeclared(desk, desk.client, paths))
    assert "HX-Request decides /inbox/decisions/" in found
    assert "HX-Request decides /inbox/orders/" in found
    assert "X-Fragment decides /inbox/," in found
    assert "X-Page-Language decides /inbox/" in found


@pytest.mark.parametrize("path", ["/inbox/decisions/", "/inbox/orders/?q=1"])
def test_a_fragment_is_not_cached(desk: Desk, path: str) -> None:
    part = desk.client.get(path, headers={"HX-Request": "true"})
    assert "<html" not in part.content.decode()
    assert "no-store" in part.headers["Cache-Control"]
    page = desk.client.get(path)
    assert "<html" in page.content.decode()
    assert "hx-request" in names(page)
    assert "no-store" in page.headers["Cache-Control"]


# --- The source: only inbox.fragment_requests knows which headers ask for a part -------------------------
# Of others' doors, which prove who asks or say where from; none of them asks for another answer.
ELSEWHERE: Final = {
    ("inbox/panel/decorators.py", "Authorization"),
    ("inbox/views/frames.py", "Authorization"),
    # Decides about a cookie of a response to POST, which no cache keeps.
    ("inbox/views/frames.py", "Sec-Fetch-Site"),
    ("inbox/api/orders/actions.py", "Idempotency-Key"),
    ("core/change_origin.py", "X-Request-ID"),
    ("core/change_origin.py", "X-Forwarded-For"),
    ("core/observability/metrics.py", "*"),
    # Those of its own requests to the provider.
    ("inbox/accounts/login/single_sign_on.py", "*"),
    # Named in an email, not in the response.
    ("inbox/views/accounts/log_in.py", "User-Agent"),
    ("shopify_sync/webhooks/view.py", "*"),
}


def headers_read(text: str) -> Iterator[str]:
    """Names of the request headers that this module reads; "*" where the name is not plain."""
    tree = ast.parse(text)
    named: dict[ast.AST, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Attribute() as headers, attr="get"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                named[headers] = name
            case ast.Subscript(
                value=ast.Attribute() as headers, slice=ast.Constant(value=str(name))
            ):
                named[headers] = name
            case ast.Compare(
                left=ast.Constant(value=str(name)), comparators=[ast.Attribute() as headers]
            ):
                named[headers] = name
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or "request" not in ast.unparse(node.value):
            continue
        if node.attr == "headers":
            yield named.get(node, "*")
        elif node.attr == "htmx":
            yield "HX-*"
        elif node.attr == "META" and "HTTP_" in named.get(node, ""):
            yield named[node]


def test_only_one_module_knows_which_headers_ask_for_a_part() -> None:
    found = set()
    for package in ("core", "inbox", "orders", "shopify_sync", "settings"):
        for path in (ROOT / package).rglob("*.py"):
            where = str(path.relative_to(ROOT))
            if where == "inbox/fragment_requests.py" or "practice_store" in where:
                continue
            found |= {(where, name) for name in headers_read(path.read_text())}
    assert {f for f in found if f not in ELSEWHERE and (f[0], "*") not in ELSEWHERE} == set()


def test_every_header_that_module_reads_is_declared() -> None:
    read = ast.parse(Path(fragment_requests.__file__).read_text())
    constants = {
        node.value
        for node in ast.walk(read)
        if isinstance(node, ast.Constant) and re.fullmatch(r"(HX|X)-[\w-]+", str(node.value))
    }
    # The one beside HX-Request alone; the other changes how long the session lasts, no answer.
    assert constants - set(fragment_requests.DECIDING) == {"HX-Current-URL", "X-Background"}


@pytest.mark.parametrize(
    "line",
    [
        'if request.headers.get("HX-Request"): ...',
        'if "HX-Request" in self.request.headers: ...',
        'x = request.headers["X-Fragment"]',
        "x = request.headers.get(name)",
        "if request.htmx: ...",
        'x = request.META.get("HTTP_HX_REQUEST")',
    ],
)
def test_another_module_that_reads_such_a_header_fails_the_check(line: str) -> None:
    """Negative control."""
    assert list(headers_read(line))


# --- The language of the page -------------------------------------------------------------------
def test_a_part_comes_in_the_language_of_its_page(desk: Desk) -> None:
    """The other tab has changed the language since."""
    desk.client.cookies["django_language"] = "de"
    path = f"/inbox/conversations/{desk.conversation.pk}/header/"
    part = {"HX-Request": "true"}
    english = header(desk, path, part | {"X-Page-Language": "en"})
    assert "Resolve" in english
    german = header(desk, path, part)
    assert german == header(desk, path, part | {"X-Page-Language": "de"})
    assert german != english
    # What is no language of ours is the cookie's.
    for nonsense in ("xx", "", "de\u00e9", "en" * 200):
        assert header(desk, path, part | {"X-Page-Language": nonsense}) == german


def header(desk: Desk, path: str, headers: dict[str, str]) -> str:
    return _FRESH.sub("", desk.client.get(path, headers=headers).content.decode())


def test_the_page_says_its_language(desk: Desk) -> None:
    desk.client.cookies["django_language"] = "de"
    page = desk.client.get("/inbox/decisions/").content.decode()
    assert '"X-Page-Language": "de"' in page


def test_without_the_middleware_tabs_mix_their_languages(desk: Desk, settings: Any) -> None:
    """Negative control."""
    settings.MIDDLEWARE = [name for name in configured.MIDDLEWARE if name != LANGUAGE]
    desk.client.cookies["django_language"] = "de"
    path = f"/inbox/conversations/{desk.conversation.pk}/header/"
    assert "Resolve" not in header(desk, path, {"HX-Request": "true", "X-Page-Language": "en"})
