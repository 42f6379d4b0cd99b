"""Celery's doors. Messages carry ids and may come twice, late or never: rows are the truth."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any, Final

from celery import shared_task
from django.utils import timezone
from kombu.exceptions import OperationalError

from orders import audit, services
from orders.failpoints import failpoint
from orders.models import Order, OrderAction, Store
from shopify_sync import actions, backlog, ingest, reconcile
from shopify_sync.models import WebhookEvent

logger = logging.getLogger(__name__)

SWEEP_ROWS: Final = 100
DIRTY_ROWS: Final = 500
WORK_OFF_S: Final = 10.0


@shared_task
def perform_action(action_id: int) -> None:
    actions.perform(action_id)


@shared_task
def process_webhooks() -> None:
    """Everything that waits, a batch at a time, for as long as a task may take."""
    until = time.monotonic() + WORK_OFF_S
    while True:
        done = backlog.work_off()
        if len(done.order_ids) == 1:
            fetch_order(done.order_ids[0])
        else:
            ring(fetch_order, done.order_ids)
        if done.taken < backlog.BATCH:
            return
        if time.monotonic() > until:
            ring_for_webhooks()
            return


@shared_task
def fetch_order(order_id: int) -> None:
    ingest.fetch_order(order_id)


@shared_task
def reconcile_store(store_id: int) -> None:
    reconcile.reconcile(store_id)


@shared_task
def sweep_actions() -> None:
    """Whatever a dead worker or a lost message left behind."""
    services.expire_approvals(now=timezone.now())
    due = OrderAction.objects.due(now=timezone.now()).order_by("next_attempt_at")
    for action_id in due.values_list("pk", flat=True)[:SWEEP_ROWS]:
        failpoint("swept")
        actions.perform(action_id)


@shared_task
def seal_audit() -> None:
    """Chain the audit entries since the last time."""
    while audit.seal():
        pass


@shared_task
def sweep_webhooks() -> None:
    if WebhookEvent.objects.due(now=timezone.now()).exists():
        process_webhooks()


@shared_task
def sweep_dirty_orders() -> None:
    due = Order.objects.due_for_reading(now=timezone.now()).filter(store__is_active=True)
    ring(fetch_order, due.order_by("fetch_after").values_list("pk", flat=True)[:DIRTY_ROWS])


@shared_task
def reconcile_stores() -> None:
    ring(reconcile_store, Store.objects.active().values_list("pk", flat=True))


def ring(task: Any, ids: Iterable[int]) -> None:
    """Wake a worker for each row. With the broker down nothing is lost: the sweep comes again."""
    for pk in ids:
        try:
            task.delay(pk)
        except OperationalError:
            logger.warning("the broker is down; %s %s waits for the sweep", task.name, pk)
            return


def ring_for_webhooks() -> None:
    """One message for all that waits."""
    try:
        process_webhooks.delay()
    except OperationalError:
        logger.warning("the broker is down; stored webhooks wait for the sweep")


def ring_for_action(action_id: int, wait_s: float) -> None:
    """Wake a worker when a put-down action is due, where that is sooner than the sweep."""
    try:
        perform_action.apply_async((action_id,), countdown=max(wait_s, 0.0) + 0.05)
    except OperationalError:
        logger.warning("the broker is down; action %s waits for the sweep", action_id)
