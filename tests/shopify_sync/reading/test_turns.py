"""Long reads of a shop wait, resume where they stopped, and lose nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from orders.models import Order, Store
from shopify_sync import tasks
from shopify_sync.api import client as shopify_client
from shopify_sync.api.errors import (
    OutcomeUnknown,
    Throttled,
    Unreachable,
)
from shopify_sync.models import (
    Backfill,
    BackfillState,
    Comparison,
    ShopConnection,
    SyncCursor,
    WebhookEvent,
)
from shopify_sync.reading import (
    backlog,
)
from shopify_sync.reading import (
    orders as ingest,
)
from shopify_sync.stores import read_window
from shopify_sync.sync import (
    backfill,
    bulk_file,
    nightly_comparison,
    reconcile,
)
from shopify_sync.webhooks import balance
from tests.shopify_sync.asking import ask_refund
from tests.support.shop.in_process import DOMAIN, Shop, fetch_dirty

pytestmark = pytest.mark.django_db(transaction=True)
LONG_AGO = timedelta(days=1)


def held(shop: Shop, seen: Any, count: int) -> list[Order]:
    """So many orders, read and unchanged for a day, here and at the shop."""
    for n in range(count):
        shop.place(email=f"c{n}@example.com")
    seen()
    for placed in shop.store.world.shops[DOMAIN].orders.values():
        placed.updated_at -= LONG_AGO
    for order in Order.objects.all():
        assert order.shop_updated_at is not None
        Order.objects.filter(pk=order.pk).update(shop_updated_at=order.shop_updated_at - LONG_AGO)
    return list(Order.objects.order_by("pk"))


def waits(monkeypatch: pytest.MonkeyPatch, *seconds: float) -> None:
    """The background's budget, call by call; then there is room."""
    told = iter(seconds)
    monkeypatch.setattr(shopify_client.Budget, "background_wait_s", lambda _self: next(told, 0.0))


def lines() -> list[tuple[str, bool]]:
    return [(line.text, line.is_ok) for line in balance.lines(now=timezone.now())]


# The comparison.


