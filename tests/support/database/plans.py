"""How the database goes about what a piece of work asks of it, by its own plans."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from math import inf
from typing import Any, Final

from django.db import connection
from django.test.utils import CaptureQueriesContext

# Reading fewer rows than this takes no longer than finding them.
LARGE: Final = 20_000
_READS = re.compile(r"\(*(SELECT|UPDATE|DELETE|WITH)\b")


def statements(work: Callable[[], object]) -> list[str]:
    """Do the work, and return the statements by which it reads or changes rows."""
    with CaptureQueriesContext(connection) as asked:
        work()
    return [sql for query in asked if _READS.match(sql := str(query["sql"]))]


def plans(work: Callable[[], object]) -> list[tuple[str, str]]:
    """Do the work, and return each of its statements with the plan for it."""
    return [(sql, plan_of(sql)) for sql in statements(work)]


def plan_of(sql: str) -> str:
    """The plan of one statement, which isn't run."""
    how = "EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN "
    with connection.cursor() as cursor:
        # As captured, with its values in it.
        cursor.execute(how + sql)
        return "\n".join(" ".join(map(str, row)) for row in cursor.fetchall())


def whole_tables(sql: str, tables: Collection[str]) -> set[str]:
    """Return those of the tables that PostgreSQL may read from one end to the other for this.

    Either row by row, or along an index that doesn't say where to begin, while conditions drop most
    rows: then no limit bounds how many are read.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
        found = cursor.fetchone()[0]
    plan = json.loads(found) if isinstance(found, str) else found
    return set(_read_whole(plan[0]["Plan"], kept=inf)) & set(tables)


def _read_whole(node: dict[str, Any], *, kept: float) -> Iterator[str]:
    """`kept` is how many rows PostgreSQL expects the conditions above to keep."""
    kind = node["Node Type"]
    if kind == "Limit":
        kept = inf
    if "Filter" in node or "Join Filter" in node:
        kept = min(kept, node["Plan Rows"])
    is_along = kind in {"Index Scan", "Index Only Scan"} and "Index Cond" not in node
    if kind == "Seq Scan" or (is_along and _is_long(node["Index Name"], kept)):
        yield node["Relation Name"]
    for part in node.get("Plans", []):
        yield from _read_whole(part, kept=kept)


def _is_long(index: str, kept: float) -> bool:
    """Whether most of an index with many rows is passed over. A partial one has what is due."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [index])
        rows = cursor.fetchone()[0]
    return bool(rows >= LARGE and kept < rows / 2)
