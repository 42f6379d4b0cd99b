"""The refund dialog as it stands while it is filled in: its form, and what that comes to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest

from inbox.order_forms import Mode, RefundForm
from orders import previews, rules
from orders.errors import ActionRefused, InvalidMoney, ShopUnreachable
from orders.gateway import SuggestedRefund, get_gateway
from orders.models import Order
from orders.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """What a refund comes to, as far as it is filled in.

    `amount` None: nothing is chosen yet. `calculated`: by Shopify, None of an amount only. `left`:
    what can be refunded after it. `items`: units that stay on the order. `problem`: a sentence.
    """

    is_amount_only: bool
    amount: Money | None
    calculated: SuggestedRefund | None
    left: Money | None
    items: int
    problem: str = ""

    @property
    def difference(self) -> Money | None:
        if self.amount is None or self.calculated is None:
            return None
        found = self.amount - self.calculated.amount
        return found or None


def fresh_form(order: Order, suggestion: SuggestedRefund | None, *, now: datetime) -> RefundForm:
    """Everything that is left is preselected (F40). `suggestion`: of all that is left."""
    snapshot = order.snapshot
    refundable = [line for line in snapshot.lines if line.refundable_quantity > 0]
    received = rules.return_received(snapshot)
    is_delivered = previews.order_is_delivered(order, now=now)
    initial: dict[str, Any] = {
        "mode": Mode.ITEMS,
        "returned": "received" if received else "",
        # Seen only beside "Received", which it belongs to; never for a parcel on its way.
        "restock": received or is_delivered,
        "notify": order.store.notify_by_default,
    }
    if suggestion and not snapshot.cancelled_at and (refundable or suggestion.shipping):
        initial |= {f"line_{i}": line.refundable_quantity for i, line in enumerate(refundable)}
        initial["shipping"] = suggestion.shipping
    elif suggestion:
        initial |= {"mode": Mode.AMOUNT, "amount": rules.net_paid(snapshot)}
    return _form(None, order, now, initial)


def typed_form(request: HttpRequest, order: Order, *, now: datetime) -> RefundForm:
    return _form(request.POST, order, now, {})


def mode_of(form: RefundForm) -> Mode:
    """The way the dialog shows."""
    if not form.is_bound:
        return Mode(form.initial["mode"])
    form.is_valid()
    return (
        Mode.AMOUNT
        if form.is_amount_only and form.chosen_amount
        else Mode(form.cleaned_data.get("mode") or Mode.ITEMS)
    )


def suggest(order: Order, form: RefundForm) -> tuple[SuggestedRefund | None, str]:
    """What Shopify would give back by the valid part of a form, or why it did not say."""
    form.is_valid()
    try:
        found = get_gateway().suggest_refund(
            order, lines=form.chosen_lines(), shipping=form.chosen_shipping
        )
    except ShopUnreachable as error:
        return None, f"{error} {error.hint}"
    return found, ""


def sum_of(
    order: Order, form: RefundForm, suggestion: SuggestedRefund | None, problem: str = ""
) -> Sum:
    """Asks nobody."""
    is_amount_only = mode_of(form) == Mode.AMOUNT
    field = "amount" if is_amount_only else "items_amount"
    if form.is_bound:
        amount = form.chosen_amount
        if field in form.errors:
            amount, problem = None, problem or str(form.errors[field][0])
    else:
        amount = form.initial.get(field)
    if amount is None and not is_amount_only and suggestion and not problem:
        amount = suggestion.amount
    net = rules.net_paid(order.snapshot)
    return Sum(
        is_amount_only=is_amount_only,
        amount=amount or None,
        calculated=None if is_amount_only else suggestion,
        left=net - amount if amount else None,
        items=sum(line.current_quantity for line in order.snapshot.lines),
        problem=problem,
    )


def put_on_a_field(form: RefundForm, error: Exception) -> bool:
    """A refusal that is about one field stands beside it; False: it is about none."""
    if isinstance(error, InvalidMoney):
        own = "amount" if form.is_amount_only else "items_amount"
        name = error.field or own
    elif isinstance(error, ActionRefused) and error.refusal.code in _FIELDS:
        name = _FIELDS[error.refusal.code]
    else:
        return False
    hint = error.refusal.hint if isinstance(error, ActionRefused) else ""
    form.add_error(name, f"{error} {hint}".strip())
    return True


_FIELDS = {
    "discrepancy_reason_missing": "discrepancy_reason",
    "reason_missing": "reason",
    "return_unanswered": "returned",
    "restock_place": "restock",
}


def _form(data: Any, order: Order, now: datetime, initial: dict[str, Any]) -> RefundForm:
    return RefundForm(
        data,
        lines=order.snapshot.lines,
        net_paid=rules.net_paid(order.snapshot),
        is_delivered=previews.order_is_delivered(order, now=now),
        initial=initial,
    )
