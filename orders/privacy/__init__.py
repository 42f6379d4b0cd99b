"""Privacy requests: stored as rows, worked on by a sweep; every step may safely run twice.

A deletion walks the registry in batches. Each batch commits together with its position in the walk
and its counts for the evidence, under the request's lock. So a killed worker neither repeats nor
skips anything, and two workers take turns.
"""

from orders.privacy.exports import export
from orders.privacy.replays import replay
from orders.privacy.requests import ask, stop
from orders.privacy.uninstalled_shops import (
    note_installed,
    note_uninstalled,
)
from orders.privacy.worker import (
    run,
    work_off,
    work_soon,
)

__all__ = [
    "ask",
    "export",
    "note_installed",
    "note_uninstalled",
    "replay",
    "run",
    "stop",
    "work_off",
    "work_soon",
]
