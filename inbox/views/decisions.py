"""The decisions page: approve, decline, settle by hand, or keep money on purpose."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from inbox import access, fragment_requests
from inbox.accounts.login import passkeys, reauthentication
from inbox.contacts import customer_views
from inbox.decisions import approvals, signed_approvals, uncertain
from inbox.decisions import refunds_due as due
from inbox.visibility import scope_of
from orders import services
from orders.actions import status_texts
from orders.errors import ActionRefused, Refusal, ShopUnreachable, StalePreview
from orders.models import Outcome
from orders.panels.filters import number

NOTE_LENGTH = 200
# How many refunds due the first page shows; the rest have a page of their own.
FIRST_DUE = 5


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the whole page, or only its lists for a live update.

    `request` in the query names the request for approval that is shown in full. `shown` is the one
    that the page has shown so far without being asked for it; live updates stay with it.
    """
    agent = access.agent_of(request)
    waiting = approvals.waiting(
        agent,
        named=number(request.GET.get("request", "")),
        pinned=number(request.GET.get("shown", "")),
        now=timezone.now(),
    )
    chosen = waiting.chosen
    if chosen and chosen.quote:
        customer_views.note_contact(agent, chosen.quote.contact_id)
    context = {
        "waiting": waiting,
        "uncertain": uncertain.uncertain_actions(agent),
        "found": due.refunds_due(agent, due.Asked(), at_most=FIRST_DUE),
        # Stays with the request that is being read while others come and go.
        "live_src": f"{reverse('inbox:decisions')}{waiting.live_query}",
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

    The form's `digest` says which request its page showed; any other one is refused.
    The approver has just proven who they are: by that signature, or by logging in again.
    """
    agent = access.agent_of(request)
    shown = access.get_action(agent, action_id)
    back = _address_of(action_id)
    signed = signed_approvals.answer(request, action_id, agent)
    if signed is None and reauthentication.is_due(request):
        return reauthentication.ask(request, back=back)

    def act() -> str:
        if request.POST.get("digest", "") != approvals.digest_of(shown):
            raise ActionRefused(
                Refusal(
                    "other_request",
                    _("The page showed something else, so nothing was approved."),
                    _("Read the request below, then decide."),
                )
            )
        action = services.approve(
            action_id=action_id,
            by=agent,
            guard=access.approving_refusal,
            now=timezone.now(),
            signed=signed,
        )
        return _("Approved: %s") % status_texts.what(action)

    return _decide(request, act, back=back)


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
                Refusal(
                    "reason_missing",
                    _("Say why you’re declining this."),
                    _("The agent will read it."),
                )
            )
        services.decline(
            action_id=action_id,
            by=access.agent_of(request),
            note=reason,
            now=timezone.now(),
        )
        return _("Declined. Nothing was sent.")

    return _decide(request, act, back=_address_of(action_id))


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


@require_GET
def refunds_due(request: HttpRequest) -> HttpResponse:
    """Show a page of refunds due, or only its table for a live update."""
    agent = access.agent_of(request)
    asked = due.Asked.read(request.GET)
    context = {
        "found": due.refunds_due(agent, asked),
        "kinds": [(kind, _(label)) for kind, label in due.KINDS.items()],
        "sorts": [(sort, _(label)) for sort, label in due.SORTS.items()],
        "live_src": asked.address,
        "section": "decisions",
        "is_live": True,
    }
    is_part = fragment_requests.is_fragment(request)
    template = "inbox/_refunds_due.html" if is_part else "inbox/refunds_due.html"
    return render(request, template, context)


@require_POST
def keep_several(request: HttpRequest) -> HttpResponse:
    """Record for several orders that their money is kept on purpose, each on its own.

    Each is named by its ID and the sum that was shown, so that no other sum is kept.
    """
    agent = access.agent_of(request)
    kept = 0
    for order_id, seen in due.chosen(request.POST.getlist("order")):
        order = scope_of(agent).orders().filter(pk=order_id).first()
        if order is None:
            continue
        try:
            services.keep_money(
                order_id=order.pk, by=agent, reason=_text(request, "reason"), seen=seen
            )
            kept += 1
        except ActionRefused as error:
            refusal = error.refusal
            messages.error(request, f"{order.name}: {refusal.reason} {refusal.hint}".strip())
    if kept:
        text = ngettext(
            "The money of %(n)s order is kept on purpose.",
            "The money of %(n)s orders is kept on purpose.",
            kept,
        )
        messages.success(request, text % {"n": kept})
    else:
        messages.error(request, _("Nothing was changed. Select the orders first."))
    here = reverse("inbox:refunds_due")
    back = request.POST.get("back", "")
    return redirect(back if back.startswith(f"{here}?") else here)


def _address_of(action_id: int) -> str:
    """Return the address of one request, which says what became of it once it is decided."""
    return f"{reverse('inbox:decisions')}?request={action_id}"


def _decide(request: HttpRequest, act: Callable[[], str], *, back: str = "") -> HttpResponse:
    """Run `act`, report how it went, and return to `back`, or to the page with what is left."""
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
    return redirect(back or "inbox:decisions")


def _text(request: HttpRequest, name: str) -> str:
    return request.POST.get(name, "").replace("\x00", "").strip()[:NOTE_LENGTH]
