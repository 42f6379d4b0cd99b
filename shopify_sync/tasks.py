"""Celery's doors. Messages carry ids and may come twice, late or never: rows are the truth."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db.models import F
from django.utils import timezone

from core import leases, queue, sweeps
from core.failpoints import failpoint
from orders.models import (
    ActionState,
    Customer,
    Order,
    OrderAction,
    Store,
)
from shopify_sync.actions import perform
from shopify_sync.models import Backfill, Comparison, WebhookEvent
from shopify_sync.reading import (
    backlog as reading,
)
from shopify_sync.reading import (
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

logger = logging.getLogger(__name__)

SWEEP_ROWS: Final = 100
# Well below the time limit of a task: what is left is the next sweep's.
SWEEP_S: Final = 15.0
WORK_OFF_S: Final = 10.0
FEW: Final = 10


@shared_task
def perform_action(action_id: int) -> None:
    perform.perform(action_id)


@shared_task
def process_webhooks() -> None:
    """Everything that waits, a batch at a time, for as long as a task may take."""
    until = time.monotonic() + WORK_OFF_S
    while True:
        done = processing.work_off()
        # If this message is lost, the hourly watch comes all the same.
        queue.enqueue_each("shopify_sync.tasks.watch_store", done.stores_to_watch)
        if len(done.order_ids) == 1:
            fetch_order(done.order_ids[0])
        elif len(done.order_ids) <= FEW:
            queue.enqueue_each("shopify_sync.tasks.fetch_order", done.order_ids)
        else:
            # A flood of one store must not fill the queue: its reader takes them in turn.
            sweep_dirty_orders()
        if done.taken < processing.BATCH:
            return
        if time.monotonic() > until:
            queue.enqueue("shopify_sync.tasks.process_webhooks")
            return


@shared_task
def fetch_order(order_id: int) -> None:
    orders.fetch_order(order_id)


@shared_task
def read_store(store_id: int) -> None:
    reading.read_waiting(store_id)


@shared_task
def find_orders(emails: list[str], phones: list[str]) -> None:
    search.find_orders(emails=emails, phones=phones)


@shared_task
def reconcile_store(store_id: int) -> None:
    try:
        turn = reconcile.take_turn(store_id)
    finally:
        advance_backfills()
    if turn is not None and not turn.is_over:
        queue.enqueue("shopify_sync.tasks.reconcile_store", store_id)


@shared_task
def compare_store(store_id: int) -> None:
    advance_comparison(nightly_comparison.begin(Store.objects.get(pk=store_id)).pk)


@shared_task
def advance_comparison(comparison_id: int) -> None:
    wait_s = nightly_comparison.advance(comparison_id)
    if wait_s is not None:
        queue.enqueue("shopify_sync.tasks.advance_comparison", comparison_id, delay_s=wait_s)


@shared_task
def advance_comparisons() -> None:
    due = Comparison.objects.due(now=timezone.now()).filter(store__is_active=True)
    queue.enqueue_each("shopify_sync.tasks.advance_comparison", due.values_list("pk", flat=True))


@shared_task
def watch_store(store_id: int) -> None:
    try:
        hourly_check.watch(Store.objects.get(pk=store_id))
    finally:
        # Whatever this store's watch came to, begun back-fills go on.
        advance_backfills()


@shared_task
def advance_backfill(backfill_id: int) -> None:
    wait_s = backfill.advance(backfill_id)
    if wait_s is not None:
        queue.enqueue("shopify_sync.tasks.advance_backfill", backfill_id, delay_s=wait_s)


@shared_task
def sweep_actions() -> None:
    """Whatever a dead worker or a lost message left behind."""
    now = timezone.now()
    # What was never tried comes first: a click whose wake-up was lost waits for nothing else.
    due = OrderAction.objects.due(now=now).order_by(
        F("next_attempt_at").asc(nulls_first=True), "pk"
    )
    _each(due.values_list("pk", flat=True)[:SWEEP_ROWS], _perform_swept, put_off=_put_off_action)


def _perform_swept(action_id: int) -> None:
    failpoint("swept")
    perform.perform(action_id)


def _put_off_action(action_id: int) -> None:
    """Have an action rest whose work ended in an error of ours, wherever it was left.

    Compared and set: what a worker or an agent did to it meanwhile stays as it is. One that was
    left while it was being sent rests by its lease, after which its crash is counted.
    """
    now = timezone.now()
    again_at = now + sweeps.AGAIN_AFTER
    left = OrderAction.objects.due(now=now).filter(pk=action_id)
    left.filter(state=ActionState.SENDING).update(lease_until=again_at)
    left.exclude(state=ActionState.SENDING).update(next_attempt_at=again_at)


@shared_task
def sweep_webhooks() -> None:
    if WebhookEvent.objects.due(now=timezone.now()).exists():
        process_webhooks()


@shared_task
def sweep_dirty_orders() -> None:
    """A turn for every store that has something to read, however much another has."""
    due = Order.objects.due_for_reading(now=timezone.now())
    queue.enqueue_each(
        "shopify_sync.tasks.read_store", leases.stores_with(Store.objects.active(), due)
    )


@shared_task
def read_customers(store_id: int) -> None:
    customers.read_waiting(store_id)


@shared_task
def sweep_dirty_customers() -> None:
    due = Customer.objects.due_for_reading(now=timezone.now())
    queue.enqueue_each(
        "shopify_sync.tasks.read_customers", leases.stores_with(Store.objects.active(), due)
    )


@shared_task
def complete_orders() -> None:
    """The open orders that back-fills could not carry completely, a few at a time."""
    _each(Store.objects.active(), reading.complete_some)


@shared_task
def advance_backfills() -> None:
    due = Backfill.objects.due(now=timezone.now()).filter(store__is_active=True)
    queue.enqueue_each("shopify_sync.tasks.advance_backfill", due.values_list("pk", flat=True))


@shared_task
def watch_stores() -> None:
    queue.enqueue_each(
        "shopify_sync.tasks.watch_store", Store.objects.active().values_list("pk", flat=True)
    )


@shared_task
def compare_stores() -> None:
    queue.enqueue_each(
        "shopify_sync.tasks.compare_store", Store.objects.active().values_list("pk", flat=True)
    )


@shared_task
def reconcile_stores() -> None:
    queue.enqueue_each(
        "shopify_sync.tasks.reconcile_store", Store.objects.active().values_list("pk", flat=True)
    )


def _each(
    keys: Iterable[Any],
    work: Callable[[Any], object],
    *,
    put_off: Callable[[Any], object] | None = None,
) -> None:
    sweeps.each(list(keys), work, put_off=put_off, seconds=SWEEP_S, stops=(SoftTimeLimitExceeded,))
