"""Adding rows to the outbox, in the transaction that decided it, and waking a worker."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from core import queue
from inbox.models import CampaignMessage, DeliveryState, Message, SendState, Via


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A campaign's message on one channel, before it is written.

    `refusal` says why there is none, and `lacks` names the value that its text needs but that is
    missing. `stays` says why it is written but not sent to anyone.
    """

    via: Via
    recipient: str = ""
    subject: str = ""
    body: str = ""
    refusal: str = ""
    lacks: str = ""
    stays: str = ""

    @property
    def leaves(self) -> bool:
        """Whether the message will be sent."""
        return not self.refusal and not self.stays


def wake(message: Message) -> None:
    """Enqueue a task that sends the message after commit. If it gets lost, the sweep sends it."""
    if message.delivery_state != DeliveryState.PENDING:
        return
    transaction.on_commit(
        lambda: queue.enqueue("inbox.tasks.deliver_message", message.pk), robust=True
    )


def write_campaign(
    row: CampaignMessage, draft: Draft, *, now: datetime, message: Message | None = None
) -> None:
    """Fill in a campaign's row as written, and wake a worker after commit.

    An email or SMS is sent from the row itself; in a conversation, `message` is what gets sent.
    Expects the transaction that decided to write it.
    """
    row.state, row.reason, row.written_at = SendState.WRITTEN, "", now
    row.subject, row.body = draft.subject, draft.body
    row.attempts, row.next_attempt_at = 0, None
    row.message = message
    if message is None:
        row.recipient, row.delivery_state = draft.recipient, DeliveryState.PENDING
    row.save(
        update_fields=[
            "state",
            "reason",
            "written_at",
            "subject",
            "body",
            "attempts",
            "next_attempt_at",
            "message",
            "recipient",
            "delivery_state",
        ]
    )
    if message is None:
        transaction.on_commit(
            lambda: queue.enqueue("inbox.tasks.deliver_campaign", row.pk), robust=True
        )
