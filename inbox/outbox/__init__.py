"""The outbox: messages to be sent. A task sends promptly; the sweep guarantees none is missed.

A row is sent once, in the order of its conversation, within the limits of its route (`lanes`). An
attempt is counted when it starts, and it always ends; so does the row itself, after its last
attempt or when it gets too old, and then agents see it (`ends`).
"""

from __future__ import annotations

from inbox.channels import SENDERS
from inbox.outbox.claiming import ATTEMPTS, LEASE, Job, due, ready
from inbox.outbox.delivery_lanes import (
    MESSAGE_WAYS,
    THREADS,
    Way,
)
from inbox.outbox.outcomes import dismiss, end_overdue, overdue, send_again, since
from inbox.outbox.sending import CARRIERS, deliver_campaign, deliver_message
from inbox.outbox.writing import Draft, wake, write_campaign

__all__ = [
    "ATTEMPTS",
    "CARRIERS",
    "LEASE",
    "MESSAGE_WAYS",
    "SENDERS",
    "THREADS",
    "Draft",
    "Job",
    "Way",
    "deliver_campaign",
    "deliver_message",
    "dismiss",
    "due",
    "end_overdue",
    "overdue",
    "ready",
    "send_again",
    "since",
    "wake",
    "write_campaign",
]
