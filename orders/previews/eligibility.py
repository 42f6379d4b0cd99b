"""What an order, its store and the person who asks allow: the rules, with what they need to know."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from orders import policies, rules
from orders.errors import ActionRefused, InvalidMoney, Refusal
from orders.models import Order, OrderAction, OrderRefund, Policy, RefundMethod
from orders.money import Money
from orders.previews.proposals import DISCREPANCY_REASONS, Proposal, RefundChoice
from orders.snapshot import LineQuantity, OrderSnapshot


def cancel_refusal_for(order: Order, *, now: datetime) -> Refusal | None:
    days = order.store.assume_delivered_after_days
    return rules.cancel_refusal(order.snapshot, now=now, assume_delivered_after_days=days)


def method_refusal(order: Order, method: RefundMethod) -> Refusal | None:
    """Why money may not go back that way. Shopify has more reasons (business customers)."""
    if method == RefundMethod.ORIGINAL:
        return None
    if not order.store.allow_store_credit:
        return Refusal(
            "store_credit_off",
            _("This store does not give refunds as store credit."),
            _("Refund to the original payment instead."),
        )
    if order.snapshot.customer is None:
        return Refusal(
            "store_credit_no_customer",
            _("This order has no customer who could hold store credit."),
            _("Refund to the original payment instead."),
        )
    return None


def order_is_delivered(order: Order, *, now: datetime) -> bool:
    days = order.store.assume_delivered_after_days
    return rules.is_delivered(order.snapshot, now=now, assume_delivered_after_days=days)


def earlier_refunds(order: Order) -> int:
    """How often this customer was refunded at this store, on any order (row G06)."""
    if not order.customer_gid:
        return 0
    theirs = OrderRefund.objects.filter(
        order__store=order.store_id,
        order__customer_gid=order.customer_gid,
        order__is_test=False,
        moved__gt=0,
    )
    return theirs.count()


def ruling_for(
    order: Order,
    proposal: Proposal,
    policy: Policy | None,
    *,
    by: User,
    now: datetime,
    besides: OrderAction | None = None,
) -> policies.Ruling:
    """What the person's policy says to this proposal, counting what they refunded today
    `besides` the action it is about."""
    amount = policies.in_shop_currency(proposal.amount, order) if proposal.amount else None
    counts = policy is not None and policy.refund_per_day is not None and amount is not None
    return policies.judge(
        policy,
        kind=proposal.kind,
        amount=amount,
        spent=policies.spent_today(by, order.store, now=now, besides=besides)
        if counts
        else Decimal(0),
        has_note=bool(proposal.staff_note.strip()),
    )


def check_amount(amount: Money, net: Money) -> None:
    if amount.currency != net.currency:
        raise InvalidMoney(_("Refund in %(currency)s.") % {"currency": net.currency})
    if not Money.zero(net.currency) < amount <= net:
        raise InvalidMoney(
            _("Enter an amount above 0 and up to %(maximum)s.") % {"maximum": net.format()}
        )


def check_shipping(shipping: Money | None, maximum: Money) -> None:
    """`maximum`: what Shopify says is left of it. Its own refusal would come after the click."""
    if not shipping or shipping <= maximum:
        return
    if not maximum:
        raise InvalidMoney(_("No shipping is left to refund."), field="shipping")
    text = _("Of the shipping at most %(maximum)s can be refunded.")
    raise InvalidMoney(text % {"maximum": maximum.format()}, field="shipping")


def discrepancy_of(choice: RefundChoice, amount: Money, calculated: Money) -> str:
    """Why the amount is not what Shopify calculates for the items; "" where it is. Raises
    ActionRefused where nobody said."""
    if amount == calculated:
        return ""
    if choice.discrepancy_reason in DISCREPANCY_REASONS:
        return choice.discrepancy_reason
    text = _("Say why the amount is not the %(calculated)s that Shopify calculates.")
    raise ActionRefused(
        Refusal("discrepancy_reason_missing", text % {"calculated": calculated.format()})
    )


def check_lines(snapshot: OrderSnapshot, chosen: tuple[LineQuantity, ...]) -> None:
    refundable = {line.gid: line.refundable_quantity for line in snapshot.lines}
    for choice in chosen:
        if not 0 < choice.quantity <= refundable.get(choice.line_gid, 0):
            refusal = Refusal(
                "quantity",
                _("Choose no more items than are left to refund."),
                _("Reload the order."),
            )
            raise ActionRefused(refusal)
