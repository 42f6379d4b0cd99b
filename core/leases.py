"""Times that workers write for each other: leases, and when to try again.

They come from the clocks of several machines. One that ran ahead for a while must not stop work
for as long as it was wrong: what no right clock can have written counts as past.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, TypeVar

from django.db.models import Model, OuterRef, Q, QuerySet, Subquery

# Longer than every lease, and than every wait between two tries, with room for small differences.
LONGEST_LEASE: Final = timedelta(minutes=15)
LONGEST_WAIT: Final = timedelta(hours=2)
Row = TypeVar("Row", bound=Model)


def is_free(column: str, *, now: datetime) -> Q:
    """Nobody holds the lease in this column."""
    return _is_past(column, now, LONGEST_LEASE)


def is_due(column: str, *, now: datetime) -> Q:
    """The time for another try in this column has come. For waits of at most LONGEST_WAIT."""
    return _is_past(column, now, LONGEST_WAIT) | Q(**{column: now})


def _is_past(column: str, now: datetime, longest: timedelta) -> Q:
    before, ahead = {f"{column}__lt": now}, {f"{column}__gt": now + longest}
    return Q(**{column: None}) | Q(**before) | Q(**ahead)


def first_due(due: QuerySet[Row], store_id: int, at_most: int) -> list[int]:
    """Ids of a store's rows that are due for a read: the never tried first, then by their time.

    `due` has `store` and `fetch_after`, and an index on both of what is dirty. PostgreSQL takes
    a third of any table for dirty, and would read all of it; the order is what leads it to the
    index. Two looks, as databases do not agree on where an empty time belongs.
    """
    mine = due.filter(store_id=store_id).order_by("fetch_after", "pk").values_list("pk", flat=True)
    found = list(mine.filter(fetch_after=None)[:at_most])
    if len(found) < at_most:
        found += mine.exclude(fetch_after=None)[: at_most - len(found)]
    return found


def stores_with(stores: QuerySet[Row], due: QuerySet[Row]) -> list[int]:
    """Ids of those stores that have such a row; one look into the index for each."""
    mine = due.filter(store=OuterRef("pk")).order_by("fetch_after", "pk").values("pk")[:1]
    found = stores.annotate(due=Subquery(mine)).filter(due__isnull=False).order_by()
    return list(found.values_list("pk", flat=True))
