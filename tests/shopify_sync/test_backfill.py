"""Imports read every order once, in pieces; and other ways of keeping our copy current."""

from __future__ import annotations

import time
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone

from orders.models import Order, OrderLine, Store
from orders.privacy import retention
from practice_store.changes import staff_actions
from shopify_sync import tasks
from shopify_sync.api.errors import Throttled
from shopify_sync.models import Backfill, BackfillState, Drift, ShopConnection, SyncCursor
from shopify_sync.reading import (
    backlog,
    search,
)
from shopify_sync.reading import (
    orders as ingest,
)
from shopify_sync.setup import connect
from shopify_sync.sync import (
    backfill,
    nightly_comparison,
    reconcile,
)
from tests.support.shop.in_process import DOMAIN, SECOND, Shop, fetch_dirty

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(BaseException):
    """What no handler of errors sees, as a killed worker sees none."""


def finish(row: Backfill, *, rounds: int = 400) -> Backfill:
    for _ in range(rounds):
        Backfill.objects.filter(pk=row.pk).update(next_step_at=timezone.now())
        backfill.advance(row.pk)
        row.refresh_from_db()
        if not row.is_open:
            return row
        time.sleep(0.01)
    raise AssertionError((row.state, row.error))


def until_importing(row: Backfill) -> None:
    for _ in range(400):
        row.refresh_from_db()
        if row.state == BackfillState.IMPORTING:
            return
        Backfill.objects.filter(pk=row.pk).update(next_step_at=timezone.now())
        backfill.advance(row.pk)
        time.sleep(0.01)


def place(shop: Shop, count: int) -> list[Any]:
    placed = [shop.place() for _ in range(count)]
    shop.held.clear()
    return placed


def test_a_second_back_fill_does_not_bring_back_what_age_has_masked(
    shop: Shop, store: Store
) -> None:
    place(shop, 1)
    finish(backfill.begin(store))
    assert Order.objects.get().email == "jane@example.com"
    assert retention.apply(now=timezone.now() + timedelta(days=100))["orders"] == 1
    finish(backfill.begin(store))
    order = Order.objects.get()
    assert (order.email, order.masked_at is None, order.is_partial) == ("", False, True)
    # Negative control: something happened to it.
    Order.objects.update(shop_updated_at=F("shop_updated_at") - timedelta(days=1))
    finish(backfill.begin(store))
    assert Order.objects.get().email == "jane@example.com"


def test_a_back_fill_brings_every_order_and_says_what_it_lacks(shop: Shop, store: Store) -> None:
    placed = place(shop, 7)
    row = finish(backfill.begin(store))
    assert (row.state, row.orders_done, row.percent) == (BackfillState.DONE, 7, 100)
    orders = Order.objects.visible().filter(store=store)
    assert {o.name for o in orders} == {o.name for o in placed}
    assert all(o.is_partial and o.received == 40 and o.events.count() for o in orders)
    assert OrderLine.objects.count() == 7
    # Read completely, it is what a single read would have made of it.
    backlog.complete_some(store)
    fetch_dirty()
    assert not orders.filter(is_partial=True).exists()
    assert nightly_comparison.compare(store).agrees


def test_it_goes_on_where_it_died(shop: Shop, store: Store) -> None:
    place(shop, 7)
    row = backfill.begin(store)
    until_importing(row)
    with patch.object(backfill, "_BATCH", 2):
        stored = []

        def die(*args: Any, **kwargs: Any) -> None:
            stored.append(1)
            if len(stored) == 3:
                raise Killed
            original(*args, **kwargs)

        original = backfill._store
        Backfill.objects.filter(pk=row.pk).update(next_step_at=timezone.now())
        with patch.object(backfill, "_store", die), pytest.raises(Killed):
            backfill.advance(row.pk)
        row.refresh_from_db()
        assert (row.orders_done, Order.objects.count()) == (4, 4)
        row = finish(row)
    assert (row.orders_done, Order.objects.count(), OrderLine.objects.count()) == (7, 7, 7)


def test_a_file_that_breaks_off_is_read_on_from_there(shop: Shop, store: Store) -> None:
    place(shop, 9)
    row = backfill.begin(store)
    until_importing(row)
    shop.store.faults.set([{"operation": "bulk_file", "phase": "truncate", "times": 1}])
    with patch.object(backfill, "_BATCH", 2):
        row = finish(row)
    assert row.tries == 0  # it got on after it
    assert (row.orders_done, Order.objects.count()) == (9, 9)


