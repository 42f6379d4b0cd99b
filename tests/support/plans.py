"""How the database goes about what a piece of work asks of it, by its own plans."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from django.db import connection
from django.test.utils import CaptureQueriesContext

_READS = re.compile(r"\(*(SELECT|UPDATE|DELETE|WITH)\b")


def plans(work: Callable[[], object]) -> list[tuple[str, str]]:
    """Do the work, and return each of its statements with the plan for it."""
    with CaptureQueriesContext(connection) as asked:
        work()
    statements = [str(query["sql"]) for query in asked]
    return [(sql, plan_of(sql)) for sql in statements if _READS.match(sql)]


def plan_of(sql: str) -> str:
    """The plan of one statement, which isn't run."""
    how = "EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN "
    with connection.cursor() as cursor:
        # As captured, with its values in it.
        cursor.execute(how + sql)
        return "\n".join(" ".join(map(str, row)) for row in cursor.fetchall())


def whole_tables(plan: str, tables: Collection[str]) -> set[str]:
    """Return those of the tables that PostgreSQL would read from one end to the other."""
    return set(re.findall(r"Seq Scan on (\w+)", plan)) & set(tables)
