"""Periodic tasks expire, and none runs twice at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

from core import queue
from core.database.leases import LONGEST_LEASE
from inbox import outbox
from inbox import tasks as inbox_tasks
from orders import tasks as order_tasks
from orders.actions import worker_steps
from settings.celery import CLOCKS_DIFFER_S, app, lifetime_s
from shopify_sync import tasks
from shopify_sync.reading import (
    backlog,
    orders,
)
from shopify_sync.sync import (
    backfill,
    nightly_comparison,
    reconcile,
)
from shopify_sync.webhooks import processing

BEAT: dict[str, dict[str, Any]] = app.conf.beat_schedule
VISIBLE_AGAIN_S = app.conf.broker_transport_options["visibility_timeout"]


@pytest.mark.parametrize("name", BEAT)
def test_every_periodic_message_expires(name: str) -> None:
    expires = BEAT[name]["options"]["expires"]
    assert CLOCKS_DIFFER_S <= expires <= 12 * 3600
    every = BEAT[name]["schedule"]
    if isinstance(every, float):
        # A message never goes before the next one is there.
        assert expires >= every


@pytest.mark.parametrize("name", BEAT)
def test_every_periodic_message_has_its_task(name: str) -> None:
    app.loader.import_default_modules()
    assert BEAT[name]["task"] in app.tasks


def test_a_nightly_message_outlives_a_short_outage() -> None:
    assert lifetime_s(BEAT["compare stores"]) >= 3600


def test_no_task_is_redelivered_while_its_first_worker_runs() -> None:
    """Each of these is as long as a task of its kind may take, or as a message may wait."""
    longest = max(
        queue.LONGEST_DELAY_S,
        tasks.SWEEP_S,
        order_tasks.SLICE_S,
        processing.WORK_OFF_S,
        inbox_tasks.SWEEP_S,
        reconcile._TURN_S,
        nightly_comparison._STEP_S,
        backfill._STEP_S,
    )
    # And one call that was begun just before the end, with everything it may wait for.
    assert longest + 120 < VISIBLE_AGAIN_S


def test_every_lease_outlasts_the_work_between_its_renewals() -> None:
    one_call = timedelta(seconds=12)
    for lease in (
        backfill._LEASE,
        nightly_comparison._LEASE,
        reconcile._LEASE,
        backlog._LEASE,
        orders.FETCH_LEASE,
        outbox.LEASE,
    ):
        assert 2 * one_call < lease < LONGEST_LEASE


def sent(task: Any, work: Any) -> dict[str, Any]:
    with patch.object(task, "apply_async") as send:
        work()
    return dict(send.call_args.kwargs) if send.called else {}


WAKE_UPS = [
    (tasks.read_store, lambda: queue.enqueue_each("shopify_sync.tasks.read_store", [1])),
    (tasks.process_webhooks, lambda: queue.enqueue("shopify_sync.tasks.process_webhooks")),
    (order_tasks.perform_action, lambda: worker_steps.wake(1)),
    (order_tasks.perform_action, lambda: worker_steps.wake(1, after_s=5.05)),
    (inbox_tasks.deliver_message, lambda: queue.enqueue("inbox.tasks.deliver_message", 1)),
]


@pytest.mark.parametrize(("task", "work"), WAKE_UPS)
def test_every_wake_up_expires(task: Any, work: Any) -> None:
    how = sent(task, work)
    assert how["expires"] >= how.get("countdown", 0) + CLOCKS_DIFFER_S


@pytest.mark.parametrize(
    ("task", "work"),
    [
        (tasks.read_store, lambda: queue.enqueue("shopify_sync.tasks.read_store", 1, delay_s=301)),
        (order_tasks.perform_action, lambda: worker_steps.wake(1, after_s=301)),
    ],
)
def test_a_long_wait_is_the_sweeps_and_not_the_brokers(task: Any, work: Any) -> None:
    assert sent(task, work) == {}
