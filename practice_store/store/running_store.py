"""The running store: shops and their locks, delayed work, faults and webhooks."""

from __future__ import annotations

import heapq
import itertools
import os
import random
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.faults.courier import Courier
from practice_store.faults.lasting import CALM, Conditions
from practice_store.faults.replicas import Replicas
from practice_store.faults.rules import Faults
from practice_store.graphql.bulk import Bulk
from practice_store.sales import bank_refunds, cancellation
from practice_store.state import Order, Shop, World
from practice_store.store.ledger import ledger
from practice_store.store.new_shops import new_shop
from practice_store.store.rate_limits import Bucket

T = TypeVar("T")
_SAVE_EVERY_S: Final = 1.0
# Built at import, as msgspec crashes when several threads first use a type at once.
_WORLD: Final = msgspec.json.Decoder(World)


class Store:
    """Everything that a practice store process holds."""

    def __init__(
        self,
        domains: list[str],
        *,
        deliver_to: str = "",
        through: str = "",
        allow_http: bool = False,
        state_file: Path | None = None,
    ) -> None:
        self._domains, self._state_file = domains, state_file
        self.allow_http = allow_http
        self.world = World()
        self.is_resumed = state_file is not None and state_file.exists()
        if state_file is not None and self.is_resumed:
            self.world = _WORLD.decode(state_file.read_bytes())
        self._open_shops()
        self.faults = Faults()
        self.courier = Courier(self.world, self.faults, deliver_to=deliver_to, through=through)
        self.locks = {domain: threading.RLock() for domain in self.world.shops}
        self.buckets = {domain: Bucket() for domain in self.world.shops}
        self.requests: list[JsonObject] = []
        self.base_url = ""
        self.bulk = Bulk(
            work=self.act,
            base_url=lambda: self.base_url,
            fails=lambda domain: self.faults.pick(("bulk",), domain) is not None,
        )
        self._conditions: dict[str, Conditions] = {}
        self._dice: dict[str, random.Random] = {}
        self._replicas = {domain: Replicas() for domain in self.world.shops}
        self._delayed: list[tuple[float, int, str, Callable[[Context], object]]] = []
        self._serial = itertools.count()
        self._wake = threading.Condition()
        self._working = threading.Lock()
        self._stopped = False
        self._changed = threading.Event()
        self._threads = [threading.Thread(target=self._run_delayed, daemon=True)]
        if state_file is not None:
            self._threads.append(threading.Thread(target=self._save_often, daemon=True))

    def _open_shops(self) -> None:
        for number, domain in enumerate(self._domains):
            if domain not in self.world.shops:
                self.world.shops[domain] = new_shop(domain, "EUR" if number == 0 else "USD")

    def start(self) -> None:
        """Start the background threads, and resume the jobs and banks of a restored state."""
        self.courier.start()
        for thread in self._threads:
            thread.start()
        for domain, shop in self.world.shops.items():
            for key, job in list(shop.jobs.items()):
                if job.status == "STARTED" or job.owes_refund:  # accepted before the last stop
                    self.act(domain, partial(cancellation.run_job, key=key))
            for order in shop.orders.values():
                self.act(domain, partial(_await_banks, order=order))

    def stop(self) -> None:
        """Stop the background threads and save the shops."""
        self._stopped = True
        self.courier.stop()
        with self._wake:
            self._wake.notify_all()
        self._changed.set()
        self.bulk.close()
        self.save()

    def context(self, shop: Shop) -> Context:
        """Return a context for one request, with all of the shop's scopes."""
        return Context(
            world=self.world,
            shop=shop,
            scopes=frozenset(shop.scopes),
            allow_http=self.allow_http,
            bulk=self.bulk,
            conditions=self.conditions(shop.domain),
            dice=self._dice.setdefault(shop.domain, random.Random(1)),  # noqa: S311
        )

    def conditions(self, domain: str) -> Conditions:
        """Return the conditions in force; calm ones unless set."""
        return self._conditions.get(domain, CALM)

    def set_conditions(self, conditions: Conditions, domain: str = "") -> None:
        """Set the conditions of one shop, or of all (""), and restart their random draws from the
        seed.
        """
        for name in [domain] if domain else self.world.shops:
            with self.locks[name]:
                self._conditions[name] = conditions
                self._dice[name] = random.Random(conditions.seed)  # noqa: S311

    def act(self, domain: str, work: Callable[[Context], T]) -> T:
        """Run something as the shop, then send its webhooks and schedule its delayed work."""
        with self.locks[domain]:
            shop = self.world.shops[domain]
            self.before_change(shop)
            context = self.context(shop)
            result = work(context)
            self.settle(context)
        return result

    def settle(self, context: Context) -> None:
        """Deliver, schedule and record what a finished request left in its context."""
        if context.changed and self._keeps_history(context.shop):
            replicas = self._replicas[context.shop.domain]
            replicas.note(context.shop, sorted(context.changed), now=self.time())
        if context.emitted:
            self.courier.send(context.shop, context.emitted)
        for seconds, work in context.delayed:
            self.later(context.shop.domain, seconds, work)
        if context.emitted or context.delayed:
            self._changed.set()

    def time(self) -> float:
        """Return the store's clock in seconds, finer than the times Shopify shows."""
        return time.time() + self.world.ahead_s

    def _keeps_history(self, shop: Shop) -> bool:
        return self.conditions(shop.domain).lagging_reads > 0 or self.faults.keeps_history()

    def before_change(self, shop: Shop) -> None:
        """Prepare for a change of the shop; call it under the shop's lock."""
        if self._keeps_history(shop):
            self._replicas[shop.domain].begin(shop)

    def stale(self, shop: Shop, asked: int | None, lag: int) -> Shop:
        """Return the shop `lag` changes ago, counting changes of this order or of any (None).

        Unlike `replica`, however long ago that was.
        """
        return self._replicas[shop.domain].view(shop, asked, lag, since=None)

    def replica(self, shop: Shop, asked: int | None) -> Shop:
        """Return the shop as a replica sees it, chosen at random: usually up to date."""
        conditions = self.conditions(shop.domain)
        dice = self._dice.setdefault(shop.domain, random.Random(1))  # noqa: S311
        if not conditions.lagging_reads or dice.random() >= conditions.lagging_reads:
            return shop
        lag, since = dice.randint(1, conditions.lag), self.time() - conditions.lag_s
        return self._replicas[shop.domain].view(shop, asked, lag, since=since)

    def catch_up(self, domain: str, order: int | None = None) -> None:
        """Let replicas show the present for one order (by number) or for all, until the next
        change.
        """
        with self.locks[domain]:
            self._replicas[domain].catch_up(order)

    def advance(self, seconds: float) -> None:
        """Move the clock forward; the threads run what becomes due."""
        self.world.ahead_s += seconds
        with self._wake:
            self._wake.notify_all()
        self.courier.clock_moved()

    def live_through(self, seconds: float) -> None:
        """Move the clock forward, running everything that becomes due on the way at its own time.

        Must not be called under a shop's lock.
        """
        until = self.time() + seconds
        while (due := self._next_due()) is not None and due < until:
            self.world.ahead_s += max(0.0, due - self.time())
            self.run_due()
        self.advance(max(0.0, until - self.time()))
        self.run_due()

    def _next_due(self) -> float | None:
        with self._wake:
            return self._delayed[0][0] if self._delayed else None

    def reset(self) -> None:
        """Go back to empty shops, no fault rules, calm conditions and the real time."""
        self.world.shops.clear()
        self.world.ahead_s = 0.0
        self._open_shops()
        self.faults.set([])
        self._conditions.clear()
        self._replicas = {domain: Replicas() for domain in self.world.shops}
        self.requests.clear()
        self.courier.log.clear()

    def ledger(self, domain: str) -> JsonObject:
        """Return every movement of money and every cancellation, for tests to compare the product
        with.
        """
        requests = [r for r in self.requests if r["shop"] == domain]
        return ledger(self.world.shops[domain], requests)

    def save(self) -> None:
        """Write all shops to the state file, if there is one."""
        if self._state_file is None:
            return
        self._state_file.parent.mkdir(parents=True, exist_ok=True)
        beside = self._state_file.with_suffix(".new")
        beside.write_bytes(msgspec.json.encode(self.world))
        os.replace(beside, self._state_file)

    def _save_often(self) -> None:
        while not self._stopped:
            self._changed.wait()
            time.sleep(_SAVE_EVERY_S)
            self._changed.clear()
            try:
                self.save()
            except (
                RuntimeError,
                OSError,
            ):  # a shop changed while being encoded: the next save has it
                self._changed.set()

    def later(self, domain: str, seconds: float, work: Callable[[Context], object]) -> None:
        """Run something as the shop once its clock is this many seconds further."""
        due = self.time() + seconds
        with self._wake:
            heapq.heappush(self._delayed, (due, next(self._serial), domain, work))
            self._wake.notify_all()

    def is_idle(self) -> bool:
        """Return whether nothing is pending: no job, no bank answer, no late commit."""
        with self._working, self._wake:
            return not self._delayed

    def run_due(self) -> None:
        """Run all delayed work that is due, and wait for what the store's own thread has started.

        Must not be called under a shop's lock.
        """
        while self._do_due():
            pass

    def _do_due(self) -> bool:
        with self._working:
            found = self._take_due()
            if found and found[0] in self.locks:
                self.act(*found)
        return found is not None

    def _take_due(self) -> tuple[str, Callable[[Context], object]] | None:
        with self._wake:
            if not self._delayed or self._delayed[0][0] > self.time():
                return None
            _due, _serial, domain, work = heapq.heappop(self._delayed)
        return domain, work

    def _run_delayed(self) -> None:
        while not self._stopped:
            with self._wake:
                now = self.time()
                if not self._delayed or self._delayed[0][0] > now:
                    wait = self._delayed[0][0] - now if self._delayed else 5.0
                    self._wake.wait(timeout=max(0.005, min(wait, 5.0)))
                    continue
            self._do_due()


def _await_banks(context: Context, order: Order) -> None:
    for waiting in order.transactions:
        if waiting.bank_says and waiting.bank_at:
            left_s = (waiting.bank_at - context.now()).total_seconds()
            bank_refunds.await_bank(context, order, waiting, max(0.0, left_s))
