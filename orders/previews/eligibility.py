"""Checks while a preview is built: what the order, its store and the agent's policy allow."""

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
    """rules.cancel_refusal, with the store's assumption about deliveries."""
    days = order.store.assume_delivered_after_days
    return rules.cancel_refusal(order.snapshot, now=now, assume_delivered_after_days=days)


def method_refusal(order: Order, method: RefundMethod) -> Refusal | None:
    """Why money may not go back this way. Shopify may still refuse, as for business customers."""
    if method == RefundMethod.ORIGINAL:
        return None
    if not order.store.allow_store_credit:
        return Refusal(
            "store_credit_off",
            _("This store doesn’t offer refunds as store credit."),
            _("Refund to the original payment instead."),
        )
    if order.snapshot.customer is None:
        return Refusal(
            "store_credit_no_customer",
            _("This order has no customer to receive store credit."),
            _("Refund to the original payment instead."),
        )
    return None


def order_is_delivered(order: Order, *, now: datetime) -> bool:
    """rules.is_delivered, with the store's assumption about deliveries."""
    days = order.store.assume_delivered_after_days
    return rules.is_delivered(order.snapshot, now=now, assume_delivered_after_days=days)


def earlier_refunds(order: Order) -> int:
    """Count this customer's earlier refunds that moved money, on any order at this store."""
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
    """What the person's policy says about this proposal, given what they refunded today.

    `besides`: the stored action the proposal belongs to, which must not count twice. Once something
    of it was sent, its conditions aren't asked again: half a cancellation is worse than a whole one.
    """
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
        facts=None
        if policy is None or (besides is not None and besides.maybe_applied)
        else _facts(order, proposal, policy, by=by, now=now, besides=besides),
        currency=order.shop_currency,
    )


def _facts(
    order: Order,
    proposal: Proposal,
    policy: Policy,
    *,
    by: User,
    now: datetime,
    besides: OrderAction | None,
) -> policies.Facts:
    return policies.current_facts(
        order,
        policy,
        reason=proposal.reason,
        reason_label=proposal.reason_label,
        line_gids={line.line_gid for line in proposal.lines},
        by=by,
        now=now,
        besides=besides,
    )


def check_amount(amount: Money, net: Money) -> None:
    """Raise InvalidMoney unless the amount is above 0, at most `net`, and in its currency."""
    if amount.currency != net.currency:
        raise InvalidMoney(_("Refund in %(currency)s.") % {"currency": net.currency})
    if not Money.zero(net.currency) < amount <= net:
        raise InvalidMoney(
            _("Enter an amount above 0 and up to %(maximum)s.") % {"maximum": net.format()}
        )


def check_shipping(shipping: Money | None, maximum: Money) -> None:
    """Raise InvalidMoney if more shipping is refunded than is left, which is `maximum`.

    Shopify would refuse it too, but only after the agent has confirmed.
    """
    if not shipping or shipping <= maximum:
        return
    if not maximum:
        raise InvalidMoney(_("There’s no shipping left to refund."), field="shipping")
    text = _("You can refund at most %(maximum)s of the shipping.")
    raise InvalidMoney(text % {"maximum": maximum.format()}, field="shipping")


def required_discrepancy_reason(choice: RefundChoice, amount: Money, calculated: Money) -> str:
    """The agent's reason for refunding another amount than Shopify calculates; "" if equal.

    Raises ActionRefused if the amounts differ and the agent gave no reason.
    """
    if amount == calculated:
        return ""
    if choice.discrepancy_reason in DISCREPANCY_REASONS:
        return choice.discrepancy_reason
    text = _("Say why the amount differs from the %(calculated)s that Shopify calculates.")
    raise ActionRefused(
        Refusal("discrepancy_reason_missing", text % {"calculated": calculated.format()})
    )


def check_listed_once(chosen: tuple[LineQuantity, ...]) -> None:
    """Raise ActionRefused if a line is chosen twice.

    Each would be checked on its own against what is left, and together they could be more.
    """
    if len({choice.line_gid for choice in chosen}) < len(chosen):
        raise ActionRefused(
            Refusal(
                "line_repeated",
                _("An item is listed twice."),
                _("List each item once, with its whole quantity."),
            )
        )


def check_lines(snapshot: OrderSnapshot, chosen: tuple[LineQuantity, ...]) -> None:
    """Raise ActionRefused if more units of a line are chosen than can still be refunded."""
    refundable = {line.gid: line.refundable_quantity for line in snapshot.lines}
    for choice in chosen:
        if not 0 < choice.quantity <= refundable.get(choice.line_gid, 0):
            refusal = Refusal(
                "quantity",
                _("You can’t refund more items than are left."),
                _("Reload the order."),
            )
            raise ActionRefused(refusal)
