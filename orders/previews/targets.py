"""Where the money goes back to: a refund, spread over the payments of its order."""

from __future__ import annotations

from django.utils.translation import gettext as _

from orders.errors import InvalidMoney
from orders.gateway import SuggestedTransaction
from orders.models import RefundMethod
from orders.money import Money, allocate, total
from orders.previews.proposals import Target


def spread(amount: Money, suggested: tuple[SuggestedTransaction, ...]) -> tuple[Target, ...]:
    """Spread the amount over the payments, in Shopify's order, none above its maximum."""
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
        raise InvalidMoney(_("The refund cannot be split over the payments of this order."))
    return targets


def credit(amount: Money) -> tuple[Target, ...]:
    """All of it as store credit, which is no payment's."""
    label = str(RefundMethod.STORE_CREDIT.label)
    return (
        Target(
            parent_gid="", gateway="shopify_store_credit", label=label, is_manual=False,
            amount=amount,
        ),
    )  # fmt: skip
