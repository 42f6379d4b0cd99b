"""Messages from every kind of process, whatever it has imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# A web server or a command: it has the apps, and nobody has imported their tasks.
FRESH = """
import sys
from unittest.mock import patch

import django
django.setup()
from core import queue

assert not any(name in sys.modules for name in ("orders.tasks", "shopify_sync.tasks"))
with patch("celery.app.task.Task.apply_async") as send:
    assert queue.enqueue("{task}", 1)
assert send.call_count == 1
"""


def sent(task: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", FRESH.format(task=task)],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "settings.test"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "task",
    ["shopify_sync.tasks.advance_backfill", "orders.tasks.seal_audit", "inbox.tasks.handle_event"],
)
def test_a_process_that_imported_no_tasks_sends_their_messages(task: str) -> None:
    done = sent(task)
    assert done.returncode == 0, done.stderr


def test_a_task_that_does_not_exist_is_an_error_of_ours() -> None:
    """Negative control."""
    done = sent("shopify_sync.tasks.no_such_task")
    assert "NotRegistered" in done.stderr
