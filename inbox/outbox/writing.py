"""A row that is to leave: written in the transaction that decided it, and somebody woken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from core import queue
from inbox.models import CampaignMessage, DeliveryState, Message, SendState, Via


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A campaign's message on one channel, or `refusal`: why there is none. `lacks`: the name of
    the value its text needs. `stays`: why it is written down and leaves for nobody."""

    via: Via
    recipient: str = ""
    subject: str = ""
    body: str = ""
    refusal: str = ""
    lacks: str = ""
    stays: str = ""

    @property
    def leaves(self) -> bool:
        return not self.refusal and not self.stays


def wake(message: Message) -> None:
    """After commit, ring for a worker to send it. May be lost."""
    if message.delivery_state != DeliveryState.PENDING:
        return
    transaction.on_commit(
        lambda: queue.enqueue("inbox.tasks.deliver_message", message.pk), robust=True
    )


def write_campaign(
    row: CampaignMessage, draft: Draft, *, now: datetime, message: Message | None = None
) -> None:
    """Fill in a campaign's row: as an e-mail or SMS it leaves after commit, in a conversation
    its Message does. Expects the transaction that decided it."""
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
