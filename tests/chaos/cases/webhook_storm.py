"""T8, T9: a storm of webhooks through two processes, and every kind of forgery."""

from __future__ import annotations

import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TypeVar

import psycopg
from django.conf import settings
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from orders.models import Order, Store
from practice_store import seed
from practice_store.derived import payloads
from practice_store.faults import courier
from practice_store.state import Order as ShopOrder
from shopify_sync.api.errors import Throttled
from shopify_sync.models import EventState, SyncCursor, WebhookEvent, WebhookTally
from shopify_sync.reading import (
    backlog as reading,
)
from shopify_sync.reading import (
    orders as ingest,
)
from shopify_sync.stores.clients import client_for
from shopify_sync.sync import (
    nightly_comparison,
    reconcile,
)
from shopify_sync.webhooks import balance, processing
from shopify_sync.webhooks.signing import sign
from tests.chaos.case import Case, Outcome, Run
from tests.chaos.installation import Installation
from tests.chaos.processes.workers import Temper
from tests.support.servers.postgres_and_redis import free_port
from tests.support.shop.doors import PATH
from tests.support.shop.in_process import DOMAIN, SECOND

SENDERS = 8
OUTAGE_S = 20.0
Sent = tuple[bytes, dict[str, str]]
Result = TypeVar("Result")


@dataclass
class Storm:
    """What was sent, and how it was answered."""

    port: int
    answers: Counter[int] = field(default_factory=Counter)
    forged: Counter[int] = field(default_factory=Counter)
    accepted: set[str] = field(default_factory=set)
    delays: list[float] = field(default_factory=list)
    took_s: float = 1.0
    refused: list[Sent] = field(default_factory=list)
    local: threading.local = field(default_factory=threading.local)

    def send(self, sent: Sent, *, is_forged: bool = False) -> int:
        body, headers = sent
        start = time.perf_counter()
        status = self._post(body, headers)
        self.delays.append((time.perf_counter() - start) * 1000)
        (self.forged if is_forged else self.answers)[status] += 1
        if status == 200:
            self.accepted.add(headers["X-Shopify-Webhook-Id"])
        elif not is_forged:
            self.refused.append(sent)
        return status

    def _post(self, body: bytes, headers: dict[str, str]) -> int:
        line: http.client.HTTPConnection | None = getattr(self.local, "line", None)
        if line is None:
            line = self.local.line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            line.request("POST", PATH, body, {**headers, "Content-Type": "application/json"})
            answer = line.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            line.close()
            self.local.line = None
            return 0
        return answer.status


def storm(world: Installation, run: Run) -> Outcome:
    orders = run.size(2000, least=60)
    seed.many(world.shop.store, orders)
    world.shop.held.clear()
    rng, total = run.random, run.size(100_000, least=2000)
    sync = run.mutant != "no reconciliation"
    # A process of its own, as in production; here are the shop and its courier.
    world.workers.read_webhooks(world.store.pk, Temper(world.shop.origin))
    with _receiver(run.mutant) as port:
        found = Storm(port)
        outage = threading.Thread(target=_outage, args=(run.scale,))
        late = _deliver(world, found, rng, total, outage)
        outage.join()
        # As Shopify does: what was refused comes again, with its first bytes.
        for sent in [*late, *found.refused]:
            found.send(sent)
    world.workers.stop()
    _drain(world.store, sync=False)
    # The last word of some orders never leaves the shop.
    for number, order in enumerate(list(world.shop.store.world.shops[DOMAIN].orders.values())):
        if number % 30 == 0:
            _change(world, order, total + number)
    _drain(world.store, sync=sync)
    return _judge(world, found, total, run)


def _deliver(
    world: Installation, found: Storm, rng: random.Random, total: int, outage: threading.Thread
) -> list[Sent]:
    """Changes of the shop and their deliveries, side by side; returns the hours-late ones. The
    outage begins when a third of them are on their way."""
    shop = world.shop.store.world.shops[DOMAIN]
    rows = list(shop.orders.values())
    late: list[Sent] = []
    pending: list[Sent] = []

    def step(number: int, fate: float, pick: int) -> None:
        if number == total // 3:
            outage.start()
        sent = _change(world, rows[pick], number)
        if fate < 0.01:
            return  # Shopify never sends it
        if fate < 0.02:
            body, headers = sent
            found.send(
                (body, headers | {"X-Shopify-Hmac-Sha256": sign(body, b"forged")}), is_forged=True
            )
        if fate < 0.025:
            late.append(sent)
        elif fate < 0.075:
            pending.append(sent)
        else:
            if 0.5 < fate < 0.501:
                body = b'{"id": ' + b"[" * 50
                sent = (body, sent[1] | {"X-Shopify-Hmac-Sha256": sign(body, _secret(world))})
            found.send(sent)
            if fate > 0.9:
                found.send(sent)
        if len(pending) > 20:
            found.send(pending.pop(random.Random(number).randrange(len(pending))))

    with ThreadPoolExecutor(SENDERS) as pool:
        plan = [(n, rng.random(), rng.randrange(len(rows))) for n in range(total)]
        start = time.perf_counter()
        list(pool.map(lambda words: step(*words), plan))
        found.took_s = time.perf_counter() - start
    return [*late, *pending]


