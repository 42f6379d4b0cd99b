"""Claiming a row for sending: by one worker at a time, within the limits of its route."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import models, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from core.database.leases import (
    LONGEST_LEASE,
    is_due,
    is_free,
)
from inbox.models import (
    CampaignMessage,
    ChannelKind,
    DeliveryState,
    Message,
    Route,
    Via,
)
from inbox.outbox import delivery_lanes
from inbox.outbox.delivery_lanes import (
    LANES,
    LANES_PER_CHANNEL,
    Way,
)

# Longer than any sender may take for one message (its deadline plus DNS lookups), so that no
# message is sent a second time while the first attempt is still running.
LEASE: Final = timedelta(minutes=2)
BACKOFF_S: Final = (5, 30, 120, 600, 1800, 3600, 3600)
ATTEMPTS: Final = len(BACKOFF_S) + 1
Row = Message | CampaignMessage
OF_CAMPAIGN: Final = ("campaign", "event__order__store", "checkout__store")


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row that this worker holds, as it was when claimed, and the key of its route."""

    row: Row
    route: str


@dataclass(frozen=True, slots=True)
class Job:
    """A reference to a row that may be claimed."""

    model: type[models.Model]
    pk: int


def backoff(attempts: int) -> timedelta:
    """Return how long a row waits after this many attempts."""
    return timedelta(seconds=BACKOFF_S[min(max(attempts, 1), len(BACKOFF_S)) - 1])


def take(email: QuerySet[Any], *, now: datetime) -> bool:
    """Take the one email that these rows hold if it's due, so that no other worker does; return
    whether it was taken.

    The attempt counts and is backed off from before it begins, even if it kills this worker.
    """
    attempts = email.values_list("attempts", flat=True).first()
    if attempts is None:
        return False
    again_at = now + max(LEASE, backoff(attempts + 1))
    mine = email.filter(attempts=attempts)
    return mine.update(attempts=attempts + 1, next_attempt_at=again_at) == 1


def due(model: type[models.Model], *, now: datetime) -> QuerySet[Any]:
    """Return the pending rows whose back-off is over and which no worker holds."""
    manager: models.Manager[Any] = model._default_manager
    ready = is_due("next_attempt_at", now=now) & is_free("lease_until", now=now)
    # Rows never tried come first, so that they don't queue behind earlier failures.
    waiting = manager.filter(ready, delivery_state=DeliveryState.PENDING)
    return waiting.order_by(F("next_attempt_at").asc(nulls_first=True), "pk")


def sendable(model: type[models.Model], *, now: datetime) -> QuerySet[Any]:
    """Return the due rows that nothing else holds back: an inactive channel, an earlier unsent
    message of the same conversation, or a spent number of attempts."""
    waiting = due(model, now=now).filter(attempts__lt=ATTEMPTS)
    if model is not Message:
        return waiting
    earlier = Message.objects.filter(
        conversation=OuterRef("conversation"),
        delivery_state=DeliveryState.PENDING,
        pk__lt=OuterRef("pk"),
    )
    return waiting.filter(~Exists(earlier), channel__is_active=True)


def claim(model: type[models.Model], pk: int, *, now: datetime) -> Claimed | None:
    """Claim a row for sending; None if it isn't due, another worker has it, or its route is full.

    The attempt and its back-off are written with the lease, so that the attempt counts even if
    this worker dies. Opens its own transaction.
    """
    route = _route_of(model, pk)
    if route is None:
        return None
    # First check without the lock: of hundreds enqueued at once, most find the route full.
    known = Route.objects.filter(key=route).first()
    if known is not None and not _has_room(model, known, now):
        return None
    with transaction.atomic(durable=True):
        locked = delivery_lanes.lock(route)
        if not _has_room(model, locked, now):
            return None
        mine = sendable(model, now=now).filter(pk=pk).order_by()
        attempts = mine.values_list("attempts", flat=True).first()
        if attempts is None or not due(model, now=now).filter(pk=pk, attempts=attempts).update(
            attempts=attempts + 1,
            lease_until=now + LEASE,
            next_attempt_at=now + backoff(attempts + 1),
        ):
            return None
    return Claimed(_read(model, pk), route)


