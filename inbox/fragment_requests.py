"""The request headers by which our scripts ask for a fragment of a page.

The same URL answers a browser with a whole page and a script with a fragment, so a browser must
never show one in place of the other. inbox.middleware.VaryOnFragment lists these headers in the
Vary of every response, so no other module may read them (tests/pages/test_vary.py).
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
# Cookie set by js/reading.js: this browser runs scripts.
_SCRIPTS: Final = "scripts"
# allauth answers a script that asks for one of its pages with JSON.
_SCRIPT: Final = "X-Requested-With"
# Frames and REST authenticate by Authorization, so the response depends on it as well.
DECIDING: Final = (_HTMX, _PART, _LANGUAGE, _AGENT, _SCRIPT, "Authorization")


def is_fragment(request: HttpRequest) -> bool:
    """Return whether htmx asks, so that the response goes into a page that is already open."""
    return _HTMX in request.headers


def wants(request: HttpRequest, part: str) -> bool:
    """Return whether navigation within the inbox asks for this part of the page (X-Fragment)."""
    return request.headers.get(_PART) == part


def page_address(request: HttpRequest) -> str:
    """Return the URL of the page that asks; "" if unknown.

    The header isn't in Vary, so use it only for responses to htmx, which are never cached.
    """
    return request.headers.get(_ADDRESS, "")


def page_language(request: HttpRequest) -> str | None:
    """Return the language of the page the response goes into; None if it isn't one of ours."""
    found = request.headers.get(_LANGUAGE, "")
    return found if found in dict(settings.LANGUAGES) else None


def is_for_a_script(request: HttpRequest) -> bool:
    """Return whether a script reads the response.

    Such a response must not be cached: the browser might show it as a page.
    """
    return any(name in request.headers for name in DECIDING)


def says_what_was_seen(request: HttpRequest) -> bool:
    """Return whether the page will report by itself what its agent has seen; that takes scripts."""
    return is_for_a_script(request) or _SCRIPTS in request.COOKIES


def page_agent(request: HttpRequest) -> str:
    """Return the ID of the agent the asking page was rendered for; "" if unknown."""
    return request.headers.get(_AGENT, "")


def is_background(request: HttpRequest) -> bool:
    """Return whether the page asks on its own and has been idle for a while (js/session.js)."""
    return _BACKGROUND in request.headers


def referring_page(request: HttpRequest) -> str:
    """Return the URL of the page a form was submitted from without a script; "" if unknown."""
    return request.headers.get("Referer", "")
