"""Privacy requests: rows are the truth, a sweep works them off, and every step may run twice.

A deletion walks the registry in batches. Each batch, its place in the walk and its count of
evidence are one transaction under the request's lock, so a killed worker repeats nothing and
skips nothing, and two workers take turns.
"""

from orders.privacy.exports import export
from orders.privacy.replays import replay
from orders.privacy.requests import ask, stop
from orders.privacy.uninstalls import (
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