def _change(world: Installation, order: ShopOrder, number: int) -> Sent:
    shop = world.shop.store.world.shops[DOMAIN]
    with world.shop.store.locks[DOMAIN]:
        order.note = f"change {number}"
        order.updated_at += timedelta(seconds=1)
        body = json.dumps(payloads.order(shop, order), default=str).encode()
    return body, courier.headers(shop, "orders/updated", body, f"e{number}", order.updated_at)


def _secret(world: Installation) -> bytes:
    return world.shop.store.world.shops[DOMAIN].secret.encode()


def _drain(store: Store, *, sync: bool) -> None:
    until = time.monotonic() + 600
    connection.close()  # the outage ended it
    # The readers have been killed; their leases need not be waited for.
    SyncCursor.objects.update(reader_lease_until=None)
    Order.objects.update(fetch_lease_until=None)
    Store.objects.filter(pk=store.pk).update(connected_at=timezone.now())
    if sync:
        SyncCursor.objects.update_or_create(
            store=store, defaults={"updated_through": timezone.now() - timedelta(days=400)}
        )
        reconcile.reconcile(store.pk)
    while time.monotonic() < until:
        taken = 0
        while more := processing.work_off().taken:
            taken += more
        Order.objects.dirty().update(fetch_after=None)
        read = reading.read_waiting(store.pk)
        if not taken and not read and not Order.objects.dirty().exists():
            return
    raise RuntimeError("the backlog was not worked off in ten minutes")


def _judge(world: Installation, found: Storm, total: int, run: Run) -> Outcome:
    shop = world.shop.store.world.shops[DOMAIN]
    mirror = {order.gid: order for order in Order.objects.visible()}
    # Every word of every order: what is held against what a read gives now.
    client = client_for(world.store)
    wrong = [
        row.name
        for row in shop.orders.values()
        if (held := mirror.get(row.id)) is None
        or held.snapshot != _patiently(partial(ingest.read_snapshot, client, row.id))
    ]
    stored = set(WebhookEvent.objects.values_list("webhook_id", flat=True))
    lost = found.accepted - stored
    forged = found.forged[200]
    names = ("requests", "stored", "duplicates", "unauthorized", "malformed", "unavailable")
    sums = WebhookTally.objects.aggregate(**{name: Sum(name) for name in names})
    sums = {name: value or 0 for name, value in sums.items()}
    states = Counter(WebhookEvent.objects.values_list("state", flat=True))
    broken = [f"{name} differs from the shop" for name in wrong]
    broken += [f"{one} was answered 200 and is not there" for one in lost]
    broken += [f"{forged} forged deliveries were accepted"] * bool(forged)
    if sums["requests"] != sum(sums[name] for name in names[1:]):
        broken.append(f"the tallies do not balance: {sums}")
    if sums["stored"] != len(stored):
        broken.append(f"{sums['stored']} counted as stored, {len(stored)} there")
    broken += _off_balance(world.store) if run.mutant == "" else []
    delays = statistics.quantiles(found.delays, n=100, method="inclusive")
    return Outcome(
        figures={
            "webhooks": sum(found.answers.values()) + sum(found.forged.values()),
            "changes": total,
            "orders": len(shop.orders),
            "wrong": len(wrong),
            "answered 503 or cut": len(found.refused),
            "duplicates": sums["duplicates"],
            "forged": sum(found.forged.values()),
            "forged accepted": forged,
            "lost after 200": len(lost),
            "waiting for another try": states[EventState.WAITING],
            "changes a second": round(total / found.took_s),
            "p50 ms": round(delays[49], 1),
            "p99 ms": round(delays[98], 1),
        },
        broken=broken,
        of=len(shop.orders) if run.mutant == "no reconciliation" else 1,
    )


def _patiently(work: Callable[[], Result]) -> Result:
    """Thousands of reads in a row are more than the shop's limit allows."""
    while True:
        try:
            return work()
        except Throttled as error:
            time.sleep(error.retry_after_s)


