"""Which part of a page a request asks for: the headers our scripts send.

The same address answers a browser with a whole page and a script with a part of it, so a browser
must never show one in place of the other. inbox.middleware.PartsOfPages names these headers in
the Vary of every answer; no other module reads them (tests/inbox/test_vary.py).
"""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.http import HttpRequest

_HTMX: Final = "HX-Request"
_PART: Final = "X-Fragment"
_ADDRESS: Final = "HX-Current-URL"
_LANGUAGE: Final = "X-Page-Language"
_AGENT: Final = "X-Agent"
_BACKGROUND: Final = "X-Background"
# A cookie of js/reading.js: scripts run in this browser.
_SCRIPTS: Final = "scripts"
# Authorization is read by frames and by REST: it says who asks, and so what the answer is.
DECIDING: Final = (_HTMX, _PART, _LANGUAGE, _AGENT, "Authorization")


def is_fragment(request: HttpRequest) -> bool:
    """htmx asks: the answer goes into a page that is open already."""
    return _HTMX in request.headers


def wants(request: HttpRequest, part: str) -> bool:
    """Navigation inside the inbox asks for this part of the page."""
    return request.headers.get(_PART) == part


def page_address(request: HttpRequest) -> str:
    """Of the page that asks; "" where it does not say. Only of answers that nobody keeps: to what
    htmx sends, which is where it comes from."""
    return request.headers.get(_ADDRESS, "")


def page_language(request: HttpRequest) -> str | None:
    """The language of the page that the answer goes into; None: it says none of ours."""
    found = request.headers.get(_LANGUAGE, "")
    return found if found in dict(settings.LANGUAGES) else None


def is_for_a_script(request: HttpRequest) -> bool:
    """A script reads the answer: a browser that kept it might show it as a page."""
    return any(name in request.headers for name in DECIDING)


def says_what_was_seen(request: HttpRequest) -> bool:
    """The page that shows the answer tells by itself what somebody was there to look at; without
    scripts none does."""
    return is_for_a_script(request) or _SCRIPTS in request.COOKIES


def page_agent(request: HttpRequest) -> str:
    """The id of the agent whose page asks; "" where it does not say."""
    return request.headers.get(_AGENT, "")


def is_background(request: HttpRequest) -> bool:
    """The page asks by itself, and nobody has touched it for a while (js/session.js)."""
    return _BACKGROUND in request.headers


def page_before(request: HttpRequest) -> str:
    """Where a form was sent from that comes without a script; "" where it does not say."""
    return request.headers.get("Referer", "")
