"""Middleware for fragment caching, login, roles and the sidebar's pop-up window."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import middleware
from django.core.exceptions import PermissionDenied
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import redirect, render, resolve_url
from django.templatetags.static import static
from django.urls import ResolverMatch, reverse
from django.utils import timezone, translation
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.utils.html import format_html
from django.utils.translation import gettext

from inbox import fragment_requests
from inbox.accounts import page_access
from inbox.accounts.login import factors, sessions
from inbox.accounts.page_access import Door
from inbox.api import limits
from inbox.live import events
from inbox.views.accounts import log_in

logger = logging.getLogger(__name__)

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class VaryOnFragment:
    """Keep browsers from showing a fragment in place of a whole page, or the other way around.

    Every response varies on the headers that choose between the two, and a response to a script is
    stale at once: on Back, a browser may show what it has in memory, although nothing may be stored
    (core.response_headers). Done here so that no view has to remember it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        patch_vary_headers(response, fragment_requests.DECIDING)
        if fragment_requests.is_for_a_script(request):
            add_never_cache_headers(response)
        return response


class TlsForPrograms:
    """Refuse programs that call the REST API without TLS, where browsers are sent to https.

    A program that follows the redirect would go on sending its token in the clear first. Must come
    before SecurityMiddleware, which redirects.
    """

    # Its page for people is sent on like any other.
    _pages: Final = "/api/docs/"

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.SECURE_SSL_REDIRECT and not request.is_secure() and self._is_for(request.path):
            return JsonResponse(
                {
                    "type": "urn:agent-inbox:tls-required",
                    "title": "Use https.",
                    "status": 403,
                    "detail": "If you sent a token, someone may have read it: revoke it.",
                },
                status=403,
                content_type="application/problem+json",
            )
        return self._get_response(request)

    def _is_for(self, path: str) -> bool:
        return path.startswith("/api/") and not path.startswith(self._pages)


class StagingMark:
    """Say on every page that this is staging (settings.staging).

    Behind everything that answers, so the pages of errors have it, too, and those of the admin and of
    libraries. A part of a page has no body and stays as it is.
    """

    _body: Final = re.compile(rb"<body\b[^>]*>")

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        if not response.headers.get("Content-Type", "").startswith("text/html"):
            return response
        if isinstance(response, StreamingHttpResponse):
            # What our pages send first reaches beyond the start of the body.
            parts = cast("Iterator[bytes]", response.streaming_content)
            response.streaming_content = (self._marked(part) for part in parts)
        elif isinstance(response, HttpResponse):
            response.content = self._marked(response.content)
            if "Content-Length" in response.headers:
                response.headers["Content-Length"] = str(len(response.content))
        return response

    def _marked(self, page: bytes) -> bytes:
        mark = format_html(
            '<link rel="stylesheet" href="{}"><p class="staging-mark" role="note">{}</p>',
            static("inbox/css/staging.css"),
            gettext("Staging: practice shops only. No order and no money here is real."),
        )
        return self._body.sub(lambda found: found[0] + mark.encode(), page, count=1)


class PageLanguage:
    """Render a fragment in the language of the page it goes into.

    The language cookie may have changed in another tab since that page was loaded. Must come right
    after LocaleMiddleware, which reads the cookie.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if language := fragment_requests.page_language(request):
            translation.activate(language)
            request.LANGUAGE_CODE = language
        return self._get_response(request)


class Sessions:
    """Extend the agent's session and mark the browser with who logged in (accounts.sessions)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        # Don't load a session that the view didn't: frames must not look at the cookie.
        if request.session.accessed and not fragment_requests.is_background(request):
            sessions.renew(request, now=timezone.now())
        sessions.mark(request, response)
        return response

    def process_view(self, request: HttpRequest, *_: object) -> HttpResponse | None:
        """Refuse a page of one agent in a browser where another has since logged in.

        It must neither show the other agent's data nor write in their name.
        """
        whose = fragment_requests.page_agent(request)
        if not whose or not request.user.is_authenticated or whose == str(request.user.pk):
            return None
        return HttpResponse(status=401, headers={"X-Session": "other"})


class LogInForFragments:
    """Answer 401 in place of the login redirect when a script asks.

    The script then opens a login dialog on the page, so nothing on it is lost (js/session.js).
    A form submitted without a script gets the login page, returns to the page it was on, and gets
    its text back where that is safe.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if not _is_to_log_in(response):
            return response
        if fragment_requests.is_for_a_script(request):
            return HttpResponse(status=401, headers={"X-Session": "ended"})
        return response if request.method in _READS else log_in.log_in_page_for(request)


class LoginRequired(middleware.LoginRequiredMiddleware):
    """Require login, except for views that opt out, without reading their session.

    Django 5.2 looks at `request.user` first. That reads the session from the database, and makes the
    response vary on the cookie, also where nobody needs to be logged in.
    """

    def process_view(
        self,
        request: HttpRequest,
        view_func: Callable[..., HttpResponseBase],
        view_args: tuple[Any, ...],
        view_kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        """Redirect to the login unless the view is open or the person is logged in."""
        if not getattr(view_func, "login_required", True):
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)


def _is_to_log_in(response: HttpResponse) -> bool:
    """Return whether this redirects to log in first. A log-out leads there too, without `next`."""
    if response.status_code != 302:
        return False
    target = urlsplit(response["Location"])
    return target.path == resolve_url(settings.LOGIN_URL) and "next=" in target.query


class RoleCheck:
    """Refuse every address that the account's roles don't open, or that no one has declared.

    The declarations are in inbox.accounts.page_access, so a new URL is closed until it has one. Runs after
    LoginRequired, which sends people to log in first.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *_: object) -> HttpResponse | None:
        """Raise PermissionDenied without the role; send staff without one to the admin."""
        found = request.resolver_match
        if found is None:
            raise PermissionDenied
        door = page_access.door_of(found.view_name, found.namespaces)
        # Frames must not look at the cookie, which reading `request.user` does.
        if door in {Door.OPEN, Door.KEY} or page_access.is_open_to(door, request.user):
            return None
        if door is None:
            logger.error(
                "%s is closed: it has no entry in inbox.accounts.page_access", found.view_name
            )
        if found.view_name == "inbox:list" and page_access.is_open_to(Door.ADMIN, request.user):
            # People who only work in the admin land here after logging in.
            return redirect("admin:index")
        raise PermissionDenied