@pytest.mark.slow
def test_a_failed_operation_is_asked_for_again_and_given_up_with_its_reason(
    shop: Shop, store: Store
) -> None:
    place(shop, 2)
    shop.store.faults.set([{"operation": "bulk", "phase": "bulk_fail", "times": 1}])
    assert finish(backfill.begin(store)).state == BackfillState.DONE
    shop.store.faults.set([{"operation": "bulk", "phase": "bulk_fail"}])
    row = finish(backfill.begin(store))
    assert row.state == BackfillState.DONE
    assert "INTERNAL_SERVER_ERROR" in row.error
    assert "page by page" in row.error


@pytest.mark.slow
@pytest.mark.parametrize("is_reconciled_before", [False, True])
def test_where_shopify_refuses_bulk_operations_the_orders_are_read_in_pages(
    shop: Shop, store: Store, monkeypatch: pytest.MonkeyPatch, is_reconciled_before: bool
) -> None:
    placed = place(shop, 7)
    if is_reconciled_before:
        SyncCursor.objects.create(
            store=store, updated_through=timezone.now(), lease_until=timezone.now()
        )
    monkeypatch.setattr(reconcile, "_PAGE", 3)
    shop.conditions(refuses_bulk="Bulk operations are not available for this shop.")
    row = finish(backfill.begin(store), rounds=2)
    assert row.state == BackfillState.DONE
    assert "not available for this shop" in row.error
    assert reconcile.reconcile(store.pk) == 7
    fetch_dirty()
    orders = Order.objects.visible().filter(store=store, is_partial=False)
    assert {order.name for order in orders} == {order.name for order in placed}
    assert nightly_comparison.compare(store).agrees
    assert reconcile.reconcile(store.pk) == 0, "once is enough"


def test_a_worker_that_slept_through_its_lease_writes_nothing(shop: Shop, store: Store) -> None:
    place(shop, 4)
    row = backfill.begin(store)
    until_importing(row)
    stale = Backfill.objects.get(pk=row.pk)
    finish(row)
    with pytest.raises(backfill.Overtaken):
        backfill._store(stale, [], [], 1)
    # Negative control: with the fence it knows now, the same write goes through.
    stale.refresh_from_db()
    backfill._store(stale, [], [], stale.bytes_done)


def test_a_complete_read_is_not_overwritten_by_the_file(shop: Shop, store: Store) -> None:
    placed = shop.place()
    row = backfill.begin(store)
    until_importing(row)
    shop.act(lambda context: staff_actions.ship(context, placed))
    shop.deliver(Client())
    fetch_dirty()
    before = Order.objects.get()
    assert before.snapshot.fulfillments
    finish(row)
    after = Order.objects.get()
    assert (after.document, after.is_partial) == (before.document, False)


def test_a_customers_orders_are_found_before_the_file_is_ready(shop: Shop, store: Store) -> None:
    place(shop, 3)
    shop.place(email="other@example.com")
    assert search.find_orders(emails=["jane@example.com"], phones=[]) == 3
    assert search.find_orders(emails=["jane@example.com"], phones=[]) == 0
    # What could mean something else in Shopify's search is not sent.
    assert search.find_orders(emails=["' OR email:*"], phones=[]) == 0
    assert Order.objects.visible().count() == 3


def test_reconciling_begins_with_a_back_fill_and_then_finds_changes_without_a_webhook(
    shop: Shop, store: Store
) -> None:
    placed = place(shop, 2)
    assert reconcile.reconcile(store.pk) == 0
    finish(Backfill.objects.get())
    assert reconcile.reconcile(store.pk) == 0
    Store.objects.filter(pk=store.pk).update(connected_at=timezone.now() - timedelta(hours=1))
    shop.store.advance(300)
    shop.act(lambda context: staff_actions.ship(context, placed[0]))
    shop.held.clear()
    with patch(
        "shopify_sync.sync.reconcile.timezone.now",
        lambda: shop.store.world.now() + timedelta(minutes=5),
    ):
        assert reconcile.reconcile(store.pk) == 1
    assert Drift.objects.get().order_gid == placed[0].id
    assert SyncCursor.objects.get().drift_found == 1
    fetch_dirty()
    with patch(
        "shopify_sync.sync.reconcile.timezone.now",
        lambda: shop.store.world.now() + timedelta(minutes=5),
    ):
        assert reconcile.reconcile(store.pk) == 0


