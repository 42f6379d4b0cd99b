"""Run what the scheduler runs, and simulate a broker that loses messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from core import queue
from orders import tasks


@contextmanager
def messages_lost(prefix: str = "inbox.tasks.") -> Iterator[None]:
    """Messages for tasks whose names begin like this are lost; all others arrive."""
    send = queue.enqueue

    def enqueue(task: str, *args: Any, **options: Any) -> bool:
        return not task.startswith(prefix) and send(task, *args, **options)

    with patch.object(queue, "enqueue", enqueue):
        yield


def sweep_actions() -> None:
    """What the scheduler does for actions every five seconds."""
    tasks.end_overdue_actions()
    tasks.sweep_actions()
