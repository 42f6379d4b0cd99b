"""The cost of checking a store in which nothing changed, compared with reading every order again."""

from __future__ import annotations

import statistics
import time

from bench.harness.result import Result, times_ms

ORDERS = 1000
SAMPLE = 40


def run() -> list[Result]:
    """Measure on a test database of DATABASE_URL."""
    import django

    django.setup()
    from django.test.runner import DiscoverRunner

    runner = DiscoverRunner(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    try:
        return _measure()
    finally:
        runner.teardown_databases(databases)


def _measure() -> list[Result]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext, override_settings
    from django.utils import timezone

    from orders.models import Order
    from practice_store import seed
    from shopify_sync.api import client as shopify_client
    from shopify_sync.models import Backfill
    from shopify_sync.reading import orders as ingest
    from shopify_sync.setup import connect
    from shopify_sync.sync import (
        backfill,
        reconcile,
    )
    from tests.support.shop.in_process import DOMAIN, Shop

    shop = Shop()
    seed.many(shop.store, ORDERS)
    with override_settings(SHOPIFY_ADMIN_ORIGIN=shop.origin):
        store = connect.connect(
            domain=DOMAIN, token="shpat_practice_demo", secret="shpss_practice_demo"
        ).store
        row = backfill.begin(store)
        while row.is_open:
            Backfill.objects.update(next_step_at=timezone.now())
            backfill.advance(row.pk)
            row.refresh_from_db()
        # Move the cursor back, so that the window covers the whole shop.
        from shopify_sync.models import SyncCursor

        def look() -> None:
            SyncCursor.objects.update(updated_through=row.since)
            assert reconcile.reconcile(store.pk) == 0

        look()
        with CaptureQueriesContext(connection) as captured:
            look()
        took = statistics.median(times_ms(look, 5))
        points = shopify_client._budgets[DOMAIN]
        spent = points.maximum - points.available
        orders = list(Order.objects.select_related("store")[:SAMPLE])
        start = time.perf_counter()
        for order in orders:
            ingest.refresh(order)
        again = (time.perf_counter() - start) * 1000 / SAMPLE
    shop.stop()
    return [
        Result("reconcile, 1000 unchanged", "ms", took, again * ORDERS, "reading each again"),
        Result("reconcile queries", "queries", len(captured), ORDERS, "one an order"),
        Result("reconcile points", "points", max(spent, 1), ORDERS * 25, "reading each again"),
    ]
