"""The running store: shops, their locks, delayed work, faults, webhooks and the ledger."""

from __future__ import annotations

import copy
import heapq
import itertools
import json
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from shopify_sync.practice_store import money, selling
from shopify_sync.practice_store.bulk import Bulk
from shopify_sync.practice_store.context import Context
from shopify_sync.practice_store.delivery import Courier
from shopify_sync.practice_store.faults import Faults
from shopify_sync.practice_store.state import ZERO, Shop, World

SCOPES: Final = [
    "read_orders",
    "write_orders",
    "read_all_orders",
    "read_customers",
    "write_customers",
    "read_fulfillments",
    "write_fulfillments",
    "read_merchant_managed_fulfillment_orders",
    "write_merchant_managed_fulfillment_orders",
    "read_assigned_fulfillment_orders",
    "read_third_party_fulfillment_orders",
    "read_returns",
    "write_returns",
    "read_products",
    "read_locations",
]
# The limits of a Plus shop; a Basic one has a tenth of it.
BUCKET: Final = 20_000.0
RESTORE_RATE: Final = 1000.0
_SAVE_EVERY_S: Final = 1.0


def new_shop(domain: str, currency: str) -> Shop:
    """A shop with fixed credentials, so that a practice can be scripted."""
    handle = domain.split(".", 1)[0]
    return Shop(
        domain=domain,
        name=f"{handle.title()} Store",
        currency=currency,
        token=f"shpat_practice_{handle}",
        secret=f"shpss_practice_{handle}",
        client_id=f"practice-{handle}",
        scopes=list(SCOPES),
    )


class Bucket:
    """Shopify's leaky bucket of one shop."""

    def __init__(self) -> None:
        self.level, self.at = BUCKET, time.monotonic()

    def take(self, cost: float) -> bool:
        now = time.monotonic()
        self.level = min(BUCKET, self.level + (now - self.at) * RESTORE_RATE)
        self.at = now
        if self.level < cost:
            return False
        self.level -= cost
        return True

    def give_back(self, cost: float) -> None:
        self.level = min(BUCKET, self.level + cost)

    def status(self) -> dict[str, Any]:
        return {
            "maximumAvailable": BUCKET,
            "currentlyAvailable": int(self.level),
            "restoreRate": RESTORE_RATE,
        }


