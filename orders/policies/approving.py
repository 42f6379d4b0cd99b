"""Whether a policy lets its holder approve a colleague's action."""

from __future__ import annotations

from decimal import Decimal

from django.utils.translation import gettext as _

from orders.errors import Refusal
from orders.models import Order, OrderAction, Policy
from orders.money import Money


def may_approve(policy: Policy | None, amount: Money) -> Refusal | None:
    """Why this policy doesn't let its holder approve a colleague's refund; None if it does."""
    # None means any amount, 0 none at all.
    highest = policy.may_approve_up_to if policy else Decimal(0)
    if highest is None or (highest and amount.amount <= highest):
        return None
    if not highest:
        return Refusal("not_approver", _("Your role can’t approve refunds."))
    limit = Money(highest, amount.currency).format()
    return Refusal("above_limit", _("Your role can approve up to %(limit)s.") % {"limit": limit})


def agreeing_refusal(policy: Policy | None, action: OrderAction, order: Order) -> Refusal | None:
    """Why this policy doesn't let its holder approve a colleague's action; None if it does."""
    if currency := order.shop_currency or action.currency:
        return may_approve(policy, Money(action.amount_shop, currency))
    if policy and policy.may_approve_up_to != 0:
        return None
    return Refusal("not_approver", _("Your role can’t approve this."))


def needs_signature(policy: Policy | None, action: OrderAction) -> bool:
    """Whether approving this action requires the passkey of the approver, who has this policy."""
    limit = policy.sign_above if policy else None
    return limit is not None and action.amount_shop > limit