@pytest.mark.slow
def test_a_comparison_waits_and_then_looks_at_every_order(
    shop: Shop, seen: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_PAGE", 2)
    held(shop, seen, 5)
    waits(monkeypatch, 0.0, 0.2)
    tasks.compare_store(store.pk)
    row = Comparison.objects.get()
    assert (row.orders_at_shop, row.agrees, row.is_open) == (5, True, False)
    assert row.finished_at is not None


def test_a_long_wait_is_not_sat_out_by_a_worker_and_shows_as_unfinished(
    shop: Shop, seen: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_PAGE", 2)
    orders = held(shop, seen, 5)
    row = nightly_comparison.begin(store)
    waits(monkeypatch, 0.0, 60.0)
    assert nightly_comparison.advance(row.pk) == 60.0
    row.refresh_from_db()
    assert (row.finished_at, row.orders_at_shop, row.tries) == (None, 2, 0)
    assert any("in progress, 2 orders so far" in text for text, _ok in lines())
    # Not due yet: a message that comes twice does nothing.
    assert nightly_comparison.advance(row.pk) is None
    with patch.object(timezone, "now", lambda: datetime.now(UTC) + timedelta(minutes=2)):
        assert nightly_comparison.advance(row.pk) is None
    row.refresh_from_db()
    assert (row.orders_at_shop, row.agrees, row.missing) == (len(orders), True, 0)
    assert row.finished_at is not None


@pytest.mark.slow
def test_a_comparison_in_steps_finds_the_same_as_one_pass(
    shop: Shop, seen: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost, changed and vanished, on pages of one order and a step a page."""
    monkeypatch.setattr(reconcile, "_PAGE", 1)
    orders = held(shop, seen, 6)
    orders[0].delete()
    # Changed since we read it: it stands on a later page than ours says.
    Order.objects.filter(pk=orders[4].pk).update(shop_updated_at=timezone.now() - timedelta(days=9))
    del shop.store.world.shops[DOMAIN].orders[orders[2].legacy_id]
    monkeypatch.setattr(nightly_comparison, "_STEP_S", 0.0)
    row = nightly_comparison.begin(store)
    steps = 0
    while nightly_comparison.advance(row.pk) is not None:
        steps += 1
    row.refresh_from_db()
    assert steps >= 4
    assert (row.missing, row.differing, row.vanished) == (1, 1, 1)
    assert not Order.objects.dirty().filter(pk=orders[1].pk).exists()
    assert Order.objects.dirty().filter(pk=orders[2].pk).exists()


def test_a_comparison_that_fails_says_so_and_is_not_ok(
    shop: Shop, seen: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(shop, seen, 1)
    tasks.compare_store(store.pk)
    assert all(is_ok for _text, is_ok in lines())

    def read(self: Any, *_words: Any) -> Any:
        raise OutcomeUnknown("OrdersCompared: HTTP 500")

    monkeypatch.setattr(shopify_client.AdminClient, "read", read)
    row = nightly_comparison.begin(store)
    assert row.pk == nightly_comparison.begin(store).pk
    for _try in range(nightly_comparison._TRIES):
        Comparison.objects.filter(pk=row.pk).update(next_step_at=timezone.now())
        nightly_comparison.advance(row.pk)
        row.refresh_from_db()
    assert (row.is_open, row.finished_at) == (False, None)
    assert any(
        "did not finish: OrdersCompared: HTTP 500" in text and not ok for text, ok in lines()
    )


def test_a_worker_that_slept_through_its_lease_writes_nothing(store: Store) -> None:
    row = nightly_comparison.begin(store)
    stale = Comparison.objects.get(pk=row.pk)
    Comparison.objects.update(fence=5)
    assert not nightly_comparison._write(stale, orders_at_shop=99)
    # Negative control: with the fence it knows now, the same write goes through.
    stale.refresh_from_db()
    assert nightly_comparison._write(stale, orders_at_shop=99)


# The readable window.


@pytest.fixture
def aged(shop: Shop, seen: Any, store: Store) -> Order:
    """An order that turned 60 days old, in a shop that does not show such to this app."""
    [order] = held(shop, seen, 1)
    shop.store.world.shops[DOMAIN].scopes.remove("read_all_orders")
    [placed] = shop.store.world.shops[DOMAIN].orders.values()
    aged_by = timedelta(days=61)
    placed.created_at -= aged_by
    placed.processed_at = placed.created_at
    document = order.document
    for name in ("created_at", "processed_at"):
        at = getattr(order.snapshot, name)
        if at is not None:
            document = document.replace(_wire(at), _wire(at - aged_by))
    Order.objects.filter(pk=order.pk).update(document=document, placed_at=timezone.now() - aged_by)
    order = Order.objects.get(pk=order.pk)
    assert order.snapshot.created_at < timezone.now() - timedelta(days=60)
    return order


def _wire(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def read_twice() -> None:
    """The second read comes when the first that found nothing is long ago."""
    for _read in range(2):
        fetch_dirty()
        Order.objects.exclude(missing_since=None).update(
            missing_since=timezone.now() - timedelta(hours=2)
        )


def test_the_comparison_leaves_what_is_too_old_to_be_shown(aged: Order, store: Store) -> None:
    row = nightly_comparison.compare(store)
    assert (row.vanished, row.agrees) == (0, True)
    assert not Order.objects.dirty().exists()


def test_an_order_too_old_to_be_shown_is_kept(aged: Order, store: Store) -> None:
    ingest.mark(store, aged.legacy_id, timezone.now())
    read_twice()
    aged.refresh_from_db()
    assert Order.objects.visible().filter(pk=aged.pk).exists()
    assert (aged.missing_since, aged.dirty_seq) == (None, aged.clean_seq)


def test_the_scopes_are_asked_for_and_not_remembered(aged: Order, store: Store) -> None:
    """What we noted of the scopes may be an hour old; Shopify's word of this moment counts."""
    ShopConnection.objects.update(scopes=["read_all_orders"])
    ingest.mark(store, aged.legacy_id, timezone.now())
    read_twice()
    assert Order.objects.visible().filter(pk=aged.pk).exists()
    assert nightly_comparison.compare(store).vanished == 0


@pytest.mark.parametrize("is_old", [True, False])
def test_an_order_that_is_really_gone_is_marked_deleted(
    aged: Order, shop: Shop, store: Store, is_old: bool
) -> None:
    """Negative control: with the scope, or where a young one's deletion was told, it is gone."""
    if is_old:
        shop.store.world.shops[DOMAIN].scopes.append("read_all_orders")
    else:
        WebhookEvent.objects.create(
            store=store, webhook_id="d", topic="orders/delete", body=b"{}", order_id=aged.pk
        )
        young = aged.document
        for name in ("created_at", "processed_at"):
            if (at := getattr(aged.snapshot, name)) is not None:
                young = young.replace(_wire(at), _wire(timezone.now()))
        Order.objects.update(document=young, placed_at=timezone.now())
    shop.store.world.shops[DOMAIN].orders.clear()
    assert nightly_comparison.compare(store).vanished == is_old
    ingest.mark(store, aged.legacy_id, timezone.now())
    read_twice()
    assert not Order.objects.visible().filter(pk=aged.pk).exists()


def test_without_the_scope_a_missing_order_proves_nothing(
    shop: Shop, seen: Any, store: Store
) -> None:
    """Whatever we believe of its age."""
    [order] = held(shop, seen, 1)
    shop.store.world.shops[DOMAIN].scopes.remove("read_all_orders")
    shop.store.world.shops[DOMAIN].orders.clear()
    assert nightly_comparison.compare(store).agrees
    ingest.mark(store, order.legacy_id, timezone.now())
    read_twice()
    assert Order.objects.visible().filter(pk=order.pk).exists()


def test_an_order_with_an_action_in_progress_is_not_marked_deleted(
    shop: Shop, seen: Any, store: Store, alice: User, deaf: None
) -> None:
    [order] = held(shop, seen, 1)
    action = ask_refund(order, "1.00", alice)
    del shop.store.world.shops[DOMAIN].orders[order.legacy_id]
    ingest.mark(store, order.legacy_id, timezone.now())
    read_twice()
    order.refresh_from_db()
    assert order.deleted_at is None
    assert order.missing_since is not None
    from orders import services

    services.withdraw(action_id=action.pk, by=alice, now=timezone.now())
    read_twice()
    order.refresh_from_db()
    assert order.deleted_at is not None


def test_the_readable_window_keeps_a_safety_margin() -> None:
    now = timezone.now()
    assert now - read_window.RECENT < read_window.certainly_readable_since(now) < now


# Reconciliation.


@pytest.fixture
def reconciled(shop: Shop, seen: Any, store: Store) -> SyncCursor:
    """Everything up to yesterday has been looked at."""
    held(shop, seen, 1)
    SyncCursor.objects.update_or_create(
        store=store, defaults={"updated_through": timezone.now() - LONG_AGO}
    )
    return SyncCursor.objects.get()


def test_the_cursor_is_the_shops_newest_change(
    reconciled: SyncCursor, shop: Shop, store: Store
) -> None:
    placed = shop.place(email="new@example.com")
    shop.held.clear()
    assert reconcile.reconcile(store.pk) == 1
    reconciled.refresh_from_db()
    assert reconciled.updated_through == placed.updated_at.replace(microsecond=0)


def test_a_clock_that_ran_ahead_hides_no_change(
    reconciled: SyncCursor, shop: Shop, store: Store
) -> None:
    with patch.object(timezone, "now", lambda: datetime.now(UTC) + timedelta(hours=3)):
        assert reconcile.reconcile(store.pk) == 0
    shop.place(email="new@example.com")
    shop.held.clear()
    assert reconcile.reconcile(store.pk) == 1


def test_a_cursor_in_the_future_is_not_believed(
    reconciled: SyncCursor, shop: Shop, store: Store
) -> None:
    SyncCursor.objects.update(updated_through=timezone.now() + timedelta(hours=3))
    shop.place(email="new@example.com")
    shop.held.clear()
    assert reconcile.reconcile(store.pk) == 1


def test_a_lease_in_the_far_future_is_not_believed(
    reconciled: SyncCursor, shop: Shop, store: Store
) -> None:
    ahead = timezone.now() + timedelta(hours=5)
    SyncCursor.objects.update(lease_until=ahead, reader_lease_until=ahead)
    shop.place(email="new@example.com")
    shop.held.clear()
    assert reconcile.reconcile(store.pk) == 1
    Order.objects.dirty().update(fetch_after=None, fetch_lease_until=ahead)
    assert backlog.read_waiting(store.pk) == 1
    # Negative control: one that a right clock can have written is respected.
    SyncCursor.objects.update(lease_until=timezone.now() + timedelta(minutes=1))
    assert reconcile.reconcile(store.pk) is None


def test_an_interrupted_run_resumes_where_it_stopped(
    reconciled: SyncCursor, shop: Shop, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_PAGE", 2)
    for n in range(6):
        shop.place(email=f"n{n}@example.com")
    shop.held.clear()
    before = reconciled.updated_through
    real, calls = reconcile.page_of, []

    def page(client: Any, document: str, **more: Any) -> Any:
        calls.append(more["after"])
        if len(calls) == 2:
            raise Throttled("wait", retry_after_s=1)
        return real(client, document, **more)

    monkeypatch.setattr(reconcile, "page_of", page)
    assert reconcile.reconcile(store.pk) is None
    reconciled.refresh_from_db()
    assert (reconciled.updated_through, reconciled.lease_until) == (before, None)
    assert calls[1] == reconciled.progress["after"]
    reconcile.reconcile(store.pk)
    assert calls[2] == calls[1]
    assert Order.objects.dirty().count() == 6
    reconciled.refresh_from_db()
    assert reconciled.progress == {}


def test_a_run_ends_its_turn_before_a_task_has_to_end(
    reconciled: SyncCursor, shop: Shop, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_PAGE", 1)
    for n in range(3):
        shop.place(email=f"n{n}@example.com")
    shop.held.clear()
    monkeypatch.setattr(reconcile, "_TURN_S", 0.0)
    rounds, is_over = 0, False
    while not is_over:
        turn = reconcile.take_turn(store.pk)
        assert turn is not None
        is_over = turn.is_over
        rounds += 1
    assert rounds > 2
    assert Order.objects.dirty().count() == 3


def test_a_run_that_lost_its_lease_leaves_the_others_alone(
    reconciled: SyncCursor, shop: Shop, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_PAGE", 1)
    shop.place(email="n@example.com")
    shop.held.clear()
    others = timezone.now() + timedelta(minutes=1)
    real = reconcile.page_of

    def page(client: Any, document: str, **more: Any) -> Any:
        SyncCursor.objects.update(lease_until=others)
        return real(client, document, **more)

    monkeypatch.setattr(reconcile, "page_of", page)
    reconcile.take_turn(store.pk)
    reconciled.refresh_from_db()
    assert reconciled.lease_until == others


# Back-fills.


def test_beginning_a_backfill_does_not_move_the_cursor_and_its_failure_loses_nothing(
    reconciled: SyncCursor, shop: Shop, store: Store
) -> None:
    before = reconciled.updated_through
    missed = shop.place(email="missed@example.com")
    shop.held.clear()
    row = backfill.begin(store)
    for _try in range(10):
        with patch.object(backfill, "_step", side_effect=Unreachable("no")):
            Backfill.objects.update(next_step_at=timezone.now())
            backfill.advance(row.pk)
    row.refresh_from_db()
    assert row.state == BackfillState.FAILED
    reconciled.refresh_from_db()
    assert reconciled.updated_through == before
    assert reconcile.reconcile(store.pk) == 1
    assert Order.objects.filter(gid=missed.id).exists()


def test_a_first_backfill_that_failed_is_begun_again_after_a_while(
    shop: Shop, store: Store
) -> None:
    row = backfill.begin(store)
    now = timezone.now()
    Backfill.objects.update(state=BackfillState.FAILED, finished_at=now)
    assert reconcile.reconcile(store.pk) == 0
    assert not Backfill.objects.open().exists()
    Backfill.objects.update(finished_at=now - timedelta(hours=2))
    reconcile.reconcile(store.pk)
    assert Backfill.objects.open().exclude(pk=row.pk).count() == 1


def test_what_changes_while_a_first_backfill_runs_is_found_after_it(
    shop: Shop, store: Store
) -> None:
    shop.place()
    shop.held.clear()
    reconcile.reconcile(store.pk)
    row = Backfill.objects.get()
    _until(row, BackfillState.IMPORTING)
    late = shop.place(email="late@example.com")
    shop.held.clear()
    _until(row, BackfillState.DONE)
    assert not Order.objects.filter(gid=late.id).exists()
    reconcile.reconcile(store.pk)
    assert Order.objects.filter(gid=late.id).exists()


def _until(row: Backfill, state: BackfillState) -> None:
    for _step in range(400):
        row.refresh_from_db()
        if row.state == state:
            return
        Backfill.objects.filter(pk=row.pk).update(next_step_at=timezone.now())
        backfill.advance(row.pk)
    raise AssertionError(row.state, row.error)


def test_hiccups_do_not_end_a_backfill_that_makes_progress(
    shop: Shop, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(8):
        shop.place(email=f"c{n}@example.com")
    shop.held.clear()
    monkeypatch.setattr(backfill, "_BATCH", 1)
    row = backfill.begin(store)
    _until(row, BackfillState.IMPORTING)
    real = bulk_file.orders_in

    def breaks_after_one(url: str, *, start: int) -> Any:
        for number, found in enumerate(real(url, start=start)):
            if number == 1:
                raise Unreachable("the download of the result file broke off")
            yield found

    monkeypatch.setattr(bulk_file, "orders_in", breaks_after_one)
    _until(row, BackfillState.DONE)
    assert (row.orders_done, Order.objects.count()) == (8, 8)


@pytest.mark.slow
def test_a_backfill_that_never_gets_further_ends(
    shop: Shop, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the test above: the same piece again and again is no progress."""
    for n in range(3):
        shop.place(email=f"c{n}@example.com")
    shop.held.clear()
    monkeypatch.setattr(backfill, "_BATCH", 1)
    real = bulk_file.orders_in

    def gone_after_one(url: str, *, start: int) -> Any:
        yield next(iter(real(url, start=start)))
        raise bulk_file.FileGone("HTTP 404")

    monkeypatch.setattr(bulk_file, "orders_in", gone_after_one)
    row = backfill.begin(store)
    _until(row, BackfillState.FAILED)
    assert row.tries == backfill._TRIES


def test_a_clock_that_ran_ahead_does_not_put_the_first_cursor_ahead(
    shop: Shop, store: Store
) -> None:
    placed = shop.place()
    shop.held.clear()
    row = backfill.begin(store)
    Backfill.objects.update(started_at=timezone.now() + timedelta(hours=3))
    _until(row, BackfillState.DONE)
    through = SyncCursor.objects.get().updated_through
    assert through is not None
    assert through <= placed.updated_at + timedelta(seconds=1)


def test_a_backfill_put_off_by_a_clock_that_ran_ahead_is_due(store: Store) -> None:
    backfill.begin(store)
    Backfill.objects.update(next_step_at=timezone.now() + timedelta(hours=5))
    assert Backfill.objects.due(now=timezone.now()).count() == 1
    Backfill.objects.update(next_step_at=timezone.now() + timedelta(minutes=5))
    assert Backfill.objects.due(now=timezone.now()).count() == 0


def test_a_reader_that_lost_its_lease_stops_and_leaves_the_other_alone(
    shop: Shop, seen: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = held(shop, seen, 3)
    Order.objects.update(dirty_seq=99, fetch_after=None)
    others = timezone.now() + timedelta(minutes=1)
    real = ingest.fetch_order

    def fetch(order_id: int, **more: Any) -> bool:
        SyncCursor.objects.update(reader_lease_until=others)
        return real(order_id, **more)

    monkeypatch.setattr(ingest, "fetch_order", fetch)
    SyncCursor.objects.update(reader_lease_until=None)
    assert backlog.read_waiting(store.pk) == 1 < len(orders)
    assert SyncCursor.objects.get().reader_lease_until == others


def test_the_shops_page_shows_what_is_unfinished(store: Store, client: Client) -> None:
    nightly_comparison.begin(store)
    boss = User.objects.create_superuser("boss")
    client.force_login(boss)
    assert client.get("/admin/shopify_sync/comparison/").status_code == 200