@pytest.mark.slow
def test_the_nightly_comparison_finds_lost_changed_and_vanished_orders(
    shop: Shop, store: Store
) -> None:
    placed = place(shop, 4)
    finish(backfill.begin(store))
    with patch.object(nightly_comparison, "_SETTLED", timedelta(seconds=-10)):
        assert nightly_comparison.compare(store).agrees
        Order.objects.filter(gid=placed[0].id).delete()
        Order.objects.filter(gid=placed[1].id).update(refunded=5)
        Order.objects.filter(gid=placed[2].id).update(
            shop_updated_at=timezone.now() - timedelta(days=1)
        )
        del shop.store.world.shops["demo.myshopify.com"].orders[placed[3].number_id]
        row = nightly_comparison.compare(store)
        found = (row.missing, row.differing, row.vanished, row.refunds, row.agrees)
        assert found == (1, 1, 1, {"EUR": ["0", "5"]}, False)
    assert Order.objects.dirty().count() == 3


def test_a_store_with_much_to_read_does_not_starve_another(shop: Shop, store: Store) -> None:
    second = connect.connect(
        domain=SECOND, token="shpat_practice_second", secret="shpss_practice_second"
    ).store
    for number in range(150):
        ingest.mark(store, number + 1, timezone.now() - timedelta(hours=1))
    own = shop.place(domain=SECOND)
    ingest.mark(second, own.number_id, timezone.now())
    with patch.object(backlog, "_TURN_S", 0.5):
        tasks.sweep_dirty_orders()
    assert Order.objects.get(store=second).document
    # Negative control: by age alone, the second store's order is beyond the first hundred.
    due = Order.objects.due_for_reading(now=timezone.now() + timedelta(hours=2))
    oldest = Order.objects.filter(store=store).order_by("fetch_after")[:100]
    assert second.pk not in {o.store_id for o in oldest}
    assert due.filter(store=store).count() > 100


def test_background_reads_leave_half_of_the_budget_to_the_agents(shop: Shop, store: Store) -> None:
    from shopify_sync.api import client as shopify_client

    shop.place()
    shop.deliver(Client())
    order = Order.objects.get()
    budget = shopify_client._budgets[store.domain]
    budget.available, budget.restore_rate, budget.seen_at = 10.0, 1.0, time.monotonic()
    with pytest.raises(Throttled):
        ingest.refresh(order, is_background=True)
    assert ingest.refresh(order)


def test_a_lost_subscription_is_made_again(shop: Shop, store: Store) -> None:
    from shopify_sync.setup.hourly_check import watch

    watch(store)
    state = shop.store.world.shops["demo.myshopify.com"]
    many = len(state.subscriptions)
    for number in list(state.subscriptions)[:3]:
        del state.subscriptions[number]
    watch(store)
    assert len(state.subscriptions) == many


def test_read_all_orders_granted_later_is_noticed(shop: Shop, store: Store) -> None:
    place(shop, 1)
    finish(backfill.begin(store))
    assert not backfill.wants_more(store)
    ShopConnection.objects.update(scopes=["read_all_orders"])
    assert backfill.wants_more(store)


def test_a_store_that_cannot_be_asked_tells_its_administrator(shop: Shop, store: Store) -> None:
    ShopConnection.objects.update(access_token="revoked")
    row = finish(backfill.begin(store))
    assert row.state == BackfillState.FAILED
    assert "no longer valid" in row.error
    assert "no longer valid" in ShopConnection.objects.get().last_error


@pytest.mark.parametrize("may_see", [True, False])
def test_a_back_fill_asks_for_disputes_where_the_app_may_see_them(
    shop: Shop, store: Store, may_see: bool
) -> None:
    """One refused field would end the whole operation."""
    [placed] = place(shop, 1)
    placed.dispute = "LOST"
    scopes = shop.store.world.shops[DOMAIN].scopes
    if not may_see:
        scopes.remove("read_shopify_payments_disputes")
    ShopConnection.objects.update(scopes=list(scopes))
    assert finish(backfill.begin(store)).state == BackfillState.DONE
    found = Order.objects.get().snapshot
    assert [d.status for d in found.disputes] == (["LOST"] if may_see else [])
    assert found.unread == ()


def test_a_back_fill_of_a_list_that_was_cut_is_incomplete(
    shop: Shop, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its plain lists have no `first`: what else Shopify says of them tells that they were cut."""
    [placed] = place(shop, 1)
    for _ in range(3):
        shop.act(lambda c: staff_actions.refund(c, placed, Decimal("1.00"), "staff"))
    shop.held.clear()
    monkeypatch.setattr("practice_store.graphql.resolvers.objects.fields.MAX_PAGE", 2)
    finish(backfill.begin(store))
    order = Order.objects.get()
    assert (order.is_incomplete, order.snapshot.unread) == (True, ("refunds",))
