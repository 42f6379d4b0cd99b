"""What may be done with an order, and why not. Pure functions.

The page grays a button out with the same function that later refuses the request, so the two can
never disagree. Shopify has the final say: these rules only spare a round trip that would be
refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.utils.translation import gettext as _

from orders.errors import Refusal
from orders.money import Money, total
from orders.snapshot import Fulfillment, OrderSnapshot, Refund, Transaction
from orders.statuses.badges import (
    Tone,
    is_parcel_delivered,
    live_fulfillments,
)
from orders.statuses.money_moved import (
    any_waiting,
    parts,
)

_MONEY_IN: Final = frozenset({"SALE", "CAPTURE"})
_OPEN_RETURNS: Final = frozenset({"OPEN", "REQUESTED"})
# No longer in dispute, and the shop keeps the money.
_DISPUTES_WON: Final = frozenset({"WON", "PREVENTED"})
# The bank has already returned the money to the customer.
_DISPUTES_LOST: Final = frozenset({"LOST", "ACCEPTED", "CHARGE_REFUNDED"})
# Within this time of a refund, another one may be an accidental repeat, or a colleague's.
_JUST_REFUNDED: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Advice:
    """A hint shown in a dialog. It never blocks the action."""

    code: str
    tone: Tone
    text: str


def net_paid(order: OrderSnapshot) -> Money:
    """Return money captured minus money refunded, in the customer's currency; never below zero.

    A refund still awaiting its bank counts as gone: its money must not be refunded again, whether
    or not Shopify's own total includes it yet.
    """
    net = order.money.net_payment.presentment
    if any(any_waiting(refund) for refund in order.refunds):
        received = order.money.received.presentment
        booked = [parts(refund) for refund in order.refunds]
        gone = [p.moved.presentment + p.waiting.presentment for p in booked]
        left = received - total(gone, received.currency)
        net = min(net, left, key=lambda money: money.amount)
    return max(net, Money.zero(net.currency), key=lambda money: money.amount)


def is_delivered(
    order: OrderSnapshot, *, now: datetime, assume_delivered_after_days: int | None = None
) -> bool:
    """Whether every shippable unit is in a delivered parcel and nothing is unfulfilled.

    Digital-only orders count as delivered once fulfilled. Carriers that never report leave an order
    undelivered, unless the store assumes delivery N days after shipping.
    """
    if _has_unfulfilled(order):
        return False
    parcels = [p for p in live_fulfillments(order) if p.requires_shipping]
    if not parcels:
        return order.fulfillment_status == "FULFILLED"
    return all(_counts_as_delivered(p, now, assume_delivered_after_days) for p in parcels)


def is_partly_delivered(
    order: OrderSnapshot, *, now: datetime, assume_delivered_after_days: int | None = None
) -> bool:
    """Whether at least one parcel that needs shipping was delivered."""
    parcels = [p for p in live_fulfillments(order) if p.requires_shipping]
    return any(_counts_as_delivered(p, now, assume_delivered_after_days) for p in parcels)


def incomplete_refusal(order: OrderSnapshot) -> Refusal | None:
    """Refuse to act on an order whose lists were cut off; None for a complete one.

    The part that's missing may hold the very delivery, return or refund that forbids the action.
    """
    text = unread_text(order)
    return Refusal("incomplete", text, _("Open it in Shopify.")) if text else None


def unread_text(order: OrderSnapshot) -> str:
    """Say which of the order's lists could not be read completely; "" if all were."""
    if not order.unread:
        return ""
    what = {
        "fulfillments": _("This order has more shipments than could be read."),
        "refunds": _("This order has more refunds than could be read."),
        "transactions": _("This order has more payments than could be read."),
        "lines": _("This order has more items than could be read."),
        "returns": _("This order has more returns than could be read."),
    }
    found = next((text for name, text in what.items() if name in order.unread), None)
    return found or _("This order has more entries than could be read.")


def is_shipped(order: OrderSnapshot) -> bool:
    """Whether a shipment record exists that would have to be canceled before the order."""
    return bool(live_fulfillments(order))


