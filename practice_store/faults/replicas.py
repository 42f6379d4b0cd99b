"""A shop as it was some changes ago, which is what a lagging read replica still shows.

Each order keeps its latest versions, with the state of its cancellation jobs. A view is consistent:
it is the whole shop just before one change, so an order's amounts, refunds and `updatedAt` belong
together, and so do the orders of a list.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable
from typing import Final

import msgspec

from practice_store.state import (
    Job,
    Order,
    Shop,
)

KEPT: Final = 20


class _Version(msgspec.Struct):
    """An order after a change; `is_birth` means the order did not exist before it."""

    serial: int
    at: float
    order: bytes | None
    jobs: bytes
    is_birth: bool = False


class Replicas:
    """The past of one shop. Call its methods under the shop's lock; times are the store's clock."""

    def __init__(self) -> None:
        self._versions: dict[int, deque[_Version]] = {}
        self._changes: deque[tuple[int, float, int]] = deque(maxlen=50 * KEPT)
        self._serial = 0

    def begin(self, shop: Shop) -> None:
        """Prepare for a change: orders without a past get the present as their first version."""
        for number in shop.orders.keys() - self._versions.keys():
            self._versions[number] = deque([_version(shop, number, 0, 0.0)], maxlen=KEPT)

    def note(self, shop: Shop, numbers: Iterable[int], *, now: float) -> None:
        """Record that a change has altered these orders."""
        self._serial += 1
        for number in numbers:
            made = _version(shop, number, self._serial, now)
            if number not in self._versions:
                self._versions[number] = deque(maxlen=KEPT)
                made.is_birth = True
            self._versions[number].append(made)
            self._changes.append((self._serial, now, number))

    def catch_up(self, number: int | None = None) -> None:
        """Drop the past, so that no replica lags: for one order, or for all."""
        if number is None:
            self._versions.clear()
            self._changes.clear()
        elif versions := self._versions.get(number):
            versions[-1].is_birth = False
            self._versions[number] = deque([versions[-1]], maxlen=KEPT)

    def view(self, shop: Shop, number: int | None, lag: int, *, since: float | None) -> Shop:
        """Return the shop just before the `lag`-th latest change of this order, or of any (None).

        Goes back as far as there are versions, but shows nothing that was replaced before `since`.
        """
        if number is not None:
            versions = self._versions.get(number, ())
            changes = [(v.serial, v.at) for v in list(versions)[1:]]
        else:
            changes = [(serial, at) for serial, at, _number in self._changes]
        recent = [serial for serial, at in changes if since is None or at >= since]
        if not recent or lag < 1:
            return shop
        return self._before(shop, recent[-min(lag, len(recent))])

    def _before(self, shop: Shop, serial: int) -> Shop:
        past = copy.copy(shop)
        past.orders, past.jobs = dict(shop.orders), dict(shop.jobs)
        for number in {n for changed, _at, n in self._changes if changed >= serial}:
            self._put_back(past, number, serial)
        return past

    def _put_back(self, past: Shop, number: int, serial: int) -> None:
        versions = self._versions.get(number)
        if not versions:
            return
        known = [v for v in versions if v.serial < serial]
        if not known and versions[0].is_birth:
            past.orders.pop(number, None)
            return
        then = known[-1] if known else versions[0]
        if then.order is None:
            past.orders.pop(number, None)
        else:
            past.orders[number] = msgspec.msgpack.decode(then.order, type=Order)
        known_jobs = msgspec.msgpack.decode(then.jobs, type=dict[str, Job])
        for key, job in past.jobs.items():
            if job.order_number == number:
                # A job accepted after that moment is shown as accepted and not yet started.
                begun = msgspec.structs.replace(job, status="STARTED", errors=[])
                past.jobs[key] = known_jobs.get(key, begun)


def _version(shop: Shop, number: int, serial: int, at: float) -> _Version:
    order = shop.orders.get(number)
    jobs = {key: job for key, job in shop.jobs.items() if job.order_number == number}
    return _Version(
        serial=serial,
        at=at,
        order=msgspec.msgpack.encode(order) if order else None,
        jobs=msgspec.msgpack.encode(jobs),
    )