def ready(way: Way, *, now: datetime) -> list[Job]:
    """Return the rows that may be sent now, in order, as many as there is room for."""
    return (_ready_callbacks if way == Way.CALLBACK else _ready_by_provider)(way, now)


def _ready_callbacks(way: Way, now: datetime) -> list[Job]:
    busy = Counter(_sending_by_callback(now).values_list("channel_id", flat=True))
    known = {route.key: route for route in Route.objects.filter(key__startswith=f"{way}:")}
    waiting = sendable(Message, now=now).filter(channel__kind=ChannelKind.API)
    found: list[Message] = []
    for channel_id in waiting.order_by().values_list("channel_id", flat=True).distinct():
        route = known.get(f"{way}:{channel_id}")
        room = delivery_lanes.room(route, busy=busy[channel_id], at_most=LANES_PER_CHANNEL, now=now)
        found += waiting.filter(channel=channel_id)[:room]
    room = LANES[way] - busy.total()
    return [Job(Message, row.pk) for row in sorted(found, key=_queue_position)[: max(0, room)]]


def _queue_position(row: Message) -> tuple[float, int]:
    return (row.next_attempt_at.timestamp() if row.next_attempt_at else 0.0, row.pk)


def _ready_by_provider(way: Way, now: datetime) -> list[Job]:
    route = Route.objects.filter(key=way).first()
    room = delivery_lanes.room(route, busy=_busy(way, now), at_most=LANES[way], now=now)
    jobs: list[Job] = []
    if way == Way.EMAIL:
        replies = sendable(Message, now=now).filter(channel__kind=ChannelKind.EMAIL)[:room]
        jobs = [Job(Message, row.pk) for row in replies]
    of_campaigns = min(room, delivery_lanes.CAMPAIGN_LANES - _busy_campaigns(way, now))
    if of_campaigns > 0:
        rows = sendable(CampaignMessage, now=now).filter(via=way.value)[:of_campaigns]
        jobs += [Job(CampaignMessage, row.pk) for row in rows]
    return jobs[:room]


def _route_of(model: type[models.Model], pk: int) -> str | None:
    if model is Message:
        message = Message.objects.select_related("channel").filter(pk=pk).first()
        return delivery_lanes.of_channel(message.channel) if message else None
    via = CampaignMessage.objects.filter(pk=pk).values_list("via", flat=True).first()
    return delivery_lanes.of_via(via) if via in {Via.EMAIL, Via.SMS} else None


def _has_room(model: type[models.Model], route: Route, now: datetime) -> bool:
    way = delivery_lanes.way_of(route.key)
    busy = _busy(way, now)
    if busy >= LANES[way]:
        return False
    if model is not Message and _busy_campaigns(way, now) >= delivery_lanes.CAMPAIGN_LANES:
        return False
    at_most = LANES[way]
    if way == Way.CALLBACK:
        channel_id = int(route.key.partition(":")[2])
        busy = _sending_by_callback(now).filter(channel=channel_id).count()
        at_most = LANES_PER_CHANNEL
    return delivery_lanes.room(route, busy=busy, at_most=at_most, now=now) > 0


def _busy(way: Way, now: datetime) -> int:
    if way == Way.CALLBACK:
        return _sending_by_callback(now).count()
    busy = _busy_campaigns(way, now)
    if way == Way.EMAIL:
        busy += Message.objects.filter(_is_leased(now), channel__kind=ChannelKind.EMAIL).count()
    return busy


def _busy_campaigns(way: Way, now: datetime) -> int:
    return CampaignMessage.objects.filter(_is_leased(now), via=way.value).count()


def _sending_by_callback(now: datetime) -> QuerySet[Message]:
    return Message.objects.filter(_is_leased(now), channel__kind=ChannelKind.API)


def _is_leased(now: datetime) -> Q:
    return Q(delivery_state=DeliveryState.PENDING, lease_until__range=(now, now + LONGEST_LEASE))


def _read(model: type[models.Model], pk: int) -> Row:
    if model is Message:
        return Message.objects.select_related("conversation__contact", "channel", "author").get(
            pk=pk
        )
    return CampaignMessage.objects.select_related(*OF_CAMPAIGN).get(pk=pk)
