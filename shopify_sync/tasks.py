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
from kombu.exceptions import OperationalError

from orders import audit, privacy, retention, services, sweeping
from orders.failpoints import failpoint
from orders.models import ActionState, Customer, Order, OrderAction, Store, leases
from shopify_sync import (
    actions,
    backfill,
    backlog,
    compare,
    customers,
    ingest,
    lookup,
    reading,
    reconcile,
    watch,
)
from shopify_sync.models import Backfill, Comparison, WebhookEvent

logger = logging.getLogger(__name__)

SWEEP_ROWS: Final = 100
# Well below the time limit of a task: what is left is the next sweep's.
SWEEP_S: Final = 15.0
# How long a message may wait in the broker for its time, and then for a worker.
LONGEST_COUNTDOWN_S: Final = 300.0
RINGS_FOR_S: Final = 15 * 60.0
WORK_OFF_S: Final = 10.0
FEW: Final = 10
# Well below the time limit of a task; the rest is done by the next one.
PRIVACY_SLICE_S: Final = 15.0


@shared_task
def perform_action(action_id: int) -> None:
    actions.perform(action_id)


@shared_task
def process_webhooks() -> None:
    """Everything that waits, a batch at a time, for as long as a task may take."""
    until = time.monotonic() + WORK_OFF_S
    while True:
        done = backlog.work_off()
        # If this message is lost, the hourly watch comes all the same.
        ring(watch_store, done.stores_to_watch)
        if len(done.order_ids) == 1:
            fetch_order(done.order_ids[0])
        elif len(done.order_ids) <= FEW:
            ring(fetch_order, done.order_ids)
        else:
            # A flood of one store must not fill the queue: its reader takes them in turn.
            sweep_dirty_orders()
        if done.taken < backlog.BATCH:
            return
        if time.monotonic() > until:
            ring_for_webhooks()
            return


@shared_task
def fetch_order(order_id: int) -> None:
    ingest.fetch_order(order_id)


@shared_task
def read_store(store_id: int) -> None:
    reading.read_waiting(store_id)


@shared_task
def find_orders(emails: list[str], phones: list[str]) -> None:
    lookup.find_orders(emails=emails, phones=phones)


@shared_task
def reconcile_store(store_id: int) -> None:
    try:
        turn = reconcile.take_turn(store_id)
    finally:
        advance_backfills()
    if turn is not None and not turn.is_over:
        ring(reconcile_store, [store_id])


@shared_task
def compare_store(store_id: int) -> None:
    advance_comparison(compare.begin(Store.objects.get(pk=store_id)).pk)


@shared_task
def advance_comparison(comparison_id: int) -> None:
    wait_s = compare.advance(comparison_id)
    if wait_s is not None:
        ring(advance_comparison, [comparison_id], after_s=wait_s)


@shared_task
def advance_comparisons() -> None:
    due = Comparison.objects.due(now=timezone.now()).filter(store__is_active=True)
    ring(advance_comparison, due.values_list("pk", flat=True))


@shared_task
def watch_store(store_id: int) -> None:
    try:
        watch.watch(Store.objects.get(pk=store_id))
    finally:
        # Whatever this store's watch came to, begun back-fills go on.
        advance_backfills()


@shared_task
def advance_backfill(backfill_id: int) -> None:
    wait_s = backfill.advance(backfill_id)
    if wait_s is not None:
        ring(advance_backfill, [backfill_id], after_s=wait_s)


@shared_task
def sweep_actions() -> None:
    """Whatever a dead worker or a lost message left behind."""
    now = timezone.now()
    _each([now], lambda at: services.expire_approvals(now=at))
    _each([now], lambda at: services.end_overdue(now=at))
    _each([now], lambda at: services.hand_over_uninstalled(now=at))
    # What was never tried comes first: a click whose wake-up was lost waits for nothing else.
    due = OrderAction.objects.due(now=now).order_by(
        F("next_attempt_at").asc(nulls_first=True), "pk"
    )
    _each(due.values_list("pk", flat=True)[:SWEEP_ROWS], _perform_swept, put_off=_put_off_action)


def _perform_swept(action_id: int) -> None:
    failpoint("swept")
    actions.perform(action_id)


