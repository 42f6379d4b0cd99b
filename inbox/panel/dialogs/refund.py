"""The refund dialog while it is being filled in: its form and the resulting sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal

from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _

from inbox.panel.dialogs.forms import (
    Mode,
    RefundForm,
    limits_of,
)
from orders import panels, previews, rules
from orders.errors import ActionRefused, InvalidMoney, ShopUnreachable
from orders.models import Order
from orders.money import Money, digits
from orders.previews import amount_input
from orders.shopify_port import (
    SuggestedRefund,
    get_gateway,
)
from orders.snapshot import LineQuantity
from orders.statuses import return_units


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """The sum of a partly filled-in refund.

    `amount` is None if nothing is chosen yet. `calculated` is Shopify's calculation, None for an
    amount-only refund. `left` is what remains refundable afterwards, `items` the number of units
    on the order, and `problem` a sentence for the agent.
    """

    is_amount_only: bool
    amount: Money | None
    calculated: SuggestedRefund | None
    left: Money | None
    items: int
    problem: str = ""
    # The components of the calculated sum.
    parts: tuple[panels.MoneyRow, ...] = ()
    # What happens to the returns and the stock, as (label, text).
    rows: tuple[tuple[str, str], ...] = ()

    @property
    def units(self) -> int:
        """The number of item units being refunded."""
        return sum(line.quantity for line in self.calculated.lines) if self.calculated else 0

    @property
    def difference(self) -> Money | None:
        """How far the amount is above Shopify's calculation; None if equal or unknown."""
        if self.amount is None or self.calculated is None:
            return None
        found = self.amount - self.calculated.amount
        return found or None


@dataclass(frozen=True, slots=True)
class Quick:
    """An amount that one click fills in; `typed` is the text the field gets."""

    label: str
    money: Money
    typed: str


def quick_amounts(order: Order, suggestion: SuggestedRefund | None) -> tuple[Quick, ...]:
    """Return the most common amounts refunded without items: the shipping, and 10% of what was
    paid, as far as they are refundable."""
    net = rules.net_paid(order.snapshot)
    shipping = suggestion.shipping_maximum if suggestion else Money.zero(net.currency)
    tenth = (net.amount / 10).quantize(Decimal(1).scaleb(-digits(net.currency)), ROUND_DOWN)
    found = ((_("Shipping"), shipping), (_("10%"), Money(tenth, net.currency)))
    return tuple(
        Quick(label, money, amount_input.write(money))
        for label, money in found
        if Money.zero(net.currency) < money <= net
    )


@dataclass(frozen=True, slots=True)
class Way:
    """One choice of what to refund: the items of an open return, or those in no return (`row` is
    None)."""

    through: str
    row: panels.ReturnRow | None
    units: int
    is_chosen: bool


def through_of(request: HttpRequest, order: Order) -> str:
    """Return the ID of the return whose items the dialog shows: the requested one, else the
    likeliest; "" for items in no return."""
    if not get_gateway().may_process_returns(order.store):
        return ""
    asked = request.POST if request.method == "POST" else request.GET
    found = return_units.suggested(order.snapshot)
    likeliest = found.gid if found else ""
    through = asked.get("through", likeliest)
    return through if not through or return_units.by_gid(order.snapshot, through) else likeliest


def ways(order: Order, through: str) -> list[Way]:
    """Return the returns to choose from; empty if no open return has anything to refund."""
    snapshot = order.snapshot
    if not get_gateway().may_process_returns(order.store) or not return_units.suggested(snapshot):
        return []
    rows = {row.gid: row for row in panels.return_rows(snapshot, order=order)}
    found = [
        Way(r.gid, rows[r.gid], return_units.refundable(r).total(), r.gid == through)
        for r in return_units.open_returns(snapshot)
        if return_units.refundable(r)
    ]
    if others := return_units.beside(snapshot).total():
        found.append(Way("", None, others, not through))
    return found


def first_suggestion(order: Order, through: str) -> SuggestedRefund:
    """Ask Shopify for the sum that the dialog starts with. Raises ShopUnreachable."""
    if not return_units.open_returns(order.snapshot) or not limits_of(order, through):
        return get_gateway().suggest_refund(order, lines=None, shipping=None)
    return _suggest(order, through, _preselected(order, through), None)


