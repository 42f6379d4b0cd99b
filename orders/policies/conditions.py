"""A policy's conditions: why an action needs approval whatever its amount. Pure.

A fact that a policy asks about and that isn't known counts against acting alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from django.utils.translation import gettext as _

from orders.models import Policy
from orders.money import Money
from orders.policies.facts import Facts, folded

# Of a product's or tag's name, so that a sentence fits OrderAction.why_approval.
_NAME_LENGTH: Final = 60


def reasons(
    policy: Policy, facts: Facts, *, amount: Money | None, currency: str
) -> tuple[str, ...]:
    """Return one sentence for each condition that holds or can't be ruled out.

    `amount` and the limits are in the shop's currency; None if no money moves.
    """
    found = [condition(policy, facts) for condition in _CONDITIONS]
    found.append(_order_value(policy, facts, currency))
    if amount is not None:
        found += [_customer_total(policy, facts, amount), _customer_count(policy, facts)]
    return tuple(sentence for sentence in found if sentence)


def unknown_facts(policy: Policy, facts: Facts, *, has_amount: bool) -> tuple[str, ...]:
    """Name the facts that the policy asks about and that aren't known."""
    asked = {
        "days_since_delivery": policy.approval_days_after_delivery is not None
        and _is_delivery_unknown(policy.approval_days_after_delivery, facts),
        "reason": bool(policy.approval_reasons) and facts.reason is None,
        "products": bool(policy.approval_products) and facts.products is None,
        "order_tags": bool(policy.approval_order_tags) and facts.order_tags is None,
        "payment_methods": bool(policy.approval_payment_methods) and facts.payment_methods is None,
        "has_dispute": policy.approval_disputed and facts.has_dispute is None,
        "is_sender_verified": policy.approval_unverified and facts.is_sender_verified is None,
        "agent_days": policy.new_agent_days is not None and facts.agent_days is None,
        "order_value": policy.order_value_up_to is not None and facts.order_value is None,
        "customer_refunded": has_amount
        and policy.customer_refunds_up_to is not None
        and facts.customer_refunded is None,
        "customer_refunds": has_amount
        and policy.customer_refund_count is not None
        and facts.customer_refunds is None,
    }
    return tuple(name for name, is_unknown in asked.items() if is_unknown)


def _delivery(policy: Policy, facts: Facts) -> str:
    limit, days = policy.approval_days_after_delivery, facts.days_since_delivery
    if limit is None:
        return ""
    if _is_delivery_unknown(limit, facts):
        return _("It isn’t known when this order was delivered.")
    if days is None or days <= limit:
        return ""
    text = _("This is day %(days)s after delivery, and approval is needed after day %(limit)s.")
    return text % {"days": days, "limit": limit}


def _is_delivery_unknown(limit: int, facts: Facts) -> bool:
    """Whether the delivery may be longer ago than the limit, but nothing says so."""
    shipped = facts.days_since_shipping
    return facts.days_since_delivery is None and (shipped is None or shipped > limit)


def _reason(policy: Policy, facts: Facts) -> str:
    if not policy.approval_reasons:
        return ""
    if facts.reason is None:
        return _("The reason for this isn’t known.")
    if facts.reason not in policy.approval_reasons:
        return ""
    return _("The reason “%(reason)s” needs approval.") % {
        "reason": facts.reason_label or facts.reason
    }


def _product(policy: Policy, facts: Facts) -> str:
    if policy.approval_products and facts.products is None:
        return _("It isn’t known which products this is about.")
    found = _first_match(policy.approval_products, facts.products)
    return _("The product “%(product)s” needs approval.") % {"product": found} if found else ""


def _order_tag(policy: Policy, facts: Facts) -> str:
    if policy.approval_order_tags and facts.order_tags is None:
        return _("This order’s tags aren’t known.")
    found = _first_match(policy.approval_order_tags, facts.order_tags)
    return _("Orders tagged “%(tag)s” need approval.") % {"tag": found} if found else ""


def _payment_method(policy: Policy, facts: Facts) -> str:
    if policy.approval_payment_methods and facts.payment_methods is None:
        return _("It isn’t known how this order was paid.")
    found = _first_match(policy.approval_payment_methods, facts.payment_methods)
    return _("Orders paid with %(method)s need approval.") % {"method": found} if found else ""


def _dispute(policy: Policy, facts: Facts) -> str:
    if not policy.approval_disputed or facts.has_dispute is False:
        return ""
    if facts.has_dispute is None:
        return _("It isn’t known whether this order is disputed.")
    return _("This order’s payment is disputed.")


def _sender(policy: Policy, facts: Facts) -> str:
    if not policy.approval_unverified or facts.is_sender_verified:
        return ""
    if facts.is_sender_verified is None:
        return _("It isn’t known whether the customer asked for this.")
    return _("Someone wrote about this order from an unverified address.")


def _new_agent(policy: Policy, facts: Facts) -> str:
    limit, days = policy.new_agent_days, facts.agent_days
    if limit is None:
        return ""
    if days is None:
        return _("It isn’t known how long the agent has been here.")
    if days >= limit:
        return ""
    text = _("This is day %(day)s of the agent’s first %(limit)s days, which need approval.")
    return text % {"day": days + 1, "limit": limit}


# In the order in which people read them. Those that need an amount or a currency follow.
_CONDITIONS: Final[tuple[Callable[[Policy, Facts], str], ...]] = (
    _dispute,
    _sender,
    _new_agent,
    _delivery,
    _reason,
    _product,
    _order_tag,
    _payment_method,
)


def _order_value(policy: Policy, facts: Facts, currency: str) -> str:
    limit, value = policy.order_value_up_to, facts.order_value
    if limit is None:
        return ""
    if value is None:
        return _("This order’s value isn’t known.")
    if value <= limit:
        return ""
    text = _("The order’s value of %(sum)s is above the limit of %(limit)s.")
    return text % {
        "sum": Money(value, currency).format(),
        "limit": Money(limit, currency).format(),
    }


def _customer_total(policy: Policy, facts: Facts, amount: Money) -> str:
    limit, before = policy.customer_refunds_up_to, facts.customer_refunded
    if limit is None:
        return ""
    if before is None:
        return _customer_unknown()
    if before + amount.amount <= limit:
        return ""
    text = _(
        "With this, the customer’s refunds in 90 days come to %(sum)s; the limit is %(limit)s."
    )
    return text % {
        "sum": Money(before + amount.amount, amount.currency).format(),
        "limit": Money(limit, amount.currency).format(),
    }


def _customer_count(policy: Policy, facts: Facts) -> str:
    limit, before = policy.customer_refund_count, facts.customer_refunds
    if limit is None:
        return ""
    if before is None:
        # Said once is enough.
        return "" if policy.customer_refunds_up_to is not None else _customer_unknown()
    if before + 1 <= limit:
        return ""
    text = _(
        "This would be the customer’s refund number %(count)s in 90 days; the limit is %(limit)s."
    )
    return text % {"count": before + 1, "limit": limit}


def _customer_unknown() -> str:
    return _("This order has no known customer, so their earlier refunds can’t be counted.")


def _first_match(wanted: Collection[str], found: Collection[str] | None) -> str:
    """Return the first of the policy's texts that was found, as it was typed; else ""."""
    for word in wanted:
        if found and folded([word]) <= set(found):
            return word if len(word) <= _NAME_LENGTH else f"{word[: _NAME_LENGTH - 1]}…"
    return ""
