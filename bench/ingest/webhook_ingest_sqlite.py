"""webhook_ingest on SQLite (WAL, synchronous FULL).

Ours against a Django view that creates a row with the usual middleware, in one process each because
SQLite allows a single writer. The budget is 3x. Turns, row counts and figures work as in
webhook_ingest.
"""

from __future__ import annotations

from bench.harness.result import Result
from bench.ingest import receivers
from bench.ingest.webhook_ingest import compare


def run() -> list[Result]:
    """Measure on SQLite."""
    with receivers.on_sqlite() as found:
        return compare(found, "webhook_ingest_sqlite")
