"""Claiming a webhook for sending: by one worker at a time, and only so many to one endpoint."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q

from core.database.leases import LONGEST_LEASE
from inbox.models import Route, WebhookDelivery, WebhookEndpoint
from inbox.outbox import delivery_lanes
from inbox.outbox.delivery_lanes import LANES, Way

# Longer than one attempt can take (its deadline plus DNS lookups).
LEASE: Final = timedelta(minutes=2)
# What Standard Webhooks recommends, three days in all, each moved by up to a tenth so that what
# failed together doesn't come back together.
WAITS_S: Final = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
ATTEMPTS: Final = len(WAITS_S) + 1
JITTER: Final = 0.1
LANES_PER_ENDPOINT: Final = 2


def wait(attempts: int) -> timedelta:
    """Return how long a webhook waits after this many attempts."""
    seconds = WAITS_S[min(max(attempts, 1), len(WAITS_S)) - 1]
    return timedelta(seconds=seconds * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311


def claim(pk: int, *, now: datetime) -> WebhookDelivery | None:
    """Claim a webhook for sending; None if it isn't due, another worker has it, its endpoint is
    turned off, or as many as there may be are being sent.

    The attempt counts from here on, even if this worker dies. Opens its own transaction.
    """
    sendable = WebhookDelivery.objects.due(now=now).filter(
        pk=pk, attempts__lt=ATTEMPTS, endpoint__is_active=True
    )
    # First check without the lock: of hundreds enqueued at once, most find no room.
    found = sendable.values_list("endpoint_id", flat=True).first()
    if found is None or not _room(found, now):
        return None
    with transaction.atomic(durable=True):
        delivery_lanes.lock(delivery_lanes.of_endpoint(found))
        attempts = sendable.values_list("attempts", flat=True).first()
        if attempts is None or not _room(found, now):
            return None
        claimed = WebhookDelivery.objects.due(now=now).filter(pk=pk, attempts=attempts)
        if not claimed.update(
            attempts=attempts + 1,
            lease_until=now + LEASE,
            next_attempt_at=now + wait(attempts + 1),
        ):
            return None
    return WebhookDelivery.objects.select_related("endpoint").get(pk=pk)


def ready(*, now: datetime) -> list[int]:
    """Return the IDs of the webhooks that may be sent now, as many as there is room for."""
    busy = Counter(_sending(now))
    routes = {route.key: route for route in Route.objects.filter(key__startswith=f"{Way.WEBHOOK}:")}
    found: list[WebhookDelivery] = []
    for endpoint_id in WebhookEndpoint.objects.active().values_list("pk", flat=True):
        route = routes.get(delivery_lanes.of_endpoint(endpoint_id))
        room = delivery_lanes.room(
            route, busy=busy[endpoint_id], at_most=LANES_PER_ENDPOINT, now=now
        )
        if room:
            rows = WebhookDelivery.objects.due(now=now).filter(
                endpoint=endpoint_id, attempts__lt=ATTEMPTS
            )
            found += rows.order_by("next_attempt_at", "pk").defer("payload")[:room]
    room = max(0, LANES[Way.WEBHOOK] - busy.total())
    return [row.pk for row in sorted(found, key=_turn)[:room]]


def _turn(row: WebhookDelivery) -> tuple[float, int]:
    return (row.next_attempt_at.timestamp() if row.next_attempt_at else 0.0, row.pk)


def _room(endpoint_id: int, now: datetime) -> int:
    busy = Counter(_sending(now))
    if busy.total() >= LANES[Way.WEBHOOK]:
        return 0
    route = Route.objects.filter(key=delivery_lanes.of_endpoint(endpoint_id)).first()
    return delivery_lanes.room(route, busy=busy[endpoint_id], at_most=LANES_PER_ENDPOINT, now=now)


def _sending(now: datetime) -> list[int]:
    """Return the endpoint of each webhook that is being sent."""
    leased = Q(lease_until__range=(now, now + LONGEST_LEASE))
    rows = WebhookDelivery.objects.pending().filter(leased).order_by()
    return list(rows.values_list("endpoint_id", flat=True))
