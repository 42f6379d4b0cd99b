"""Back-test a campaign: who would have got it lately, going by its event and audience."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import F, Q, QuerySet

from inbox.campaigns import audience
from inbox.campaigns.audience import Person
from inbox.models import Campaign
from inbox.suppression import relevance
from orders.models import Checkout, Order, OrderEvent

DAYS: Final = 30
# The page must open instantly; in a busy shop the newest events say enough.
_LOOKED_AT: Final = 200
_EXAMPLES: Final = 5


@dataclass(frozen=True, slots=True)
class WouldGet:
    """The result of a back-test.

    The event `happened` so many times within `days`. Of the newest `looked_at`, `people` distinct
    customers are in the audience. Each example is (when, masked name, masked address, what).
    """

    days: int
    happened: int
    looked_at: int
    people: int
    examples: tuple[tuple[datetime, str, str, str], ...]

    @property
    def is_partial(self) -> bool:
        """Whether there were more events than were looked at."""
        return self.looked_at < self.happened


def last_days(campaign: Campaign, *, now: datetime) -> WouldGet:
    """Back-test the last DAYS days, counting each customer once.

    Ignores consent, which Shopify is asked for before each message.
    """
    rows: QuerySet[OrderEvent] | QuerySet[Checkout] = (
        _checkouts(campaign, now) if campaign.is_of_checkouts else _events(campaign, now)
    )
    newest: list[OrderEvent | Checkout] = list(rows[:_LOOKED_AT])
    found: dict[object, tuple[datetime, str, str, str]] = {}
    for row in newest:
        thing: Order | Checkout = row.order if isinstance(row, OrderEvent) else row
        at = row.occurred_at if isinstance(row, OrderEvent) else row.active_at + campaign.silence
        person = Person.of(thing)
        # Unknown customers can't be told apart, so each of their orders counts.
        key = person if person.is_known else thing.pk
        if key not in found and not _refusal(campaign, row):
            found[key] = (at, _name(_name_of(thing)), _address(thing.email), _what(thing))
    return WouldGet(DAYS, rows.count(), len(newest), len(found), tuple(found.values())[:_EXAMPLES])


def _refusal(campaign: Campaign, row: OrderEvent | Checkout) -> str:
    if isinstance(row, Checkout):
        return audience.checkout_refusal(campaign, row)
    return relevance.small_refund_refusal(campaign, row) or audience.event_refusal(campaign, row)


def _events(campaign: Campaign, now: datetime) -> QuerySet[OrderEvent]:
    was_there = Q(order__deleted_at=None) | Q(order__deleted_at__gt=F("occurred_at"))
    rows = OrderEvent.objects.filter(
        was_there,
        kind=campaign.event_kind,
        occurred_at__gt=now - timedelta(days=DAYS),
        order__store__is_active=True,
    )
    return rows.select_related("order__store").order_by("-occurred_at", "-pk")


def _checkouts(campaign: Campaign, now: datetime) -> QuerySet[Checkout]:
    rows = Checkout.objects.filter(
        store__is_active=True,
        active_at__gt=now - timedelta(days=DAYS),
        active_at__lte=now - campaign.silence,
    )
    if campaign.silence:
        rows = rows.open()
    return rows.order_by("-active_at", "-pk")


def _name_of(thing: Order | Checkout) -> str:
    if isinstance(thing, Checkout):
        return thing.name
    customer = thing.snapshot.customer if thing.document else None
    return customer.name if customer else ""


def _what(thing: Order | Checkout) -> str:
    return thing.name if isinstance(thing, Order) else str(thing)


def _name(name: str) -> str:
    """Mask Jane Doe as J… D…: enough to recognize, too little to copy."""
    return " ".join(f"{word[0]}…" for word in name.split()) or "–"


def _address(email: str) -> str:
    local, _at, domain = email.partition("@")
    return f"{local[:1]}…@{domain}" if domain else "–"
