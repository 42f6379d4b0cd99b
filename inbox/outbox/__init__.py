"""What has to leave: rows with a state. A task makes it quick, the sweep makes it certain.

A row leaves once, in its conversation's order, within the limits of its route (`routes`). Every
attempt counts when it begins, and has an end; so has the row, by its attempts or by its age, and
then people see it (`ends`).
"""

from __future__ import annotations

from inbox.channels import SENDERS
from inbox.outbox.claiming import ATTEMPTS, LEASE, Job, due, ready
from inbox.outbox.ends import dismiss, end_overdue, overdue, send_again, since
from inbox.outbox.routes import THREADS, Way
from inbox.outbox.sending import CARRIERS, deliver_campaign, deliver_message
from inbox.outbox.writing import Draft, wake, write_campaign

__all__ = [
    "ATTEMPTS",
    "CARRIERS",
    "LEASE",
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
