"""The ways out, and how much may be under way by each at a time.

Each way has lanes of its own, and no channel can have all of them: what leaves for a host that
never answers holds two lanes for some seconds, and after a few such answers none but a probe's.
So nothing that waits here keeps a reply by another channel, an e-mail, or money waiting.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from django.db.models import F

from inbox.models import Channel, ChannelKind, Route, Via

_ANSWERS_AGAIN: Final = {"failures": 0, "rest_until": None}


class Way(StrEnum):
    CALLBACK = "callback"
    EMAIL = "email"
    SMS = "sms"


LANES: Final = {Way.CALLBACK: 8, Way.EMAIL: 4, Way.SMS: 2}
# Threads of the process that sends: one a lane, so that each way always has its own.
THREADS: Final = sum(LANES.values())
LANES_A_CHANNEL: Final = 2
# The rest is kept for replies: no campaign delays what an agent wrote.
CAMPAIGN_LANES: Final = 2
# So many times in a row without an answer, and a route rests; then one message tries it.
FAILURES: Final = 3
_RESTS_S: Final = (30, 60, 120, 300)


def of_channel(channel: Channel) -> str:
    """All e-mail leaves by one server, whichever channel it is of."""
    return Way.EMAIL if channel.kind == ChannelKind.EMAIL else f"{Way.CALLBACK}:{channel.pk}"


def of_via(via: str) -> str:
    return Way.EMAIL if via == Via.EMAIL else Way.SMS


def way_of(key: str) -> Way:
    return Way(key.partition(":")[0])


def lock(key: str) -> Route:
    """The route, while its way is locked: the number of messages under way by it stands still.
    Expects a transaction."""
    way = way_of(key)
    Route.objects.get_or_create(key=way)
    locked = Route.objects.select_for_update().get(key=way)
    return locked if key == way else Route.objects.get_or_create(key=key)[0]


def room(route: Route | None, *, busy: int, at_most: int, now: datetime) -> int:
    """How many more messages may leave by it now, while `busy` do."""
    if route is not None and route.failures >= FAILURES:
        at_most = 0 if _rests(route, now) else 1
    return max(0, at_most - busy)


def _rests(route: Route, now: datetime) -> bool:
    if route.rest_until is None:
        return False
    # One that a wrong clock wrote counts as past.
    return now < route.rest_until <= now + timedelta(seconds=_RESTS_S[-1])


def answered(key: str) -> None:
    """The other side is there, whatever it said."""
    Route.objects.filter(key=key, failures__gt=0).update(**_ANSWERS_AGAIN)


def did_not_answer(key: str, *, now: datetime) -> None:
    """Count it, and have the route rest after the third time in a row, each time for longer."""
    Route.objects.filter(key=key).update(failures=F("failures") + 1)
    route = Route.objects.filter(key=key).first()
    if route is None or route.failures < FAILURES:
        return
    rest_s = _RESTS_S[min(route.failures - FAILURES, len(_RESTS_S) - 1)]
    Route.objects.filter(key=key).update(rest_until=now + timedelta(seconds=rest_s))
