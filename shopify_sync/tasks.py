"""Celery tasks, the entry points of the workers.

Messages carry only IDs and may arrive twice, late or never: the rows are the truth, and the
sweeps find work whose message was lost.
"""

from __future__ import annotations

from typing import Final

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.utils import timezone

from core import queue
from core.database import leases, sweeps
from orders import tasks as order_tasks
from orders.models import Customer, Store
from shopify_sync.models import Backfill, Comparison, WebhookEvent
from shopify_sync.reading import (
    backlog,
    customers,
    orders,
    search,
)
from shopify_sync.setup import hourly_check
from shopify_sync.sync import (
    backfill,
    nightly_comparison,
    reconcile,
)
from shopify_sync.webhooks import processing

# Well below a task's time limit; the next sweep does the rest.
SWEEP_S: Final = 15.0


@shared_task
def process_webhooks() -> None:
    """Process waiting webhooks and have their orders read."""
    processing.process_waiting()


@shared_task
def fetch_order(order_id: int) -> None:
    """Read one dirty order, if it's due."""
    orders.fetch_order(order_id)


@shared_task
def read_store(store_id: int) -> None:
    """Read a store's dirty orders for one turn."""
    backlog.read_waiting(store_id)


@shared_task
def find_orders(emails: list[str], phones: list[str]) -> None:
    """Search every active store for these people's orders (see ShopifyGateway.wake_search)."""
    search.find_orders(emails=emails, phones=phones)


@shared_task
def reconcile_store(store_id: int) -> None:
    """Take one turn of a store's reconciliation; enqueue the next if the run isn't over."""
    try:
        turn = reconcile.take_turn(store_id)
    finally:
        advance_backfills()
    if turn is not None and not turn.is_over:
        queue.enqueue("shopify_sync.tasks.reconcile_store", store_id)


@shared_task
def compare_store(store_id: int) -> None:
    """Begin a store's nightly comparison and take its first step."""
    advance_comparison(nightly_comparison.begin(Store.objects.get(pk=store_id)).pk)


@shared_task
def advance_comparison(comparison_id: int) -> None:
    """Take one step of a comparison and enqueue the next."""
    wait_s = nightly_comparison.advance(comparison_id)
    if wait_s is not None:
        queue.enqueue("shopify_sync.tasks.advance_comparison", comparison_id, delay_s=wait_s)


@shared_task
def advance_comparisons() -> None:
    """Resume comparisons whose worker died or whose message was lost."""
    due = Comparison.objects.due(now=timezone.now()).filter(store__is_active=True)
    queue.enqueue_each("shopify_sync.tasks.advance_comparison", due.values_list("pk", flat=True))


@shared_task
def watch_store(store_id: int) -> None:
    """Run the hourly check of one store."""
    try:
        hourly_check.watch(Store.objects.get(pk=store_id))
    finally:
        # Even if this store's check failed, back-fills that have begun must go on.
        advance_backfills()


@shared_task
def advance_backfill(backfill_id: int) -> None:
    """Take one step of a back-fill and enqueue the next."""
    wait_s = backfill.advance(backfill_id)
    if wait_s is not None:
        queue.enqueue("shopify_sync.tasks.advance_backfill", backfill_id, delay_s=wait_s)


@shared_task
def sweep_webhooks() -> None:
    """Process webhooks whose message was lost or whose retry is due."""
    if WebhookEvent.objects.due(now=timezone.now()).exists():
        processing.process_waiting()


@shared_task
def sweep_dirty_orders() -> None:
    """Give each store with dirty orders a turn, however many orders another store has."""
    backlog.wake_readers()


@shared_task
def read_customers(store_id: int) -> None:
    """Read a store's dirty customers for one turn."""
    customers.read_waiting(store_id)


@shared_task
def sweep_dirty_customers() -> None:
    """Give each store with dirty customers a turn."""
    due = Customer.objects.due_for_reading(now=timezone.now())
    queue.enqueue_each(
        "shopify_sync.tasks.read_customers", leases.stores_with(Store.objects.active(), due)
    )


@shared_task
def complete_orders() -> None:
    """Mark open orders that back-fills could not read completely, a few per store."""
    sweeps.each(
        Store.objects.active(),
        backlog.complete_some,
        seconds=SWEEP_S,
        stops=(SoftTimeLimitExceeded,),
    )


@shared_task
def advance_backfills() -> None:
    """Resume back-fills whose worker died or whose message was lost."""
    due = Backfill.objects.due(now=timezone.now()).filter(store__is_active=True)
    queue.enqueue_each("shopify_sync.tasks.advance_backfill", due.values_list("pk", flat=True))


@shared_task
def watch_stores() -> None:
    """Enqueue the hourly check of each active store."""
    queue.enqueue_each(
        "shopify_sync.tasks.watch_store", Store.objects.active().values_list("pk", flat=True)
    )


@shared_task
def compare_stores() -> None:
    """Enqueue the nightly comparison of each active store."""
    queue.enqueue_each(
        "shopify_sync.tasks.compare_store", Store.objects.active().values_list("pk", flat=True)
    )


@shared_task
def reconcile_stores() -> None:
    """Enqueue a reconciliation of each active store."""
    queue.enqueue_each(
        "shopify_sync.tasks.reconcile_store", Store.objects.active().values_list("pk", flat=True)
    )


# Messages sent before these two moved to orders.tasks still have these names.
@shared_task
def perform_action(action_id: int) -> None:
    """Do what orders.tasks.perform_action does."""
    order_tasks.perform_action(action_id)


@shared_task
def sweep_actions() -> None:
    """Do what orders.tasks.sweep_actions does."""
    order_tasks.sweep_actions()
