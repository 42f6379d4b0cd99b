"""Decorators for the views of orders: each authenticates the agent and passes the `place`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import add_never_cache_headers
from django.views.decorators.csrf import csrf_exempt

from inbox import access
from inbox.contacts import customer_views
from inbox.frames import authentication
from inbox.frames.tokens import FrameRefused
from inbox.models import HelpDeskFrame
from inbox.panel.contexts import (
    BesideConversation,
    InFrame,
    InWindow,
)
from inbox.panel.order_page import OnOrderPage
from inbox.visibility import scope_of

View = Callable[..., HttpResponse]
Decorator = Callable[[View], View]


def beside_conversation(view: View) -> View:
    """Serve a view under /inbox/conversations/<pk>/…, with the regular session login."""

    @wraps(view)
    def wrapper(request: HttpRequest, pk: int, **found: object) -> HttpResponse:
        found_conversation = access.get_conversation(request.user, pk)
        place = BesideConversation(found_conversation, scope_of(request.user))
        return view(request, place=place, **found)

    return wrapper


def on_order_page(view: View) -> View:
    """Serve a view under /inbox/orders/…, with the regular session login. The order is the one in
    the URL, or the one that the URL's action is about."""

    @wraps(view)
    def wrapper(request: HttpRequest, **found: int) -> HttpResponse:
        order_id = found.get("order_id")
        if order_id is None:
            order_id = access.get_action(request.user, found["action_id"]).order_id
        order = access.get_order(request.user, order_id)
        customer_views.note_order(request.user, order.pk)
        return view(request, place=OnOrderPage(order, scope_of(request.user)), **found)

    return wrapper


def in_frame(view: View) -> View:
    """Serve a view under /sidebar/…, authenticated by the pass in the Authorization header alone."""

    # No cookie is consulted, so there is none that a forged request could ride on.
    @login_not_required
    @csrf_exempt
    @wraps(view)
    def wrapper(request: HttpRequest, **found: object) -> HttpResponse:
        try:
            held, frame, agent = authentication.admit(request.headers.get("Authorization", ""))
        except FrameRefused as refused:
            return framed(request, refusal(refused), None)
        request.user = agent
        place = InFrame(held, frame, scope_of(agent))
        try:
            answer = view(request, place=place, **found)
            _note_view(agent, place, found)
        except (Http404, PermissionDenied) as error:
            # Not the site's error page, which would look at the session.
            code = 404 if isinstance(error, Http404) else 403
            answer = HttpResponse(status=code)
        return framed(request, answer, frame)

    return wrapper


def in_window(view: View) -> View:
    """Serve a view under /sidebar/window/<pass>/…: our own origin, with the regular session login
    and CSRF check."""

    @wraps(view)
    def wrapper(request: HttpRequest, window: str, **found: object) -> HttpResponse:
        try:
            held, frame, agent = authentication.open_window(window)
        except FrameRefused as refused:
            raise PermissionDenied(str(refused)) from refused
        if agent.pk != access.agent_of(request).pk:
            # Another agent's pass: for this one the window doesn't exist.
            raise Http404
        place = InWindow(held, frame, scope_of(agent))
        answer = view(request, place=place, **found)
        _note_view(agent, place, found)
        add_never_cache_headers(answer)
        return answer

    return wrapper


def _note_view(agent: User, place: InFrame, found: Mapping[str, object]) -> None:
    """Record whose customer this frame showed; beside a conversation, inbox.access does that."""
    if place.shown_contact_id is not None:
        customer_views.note_contact(agent, place.shown_contact_id)
    elif isinstance(order_id := found.get("order_id"), int):
        customer_views.note_order(agent, order_id)


def refusal(refused: FrameRefused) -> HttpResponse:
    """Render a refusal for the page's script, which has a sentence for each code."""
    return JsonResponse({"code": refused.code}, status=refused.status)


def framed(request: HttpRequest, answer: HttpResponse, frame: HelpDeskFrame | None) -> HttpResponse:
    """Set the headers that every response inside a frame needs; `frame` None forbids framing."""
    origins = frame.allowed_origins() if frame else ()
    answer._csp_replace = {"frame-ancestors": list(origins) or ["'none'"]}  # type: ignore[attr-defined]
    # X-Frame-Options can't list origins; frame-ancestors covers it.
    answer.xframe_options_exempt = bool(origins)
    if origins:
        # Or a help desk that isolates itself (COEP) couldn't embed it; who may, the CSP says.
        answer["Cross-Origin-Resource-Policy"] = "cross-origin"
    # Rendering a template that uses the CSRF token would set its cookie; in a frame, no form is
    # sent with cookies.
    request.META.pop("CSRF_COOKIE_NEEDS_UPDATE", None)
    add_never_cache_headers(answer)
    return answer
