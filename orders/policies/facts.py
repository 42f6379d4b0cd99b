"""The facts that a policy's conditions look at, from stored rows. None: not known, never guessed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.contrib.auth.models import User
from django.db.models import Q

from orders import rules
from orders.models import ACTIVE_STATES, Order, OrderAction, OrderRefund, Policy
from orders.snapshot import Fulfillment, OrderSnapshot
from orders.statuses.badges import UNDELIVERED_WORDS, is_parcel_delivered, live_fulfillments

CUSTOMER_DAYS: Final = 90
# Says whether a verified address shows that an order's customer wrote; None: not known.
SenderLookup = Callable[[Order], bool | None]
# Only the inbox knows who wrote. It appends its lookup when its app is ready.
SENDER_LOOKUPS: Final[list[SenderLookup]] = []
_PAYMENTS: Final = frozenset({"SALE", "CAPTURE", "AUTHORIZATION"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything a policy's conditions may look at; amounts are in the shop's currency.

    `days_since_delivery` is 0 if nothing has been delivered. No delivery can be longer ago than
    `days_since_shipping`. Texts in the sets are case-folded. `customer_refunded` and
    `customer_refunds` leave out the action in question.
    """

    days_since_delivery: int | None = None
    days_since_shipping: int | None = None
    reason: str | None = None
    reason_label: str = ""
    products: frozenset[str] | None = None
    order_tags: frozenset[str] | None = None
    payment_methods: frozenset[str] | None = None
    customer_refunded: Decimal | None = None
    customer_refunds: int | None = None
    has_dispute: bool | None = None
    is_sender_verified: bool | None = None
    agent_days: int | None = None
    order_value: Decimal | None = None


UNKNOWN: Final = Facts()


def current_facts(
    order: Order,
    policy: Policy | None,
    *,
    reason: str,
    reason_label: str,
    line_gids: Collection[str],
    by: User,
    now: datetime,
    besides: OrderAction | None = None,
) -> Facts:
    """Gather the facts about an action. Queries only for what the policy asks about.

    `line_gids`: the line items it touches; empty for the whole order. `besides`: the stored action
    itself, which must not count against itself.
    """
    found = replace(
        order_facts(
            order.snapshot,
            line_gids=line_gids,
            is_masked=order.masked_at is not None,
            assume_delivered_after_days=order.store.assume_delivered_after_days,
            now=now,
        ),
        reason=reason or None,
        reason_label=reason_label,
        agent_days=agent_days(by, now=now),
    )
    if policy is None:
        return found
    if policy.customer_refunds_up_to is not None or policy.customer_refund_count is not None:
        found = _with_customer(found, order, now=now, besides=besides)
    if policy.approval_unverified:
        found = replace(found, is_sender_verified=_is_sender_verified(order))
    return found


def order_facts(
    snapshot: OrderSnapshot,
    *,
    line_gids: Collection[str],
    is_masked: bool,
    assume_delivered_after_days: int | None,
    now: datetime,
) -> Facts:
    """Return the facts that one state of an order tells. Pure."""
    delivery, shipping = _days(snapshot, line_gids, assume_delivered_after_days, now)
    value = snapshot.money.total.shop
    return Facts(
        days_since_delivery=delivery,
        days_since_shipping=shipping,
        products=_products(snapshot, line_gids),
        # Masking removes the tags.
        order_tags=None if is_masked else folded(snapshot.tags),
        payment_methods=_payment_methods(snapshot),
        has_dispute=_has_dispute(snapshot),
        order_value=value.amount if value.currency else None,
    )


def agent_days(agent: User, *, now: datetime) -> int:
    """Return how many whole days ago the agent's account was created."""
    return max(0, (now - agent.date_joined).days)


def folded(words: Collection[str]) -> frozenset[str]:
    """Fold the case of texts, for comparing them."""
    return frozenset(word.strip().casefold() for word in words)


