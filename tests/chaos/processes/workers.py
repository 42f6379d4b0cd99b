"""Worker processes to kill: forked quickly from a process that has Django loaded.

They do what a Celery worker and the sweep do (claim what is due, perform it), without a
broker between; real Celery is T5's.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.context import ForkServerProcess
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.chaos.processes.preload"])


@dataclass(frozen=True, slots=True)
class Temper:
    """How a worker differs from production: shorter times, or (`mutant`) a missing guard."""

    origin: str
    lease_s: float = 1.5
    mutant: str = ""
    env: Mapping[str, str] = field(default_factory=dict)


class Workers:
    """A crew kept at its size while it is being killed."""

    def __init__(self) -> None:
        self._crew: list[ForkServerProcess] = []
        self.kills = 0
        # Starts the fork server now, while this process has no threads and no connections.
        first = _CONTEXT.Process(target=_nothing)
        first.start()
        first.join()

    def start(self, count: int, temper: Temper) -> None:
        for _ in range(count):
            self._crew.append(self._one(temper))

    def kill_one(self, rng: random.Random, temper: Temper) -> None:
        """Kill a worker with SIGKILL, and start another."""
        victim = rng.choice(self._crew)
        if victim.pid is not None and victim.is_alive():
            os.kill(victim.pid, signal.SIGKILL)
            self.kills += 1
        victim.join()
        self._crew.remove(victim)
        self._crew.append(self._one(temper))

    def doom(self, action_id: int, failpoint: str, temper: Temper) -> ForkServerProcess:
        """A worker that takes up one action and is killed at a failpoint on the way."""
        words = replace(temper, env={"FAILPOINTS": failpoint})
        process = _CONTEXT.Process(target=work_once, args=(words, action_id), daemon=True)
        process.start()
        return process

    def read_webhooks(self, store_id: int, temper: Temper) -> None:
        """A worker that processes a store's webhooks until it is stopped."""
        process = _CONTEXT.Process(target=read_webhooks, args=(store_id, temper), daemon=True)
        process.start()
        self._crew.append(process)

    def stop(self) -> None:
        for process in self._crew:
            process.kill()
            process.join()
        self._crew.clear()

    def _one(self, temper: Temper) -> ForkServerProcess:
        process = _CONTEXT.Process(target=work, args=(temper,), daemon=True)
        process.start()
        return process


def work_once(temper: Temper, action_id: int) -> None:
    """Perform one action to its end, unless a failpoint comes first."""
    from orders import perform
    from orders.models import ActionState, OrderAction

    prepare(temper)
    own = OrderAction.objects.active().exclude(state=ActionState.NEEDS_HUMAN).filter(pk=action_id)
    while own.exists():
        perform.perform(action_id)
        time.sleep(0.02)


def prepare(temper: Temper) -> None:
    """This process becomes a worker of that temper."""
    from django.conf import settings

    from tests.chaos import mutants

    settings.SHOPIFY_ADMIN_ORIGIN = temper.origin
    os.environ.update(temper.env)
    _shorten(temper)
    mutants.apply(temper.mutant)


def work(temper: Temper) -> None:
    """Perform what is due until killed."""
    from django.utils import timezone

    from orders import perform
    from orders.models import OrderAction

    prepare(temper)
    rng = random.Random(os.getpid())
    while True:
        due = OrderAction.objects.due(now=timezone.now()).values_list("pk", flat=True)
        ids = list(due[:50])
        if not ids:
            time.sleep(0.02)
            continue
        # Not in order, so that several workers do not queue for the same row.
        perform.perform(rng.choice(ids))


def read_webhooks(store_id: int, temper: Temper) -> None:
    """What workers and sweeps do with webhooks; a database that is away is tried again."""
    from django.db import connection

    from shopify_sync.reading import backlog as reading
    from shopify_sync.webhooks import processing

    prepare(temper)
    reading._TURN_S = 0.5  # type: ignore[misc]  # then the backlog has its turn
    while True:
        try:
            # All that waits, as process_webhooks does: an order is then read once for all of it.
            while processing.work_off().taken == processing.BATCH:
                pass
            reading.read_waiting(store_id)
        except Exception:  # noqa: BLE001  the outage
            connection.close()
        time.sleep(0.1)


def _shorten(temper: Temper) -> None:
    """Leases and back-offs in seconds instead of minutes; the order of things stays."""
    from datetime import timedelta

    from orders import perform
    from orders.actions import progress, worker_steps
    from shopify_sync.api import breaker

    def set_(module: Any, name: str, value: Any) -> None:
        assert hasattr(module, name), name
        setattr(module, name, value)

    set_(worker_steps, "LEASE", timedelta(seconds=temper.lease_s))
    set_(breaker, "REST", timedelta(seconds=0.3))
    set_(perform, "_BACKOFF_S", (0.05, 0.1, 0.2, 0.3))
    set_(perform, "_POLL_S", (0.05, 0.05, 0.1, 0.2))
    # Longer than the practice store's late commits (faults.LATE_S).
    set_(progress, "LATE_COMMIT", timedelta(seconds=5))


def _nothing() -> None:
    """A first child, which makes the fork server start."""
