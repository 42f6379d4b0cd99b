"""Enqueue Celery tasks by name.

Rows are the truth and a sweep finds every row that is due; a message only makes work start sooner.
So nothing here raises when the broker is down. Tasks are named instead of imported because they
import the very modules that enqueue them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from importlib import import_module
from typing import Final

from celery import current_app
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

# A message may wait this long for its time; a sweep finds anything due later.
LONGEST_DELAY_S: Final = 300.0
# And this long for a worker. After an outage, the sweeps process each row once instead.
EXPIRES_AFTER_S: Final = 15 * 60.0


def enqueue(
    task: str, *args: object, delay_s: float = 0, expires_after_s: float = EXPIRES_AFTER_S
) -> bool:
    """Send one message to the task of this name (`shopify_sync.tasks.fetch_order`).

    Returns whether it was sent. It isn't when the broker is down or when `delay_s` is longer
    than LONGEST_DELAY_S. A message no worker has taken `expires_after_s` after its time is
    dropped. Raises celery.exceptions.NotRegistered if no task has this name.
    """
    if delay_s > LONGEST_DELAY_S:
        return False
    _load(task)
    try:
        current_app.tasks[task].apply_async(
            args, countdown=delay_s, expires=delay_s + expires_after_s
        )
    except OperationalError:
        # No arguments: find_orders has customers' addresses in them.
        logger.warning("The broker is down; %s was not enqueued", task)
        return False
    return True


def _load(task: str) -> None:
    """Import the module of a task, which only a worker does at its start.

    Not by Celery's loader: that sets Django up once more and runs all system checks, two seconds
    during an agent's click.
    """
    if task not in current_app.tasks:
        import_module(task.rpartition(".")[0])


def enqueue_each(task: str, ids: Iterable[int], *, delay_s: float = 0) -> None:
    """Send one message per ID; stop at the first that can't be sent."""
    for pk in ids:
        if not enqueue(task, pk, delay_s=delay_s):
            return
