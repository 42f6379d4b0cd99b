"""Delivery routes, and how many messages each may be sending at a time.

Each way (callbacks, email, SMS, webhooks) has its own lanes, and no channel can occupy all of them: a host
that never responds holds two lanes for some seconds, and after a few failures only one, for a
probe. So a slow host never delays a reply on another channel, an email, or money.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from django.db.models import F

from inbox.models import Channel, ChannelKind, Route, Via

_HEALTHY: Final = {"failures": 0, "rest_until": None}


class Way(StrEnum):
    """The means of delivery; each callback channel is a route of its own within CALLBACK."""

    CALLBACK = "callback"
    EMAIL = "email"
    SMS = "sms"
    # To other programs (inbox.outgoing_webhooks); each endpoint is a route of its own.
    WEBHOOK = "webhook"


LANES: Final = {Way.CALLBACK: 8, Way.EMAIL: 4, Way.SMS: 2, Way.WEBHOOK: 4}
# The ways of messages to customers.
MESSAGE_WAYS: Final = (Way.CALLBACK, Way.EMAIL, Way.SMS)
# Threads of the sending process: one per lane, so that no way can starve another.
THREADS: Final = sum(LANES.values())
LANES_PER_CHANNEL: Final = 2
# The other lanes are reserved for replies, so that no campaign delays what an agent wrote.
CAMPAIGN_LANES: Final = 2
# After this many failures in a row a route pauses; then one message at a time probes it.
FAILURES: Final = 3
_PAUSES_S: Final = (30, 60, 120, 300)


def of_channel(channel: Channel) -> str:
    """Return the route key of a channel. All email channels share one route, the mail server."""
    return Way.EMAIL if channel.kind == ChannelKind.EMAIL else f"{Way.CALLBACK}:{channel.pk}"


def of_endpoint(endpoint_id: int) -> str:
    """Return the route key of an endpoint of webhooks."""
    return f"{Way.WEBHOOK}:{endpoint_id}"


def of_via(via: str) -> str:
    """Return the route key of a campaign's email or SMS."""
    return Way.EMAIL if via == Via.EMAIL else Way.SMS


def way_of(key: str) -> Way:
    """Return the way that a route key belongs to."""
    return Way(key.partition(":")[0])


def lock(key: str) -> Route:
    """Return the route after locking its way, so that the number of messages being sent can't
    change. Expects a transaction."""
    way = way_of(key)
    Route.objects.get_or_create(key=way)
    locked = Route.objects.select_for_update().get(key=way)
    return locked if key == way else Route.objects.get_or_create(key=key)[0]


def room(route: Route | None, *, busy: int, at_most: int, now: datetime) -> int:
    """Return how many more messages may be sent by a route now, while `busy` are being sent."""
    if route is not None and route.failures >= FAILURES:
        at_most = 0 if _is_paused(route, now) else 1
    return max(0, at_most - busy)


def _is_paused(route: Route, now: datetime) -> bool:
    if route.rest_until is None:
        return False
    # A time too far ahead was written by a wrong clock and is ignored.
    return now < route.rest_until <= now + timedelta(seconds=_PAUSES_S[-1])


def answered(key: str) -> None:
    """Record that the other side responded, no matter what; the route is healthy again."""
    Route.objects.filter(key=key, failures__gt=0).update(**_HEALTHY)


def did_not_answer(key: str, *, now: datetime) -> None:
    """Count a failure to respond; from the third in a row, pause the route, longer each time."""
    Route.objects.filter(key=key).update(failures=F("failures") + 1)
    route = Route.objects.filter(key=key).first()
    if route is None or route.failures < FAILURES:
        return
    pause_s = _PAUSES_S[min(route.failures - FAILURES, len(_PAUSES_S) - 1)]
    Route.objects.filter(key=key).update(rest_until=now + timedelta(seconds=pause_s))
