"""The panel's page inside another help desk, and its agent's login (docs/sidebar.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
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
from inbox.live.events import FrameStream
from inbox.models import FrameKind, HelpDeskFrame
from inbox.panel.contexts import InFrame
from inbox.panel.decorators import (
    framed,
    refusal,
)
from inbox.visibility import scope_of

# What the help desk's page may tell us about the open conversation.
_CUSTOMER_FIELDS = ("email", "phone", "about", "assignee")


# Needs no login because it shows nothing: the agent is known once a code is swapped for a pass.
@login_not_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Serve the empty frame (?frame=<id>) with what its script needs to begin."""
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


def _script_endpoint(
    view: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Turn a view into an endpoint without cookies, so there is nothing for CSRF to ride on.

    Its input is signed or a one-time code, and proves itself.
    """

    @login_not_required
    @csrf_exempt
    @require_POST
    @wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        try:
            answer = view(request)
        except FrameRefused as refused:
            answer = refusal(refused)
        return framed(request, answer, None)

    return wrapped


@_script_endpoint
def swap(request: HttpRequest) -> HttpResponse:
    """Swap a credential for a pass.

    The credential is either `signed`, the part of a signed URL after the #, or a one-time `code`
    with its `verifier`.
    """
    frame = _frame(request.POST.get("frame", ""))
    if frame is None:
        raise FrameRefused("off")
    if signed := request.POST.get("signed", ""):
        held = authentication.swap_signed(frame, signed)
        return _pass_response(*authentication.checked(held))
    code, verifier = (request.POST.get(name, "") for name in ("code", "verifier"))
    held = authentication.swap_code(frame, code=code.strip(), verifier=verifier)
    _held, frame, agent = authentication.checked(held)
    answer = _pass_response(
        authentication.look_at(held, frame, agent, _customer_fields(request)), frame, agent
    )
    # A page around the frame could otherwise plant a login of its own.
    if request.headers.get("Sec-Fetch-Site") == "same-origin":
        _keep_seat(answer, held)
    return answer


@_script_endpoint
def resume(request: HttpRequest) -> HttpResponse:
    """Swap the seat of an earlier frame in this help desk for a pass, for the customer shown now.

    The seat is in a cookie that only this address reads. A forged request gains nothing: its
    sender can't read the answer, and nothing changes here.
    """
    frame = _frame(request.POST.get("frame", ""))
    if frame is None:
        raise FrameRefused("off")
    held, agent = authentication.resume(frame, request.COOKIES.get(_seat_cookie(frame.pk), ""))
    return _pass_response(
        authentication.look_at(held, frame, agent, _customer_fields(request)), frame, agent
    )


@_script_endpoint
def look(request: HttpRequest) -> HttpResponse:
    """Point the pass at the customer that the help desk's page shows now."""
    held, frame, agent = authentication.admit(request.headers.get("Authorization", ""))
    return _pass_response(
        authentication.look_at(held, frame, agent, _customer_fields(request)), frame, agent
    )


@_script_endpoint
def renew(request: HttpRequest) -> HttpResponse:
    """Extend the pass by ten minutes while the login behind it is valid."""
    held, frame, agent = authentication.admit(request.headers.get("Authorization", ""))
    return _pass_response(held, frame, agent)


@require_http_methods(["GET", "POST"])
def connect(request: HttpRequest) -> HttpResponse:
    """Let the frame act for the agent, who confirms it in a window of ours while logged in."""
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


def _seat_cookie(frame_id: int) -> str:
    """Has the __Host- prefix if cookies are secure; over plain http browsers would refuse it."""
    prefix = "__Host-" if settings.SESSION_COOKIE_SECURE else ""
    return f"{prefix}sidebar-seat-{frame_id}"


def _keep_seat(answer: HttpResponse, held: Pass) -> None:
    """Let the browser keep that this agent has logged in to this frame."""
    name = _seat_cookie(held.frame_id)
    answer.set_cookie(
        name,
        tokens.seal_seat(held),
        max_age=tokens.SEAT_S,
        secure=True,
        httponly=True,
        samesite="None",
    )
    # Apart for each site that shows the frame, and thus also where the cookies of other sites are
    # blocked. Before Python 3.14, http.cookies doesn't know the attribute.
    answer.cookies[name]["path"] += "; Partitioned"


def _pass_response(held: Pass, frame: HelpDeskFrame, agent: User) -> HttpResponse:
    place = InFrame(held, frame, scope_of(agent))
    stream = FrameStream(
        agent_id=held.agent_id,
        topics=tuple(place.topics.split()),
        session_key=held.session_key,
        vouched_until=held.opened_at + authentication.VOUCHED_S,
    )
    return JsonResponse(
        {
            "pass": tokens.seal_pass(held),
            "valid_s": tokens.PASS_S,
            "stream": "/events/",
            "stream_token": events.frame_stream_token(stream),
            # Read before the panel is fetched: the stream delivers what happens in between.
            "position": str(events.position()),
            "panel": reverse("sidebar:orders"),
            # If not, the script asks the help desk again when the agent comes back to the frame.
            "may_act": place.acting_refusal(agent) is None,
        }
    )


def _customer_fields(request: HttpRequest) -> dict[str, str]:
    return {name: request.POST.get(name, "") for name in _CUSTOMER_FIELDS}


def _frame(text: str) -> HelpDeskFrame | None:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        return None
    return HelpDeskFrame.objects.filter(pk=int(text), is_active=True).first()
