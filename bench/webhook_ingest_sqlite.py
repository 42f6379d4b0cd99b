"""The same as webhook_ingest on SQLite (WAL, synchronous FULL): ours beside a Django view that
creates a row with the usual middleware, in one process each, as SQLite has one writer. The
budget is 3x. The turns, the counted rows and the figures are webhook_ingest's."""

from __future__ import annotations

from bench import receivers
from bench.result import Result
from bench.webhook_ingest import compare


def run() -> list[Result]:
    with receivers.on_sqlite() as found:
        return compare(found, "webhook_ingest_sqlite")
