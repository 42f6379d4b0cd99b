"""Pages by the last row shown: the database goes on from there, however far down it is."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import F
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan


def rows_before(columns: Sequence[str], values: Sequence[object]) -> TupleLessThan:
    """Match the rows whose columns come before these values: (a, b) < (1, 2).

    As a comparison of rows, which an index on the columns serves from that place on. The same
    written with OR reads all rows up to there and drops them.
    """
    return TupleLessThan(Tuple(*map(F, columns)), tuple(values))


def rows_after(columns: Sequence[str], values: Sequence[object]) -> TupleGreaterThan:
    """Match the rows whose columns come after these values: (a, b) > (1, 2)."""
    return TupleGreaterThan(Tuple(*map(F, columns)), tuple(values))
