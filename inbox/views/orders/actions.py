"""What became of an action, and what an agent can still do about it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from inbox import access, fragment_requests
from inbox.panel.contexts import Place
from inbox.panel.dialogs.forms import (
    as_typed,
)
from inbox.views.orders import panel, summary
from orders import (
    panels,
    previews,
    services,
)
from orders.errors import ActionRefused, InvalidMoney, ShopUnreachable, StalePreview
from orders.models import ActionKind, Order, OrderAction


@require_GET
def action(request: HttpRequest, place: Place, action_id: int) -> HttpResponse:
    """Show the state of an action."""
    found = get_action(place, action_id)
    return render_action(request, place, found.order, found)


@require_GET
def again(request: HttpRequest, place: Place, action_id: int) -> HttpResponse:
    """Propose an action that was not carried out again, on the order as it is now.

    Shows the summary with what changed since, and keeps everything that was typed.
    """
    found = get_action(place, action_id)
    order, proposal = found.order, previews.decode_proposal(found.proposal)
    by, now = access.agent_of(request), timezone.now()
    is_refund = proposal.kind == ActionKind.REFUND
    back = "order_refund" if is_refund else "order_cancel"
    refusal = place.money_refusal(request.user, order)
    if refusal is None:
        token = previews.sign_token(order, proposal, by=by)
        try:
            preview = previews.preview_again(order, token, by=by, now=now)
        except (ActionRefused, InvalidMoney, ShopUnreachable, StalePreview) as error:
            refusal = summary.as_refusal(error)
        else:
            return summary.show(
                request, place, order, preview, back, typed=as_typed(proposal, order)
            )
    context = summary.dialog_context(request, place, order, now) | {
        "refusal": refusal,
        "back_url": place.url(back, order.pk),
        "back_fields": as_typed(proposal, order),
    }
    return render(request, "orders/result.html", context, status=409)


@require_POST
def withdraw(request: HttpRequest, place: Place, action_id: int) -> HttpResponse:
    """Withdraw an action that was not sent yet."""
    found = get_action(place, action_id)
    refusal = place.withdrawing_refusal(request.user, found)
    if refusal is None:
        try:
            services.withdraw(action_id=found.pk, by=access.agent_of(request), now=timezone.now())
        except ActionRefused as error:
            refusal = error.refusal
    if not fragment_requests.is_fragment(request):
        return HttpResponseRedirect(place.home_url)
    return panel.render_panel(request, place, problem=refusal.reason if refusal else "")


@require_POST
def check(request: HttpRequest, place: Place, action_id: int) -> HttpResponse:
    """Check with Shopify how an action went. Every agent may, since it only reads."""
    found = get_action(place, action_id)
    services.check_now(action_id=found.pk, now=timezone.now())
    if not fragment_requests.is_fragment(request):
        return HttpResponseRedirect(place.home_url)
    return panel.render_panel(request, place)


def get_action(place: Place, action_id: int) -> OrderAction:
    """Return an action on one of the orders that are shown here; Http404 for any other."""
    found = get_object_or_404(
        OrderAction.objects.select_related("order__store", "requested_by"), pk=action_id
    )
    place.get_order(found.order_id)
    return found


def render_action(
    request: HttpRequest, place: Place, order: Order, found: OrderAction
) -> HttpResponse:
    """Show how an action stands: a page, or its part for a page that asks for that."""
    ids = [("Shopify refund", found.refund_gid.rsplit("/", 1)[-1])] if found.refund_gid else []
    context = summary.dialog_context(request, place, order, timezone.now()) | {
        "notice": panels.action_notice(found),
        "shopify_ids": ids,
        "reply_text": place.reply_text(found),
    }
    is_part = fragment_requests.is_fragment(request) and request.method == "GET"
    template = "orders/_result.html" if is_part else "orders/result.html"
    return render(request, template, context)