class Store:
    """All that one practice store process holds."""

    def __init__(
        self,
        domains: list[str],
        *,
        deliver_to: str = "",
        allow_http: bool = False,
        state_file: Path | None = None,
    ) -> None:
        self._domains, self._state_file = domains, state_file
        self.allow_http = allow_http
        self.world = World()
        self.is_resumed = state_file is not None and state_file.exists()
        if state_file is not None and self.is_resumed:
            self.world = msgspec.json.decode(state_file.read_bytes(), type=World)
        self._open_shops()
        self.faults = Faults()
        self.courier = Courier(self.world, self.faults, deliver_to=deliver_to)
        self.locks = {domain: threading.RLock() for domain in self.world.shops}
        self.buckets = {domain: Bucket() for domain in self.world.shops}
        self.requests: list[dict[str, Any]] = []
        self.base_url = ""
        self.bulk = Bulk(
            work=self.act, base_url=lambda: self.base_url,
            fails=lambda domain: self.faults.pick(("bulk",), domain) is not None,
        )  # fmt: skip
        self._before: dict[str, Shop] = {}
        self._delayed: list[tuple[float, int, str, Callable[[Context], None]]] = []
        self._serial = itertools.count()
        self._wake = threading.Condition()
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
        self.courier.start()
        for thread in self._threads:
            thread.start()
        for domain, shop in self.world.shops.items():
            for key, job in list(shop.jobs.items()):
                if job.status == "STARTED":  # accepted before the last stop
                    self.act(domain, partial(selling.run_job, key=key))

    def stop(self) -> None:
        self._stopped = True
        self.courier.stop()
        with self._wake:
            self._wake.notify_all()
        self._changed.set()
        self.bulk.close()
        self.save()

    def context(self, shop: Shop) -> Context:
        return Context(
            world=self.world,
            shop=shop,
            scopes=frozenset(shop.scopes),
            allow_http=self.allow_http,
            bulk=self.bulk,
        )

    def act(self, domain: str, work: Callable[[Context], Any]) -> Any:
        """Run something as the shop, then tell its webhooks and start its delayed work."""
        with self.locks[domain]:
            shop = self.world.shops[domain]
            context = self.context(shop)
            result = work(context)
            self.settle(context)
        return result

    def settle(self, context: Context) -> None:
        """Deliver and schedule what a finished request left in its context."""
        if context.emitted:
            self.courier.send(context.shop, context.emitted)
        for seconds, work in context.delayed:
            due = time.time() + self.world.ahead_s + seconds
            with self._wake:
                heapq.heappush(self._delayed, (due, next(self._serial), context.shop.domain, work))
                self._wake.notify_all()
        if context.emitted or context.delayed:
            self._changed.set()

    def remember_for_stale_reads(self, shop: Shop) -> None:
        self._before[shop.domain] = copy.deepcopy(shop)

    def stale(self, shop: Shop) -> Shop:
        return self._before.get(shop.domain, shop)

    def advance(self, seconds: float) -> None:
        self.world.ahead_s += seconds
        with self._wake:
            self._wake.notify_all()
        self.courier.clock_moved()

    def reset(self) -> None:
        """Empty shops, no rules, the real time."""
        self.world.shops.clear()
        self.world.ahead_s = 0.0
        self._open_shops()
        self.faults.set([])
        self.requests.clear()
        self.courier.log.clear()

    def ledger(self, domain: str) -> dict[str, Any]:
        """Every movement of money and every cancelation, for tests to hold us against."""
        shop = self.world.shops[domain]
        refunds, cancelations, transactions = [], [], []
        for order in shop.orders.values():
            for refund in order.refunds:
                moved = [t for t in order.transactions if t.number_id in refund.transactions]
                refunds.append(
                    {
                        "order": order.id, "order_name": order.name, "id": refund.id,
                        "note": refund.note, "idempotency_key": refund.key,
                        "amount": money.wire(sum((t.amount for t in moved), ZERO)),
                        "currency": order.presentment_currency,
                        "gateways": [t.gateway for t in moved],
                        "at": refund.created_at.isoformat(),
                    }
                )  # fmt: skip
            if order.cancelled_at:
                cancelations.append(
                    {"order": order.id, "order_name": order.name, "reason": order.cancel_reason,
                     "staff_note": order.cancel_staff_note, "at": order.cancelled_at.isoformat()}
                )  # fmt: skip
            transactions += [
                {"order": order.id, "order_name": order.name, "id": t.id, "kind": t.kind,
                 "status": t.status, "gateway": t.gateway, "amount": money.wire(t.amount),
                 "parent": t.parent_number,
                 "expires_at": t.expires_at.isoformat() if t.expires_at else None,
                 "at": t.created_at.isoformat()}
                for t in order.transactions
            ]  # fmt: skip
        return {
            "refunds": refunds,
            "cancelations": cancelations,
            "transactions": transactions,
            "requests": [r for r in self.requests if r["shop"] == domain],
        }

    def save(self) -> None:
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
            except (RuntimeError, OSError):  # a shop changed size meanwhile: the next save has it
                self._changed.set()

    def _run_delayed(self) -> None:
        while not self._stopped:
            with self._wake:
                now = time.time() + self.world.ahead_s
                if not self._delayed or self._delayed[0][0] > now:
                    wait = self._delayed[0][0] - now if self._delayed else 5.0
                    self._wake.wait(timeout=max(0.005, min(wait, 5.0)))
                    continue
                _due, _serial, domain, work = heapq.heappop(self._delayed)
            if domain in self.locks:
                self.act(domain, work)


def plain(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, default=str).encode()
