"""Times that workers write for each other: leases, and when to try again.

They come from the clocks of several machines. One that ran ahead for a while must not stop work
for as long as it was wrong: what no right clock can have written counts as past.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q

# Longer than every lease, and than every wait between two tries, with room for small differences.
LONGEST_LEASE: Final = timedelta(minutes=15)
LONGEST_WAIT: Final = timedelta(hours=2)


def is_free(column: str, *, now: datetime) -> Q:
    """Nobody holds the lease in this column."""
    return _is_past(column, now, LONGEST_LEASE)


def is_due(column: str, *, now: datetime) -> Q:
    """The time for another try in this column has come. For waits of at most LONGEST_WAIT."""
    return _is_past(column, now, LONGEST_WAIT) | Q(**{column: now})


def _is_past(column: str, now: datetime, longest: timedelta) -> Q:
    before, ahead = {f"{column}__lt": now}, {f"{column}__gt": now + longest}
    return Q(**{column: None}) | Q(**before) | Q(**ahead)