def _put_off_action(action_id: int) -> None:
    """Have an action rest whose work ended in an error of ours, wherever it was left.

    Compared and set: what a worker or an agent did to it meanwhile stays as it is. One that was
    left while it was being sent rests by its lease, after which its crash is counted.
    """
    now = timezone.now()
    again_at = now + sweeping.AGAIN_AFTER
    left = OrderAction.objects.due(now=now).filter(pk=action_id)
    left.filter(state=ActionState.SENDING).update(lease_until=again_at)
    left.exclude(state=ActionState.SENDING).update(next_attempt_at=again_at)


@shared_task
def seal_audit() -> None:
    """Chain the audit entries since the last time."""
    until = time.monotonic() + SWEEP_S
    while audit.seal() and time.monotonic() < until:
        pass


@shared_task
def seal_whole_audit() -> None:
    """Once a day: what became visible so late that the minute's look missed it."""
    until = time.monotonic() + SWEEP_S
    while audit.seal(whole=True) and time.monotonic() < until:
        pass


@shared_task
def sweep_webhooks() -> None:
    if WebhookEvent.objects.due(now=timezone.now()).exists():
        process_webhooks()


@shared_task
def sweep_dirty_orders() -> None:
    """A turn for every store that has something to read, however much another has."""
    due = Order.objects.due_for_reading(now=timezone.now())
    ring(read_store, leases.stores_with(Store.objects.active(), due))


@shared_task
def read_customers(store_id: int) -> None:
    customers.read_waiting(store_id)


@shared_task
def sweep_dirty_customers() -> None:
    due = Customer.objects.due_for_reading(now=timezone.now())
    ring(read_customers, leases.stores_with(Store.objects.active(), due))


@shared_task
def complete_orders() -> None:
    """The open orders that back-fills could not carry completely, a few at a time."""
    _each(Store.objects.active(), reading.complete_some)


@shared_task
def advance_backfills() -> None:
    due = Backfill.objects.due(now=timezone.now()).filter(store__is_active=True)
    ring(advance_backfill, due.values_list("pk", flat=True))


@shared_task
def watch_stores() -> None:
    ring(watch_store, Store.objects.active().values_list("pk", flat=True))


@shared_task
def compare_stores() -> None:
    ring(compare_store, Store.objects.active().values_list("pk", flat=True))


@shared_task
def reconcile_stores() -> None:
    ring(reconcile_store, Store.objects.active().values_list("pk", flat=True))


@shared_task
def sweep_privacy() -> None:
    """Whatever Shopify asked for in the name of a person, a slice of it a minute."""
    privacy.work_off(now=timezone.now(), seconds=PRIVACY_SLICE_S)


@shared_task
def apply_retention() -> None:
    retention.apply(now=timezone.now(), seconds=PRIVACY_SLICE_S)


def _each(
    keys: Iterable[Any],
    work: Callable[[Any], object],
    *,
    put_off: Callable[[Any], object] | None = None,
) -> None:
    sweeping.each(
        list(keys), work, put_off=put_off, seconds=SWEEP_S, stops=(SoftTimeLimitExceeded,)
    )


def ring(task: Any, ids: Iterable[int], *, after_s: float = 0) -> None:
    """Wake a worker for each row. With the broker down nothing is lost: the sweep comes again.

    A message that waits longer than a sweep is not sent, and one that no worker took in time goes:
    after an outage the rows are there, and each of them is worked on once."""
    if after_s > LONGEST_COUNTDOWN_S:
        return
    for pk in ids:
        try:
            task.apply_async((pk,), countdown=after_s, expires=after_s + RINGS_FOR_S)
        except OperationalError:
            logger.warning("the broker is down; %s %s waits for the sweep", task.name, pk)
            return


def ring_for_webhooks() -> None:
    """One message for all that waits."""
    try:
        process_webhooks.apply_async(expires=RINGS_FOR_S)
    except OperationalError:
        logger.warning("the broker is down; stored webhooks wait for the sweep")


def ring_for_action(action_id: int, wait_s: float) -> None:
    """Wake a worker when a put-down action is due, where that is sooner than the sweep."""
    if wait_s > LONGEST_COUNTDOWN_S:
        return
    try:
        wait_s = max(wait_s, 0.0) + 0.05
        perform_action.apply_async((action_id,), countdown=wait_s, expires=wait_s + RINGS_FOR_S)
    except OperationalError:
        logger.warning("the broker is down; action %s waits for the sweep", action_id)