def _off_balance(store: Store) -> list[str]:
    """What an administrator would see marked on the balance page."""
    _patiently(lambda: nightly_comparison.compare(store))
    now = timezone.now()
    hours = [hour for hour in balance.hours(now=now) if not hour.is_balanced]
    # That changes came without a webhook is what was done here; the rest must hold.
    lines = [line.text for line in balance.lines(now=now) if not line.is_ok]
    return [f"{hour} is off balance" for hour in hours] + [
        line for line in lines if "without a webhook" not in line
    ]


def _outage(scale: float) -> None:
    """The database refuses connections and closes those that are open."""
    name = settings.DATABASES["default"]["NAME"]
    words = {
        "host": settings.DATABASES["default"]["HOST"],
        "port": settings.DATABASES["default"]["PORT"],
        "user": settings.DATABASES["default"]["USER"],
    }
    with psycopg.connect(**words, dbname="postgres", autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        until = time.monotonic() + max(3.0, OUTAGE_S * min(scale, 1.0))
        while time.monotonic() < until:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            time.sleep(0.2)
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


def forgeries(world: Installation, run: Run) -> Outcome:
    """Wrong secrets, headers and shops, replays under another topic, a rotated secret."""
    rng, total = run.random, run.size(10_000, least=300)
    placed = world.shop.place()
    world.shop.held.clear()
    with _receiver(run.mutant) as port:
        found = Storm(port)
        true, headers = _change(world, placed, 0)
        found.send((true, headers))
        secret = _secret(world)
        ways = (
            lambda h: h | {"X-Shopify-Hmac-Sha256": sign(true, rng.randbytes(20))},
            lambda h: h | {"X-Shopify-Hmac-Sha256": ""},
            lambda h: {k: v for k, v in h.items() if k != "X-Shopify-Hmac-Sha256"},
            lambda h: h | {"X-Shopify-Hmac-Sha256": rng.choice(["\xff\xfe", "=", "a" * 9000, "0"])},
            lambda h: h | {"X-Shopify-Hmac-Sha256": sign(true + b" ", secret)},
            lambda h: h | {"X-Shopify-Shop-Domain": SECOND},
            lambda h: h | {"X-Shopify-Shop-Domain": rng.choice(["", "x", "../", "\xe9.com"])},
        )
        for number in range(total):
            forged = ways[number % len(ways)](headers | {"X-Shopify-Webhook-Id": f"f{number}"})
            found.send((true, forged), is_forged=True)
        before = Order.objects.count()
        for topic in ("app/uninstalled", "shop/redact", "customers/redact", "orders/delete"):
            # A true body under another topic: stored, but never believed.
            found.send((true, headers | {"X-Shopify-Topic": topic, "X-Shopify-Webhook-Id": topic}))
    for _ in range(3):
        WebhookEvent.objects.update(next_attempt_at=None)
        processing.work_off()
    store = Store.objects.get(pk=world.store.pk)
    accepted, errors = found.forged[200], sum(n for s, n in found.forged.items() if s >= 500)
    broken = [f"{accepted} forged deliveries were accepted"] * bool(accepted)
    broken += [f"{errors} answers of 500 and above"] * bool(errors)
    if not store.is_active or store.uninstalled_at or Order.objects.count() < before:
        broken.append("a replayed body under another topic destroyed something")
    return Outcome(
        figures={
            "forged": total,
            "accepted": accepted,
            "5xx": errors,
            "answers": str(dict(found.forged)),
        },
        broken=broken,
    )


@contextmanager
def _receiver(mutant: str) -> Iterator[int]:
    """The web server, two processes, over the case's own database."""
    port = free_port()
    guard = mutant if mutant == "no signature check" else ""
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "uvicorn",
            "tests.chaos.processes.receiver_app:application",
            "--port",
            str(port),
            "--workers",
            "2",
            "--log-level",
            "critical",
            "--no-access-log",
        ],
        env=os.environ | {"CHAOS_MUTANT": guard},
    )
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            try:
                line.request("GET", "/livez")
                if line.getresponse().status == 200:
                    break
            except OSError:
                time.sleep(0.2)
            finally:
                line.close()
        yield port
        time.sleep(1.5)  # the last tallies of what was refused
    finally:
        server.terminate()
        server.wait(timeout=20)


CASES = [
    Case(
        id="T8",
        title="a storm of webhooks, an outage in it",
        run=storm,
        backend="postgresql",
        mutants={"no reconciliation": 0.02, "no signature check": 1.0},
        mutant_scale=0.02,
        takes_s=900,
    ),
    Case(
        id="T9",
        title="forged, replayed and misdirected webhooks",
        run=forgeries,
        backend="postgresql",
        mutants={"no signature check": 1.0},
    ),
]
