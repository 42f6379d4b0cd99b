"""A worker process that is killed between sending a webhook and recording that it was sent."""

from __future__ import annotations

import os
import signal
import warnings
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import connection
from django.utils import timezone

from core import failpoints
from inbox import tasks
from inbox.models import WebhookDelivery, WebhookEndpoint
from inbox.outgoing_webhooks import events, sending
from tests.support.servers.webhooks import Receiver

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="two processes share the database"),
]


def killed_after(point: str, delivery_id: int) -> bool:
    """Deliver in a process of its own; whether it was killed at that point."""
    # The two processes must not share a connection.
    connection.close()
    with warnings.catch_warnings():
        # Later Pythons warn of other threads, such as the receiver's; none of them holds a lock of ours.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.environ["FAILPOINTS"] = point
        failpoints._passed.clear()
        try:
            sending.deliver(delivery_id)
        finally:
            os._exit(0)
    _pid, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def test_what_was_sent_but_not_recorded_comes_again_with_the_same_id(
    erp: Receiver, everything: tuple[WebhookEndpoint, str]
) -> None:
    with patch.object(events, "wake"):
        row = events.test_event(everything[0])
    assert killed_after("webhook sent", row.pk)
    row.refresh_from_db()
    assert (len(erp.heard), row.state, row.attempts) == (1, "pending", 1)
    # No one takes it up before its lease is over.
    WebhookDelivery.objects.update(next_attempt_at=timezone.now())
    tasks.sweep_outgoing_webhooks()
    assert len(erp.heard) == 1
    WebhookDelivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    tasks.sweep_outgoing_webhooks()
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("delivered", 2)
    assert [one.id for one in erp.heard] == [row.message_id] * 2


def test_a_worker_that_lives_is_not_killed(
    erp: Receiver, everything: tuple[WebhookEndpoint, str]
) -> None:
    """Negative control: without the failpoint, the same process records what it has sent."""
    with patch.object(events, "wake"):
        row = events.test_event(everything[0])
    assert not killed_after("elsewhere", row.pk)
    row.refresh_from_db()
    assert (row.state, len(erp.heard)) == ("delivered", 1)
