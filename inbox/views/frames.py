"""The page inside another help desk, and how its agent gets in (docs/sidebar.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from inbox import access
from inbox.frames import (
    authentication,
    tokens,
)
from inbox.frames.tokens import (
    FrameRefused,
    Pass,
)
from inbox.live import events
from inbox.models import FrameKind, HelpDeskFrame
from inbox.panel.contexts import InFrame
from inbox.panel.decorators import (
    framed,
    refusal,
)

# What the page around the frame may tell of the customer.
_SAID = ("email", "phone", "about", "assignee")


# It shows nothing: who looks is known only once a code was swapped for a pass.
@login_not_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """GET ?frame=<id>: the empty frame, with what its script needs to begin."""
    frame = _frame(request.GET.get("frame", ""))
    if frame is None or not frame.allowed_origins():
        answer = render(request, "sidebar/off.html", status=404)
        return framed(request, answer, None)
    context = {
        "frame": frame,
        "is_signed": frame.kind == FrameKind.GENERIC,
        "origins": " ".join(frame.allowed_origins()),
    }
    return framed(request, render(request, "sidebar/frame.html", context), frame)


def _by_script(
    view: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """A door without a cookie: what it is given proves itself, so there is nothing to forge."""

    @login_not_required
    @csrf_exempt
    @require_POST
    @wraps(view)
    def door(request: HttpRequest) -> HttpResponse:
        try:
            answer = view(request)
        except FrameRefused as refused:
            answer = refusal(refused)
        return framed(request, answer, None)

    return door


@_by_script
def swap(request: HttpRequest) -> HttpResponse:
    """A code for a pass: `signed`, what follows the # of a signed address, or `code` with `verifier`."""
    frame = _frame(request.POST.get("frame", ""))
    if frame is None:
        raise FrameRefused("off")
    if signed := request.POST.get("signed", ""):
        return _given(authentication.swap_signed(frame, signed), frame)
    code, verifier = (request.POST.get(name, "") for name in ("code", "verifier"))
    held = authentication.swap_code(frame, code=code.strip(), verifier=verifier)
    _held, frame, agent = authentication.checked(held)
    return _given(authentication.look_at(held, frame, agent, _said(request)), frame)


@_by_script
def look(request: HttpRequest) -> HttpResponse:
    """The page around the frame shows another customer."""
    held, frame, agent = authentication.admit(request.headers.get("Authorization", ""))
    return _given(authentication.look_at(held, frame, agent, _said(request)), frame)


@_by_script
def renew(request: HttpRequest) -> HttpResponse:
    """Ten minutes more, as long as the log-in behind the pass lives."""
    held, frame, _agent = authentication.admit(request.headers.get("Authorization", ""))
    return _given(held, frame)


@require_http_methods(["GET", "POST"])
def connect(request: HttpRequest) -> HttpResponse:
    """In a window of ours: the agent, logged in as anywhere, lets the frame act for them."""
    asked: Mapping[str, Any] = request.POST if request.method == "POST" else request.GET
    frame = _frame(asked.get("frame", ""))
    if frame is None:
        raise Http404
    context: dict[str, Any] = {"frame": frame, "challenge": asked.get("challenge", "")}
    if request.method == "POST":
        try:
            context["code"] = authentication.issue_code(
                frame,
                agent=access.agent_of(request),
                session_key=request.session.session_key or "",
                challenge=context["challenge"],
            )
        except FrameRefused as refused:
            context["refused"] = refused.code
    return render(request, "sidebar/connect.html", context)


def _given(held: Pass, frame: HelpDeskFrame) -> HttpResponse:
    place = InFrame(held, frame)
    stream = events.frame_stream_token(place.topics.split(), agent_id=held.agent_id)
    return JsonResponse(
        {
            "pass": tokens.seal_pass(held),
            "valid_s": tokens.PASS_S,
            "stream": f"/events/?token={stream}",
            # Before the panel is asked for: what happens meanwhile is told by the stream.
            "position": str(events.position()),
            "panel": reverse("sidebar:orders"),
        }
    )


def _said(request: HttpRequest) -> dict[str, str]:
    return {name: request.POST.get(name, "") for name in _SAID}


def _frame(word: str) -> HelpDeskFrame | None:
    if not (word.isascii() and word.isdigit() and len(word) < 10):
        return None
    return HelpDeskFrame.objects.filter(pk=int(word), is_active=True).first()
