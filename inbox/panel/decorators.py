"""The doors to the order panel: each finds out who asks and where the panel stands."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import add_never_cache_headers
from django.views.decorators.csrf import csrf_exempt

from inbox import access
from inbox.frames import authentication
from inbox.frames.tokens import FrameRefused
from inbox.models import HelpDeskFrame
from inbox.panel.contexts import (
    BesideConversation,
    InFrame,
    InWindow,
)

View = Callable[..., HttpResponse]
Door = Callable[[View], View]


def beside_conversation(view: View) -> View:
    """/inbox/conversations/<pk>/…, with the ordinary log-in."""

    @wraps(view)
    def door(request: HttpRequest, pk: int, **found: Any) -> HttpResponse:
        place = BesideConversation(access.get_conversation(request.user, pk))
        return view(request, place=place, **found)

    return door


def in_frame(view: View) -> View:
    """/sidebar/…: the pass in the Authorization header, and nothing else, says who asks."""

    # The pass is the log-in. No cookie is looked at, so there is none to ride on.
    @login_not_required
    @csrf_exempt
    @wraps(view)
    def door(request: HttpRequest, **found: Any) -> HttpResponse:
        try:
            held, frame, agent = authentication.admit(request.headers.get("Authorization", ""))
        except FrameRefused as refused:
            return framed(request, refusal(refused), None)
        request.user = agent
        try:
            answer = view(request, place=InFrame(held, frame), **found)
        except (Http404, PermissionDenied) as error:
            # Not the site's error page: it would ask the session who is there.
            code = 404 if isinstance(error, Http404) else 403
            answer = HttpResponse(status=code)
        return framed(request, answer, frame)

    return door


def in_window(view: View) -> View:
    """/sidebar/window/<pass>/…: our own origin, the ordinary log-in and its CSRF check."""

    @wraps(view)
    def door(request: HttpRequest, window: str, **found: Any) -> HttpResponse:
        try:
            held, frame, agent = authentication.open_window(window)
        except FrameRefused as refused:
            raise PermissionDenied(str(refused)) from refused
        if agent.pk != access.agent_of(request).pk:
            # Somebody else's pass: for this person the window does not exist.
            raise Http404
        answer = view(request, place=InWindow(held, frame), **found)
        add_never_cache_headers(answer)
        return answer

    return door


def refusal(refused: FrameRefused) -> HttpResponse:
    """For the page's script: it has a sentence for each code."""
    return JsonResponse({"code": refused.code}, status=refused.status)


def framed(request: HttpRequest, answer: HttpResponse, frame: HelpDeskFrame | None) -> HttpResponse:
    """The headers of every answer inside the frame. None: nobody may frame it."""
    origins = frame.allowed_origins() if frame else ()
    answer._csp_replace = {"frame-ancestors": list(origins) or ["'none'"]}  # type: ignore[attr-defined]
    # An origin list is beyond X-Frame-Options; frame-ancestors says it all.
    answer.xframe_options_exempt = bool(origins)
    # Templates ask for the CSRF token; here no form is sent with a cookie.
    request.META.pop("CSRF_COOKIE_NEEDS_UPDATE", None)
    add_never_cache_headers(answer)
    return answer