def cancel_refusal(
    order: OrderSnapshot, *, now: datetime, assume_delivered_after_days: int | None = None
) -> Refusal | None:
    """Why the order can't be canceled as a whole; None if it can."""
    # Checked first: it holds even if the rest of the order could not be read completely.
    if order.cancelled_at:
        return Refusal("already_canceled", _("This order is already canceled."))
    if refusal := incomplete_refusal(order):
        return refusal
    delivery = {"now": now, "assume_delivered_after_days": assume_delivered_after_days}
    if is_delivered(order, **delivery):  # type: ignore[arg-type]
        return Refusal("delivered", _("This order was delivered."), _("Refund it instead."))
    if is_partly_delivered(order, **delivery):  # type: ignore[arg-type]
        return Refusal(
            "partly_delivered",
            _("Part of this order was delivered, and only whole orders can be canceled."),
            _("Refund the items that did not arrive instead."),
        )
    if net_paid(order) and has_open_return(order):
        return Refusal(
            "open_return",
            _("Shopify won’t cancel a paid order with an open return."),
            _("Close the return in Shopify, or refund instead."),
        )
    if any(
        t.kind == "AUTHORIZATION" and t.status in {"PENDING", "AWAITING_RESPONSE"}
        for t in order.transactions
    ):
        return Refusal(
            "authorization_in_process",
            _("The payment is still being authorized."),
            _("Wait for the bank to respond, then try again."),
        )
    return None


def shipment_refusal(order: OrderSnapshot) -> Refusal | None:
    """Refuse to cancel a paid order that still has a shipment record: Shopify would refuse, too.

    Kept apart from `cancel_refusal`, because the dialog offers to cancel the record along with the
    order.
    """
    if not net_paid(order) or not is_shipped(order):
        return None
    return Refusal(
        "shipped",
        _("Shopify won’t cancel a paid order that still has a shipment record."),
        _("Select “Cancel the shipment record too” or refund instead."),
    )


def refund_refusal(order: OrderSnapshot) -> Refusal | None:
    """Why nothing on the order can be refunded; None if there is money to give back."""
    if refusal := incomplete_refusal(order):
        return refusal
    if not net_paid(order):
        if order.money.refunded.presentment:
            return Refusal("fully_refunded", _("Everything that was paid has been refunded."))
        hint = "" if order.cancelled_at else _("Cancel the order instead.")
        return Refusal("unpaid", _("Nothing has been paid, so there is nothing to refund."), hint)
    if not order.is_refundable:
        return Refusal(
            "not_refundable",
            _("Shopify says this order’s payments can’t be refunded."),
            _("Open the order in Shopify to see its payments."),
        )
    return None


def has_open_return(order: OrderSnapshot) -> bool:
    """Whether any return is open or requested."""
    return any(r.status in _OPEN_RETURNS for r in order.returns)


def return_received(order: OrderSnapshot) -> bool:
    """Whether Shopify has booked every unit of the open and closed returns as received."""
    found = [r for r in order.returns if r.status in {"OPEN", "CLOSED"}]
    return bool(found) and all(r.received_quantity >= r.total_quantity > 0 for r in found)


def refund_outstanding(order: OrderSnapshot) -> bool:
    """Whether the order is canceled and the shop still holds the customer's money."""
    return bool(order.cancelled_at) and bool(net_paid(order))


def payments(order: OrderSnapshot) -> tuple[Transaction, ...]:
    """Return the transactions that brought money in."""
    return tuple(t for t in order.transactions if t.kind in _MONEY_IN and t.status == "SUCCESS")


def has_manual_payment(order: OrderSnapshot) -> bool:
    """Whether any payment was made outside Shopify, which then only records refunds of it."""
    return any(payment.is_manual for payment in payments(order))


def cancel_advice(order: OrderSnapshot, *, earlier_refunds: int = 0) -> tuple[Advice, ...]:
    """Return what an agent should know before canceling.

    `earlier_refunds` is how often this customer was refunded before.
    """
    advice = [Advice("irreversible", Tone.DEFAULT, _("A canceled order can’t be reopened."))]
    if is_shipped(order):
        advice.append(
            Advice(
                "shipped",
                Tone.WARNING,
                _("This order was shipped. Canceling does not stop a parcel on its way."),
            )
        )
    return (*advice, *_risk_advice(order, earlier_refunds))


