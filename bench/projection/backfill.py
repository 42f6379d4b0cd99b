"""A backfill of 100,000 orders from Shopify's bulk file into our tables: orders per second, memory.

Runs the product's own steps (shopify_sync.sync.backfill) in a process of their own, over HTTP from
another process that serves the file, on SQLite and on PostgreSQL. The baselines: the same orders
one by one through record_snapshot; the budget of 2,000 orders per second; and, for peak memory, the
memory after a fifth of the orders, so that 1 means flat. BENCH_ORDERS makes it smaller.
"""

from __future__ import annotations

import http.server
import json
import multiprocessing
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bench.harness.databases import on_both
from bench.harness.result import Result
from bench.harness.sample import LINES, order_lines

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from types import ModuleType

    from orders.models import Store
    from shopify_sync.sync.bulk_file import OrderLines

ORDERS = int(os.environ.get("BENCH_ORDERS", "100000"))
SAMPLE = 300


def run() -> list[Result]:
    """Measure on both databases."""
    return on_both("bench.projection.backfill")


def measure() -> list[Result]:
    """Measure on the database of this process."""
    with tempfile.TemporaryDirectory() as folder:
        return _measure(Path(folder))


def _measure(folder: Path) -> list[Result]:
    from django.db import connection
    from django.test.utils import override_settings
    from django.utils import timezone

    from orders.models import Order, OrderEvent, OrderLine, Store
    from shopify_sync.models import Backfill, BackfillState
    from shopify_sync.sync import backfill

    store = Store.objects.create(domain="bench.myshopify.com")
    naive = _naive(store, folder)
    path = folder / "orders.jsonl"
    size = _write(path, ORDERS, first=1)
    with _served(path) as url, override_settings(SHOPIFY_ADMIN_ORIGIN="http://127.0.0.1"):
        row = Backfill.objects.create(
            store=store,
            since=timezone.now(),
            state=BackfillState.IMPORTING,
            url=url,
            file_size=size,
            next_step_at=timezone.now(),
        )
        memory: list[float] = []
        over = threading.Event()
        threading.Thread(target=_watch, args=(memory, over), daemon=True).start()
        start = time.perf_counter()
        while backfill.advance(row.pk) is not None:
            pass
        took = time.perf_counter() - start
        over.set()
    row.refresh_from_db()
    assert row.state == BackfillState.DONE, row.error
    assert row.orders_done == ORDERS, row.orders_done
    assert Order.objects.filter(store=store).count() == ORDERS + SAMPLE
    assert OrderLine.objects.count() == LINES * (ORDERS + SAMPLE)
    assert OrderEvent.objects.count() >= ORDERS
    rate = ORDERS / took
    against = f"record_snapshot one by one, on {connection.vendor}"
    return [
        Result("backfill", "orders/s", rate, naive, against, "higher"),
        Result(
            "backfill budget",
            "orders/s",
            rate,
            2000,
            f"the budget, on {connection.vendor}",
            "higher",
        ),
        Result(
            "backfill memory",
            "MB",
            max(memory),
            memory[len(memory) // 5],
            f"after a fifth of it, on {connection.vendor}",
        ),
    ]


def _naive(store: Store, folder: Path) -> float:
    """Import a sample with the function that projects a single read; return orders per second."""
    from django.utils import timezone

    from orders.models import Order
    from orders.services import record_snapshot
    from shopify_sync import mapping
    from shopify_sync.sync import bulk_file as bulk

    path = folder / "sample.jsonl"
    _write(path, SAMPLE, first=ORDERS + 1)
    data = [found.data for found in _orders_of(bulk, path) if found.data]
    start = time.perf_counter()
    for one in data:
        snapshot = mapping.order_snapshot(one)
        order = Order.objects.create(store=store, gid=snapshot.gid, legacy_id=snapshot.legacy_id)
        now = timezone.now()
        record_snapshot(order=order, snapshot=snapshot, seq=0, read_started_at=now, now=now)
    return SAMPLE / (time.perf_counter() - start)


def _orders_of(bulk: ModuleType, path: Path) -> Iterator[OrderLines]:
    from django.test.utils import override_settings

    with _served(path) as url, override_settings(SHOPIFY_ADMIN_ORIGIN="http://127.0.0.1"):
        yield from bulk.orders_in(url, start=0)


def _write(path: Path, count: int, *, first: int) -> int:
    with path.open("w", encoding="utf-8") as file:
        for number in range(first, first + count):
            for line in order_lines(number):
                file.write(json.dumps(line, separators=(",", ":")) + "\n")
    return path.stat().st_size


class _served:
    """Serve the file over HTTP with ranges from a separate process, so that it costs ours nothing."""

    def __init__(self, path: Path) -> None:
        parent, child = multiprocessing.get_context("fork").Pipe()
        self._process = multiprocessing.get_context("fork").Process(
            target=_serve, args=(path, child), daemon=True
        )
        self._process.start()
        self._url = f"http://127.0.0.1:{parent.recv()}/orders.jsonl"

    def __enter__(self) -> str:
        return self._url

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()


def _serve(path: Path, tell: Connection) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            found = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(found[1]) if found else 0
            self.send_response(206 if found else 200)
            self.send_header("Content-Length", str(path.stat().st_size - start))
            self.end_headers()
            with path.open("rb") as file:
                file.seek(start)
                try:
                    while chunk := file.read(256 * 1024):
                        self.wfile.write(chunk)
                except OSError:
                    return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tell.send(server.server_address[1])
    threading.Thread(target=server.serve_forever).run()


def _watch(memory: list[float], over: threading.Event) -> None:
    while not over.wait(0.1):
        memory.append(_rss_mb())


def _rss_mb() -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0
