"""A campaign's audience: which events a customer must have had, how many, and how recently.

Counts cover one customer in the store of the event: by Shopify's customer ID or, for a guest, by
email address. They are taken as of the event, so the result is the same right away, after an
outage or in a back-test. Two things are not recorded and so can't be counted as of then: a
checkout's activity before its latest, and an order's customer before Shopify changed it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from inbox.models import (
    CHECKOUT_TRIGGERS,
    Campaign,
    CampaignCondition,
    CampaignTrigger,
    Comparison,
)
from orders.models import Checkout, EventKind, Order, OrderEvent

_HOLDS: Final[dict[str, Callable[[int, int], bool]]] = {
    Comparison.AT_LEAST: lambda found, wanted: found >= wanted,
    Comparison.AT_MOST: lambda found, wanted: found <= wanted,
    Comparison.EXACTLY: lambda found, wanted: found == wanted,
    Comparison.NEVER: lambda found, wanted: found == 0,
}


@dataclass(frozen=True, slots=True)
class Person:
    """A customer as one store knows them."""

    store_id: int
    customer_gid: str
    email: str

    @classmethod
    def of(cls, thing: Order | Checkout) -> Person:
        """Return the customer of an order or checkout; it may be unknown (`is_known`)."""
        return cls(thing.store_id, thing.customer_gid, thing.email)

    @property
    def is_known(self) -> bool:
        """Whether there is anything to find their earlier orders by."""
        return bool(self.customer_gid or self.email)


def all_hold(conditions: Sequence[CampaignCondition], counts: Mapping[int, int]) -> bool:
    """Return whether the counts, keyed by condition ID, satisfy every condition."""
    return all(_HOLDS[each.comparison](counts[each.pk], each.count) for each in conditions)


def event_refusal(campaign: Campaign, event: OrderEvent) -> str:
    """Return why an event's customer isn't in the campaign's audience; "" if they are.

    The message and the back-test share this check.
    """
    return refusal(campaign, Person.of(event.order), at=_moment_of(event), event=event)


def checkout_refusal(campaign: Campaign, checkout: Checkout) -> str:
    """Return the same for a checkout, as of when it had been inactive for long enough."""
    return refusal(campaign, Person.of(checkout), at=checkout.active_at + campaign.silence)


def _moment_of(event: OrderEvent) -> datetime:
    """Return when an event counts as having happened.

    A cancellation shares its message with its refund, so it counts once both have happened.
    """
    if event.kind != EventKind.CANCELED or event.action_id is None:
        return event.occurred_at
    both = OrderEvent.objects.filter(action=event.action_id, kind=EventKind.REFUNDED)
    refunded_at = both.values_list("occurred_at", flat=True).first()
    return max(event.occurred_at, refunded_at or event.occurred_at)


def refusal(
    campaign: Campaign,
    person: Person,
    *,
    at: datetime,
    event: OrderEvent | None = None,
    order: Order | None = None,
    about_to: Collection[str] = (),
) -> str:
    """Return why a person isn't in the campaign's audience at a moment; "" if they are.

    `event` is what the message is about: later events of its kind don't count, not even within
    the same second. `about_to` holds the kinds of events the message's action would cause on
    `order`, for a preview.
    """
    conditions = list(campaign.conditions.all())
    if not conditions:
        return ""
    if not person.is_known:
        return _("This order has no known customer, so there is nothing to count.")
    counts = count(conditions, person, campaign, at=at, event=event, order=order, about_to=about_to)
    return (
        "" if all_hold(conditions, counts) else _("The customer isn’t in the campaign’s audience.")
    )


def count(
    conditions: Sequence[CampaignCondition],
    person: Person,
    campaign: Campaign,
    *,
    at: datetime,
    event: OrderEvent | None = None,
    order: Order | None = None,
    about_to: Collection[str] = (),
) -> dict[int, int]:
    """Count each condition's events for the person, keyed by condition ID. Two queries at most."""
    of_orders = [each for each in conditions if each.event_kind not in CHECKOUT_TRIGGERS]
    of_checkouts = [each for each in conditions if each.event_kind in CHECKOUT_TRIGGERS]
    found = _counted(
        _events(person, at),
        of_orders,
        lambda each: _happened(each, at, event, order if each.event_kind in about_to else None),
        "order",
    )
    for each in of_orders:
        # The event about to happen counts once; `_happened` leaves out `order`'s earlier ones.
        found[each.pk] += each.event_kind in about_to
    calm = at - timedelta(minutes=campaign.abandoned_after_minutes)
    return found | _counted(
        _checkouts(person), of_checkouts, lambda each: _began(each, at, calm), "pk"
    )


def _counted(
    rows: QuerySet[OrderEvent] | QuerySet[Checkout],
    conditions: Sequence[CampaignCondition],
    match: Callable[[CampaignCondition], Q],
    column: str,
) -> dict[int, int]:
    if not conditions:
        return {}
    # Distinct orders rather than events: an order that was refunded twice counts once.
    wanted = {
        f"of_{each.pk}": Count(column, distinct=True, filter=match(each)) for each in conditions
    }
    counts = rows.aggregate(**wanted)
    return {each.pk: counts[f"of_{each.pk}"] for each in conditions}


def _events(person: Person, at: datetime) -> QuerySet[OrderEvent]:
    who = (
        Q(order__customer_gid=person.customer_gid)
        if person.customer_gid
        else Q(order__email=person.email)
    )
    # An order deleted in Shopify counts until its deletion.
    was_there = Q(order__deleted_at=None) | Q(order__deleted_at__gt=at)
    return OrderEvent.objects.filter(who, was_there, order__store=person.store_id)


def _checkouts(person: Person) -> QuerySet[Checkout]:
    who = Q(customer_gid=person.customer_gid) if person.customer_gid else Q(email=person.email)
    return Checkout.objects.filter(who, store=person.store_id)


def _happened(
    condition: CampaignCondition, at: datetime, event: OrderEvent | None, besides: Order | None
) -> Q:
    match = Q(kind=condition.event_kind) & _up_to(condition, at, event)
    if condition.days:
        match &= Q(occurred_at__gt=at - timedelta(days=condition.days))
    return match & ~Q(order=besides) if besides else match


def _up_to(condition: CampaignCondition, at: datetime, event: OrderEvent | None) -> Q:
    """Match the events up to `at`.

    Shopify's times have whole seconds. Of two orders within one second, the one recorded first
    counts as first, whenever we look.
    """
    if event is None or condition.event_kind != event.kind:
        return Q(occurred_at__lte=at)
    return Q(occurred_at__lt=event.occurred_at) | Q(occurred_at=event.occurred_at, pk__lte=event.pk)


def _began(condition: CampaignCondition, at: datetime, calm: datetime) -> Q:
    match = Q(started_at__lte=at)
    if condition.days:
        match &= Q(started_at__gt=at - timedelta(days=condition.days))
    if condition.event_kind == CampaignTrigger.CHECKOUT_ABANDONED:
        match &= Q(completed_at=None) | Q(completed_at__gt=at)
        match &= Q(deleted_at=None) | Q(deleted_at__gt=at)
        match &= Q(active_at__lte=calm)
    return match
