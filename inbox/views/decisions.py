"""The decisions page: approve, decline, settle by hand, or keep money on purpose."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from inbox import (
    access,
    customer_views,
    fragment_requests,
    signed_approvals,
)
from inbox.accounts import passkeys, reauthentication
from inbox.decisions import approvals, lists
from orders import services
from orders.actions import status_texts
from orders.errors import ActionRefused, Refusal, ShopUnreachable, StalePreview
from orders.models import Outcome
from orders.panels.filters import number

NOTE_LENGTH = 200


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the whole page, or only its lists for a live update.

    `request` in the query names the request for approval that is shown in full.
    """
    agent = access.agent_of(request)
    waiting = approvals.waiting(
        agent, chosen=number(request.GET.get("request", "")), now=timezone.now()
    )
    chosen = waiting.chosen
    if chosen and chosen.quote:
        customer_views.note_contact(agent, chosen.quote.contact_id)
    address = reverse("inbox:decisions")
    context = {
        "waiting": waiting,
        "decisions": lists.decisions(agent),
        # Stays with the request that is being read while others come and go.
        "live_src": f"{address}?request={chosen.action.pk}"
        if chosen and waiting.is_named
        else address,
        "has_passkey": bool(chosen and chosen.needs_passkey) and passkeys.exist_for(agent),
        "section": "decisions",
        "is_live": True,
    }
    is_part = fragment_requests.is_fragment(request)
    template = "inbox/_decisions.html" if is_part else "inbox/decisions.html"
    return render(request, template, context)


@require_POST
def approve(request: HttpRequest, action_id: int) -> HttpResponse:
    """Approve an action exactly as it was proposed, signed with a passkey above the limit.

    The approver has just proven who they are: by that signature, or by logging in again.
    """
    agent = access.agent_of(request)
    access.get_action(agent, action_id)
    signed = signed_approvals.answer(request, action_id, agent)
    if signed is None and reauthentication.is_due(request):
        return reauthentication.ask(request, back=reverse("inbox:decisions"))

    def act() -> str:
        action = services.approve(
            action_id=action_id,
            by=agent,
            guard=access.approving_refusal,
            now=timezone.now(),
            signed=signed,
        )
        return _("Approved: %s") % status_texts.what(action)

    return _decide(request, act)


@require_GET
@never_cache
def signing_options(request: HttpRequest, action_id: int) -> HttpResponse:
    """Return what the browser's passkey is asked to sign, for navigator.credentials.get."""
    agent = access.agent_of(request)
    action = access.get_action(agent, action_id)
    if services.approval_refusal(action, agent) or not passkeys.exist_for(agent):
        return HttpResponse(status=409)
    return JsonResponse({"request_options": signed_approvals.ask(request, action, agent)})


@require_POST
def decline(request: HttpRequest, action_id: int) -> HttpResponse:
    """Decline an action that waits for approval; nothing is sent to Shopify."""
    access.get_action(request.user, action_id)

    def act() -> str:
        reason = _text(request, "note")
        if not reason:
            raise ActionRefused(
                Refusal("reason_missing", _("Say why you decline."), _("The agent will read it."))
            )
        services.decline(
            action_id=action_id,
            by=access.agent_of(request),
            note=reason,
            now=timezone.now(),
        )
        return _("Declined. Nothing was sent.")

    return _decide(request, act)


@require_POST
def settle(request: HttpRequest, action_id: int) -> HttpResponse:
    """Record a supervisor's verdict on an action whose outcome is unknown."""
    access.get_action(request.user, action_id)

    def act() -> str:
        action = services.settle_by_hand(
            action_id=action_id,
            by=access.agent_of(request),
            reason=_text(request, "reason"),
            was_applied=request.POST.get("answer") == "applied",
            now=timezone.now(),
        )
        # The outcome's text says whether Shopify could be read.
        return status_texts.words(action).text

    return _decide(request, act)


@require_POST
def keep(request: HttpRequest, order_id: int) -> HttpResponse:
    """Record that a canceled order's money is kept on purpose, so it is no longer listed."""
    access.get_order(request.user, order_id)

    def act() -> str:
        order = services.keep_money(
            order_id=order_id, by=access.agent_of(request), reason=_text(request, "reason")
        )
        return _("The money for %s is kept on purpose.") % order.name

    return _decide(request, act)


def _decide(request: HttpRequest, act: Callable[[], str]) -> HttpResponse:
    """Run `act`, report how it went, and return to the page with what is left."""
    try:
        messages.success(request, act())
    except ActionRefused as error:
        messages.error(request, f"{error.refusal.reason} {error.refusal.hint}".strip())
    except StalePreview as error:
        text = _("The order changed after this was requested, so it was not sent: %s")
        if error.outcome != Outcome.STALE:
            text = _("It was not sent: %s")
        messages.error(request, text % error)
    except ShopUnreachable as error:
        messages.error(request, f"{error} {error.hint}")
    return redirect("inbox:decisions")


def _text(request: HttpRequest, name: str) -> str:
    return request.POST.get(name, "").replace("\x00", "").strip()[:NOTE_LENGTH]
