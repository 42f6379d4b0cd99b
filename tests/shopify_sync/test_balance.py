"""The balance adds up while nothing is lost, and shows where it doesn't."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from orders.models import Order, Store
from shopify_sync import dashboard
from shopify_sync.models import Comparison, WebhookEvent, WebhookTally
from shopify_sync.webhooks import balance, counters
from tests.conftest import logged_in
from tests.support.shop.in_process import Shop

pytestmark = pytest.mark.django_db(transaction=True)


def page(client: Client) -> str:
    return client.get("/admin/shopify_sync/webhooktally/").content.decode()


def test_every_delivery_is_accounted_for(shop: Shop, store: Store) -> None:
    shop.place()
    codes = shop.deliver(Client(), times=2)
    shop.place()
    _shop, _topic, body, headers = shop.held[0]
    forged = headers | {"X-Shopify-Hmac-Sha256": "AAAA"}
    for _ in range(3):
        Client().post("/webhooks/shopify/", body, content_type="application/json", headers=forged)
    counters.flush()
    hour = next(h for h in balance.hours(now=timezone.now()) if h.store)
    assert hour.is_balanced
    assert (hour.requests, hour.unauthorized) == (len(codes) + 3, 3)
    assert hour.stored == hour.duplicates == len(codes) // 2
    assert {row.topic for row in balance.topics(now=timezone.now())} >= {"orders/create"}
    assert all(line.is_ok for line in balance.lines(now=timezone.now()))
    admin = logged_in(User.objects.create_superuser("admin"))
    assert "doesn't match" not in page(admin)
    # Negative control: a row that was promised and is gone shows.
    WebhookEvent.objects.order_by("pk")[0].delete()
    hour = next(h for h in balance.hours(now=timezone.now()) if h.store)
    assert (hour.is_answered, hour.is_kept) == (True, False)
    assert "rows differ" in page(admin)


def test_a_store_that_is_gone_does_not_hold_up_the_others_counts(store: Store) -> None:
    now = timezone.now()
    counters.count(store.pk + 1000, "unauthorized", now=now)
    counters.count(store.pk, "unauthorized", now=now)
    counters.flush()
    hour = next(h for h in balance.hours(now=now) if h.store)
    assert (hour.store, hour.unauthorized) == (str(store), 1)
    assert not counters.flush_due()


def test_a_mismatch_is_reported(shop: Shop, store: Store) -> None:
    old = timezone.now() - timedelta(minutes=5)
    Order.objects.create(store=store, gid="g", legacy_id=1, dirty_seq=1, fetch_after=old)
    Comparison.objects.create(
        store=store,
        since=old,
        finished_at=old,
        missing=1,
        refunds={"EUR": ["5", "4"]},
        markers_twice=1,
    )
    wrong = [line.text for line in balance.lines(now=timezone.now()) if not line.is_ok]
    assert len(wrong) == 4
    admin = logged_in(User.objects.create_superuser("admin"))
    assert page(admin).count("doesn't match") == 4


def test_only_permitted_people_see_the_balance(as_alice: Client) -> None:
    assert as_alice.get("/admin/shopify_sync/webhooktally/").status_code == 403


@pytest.mark.parametrize(("days", "is_ok"), [(2, True), (3, False)])
def test_an_old_comparison_does_not_vouch_for_today(store: Store, days: int, is_ok: bool) -> None:
    now = timezone.now()
    Store.objects.update(connected_at=now - timedelta(days=30))
    row = Comparison.objects.create(store=store, since=now, finished_at=now)
    Comparison.objects.update(started_at=now - timedelta(days=days))
    assert all(line.is_ok for line in balance.lines(now=now)) is is_ok
    # Nor does one that never came, unless the connection is young.
    row.delete()
    assert not all(line.is_ok for line in balance.lines(now=now))
    Store.objects.update(connected_at=now - timedelta(days=days))
    assert all(line.is_ok for line in balance.lines(now=now)) is is_ok


def test_metrics_read_the_tallies_of_past_hours_only_once(db: None) -> None:
    cache.delete(dashboard._PAST)
    now = timezone.now().replace(minute=30)
    hour = now.replace(minute=0, second=0, microsecond=0)

    def stored(at: datetime) -> float:
        metrics = {metric.name: metric for metric in dashboard.metrics(at)}
        samples = metrics["agent_inbox_webhooks_total"].samples
        return next(s.value for s in samples if s.labels == {"answer": "stored"})

    old = WebhookTally.objects.create(hour=hour - timedelta(hours=9), slot=0, stored=3)
    new = WebhookTally.objects.create(hour=hour, slot=0, stored=1)
    assert stored(now) == 4
    WebhookTally.objects.filter(pk=new.pk).update(stored=2)
    WebhookTally.objects.filter(pk=old.pk).update(stored=50)
    assert stored(now) == 5
    # Hours later, the one that was new is past, too, and is added once.
    assert stored(now + timedelta(hours=9)) == stored(now + timedelta(hours=10)) == 5
    cache.delete(dashboard._PAST)
    assert stored(now) == 52
