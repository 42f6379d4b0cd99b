"""Timestamps that workers write for one another: leases, and when to try again.

They come from the clocks of several machines. A clock that ran fast for a while must not block work
for as long as it was off, so a time further ahead than any correct clock could have written counts
as past.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, TypeVar

from django.db.models import Model, OuterRef, Q, QuerySet, Subquery

# Longer than any lease, and than any wait between two tries, with room for clock skew.
LONGEST_LEASE: Final = timedelta(minutes=15)
LONGEST_WAIT: Final = timedelta(hours=2)
Row = TypeVar("Row", bound=Model)


def is_free(column: str, *, now: datetime) -> Q:
    """Match rows whose lease in this column isn't held: empty, expired, or too far ahead to be
    real.
    """
    return _is_past(column, now, LONGEST_LEASE)


def is_due(column: str, *, now: datetime, longest: timedelta = LONGEST_WAIT) -> Q:
    """Match rows whose next try in this column has come; for waits of at most `longest`."""
    return _is_past(column, now, longest) | Q(**{column: now})


def _is_past(column: str, now: datetime, longest: timedelta) -> Q:
    before, ahead = {f"{column}__lt": now}, {f"{column}__gt": now + longest}
    return Q(**{column: None}) | Q(**before) | Q(**ahead)


def first_due(due: QuerySet[Row], store_id: int, at_most: int) -> list[int]:
    """Return the IDs of a store's rows that are due for a read: never tried first, then by time.

    `due` has `store` and `fetch_after`, and a partial index on both that covers the dirty rows.
    Two queries, because databases disagree on where NULLs sort.
    """
    mine = due.filter(store_id=store_id).order_by("fetch_after", "pk").values_list("pk", flat=True)
    found = list(mine.filter(fetch_after=None)[:at_most])
    if len(found) < at_most:
        found += mine.exclude(fetch_after=None)[: at_most - len(found)]
    return found


def stores_with(stores: QuerySet[Row], due: QuerySet[Row]) -> list[int]:
    """Return the IDs of the stores that have a due row; one index lookup per store."""
    mine = due.filter(store=OuterRef("pk")).order_by("fetch_after", "pk").values("pk")[:1]
    found = stores.annotate(due=Subquery(mine)).filter(due__isnull=False).order_by()
    return list(found.values_list("pk", flat=True))