def _days(
    snapshot: OrderSnapshot, line_gids: Collection[str], after_days: int | None, now: datetime
) -> tuple[int | None, int | None]:
    """Return the days since the earliest delivery, and since the earliest shipment."""
    if "fulfillments" in snapshot.unread:
        return None, None
    parcels = [p for p in live_fulfillments(snapshot) if _holds(p, line_gids)]
    if not parcels:
        # Fulfilled without a parcel: it was handed over, but nothing says when.
        return (None, None) if snapshot.fulfillment_status == "FULFILLED" else (0, 0)
    shipped = max(_days_between(parcel.created_at, now) for parcel in parcels)
    delivered = [_days_since_delivery(parcel, after_days, now) for parcel in parcels]
    known = [days for days in delivered if days is not None]
    return (max(known) if len(known) == len(delivered) else None), shipped


def _days_since_delivery(parcel: Fulfillment, after_days: int | None, now: datetime) -> int | None:
    if parcel.delivered_at:
        return _days_between(parcel.delivered_at, now)
    if is_parcel_delivered(parcel):
        return None
    if not parcel.requires_shipping:
        return _days_between(parcel.created_at, now)
    if after_days is not None:
        # The store's setting for carriers that don't report; 0 until then.
        return _days_between(parcel.created_at + timedelta(days=after_days), now)
    return 0 if parcel.display_status in UNDELIVERED_WORDS else None


def _days_between(then: datetime, now: datetime) -> int:
    return max(0, (now - then).days)


def _holds(parcel: Fulfillment, line_gids: Collection[str]) -> bool:
    """Whether the parcel may hold one of the lines; it does if either side isn't specific."""
    held = {part.line_gid for part in parcel.lines}
    return not line_gids or not held or not held.isdisjoint(line_gids)


def _products(snapshot: OrderSnapshot, line_gids: Collection[str]) -> frozenset[str] | None:
    if "lines" in snapshot.unread:
        return None
    lines = [line for line in snapshot.lines if not line_gids or line.gid in line_gids]
    names = [name for line in lines for name in (line.sku, line.title) if name]
    return folded(names)


def _payment_methods(snapshot: OrderSnapshot) -> frozenset[str] | None:
    if "transactions" in snapshot.unread:
        return None
    paid = [t for t in snapshot.transactions if t.kind in _PAYMENTS and t.status == "SUCCESS"]
    if any(not payment.gateway and not payment.gateway_label for payment in paid):
        return None
    names = [name for t in paid for name in (t.gateway, t.gateway_label) if name]
    return folded(names)


def _has_dispute(snapshot: OrderSnapshot) -> bool | None:
    if rules.has_open_dispute(snapshot) or rules.has_lost_dispute(snapshot):
        return True
    return False if snapshot.are_disputes_known else None


def _with_customer(
    facts: Facts, order: Order, *, now: datetime, besides: OrderAction | None
) -> Facts:
    """Add what the order's customer was refunded lately, and what is under way for them.

    Takes no lock: two actions confirmed at the same moment don't see each other, but each is
    counted when the other is checked again before it is sent.
    """
    if not order.customer_gid:
        return facts
    own = besides.pk if besides else 0
    whose = Q(
        order__store=order.store_id, order__customer_gid=order.customer_gid, order__is_test=False
    )
    since = now - timedelta(days=CUSTOMER_DAYS)
    lately = Q(refunded_at__gt=since) | Q(refunded_at=None)
    booked = OrderRefund.objects.filter(whose, lately).exclude(action=own)
    booked = booked.exclude(action__state__in=ACTIVE_STATES)
    sums = [moved + waiting for moved, waiting in booked.values_list("moved_shop", "waiting_shop")]
    active = OrderAction.objects.active().filter(whose, amount__isnull=False).exclude(pk=own)
    sums += active.values_list("amount_shop", flat=True)
    counted = [each for each in sums if each > 0]
    return replace(facts, customer_refunded=sum(counted, Decimal(0)), customer_refunds=len(counted))


def _is_sender_verified(order: Order) -> bool | None:
    found = [lookup(order) for lookup in SENDER_LOOKUPS]
    if False in found:
        return False
    return True if True in found else None