def fresh_form(
    order: Order, suggestion: SuggestedRefund | None, *, now: datetime, through: str = ""
) -> RefundForm:
    """Return the initial form, with everything that is left preselected.

    `suggestion` is Shopify's sum for that: for all that is left, or for what is preselected of the
    return `through`. If no items or shipping are left, or the order is canceled, the form starts
    in amount-only mode.
    """
    snapshot = order.snapshot
    limits = limits_of(order, through)
    refundable = [line for line in snapshot.lines if limits.get(line.gid, 0) > 0]
    chosen = {line.line_gid: line.quantity for line in _preselected(order, through)}
    received = _is_received(order, through)
    is_delivered = asks(order, through, now=now)
    initial: dict[str, object] = {
        "mode": Mode.ITEMS,
        "through": through,
        "returned": "received" if received else "",
        # Only shown next to "Received", to which it applies; off for a parcel in transit.
        "restock": received or is_delivered,
        "notify": order.store.notify_by_default,
    }
    if suggestion and not snapshot.cancelled_at and (refundable or suggestion.shipping):
        initial |= {f"line_{i}": chosen.get(line.gid, 0) for i, line in enumerate(refundable)}
        initial["shipping"] = suggestion.shipping
    elif suggestion:
        initial |= {"mode": Mode.AMOUNT, "amount": rules.net_paid(snapshot)}
    return _form(None, order, now, through, initial)


def typed_form(request: HttpRequest, order: Order, *, now: datetime) -> RefundForm:
    """Return the form bound to what the agent submitted."""
    return _form(request.POST, order, now, through_of(request, order), {})


def asks(order: Order, through: str, *, now: datetime) -> bool:
    """Whether to ask if the items have come back: they were delivered, or are in a return."""
    return bool(through) or previews.order_is_delivered(order, now=now)


def _is_received(order: Order, through: str) -> bool:
    found = return_units.by_gid(order.snapshot, through)
    if found is None:
        return not return_units.open_returns(order.snapshot) and rules.return_received(
            order.snapshot
        )
    return bool(return_units.here(found))


def _preselected(order: Order, through: str) -> tuple[LineQuantity, ...]:
    limits = limits_of(order, through)
    wanted = return_units.preselected(order.snapshot, through)
    return tuple(
        LineQuantity(line_gid=gid, quantity=quantity)
        for gid, most in limits.items()
        if (quantity := min(most, wanted[gid]))
    )


def mode_of(form: RefundForm) -> Mode:
    """Return the mode that the dialog shows."""
    if not form.is_bound:
        return Mode(form.initial["mode"])
    form.is_valid()
    return (
        Mode.AMOUNT
        if form.is_amount_only and form.chosen_amount
        else Mode(form.cleaned_data.get("mode") or Mode.ITEMS)
    )


def suggest(order: Order, form: RefundForm) -> tuple[SuggestedRefund | None, str]:
    """Ask Shopify what it would refund for the valid part of a form; else a sentence why not."""
    form.is_valid()
    try:
        found = _suggest(order, form.shown_return, form.chosen_lines(), form.chosen_shipping)
    except ShopUnreachable as error:
        return None, f"{error} {error.hint}"
    return found, ""


def _suggest(
    order: Order, through: str, lines: tuple[LineQuantity, ...], shipping: Money | None
) -> SuggestedRefund:
    found = return_units.by_gid(order.snapshot, through) if lines else None
    if found and not return_units.fits(lines, return_units.refundable(found)):
        found = None
    return previews.suggest(order, found, lines=lines, shipping=shipping)


def _return_rows(order: Order, form: RefundForm) -> tuple[tuple[str, str], ...]:
    """Describe what refunding the chosen items would do to their return."""
    found = return_units.by_gid(order.snapshot, form.shown_return)
    data: Mapping[str, object]
    if form.is_bound:
        lines, data = form.chosen_lines(), form.cleaned_data
    else:
        lines, data = _preselected(order, form.shown_return), form.initial
    if found is None or not lines or not return_units.fits(lines, return_units.refundable(found)):
        return ()
    rows = previews.return_rows(
        previews.through(
            found,
            order.snapshot,
            lines,
            returned=data.get("returned") or "",
            restock=bool(data.get("restock")),
            places=None,
        )
    )
    # The effect on the stock is unknown until the agent says whether the items have come back.
    return tuple(rows) if data.get("returned") else tuple(rows[:1])


def sum_of(
    order: Order, form: RefundForm, suggestion: SuggestedRefund | None, problem: str = ""
) -> Sum:
    """Compute the sum that the dialog shows, without calling Shopify."""
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
        parts=()
        if is_amount_only or suggestion is None
        else panels.suggestion_rows(order.snapshot, suggestion),
        rows=tuple(previews.untouched_rows(order.snapshot))
        if is_amount_only
        else _return_rows(order, form),
    )


def put_on_a_field(form: RefundForm, error: Exception) -> bool:
    """Attach a refusal to the form field it is about; False if it is about none."""
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


def _form(
    data: QueryDict | None, order: Order, now: datetime, through: str, initial: dict[str, object]
) -> RefundForm:
    return RefundForm(
        data,
        lines=order.snapshot.lines,
        limits=limits_of(order, through),
        net_paid=rules.net_paid(order.snapshot),
        is_delivered=asks(order, through, now=now),
        initial=initial,
    )
