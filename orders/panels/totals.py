"""The sums on a card. The parts of an order always add up to its total. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from django.utils.translation import gettext as _

from orders import rules
from orders.money import Money
from orders.panels import line_changes
from orders.panels.types import MoneyRow
from orders.shopify_port import SuggestedRefund
from orders.snapshot import OrderSnapshot
from orders.statuses.money_moved import has_failed

# Gateways for the shop's own credit, with no bank behind them.
_IN_SHOP_GATEWAYS = {"gift_card", "shopify_store_credit"}


def money_rows(snapshot: OrderSnapshot) -> tuple[MoneyRow, ...]:
    """Return the parts of the total, the total itself, and what was paid, refunded and is owed."""
    return (*_parts(snapshot), *_payments(snapshot))


def beside_items(snapshot: OrderSnapshot) -> tuple[MoneyRow, ...]:
    """Return charges other than items, their tax and duties, and shipping.

    Choosing items never refunds these; only a refund by amount does.
    """
    return tuple(_fees_and_tips(snapshot))


def suggestion_rows(snapshot: OrderSnapshot, found: SuggestedRefund) -> tuple[MoneyRow, ...]:
    """Break down Shopify's suggested refund into rows that add up to its amount."""
    zero = Money.zero(found.amount.currency)
    duties = found.duties or zero
    added = [found.subtotal, found.shipping]
    added += [] if snapshot.taxes_included else [found.tax]
    added += [] if snapshot.duties_included else [duties]
    rest = found.amount - sum(added, zero)
    tax_label = _("incl. tax") if snapshot.taxes_included else _("Tax")
    duties_label = _("incl. duties") if snapshot.duties_included else _("Duties")
    # Negative if some of it was refunded before, or if a return's fees are kept.
    rest_label = _("Other") if rest.amount > 0 else _("Already refunded, or kept")
    rows = [
        MoneyRow(label=_("Items"), amount=found.subtotal),
        MoneyRow(label=tax_label, amount=found.tax, is_included=snapshot.taxes_included),
        MoneyRow(label=duties_label, amount=duties, is_included=snapshot.duties_included),
        MoneyRow(label=_("Shipping"), amount=found.shipping),
        MoneyRow(label=rest_label, amount=rest),
    ]
    return (rows[0], *(row for row in rows[1:] if row.amount))


def _parts(snapshot: OrderSnapshot) -> Iterator[MoneyRow]:
    """Yield the parts of the total and the total.

    Shopify's subtotal is after discounts on items, but its shipping is before discounts on
    shipping, which appear nowhere except in the total.
    """
    money = snapshot.money
    total, discounts = money.total.presentment, money.discounts.presentment
    zero = Money.zero(total.currency)
    extras = list(_extras(snapshot))
    added = [row.amount for row in extras if not row.is_included]
    known = [money.subtotal.presentment, money.shipping.presentment, *added]
    if not snapshot.taxes_included:
        known.append(money.tax.presentment)
    rest = total - sum(known, zero)
    on_shipping = zero - rest if zero - discounts <= rest < zero else zero
    on_items = discounts - on_shipping
    yield MoneyRow(label=_("Subtotal"), amount=money.subtotal.presentment + on_items)
    yield from _if_any(_("Discounts"), zero - discounts)
    yield from _if_any(_("Shipping"), money.shipping.presentment)
    if not snapshot.taxes_included:
        yield from _if_any(_("Tax"), money.tax.presentment)
    yield from (row for row in extras if not row.is_included)
    yield from _if_any(_("Other"), rest + on_shipping)
    yield MoneyRow(label=_("Total"), amount=total, is_total=True)
    if snapshot.taxes_included and money.tax.presentment:
        yield MoneyRow(label=_("incl. tax"), amount=money.tax.presentment, is_included=True)
    yield from (row for row in extras if row.is_included)


def _extras(snapshot: OrderSnapshot) -> Iterator[MoneyRow]:
    money = snapshot.money
    if money.duties and money.duties.presentment:
        label = _("incl. duties") if snapshot.duties_included else _("Duties")
        amount = money.duties.presentment
        yield MoneyRow(label=label, amount=amount, is_included=snapshot.duties_included)
    yield from _fees_and_tips(snapshot)


def _fees_and_tips(snapshot: OrderSnapshot) -> Iterator[MoneyRow]:
    for fee in snapshot.fees:
        yield from _if_any(fee.name or _("Additional fee"), fee.amount)
    yield from _if_any(_("Tip"), snapshot.money.tips.presentment)


def _payments(snapshot: OrderSnapshot) -> Iterator[MoneyRow]:
    money = snapshot.money
    current, total = money.current_total.presentment, money.total.presentment
    if line_changes.was_altered(snapshot) and current != total:
        yield MoneyRow(label=_("After changes"), amount=current, is_included=True)
    yield MoneyRow(label=_("Paid"), amount=money.received.presentment)
    yield from _shares(_paid_by(snapshot))
    if money.rounding:
        yield from _if_any(_("Cash rounding"), money.rounding.presentment)
    yield from _if_any(_("Refunded"), money.refunded.presentment)
    yield from _shares(_refunded_to(snapshot))
    if money.refund_rounding:
        yield from _if_any(_("Cash rounding of refunds"), money.refund_rounding.presentment)
    owed = money.outstanding.presentment
    if owed.amount < 0:
        yield MoneyRow(label=_("We owe"), amount=Money(-owed.amount, owed.currency))
    else:
        yield from _if_any(_("Outstanding"), owed)


def _if_any(label: str, amount: Money) -> Iterator[MoneyRow]:
    if amount:
        yield MoneyRow(label=label, amount=amount)


def _shares(found: Iterable[tuple[str, str, Money]]) -> Iterator[MoneyRow]:
    """Add up (gateway, label, amount) by payment method.

    Yields nothing if a single card covers everything.
    """
    sums: dict[tuple[str, str, str], Decimal] = {}
    for gateway, label, amount in found:
        key = (gateway, label, amount.currency)
        sums[key] = sums.get(key, Decimal(0)) + amount.amount
    if len(sums) < 2 and not any(
        gateway in _IN_SHOP_GATEWAYS for gateway, _label, _currency in sums
    ):
        return
    for (_gateway, label, currency), amount_ in sums.items():
        yield MoneyRow(label=label, amount=Money(amount_, currency), is_included=True)


def _paid_by(snapshot: OrderSnapshot) -> Iterator[tuple[str, str, Money]]:
    for payment in rules.payments(snapshot):
        label = f"{_gateway_label(snapshot, payment.gateway)} {payment.account_number}".strip()
        yield payment.gateway, label, payment.amount.presentment


def _refunded_to(snapshot: OrderSnapshot) -> Iterator[tuple[str, str, Money]]:
    for refund in snapshot.refunds:
        for part in refund.transactions:
            if not has_failed(part.status):
                label = _gateway_label(snapshot, part.gateway)
                yield part.gateway, label, part.amount.presentment


def _gateway_label(snapshot: OrderSnapshot, gateway: str) -> str:
    own = {"gift_card": _("Gift card"), "shopify_store_credit": _("Store credit")}
    if gateway in own:
        return own[gateway]
    labels = (t.gateway_label for t in snapshot.transactions if t.gateway == gateway)
    return next((label for label in labels if label), gateway) or _("Unknown payment")
