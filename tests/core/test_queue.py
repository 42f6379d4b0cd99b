"""Any process can enqueue any task, even one that has imported no task module."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Like a web server or a command: the apps are loaded, their task modules aren't.
FRESH = """
import logging
import sys
from unittest.mock import patch

import django
django.setup()
from core import queue

assert not any(name in sys.modules for name in ("orders.tasks", "shopify_sync.tasks"))
handlers = list(logging.getLogger().handlers)
with (
    patch("celery.app.task.Task.apply_async") as send,
    patch("django.core.management.base.BaseCommand.check", side_effect=AssertionError("checks")),
    patch("django.core.checks.run_checks", side_effect=AssertionError("checks")),
):
    assert queue.enqueue("{task}", 1)
assert send.call_count == 1
# Nothing sets Django up once more within a request.
assert logging.getLogger().handlers == handlers
"""


def enqueue_in_new_process(task: str) -> subprocess.CompletedProcess[str]:
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
def test_a_process_that_imported_no_tasks_can_enqueue_them(task: str) -> None:
    done = enqueue_in_new_process(task)
    assert done.returncode == 0, done.stderr


def test_an_unknown_task_raises() -> None:
    """Negative control."""
    done = enqueue_in_new_process("shopify_sync.tasks.no_such_task")
    assert "NotRegistered" in done.stderr
