"""What holds for every answer: parts of pages, the log-in they meet, roles, a frame's windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.cache import add_never_cache_headers, patch_vary_headers

from inbox import access
from inbox.accounts import sessions
from inbox.live import events
from inbox.views import fragments, log_in

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class PartsOfPages:
    """No browser shows a part of a page where the page belongs, or the other way round: by
    default, so that no view has to remember it.

    Every answer names what decided it, and what a script asked for is not kept at all: going
    back, a browser shows what it has kept, however old.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        patch_vary_headers(response, fragments.DECIDING)
        if fragments.is_for_a_script(request):
            add_never_cache_headers(response)
        return response


class LanguageOfThePage:
    """A part of a page is written in the language of the page it goes into. The cookie may have
    changed since, in another tab. Right after LocaleMiddleware, which has read the cookie."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if language := fragments.page_language(request):
            translation.activate(language)
            request.LANGUAGE_CODE = language
        return self._get_response(request)


class Sessions:
    """What a request means for its agent's log-in (inbox.accounts.sessions)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        # Who has not been asked for is not asked for here: frames look at no cookie.
        if request.session.accessed and not fragments.is_nobodys_doing(request):
            sessions.renew(request.session, now=timezone.now())
        sessions.mark(request, response)
        return response

    def process_view(self, request: HttpRequest, *_: Any) -> HttpResponse | None:
        """A page of one agent in a browser where another has logged in since: it must neither
        show what is the other's, nor write in their name."""
        whose = fragments.page_agent(request)
        if not whose or not request.user.is_authenticated or whose == str(request.user.pk):
            return None
        return HttpResponse(status=401, headers={"X-Session": "other"})


class LogInForFragments:
    """A part of a page cannot show the log-in: it is told that the session has ended, and the
    page asks there and then, so that nothing on it is lost (js/session.js).

    A form that comes without a script gets the log-in page. It goes on from the page the form was
    on, and what was written there comes back where that can be done safely.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if not _is_to_log_in(response):
            return response
        if fragments.is_for_a_script(request):
            return HttpResponse(status=401, headers={"X-Session": "ended"})
        return response if request.method in _READS else log_in.instead_of(request)


def _is_to_log_in(response: HttpResponse) -> bool:
    """Away from what was asked for; a log-out leads to the log-in too, but to stay there."""
    if response.status_code != 302:
        return False
    target = urlsplit(response["Location"])
    return target.path == resolve_url(settings.LOGIN_URL) and "next=" in target.query


class RolesAtTheDoor:
    """No page, fragment or window of the inbox for an account without a role, and no change for
    one that may only look. By default: a new address is closed until its person has a role.

    Not for REST, whose tokens are read later (inbox.api.permissions), nor for frames, whose pass
    says who asks (inbox.frames.authentication).
    """

    _namespaces: Final = frozenset({"inbox", "sidebar_window"})
    _open: Final = frozenset({"inbox:logout"})

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *_: Any) -> HttpResponse | None:
        found = request.resolver_match
        if found is None or self._namespaces.isdisjoint(found.namespaces):
            return None
        if found.view_name in self._open or not request.user.is_authenticated:
            return None  # to the log-in
        if not access.door_refused(request.user, changes=request.method not in _READS):
            return None
        if found.view_name == "inbox:list" and getattr(request.user, "is_staff", False):
            # Where people of the admin land after logging in.
            return redirect("admin:index")
        raise PermissionDenied


class WindowsOfTheSidebar:
    """The window in which an agent connects the sidebar has to reach the frame that opened it,
    to hand it the code. The default Cross-Origin-Opener-Policy cuts that tie, at the log-in on
    the way already."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        connect = reverse("sidebar:connect")
        wanted = (
            # The form's own answer, a redirect, is a step of the way as well.
            request.POST.get("next", request.GET.get("next", ""))
            if request.path == resolve_url(settings.LOGIN_URL)
            else request.path
        )
        if _path(wanted) == connect:
            response["Cross-Origin-Opener-Policy"] = "unsafe-none"
        return response


class LivePositions:
    """Notes how far the inbox's pages and fragments have read, before they read anything: what
    happens while one is computed, or on its way, is told to the browser as news (inbox.live.events)."""

    _namespaces: Final = frozenset({"inbox", "sidebar", "sidebar_window"})

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *_: Any) -> None:
        found = request.resolver_match
        if found is not None and not self._namespaces.isdisjoint(found.namespaces):
            request.live_position = events.position()  # type: ignore[attr-defined]


def _path(address: str) -> str:
    """Its path; "" for what is no address, "http://[" say."""
    try:
        return urlsplit(address).path
    except ValueError:
        return ""