class SessionLimit:
    """Limit the pages, fragments and exports that a person's sessions open in a minute.

    Far above what anyone can read, also in many windows during a busy hour; it stops a script that
    runs through every customer. REST has a limit of its own. Must come after the middleware that
    decides who may open what, so that an address without a session doesn't read one.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *_: object) -> HttpResponse | None:
        """Answer 429 to a person who has used up this minute's requests."""
        limit = settings.SESSION_REQUESTS_PER_MINUTE
        if not limit or request.path.startswith("/api/") or not request.session.accessed:
            return None
        if not request.user.is_authenticated:
            return None
        count, wait_s = limits.counted(f"session:{request.user.pk}")
        if count <= limit:
            return None
        if count == limit + 1:
            logger.warning("user %s opened %s pages in a minute", request.user.pk, limit)
        answer = render(request, "429.html", status=429)
        answer["Retry-After"] = str(wait_s)
        return answer


class FactorRequired:
    """Lead a person who still has to set up a second factor there, and refuse anything else.

    Covers every page, fragment and REST request that a session authenticates. Tokens, keys and frames
    prove themselves without a session; the event stream asks `is_missing` itself
    (inbox.live.access).
    """

    # What a person may open who still has to set one up. Everything else is closed, also what is
    # added later.
    _open: Final = frozenset(
        {
            "account_reauthenticate",
            "inbox:logout",
            "mfa_activate_totp",
            "mfa_add_webauthn",
            "mfa_download_recovery_codes",
            "mfa_index",
            "mfa_reauthenticate",
            "mfa_reauthenticate_webauthn",
            "mfa_view_recovery_codes",
            "set_language",
        }
    )

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *_: object) -> HttpResponse | None:
        """Refuse the view unless it serves to set up a factor."""
        found = request.resolver_match
        if not settings.SECOND_FACTOR_REQUIRED or (found is not None and self._is_free(found)):
            return None
        if not factors.is_missing(request.user):
            return None
        if request.path.startswith("/api/"):
            return _problem()
        if fragment_requests.is_for_a_script(request):
            # The page's script then loads the whole page, which leads to the set-up.
            return HttpResponse(status=401, headers={"X-Session": "other"})
        return redirect("mfa_index")

    def _is_free(self, found: ResolverMatch) -> bool:
        """Return whether no session counts at this address, or every session does.

        Then the cookie isn't looked at, which reading `request.user` would do. REST looks at it when
        there is no token.
        """
        door = page_access.door_of(found.view_name, found.namespaces)
        is_rest = found.view_name in {"api-schema", "api-docs"} or "api" in found.namespaces
        return (
            found.view_name in self._open or door is Door.OPEN or (door is Door.KEY and not is_rest)
        )


def _problem() -> HttpResponse:
    body = {
        "type": "urn:agent-inbox:second-factor-required",
        "title": "Set up a second factor first.",
        "status": 403,
        "detail": "Open /account/ in a browser and add a passkey or an authenticator app.",
    }
    return JsonResponse(body, status=403, content_type="application/problem+json")


class SidebarWindows:
    """Let the window in which an agent connects the sidebar reach the frame that opened it.

    It has to hand the frame its code. The default Cross-Origin-Opener-Policy would cut that tie, on
    any page on the way: the login, its second step, and the redirects between them.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        connect = reverse("sidebar:connect")
        if request.path == connect or connect in map(_path, _log_in_leads_to(request, response)):
            response["Cross-Origin-Opener-Policy"] = "unsafe-none"
        return response


_LOG_IN: Final = (
    "login",
    "mfa_login_webauthn",
    "openid_connect_login",
    "openid_connect_callback",
)


def _log_in_leads_to(request: HttpRequest, response: HttpResponse) -> list[str]:
    """Return where a step of the login leads: as asked for, at once, or after the second step."""
    is_second = request.path == reverse("mfa_authenticate")
    if not is_second and request.path not in map(reverse, _LOG_IN):
        return []
    asked = "" if is_second else request.POST.get("next", request.GET.get("next", ""))
    return [asked, response.get("Location", ""), log_in.pending_address(request)]


class LivePositions:
    """Note the live-event position before a page or fragment reads anything.

    What happens while the response is computed or on its way then reaches the browser as a live
    event (inbox.live.events).
    """

    _namespaces: Final = frozenset({"inbox", "sidebar", "sidebar_window"})

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *_: object) -> None:
        """Note the position of live events before the view reads anything."""
        found = request.resolver_match
        if found is not None and not self._namespaces.isdisjoint(found.namespaces):
            request.live_position = events.position()  # type: ignore[attr-defined]


def _path(address: str) -> str:
    """Return the URL's path; "" if it can't be parsed, such as "http://["."""
    try:
        return urlsplit(address).path
    except ValueError:
        return ""
