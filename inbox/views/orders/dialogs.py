"""The cancel and refund dialogs; each ends with the summary to confirm."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from inbox import access
from inbox.panel.contexts import Place
from inbox.panel.dialogs import refund as refund_dialog
from inbox.panel.dialogs.forms import (
    CancelForm,
    Mode,
)
from inbox.views.orders import summary
from orders import (
    panels,
    previews,
    rules,
)
from orders.errors import ActionRefused, InvalidMoney, Refusal, ShopUnreachable
from orders.models import ActionKind, Order, RefundMethod
from orders.shopify_port import (
    SuggestedRefund,
    get_gateway,
)
from orders.statuses import badges


@require_http_methods(["GET", "POST"])
def cancel(request: HttpRequest, place: Place, order_id: int) -> HttpResponse:
    """Show the cancel dialog; a valid POST answers with the summary to confirm."""
    order = place.get_order(order_id)
    now = timezone.now()
    refusal = _refusal(request, place, order, ActionKind.CANCEL, now)
    net = rules.net_paid(order.snapshot)
    is_shipped = rules.is_shipped(order.snapshot)
    # Shipped goods are in transit: they go back to stock only when they come back.
    initial = {
        "amount": net,
        "restock": not is_shipped,
        "notify": order.store.notify_by_default,
    }
    reasons = get_gateway().cancel_reasons(order.store)
    is_answer = request.method == "POST" and "edit" not in request.POST
    data = request.POST if request.method == "POST" else None
    form = CancelForm(data, reasons=reasons, net_paid=net, initial=initial)
    if is_answer and not refusal and form.is_valid():
        try:
            preview = previews.preview_cancel(
                order, form.choice(), by=access.agent_of(request), now=now
            )
        except (ActionRefused, InvalidMoney, ShopUnreachable) as error:
            refusal = summary.as_refusal(error)
        else:
            return summary.show(request, place, order, preview, "order_cancel")
    context = summary.dialog_context(request, place, order, now) | {
        "form": form,
        "net_paid": net,
        "advice": rules.cancel_advice(
            order.snapshot, earlier_refunds=previews.earlier_refunds(order)
        ),
        "shipments": len(badges.live_fulfillments(order.snapshot)),
        "restockable": sum(line.current_quantity for line in order.snapshot.lines),
        "store_credit_allowed": previews.method_refusal(order, RefundMethod.STORE_CREDIT) is None,
        "refusal": refusal,
    }
    return render(request, "orders/cancel.html", context)


@require_http_methods(["GET", "POST"])
def refund(request: HttpRequest, place: Place, order_id: int) -> HttpResponse:
    """Show the refund dialog; a valid POST answers with the summary to confirm."""
    order = place.get_order(order_id)
    now = timezone.now()
    refusal = _refusal(request, place, order, ActionKind.REFUND, now)
    found: SuggestedRefund | None = None
    through = refund_dialog.through_of(request, order)
    if request.method == "GET":
        if not refusal:
            try:
                found = refund_dialog.first_suggestion(order, through)
            except ShopUnreachable as error:
                refusal = summary.as_refusal(error)
        form = refund_dialog.fresh_form(order, found, now=now, through=through)
    else:
        form = refund_dialog.typed_form(request, order, now=now)
        if "edit" not in request.POST and not refusal and form.is_valid():
            try:
                preview = previews.preview_refund(
                    order, form.choice(), by=access.agent_of(request), now=now
                )
            except (ActionRefused, InvalidMoney, ShopUnreachable) as error:
                refusal = (
                    None if refund_dialog.put_on_a_field(form, error) else summary.as_refusal(error)
                )
            else:
                return summary.show(request, place, order, preview, "order_refund")
        if not refusal:
            found, _problem = refund_dialog.suggest(order, form)
    is_delivered = previews.order_is_delivered(order, now=now)
    context = summary.dialog_context(request, place, order, now) | {
        "form": form,
        "lines": form.line_fields(),
        "mode": refund_dialog.mode_of(form),
        "sum": refund_dialog.sum_of(order, form, found),
        "quick_amounts": refund_dialog.quick_amounts(order, found),
        "shipping_maximum": found.shipping_maximum if found else None,
        "net_paid": rules.net_paid(order.snapshot),
        "ways": refund_dialog.ways(order, through),
        "is_delivered": refund_dialog.asks(order, through, now=now),
        "is_shipped": rules.is_shipped(order.snapshot),
        "beside_items": panels.beside_items(order.snapshot),
        "advice": rules.refund_advice(
            order.snapshot,
            delivered=is_delivered,
            earlier_refunds=previews.earlier_refunds(order),
            now=now,
        ),
        "store_credit_allowed": previews.method_refusal(order, RefundMethod.STORE_CREDIT) is None,
        "refusal": refusal,
    }
    return render(request, "orders/refund.html", context)


@require_POST
def suggestion(request: HttpRequest, place: Place, order_id: int) -> HttpResponse:
    """Return the sum that the form as filled in so far would refund.

    For items, Shopify calculates it.
    """
    order = place.get_order(order_id)
    form = refund_dialog.typed_form(request, order, now=timezone.now())
    found, problem = None, ""
    if refund_dialog.mode_of(form) == Mode.ITEMS:
        found, problem = refund_dialog.suggest(order, form)
    context = {"sum": refund_dialog.sum_of(order, form, found, problem)}
    return render(request, "orders/_refund_summary.html", context)


def _refusal(
    request: HttpRequest, place: Place, order: Order, kind: ActionKind, now: datetime
) -> Refusal | None:
    acting = place.money_refusal(request.user, order)
    cancel_button, refund_button = panels.action_states(order, acting=acting, now=now)
    return (cancel_button if kind == ActionKind.CANCEL else refund_button).refusal