def refund_advice(
    order: OrderSnapshot, *, delivered: bool, earlier_refunds: int = 0, now: datetime | None = None
) -> tuple[Advice, ...]:
    """Return what an agent should know before refunding.

    `earlier_refunds` is how often this customer was refunded before. With `now` None, a recent
    refund of this order isn't pointed out.
    """
    advice = _recent_refund_advice(order, now) if now else []
    if _has_unfulfilled(order) and not order.cancelled_at:
        advice.append(
            Advice(
                "unfulfilled",
                Tone.WARNING,
                _("A refund doesn’t stop shipping. Cancel the order instead?"),
            )
        )
    if asked := [found.name for found in order.returns if found.status == "REQUESTED"]:
        text = _(
            "A return was requested (%(returns)s). A refund doesn’t change the request: "
            "approve it in Shopify first, or decline it there afterward."
        )
        params = {"returns": ", ".join(asked)}
        advice.append(Advice("return_requested", Tone.WARNING, text % params))
    if delivered and not return_received(order) and not has_open_return(order):
        advice.append(
            Advice("return_first", Tone.INFO, _("Delivered: ask for the items back first."))
        )
    return (*advice, *_risk_advice(order, earlier_refunds))


def _recent_refund_advice(order: OrderSnapshot, now: datetime) -> list[Advice]:
    """Warn about a refund made within the last hour, by anyone: this may be the same one again."""
    since = now - _JUST_REFUNDED
    # (length, gid) sorts Shopify's numeric IDs by number, for refunds of the same second.
    recent = sorted(
        (
            (r.created_at, len(r.gid), r.gid, _moved_or_pending(r))
            for r in order.refunds
            if r.created_at
        ),
        key=lambda found: found[:3],
    )
    gone = [money for at, _length, _gid, money in recent if at > since and money]
    if not gone:
        return []
    params = {"sum": gone[-1].format(), "all": total(gone, order.currency).format()}
    text = _("%(sum)s of this order was just refunded. This would be another refund.")
    if len(gone) > 1:
        text = _(
            "%(sum)s of this order was just refunded (%(all)s within an hour). This would be "
            "another refund."
        )
    return [Advice("just_refunded", Tone.WARNING, text % params)]


def _moved_or_pending(refund: Refund) -> Money:
    """Return how much of a refund has moved or still may."""
    divided = parts(refund)
    return divided.moved.presentment + divided.waiting.presentment


def _risk_advice(order: OrderSnapshot, earlier_refunds: int) -> list[Advice]:
    advice = []
    if has_lost_dispute(order):
        text = _("The bank has already returned this money. A refund would pay the customer twice.")
        advice.append(Advice("dispute_lost", Tone.CRITICAL, text))
    if has_open_dispute(order):
        text = _("A dispute is open. A refund and a chargeback would pay the customer twice.")
        advice.append(Advice("dispute", Tone.CRITICAL, text))
    if order.risk_level == "HIGH":
        advice.append(Advice("high_risk", Tone.WARNING, _("Shopify rates this order high risk.")))
    if net_paid(order) and has_manual_payment(order):
        text = _(
            "Paid outside Shopify. Shopify only records the refund; you need to pay it out "
            "yourself."
        )
        advice.append(Advice("manual_gateway", Tone.WARNING, text))
    if earlier_refunds >= 2:
        text = _("This customer has been refunded %(count)s times before.") % {
            "count": earlier_refunds
        }
        advice.append(Advice("repeated_refunds", Tone.ATTENTION, text))
    return advice


def has_lost_dispute(order: OrderSnapshot) -> bool:
    """Whether the customer's bank took the money back, or the shop conceded."""
    return any(d.status in _DISPUTES_LOST for d in order.disputes)


def has_open_dispute(order: OrderSnapshot) -> bool:
    """Whether a dispute is undecided.

    A status that Shopify adds later counts as open, since it isn't known to be final.
    """
    return any(d.status not in _DISPUTES_LOST | _DISPUTES_WON for d in order.disputes)


def _has_unfulfilled(order: OrderSnapshot) -> bool:
    return any(line.unfulfilled_quantity > 0 for line in order.lines)


def _counts_as_delivered(parcel: Fulfillment, now: datetime, after_days: int | None) -> bool:
    if is_parcel_delivered(parcel):
        return True
    return after_days is not None and parcel.created_at + timedelta(days=after_days) <= now
