"""The verbs: the only writers of this app's tables."""

from orders.services.actions import request_action, withdraw
from orders.services.performing import (
    begin_step,
    claim,
    human_needed,
    keep,
    release,
    settle,
)
from orders.services.projection import (
    mark_dirty,
    mark_missing,
    record_snapshot,
)

__all__ = [
    "begin_step",
    "claim",
    "human_needed",
    "keep",
    "mark_dirty",
    "mark_missing",
    "record_snapshot",
    "release",
    "request_action",
    "settle",
    "withdraw",
]
