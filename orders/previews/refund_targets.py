"""Where a refund's money goes: spread over the order's payments, or to store credit."""

from __future__ import annotations

from django.utils.translation import gettext as _

from orders import rules
from orders.errors import InvalidMoney
from orders.models import RefundMethod
from orders.money import Money, allocate, total
from orders.previews.proposals import Target
from orders.shopify_port import SuggestedTransaction
from orders.snapshot import OrderSnapshot, Transaction
from orders.statuses.money_moved import has_failed


def payments_of(
    order: OrderSnapshot, suggested: tuple[SuggestedTransaction, ...]
) -> tuple[SuggestedTransaction, ...]:
    """The payments to refund an amount to, when no items are refunded.

    Those are Shopify's suggestions. It has none for an order without items left; then it's every
    payment of the order, up to what is left of it.
    """
    if suggested:
        return suggested
    return tuple(_remaining_of(order, payment) for payment in rules.payments(order))


def _remaining_of(order: OrderSnapshot, payment: Transaction) -> SuggestedTransaction:
    refunded = [
        t.amount.presentment
        for t in order.transactions
        if t.kind == "REFUND" and t.parent_gid == payment.gid and not has_failed(t.status)
    ]
    paid = payment.amount.presentment
    left = max(paid - total(refunded, paid.currency), Money.zero(paid.currency))
    label = f"{payment.gateway_label or payment.gateway} {payment.account_number}".strip()
    return SuggestedTransaction(
        parent_gid=payment.gid,
        gateway=payment.gateway,
        label=label,
        is_manual=payment.is_manual,
        amount=left,
        maximum=left,
    )


def spread(amount: Money, suggested: tuple[SuggestedTransaction, ...]) -> tuple[Target, ...]:
    """Spread the amount over the payments in Shopify's order, none above its maximum.

    Raises InvalidMoney if they cannot hold it all.
    """
    shares = allocate(amount, [s.maximum for s in suggested])
    targets = tuple(
        Target(
            parent_gid=payment.parent_gid,
            gateway=payment.gateway,
            label=payment.label,
            is_manual=payment.is_manual,
            amount=share,
        )
        for payment, share in zip(suggested, shares, strict=True)
        if share
    )
    if total((t.amount for t in targets), amount.currency) != amount:
        raise InvalidMoney(_("The refund can’t be split across this order’s payments."))
    return targets


def credit(amount: Money) -> tuple[Target, ...]:
    """Refund the whole amount as store credit, which belongs to no payment."""
    label = str(RefundMethod.STORE_CREDIT.label)
    return (
        Target(
            parent_gid="",
            gateway="shopify_store_credit",
            label=label,
            is_manual=False,
            amount=amount,
        ),
    )
