"""Store a batch of deliveries in the database: one statement, one commit.

Both endpoints use it, and answer a delivery only after `store` has returned.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Any, Final

from django.db import DatabaseError, DataError, IntegrityError, connection, transaction

from shopify_sync.models import EventState, WebhookEvent, WebhookTally
from shopify_sync.webhooks import counters
from shopify_sync.webhooks.delivery import (
    Answer,
    Delivery,
)

logger = logging.getLogger(__name__)

SWITCHED_OFF: Final = "The store is turned off. Stored, but not processed."
_EVENTS: Final = WebhookEvent._meta.db_table
_TALLIES: Final = WebhookTally._meta.db_table
_COLUMNS: Final = (
    "store_id",
    "webhook_id",
    "event_id",
    "topic",
    "api_version",
    "triggered_at",
    "body",
    "body_sha256",
    "state",
    "error",
)
_TYPES: Final = ("bigint", *["text"] * 5, "bytea", *["text"] * 3)
_NAMES: Final = ", ".join(_COLUMNS)
_ADD: Final = f"""ON CONFLICT (store_id, hour, slot) DO UPDATE SET
    requests = {_TALLIES}.requests + EXCLUDED.requests,
    stored = {_TALLIES}.stored + EXCLUDED.stored,
    duplicates = {_TALLIES}.duplicates + EXCLUDED.duplicates"""
_TALLY_NAMES: Final = (
    "store_id, hour, slot, requests, stored, duplicates, unauthorized, malformed, unavailable"
)
# One round trip stores the rows and counts them, in one implicit transaction.
_POSTGRESQL: Final = f"""
WITH sent AS (SELECT * FROM unnest({", ".join(f"%b::{t}[]" for t in _TYPES)}) AS t ({_NAMES})),
kept AS (
    INSERT INTO {_EVENTS} ({_NAMES}, attempts, received_at)
    SELECT {_NAMES}, 0, %b::timestamptz FROM sent
    ON CONFLICT (store_id, webhook_id) DO NOTHING RETURNING store_id, webhook_id
), counted AS (
    INSERT INTO {_TALLIES} ({_TALLY_NAMES})
    SELECT s.store_id, %b::timestamptz, %b::smallint, s.n, coalesce(k.n, 0),
        s.n - coalesce(k.n, 0), 0, 0, 0
    FROM (SELECT store_id, count(*) AS n FROM sent GROUP BY 1) s
    LEFT JOIN (SELECT store_id, count(*) AS n FROM kept GROUP BY 1) k USING (store_id)
    ORDER BY s.store_id
    {_ADD}
) SELECT store_id, webhook_id FROM kept"""  # noqa: S608  our own names


def store(deliveries: Sequence[Delivery], *, now: datetime) -> list[Answer]:
    """Commit the deliveries together and return each one's answer, in order.

    Never raises DatabaseError. If the database rejects one delivery, the others are still stored.
    """
    try:
        return _store_reconnecting(deliveries, now)
    except (DataError, IntegrityError):
        if len(deliveries) > 1:
            return [answer for one in deliveries for answer in store([one], now=now)]
        # The store has just been removed, or a column has become too short.
        logger.exception("the database rejected a webhook")
    except DatabaseError:
        logger.exception("could not store %s webhooks", len(deliveries))
    for one in deliveries:
        counters.count(one.store_id, Answer.UNAVAILABLE.column, now=now)
    return [Answer.UNAVAILABLE] * len(deliveries)


def _store_reconnecting(deliveries: Sequence[Delivery], now: datetime) -> list[Answer]:
    """Store, and try once more over a new connection if this one turns out to be dead.

    If the first try did commit, the second answers KNOWN, which is a 200 just like STORED.
    """
    try:
        return _store(deliveries, now)
    except (DataError, IntegrityError):
        raise
    except DatabaseError:
        if connection.in_atomic_block:
            raise
        connection.close()
        return _store(deliveries, now)


def _store(deliveries: Sequence[Delivery], now: datetime) -> list[Answer]:
    insert = _insert_postgresql if connection.vendor == "postgresql" else _insert_sqlite
    kept = set(insert([_row(one) for one in deliveries], now))
    answers = []
    for one in deliveries:
        key = (one.store_id, one.webhook_id)
        answers.append(Answer.STORED if key in kept else Answer.KNOWN)
        kept.discard(key)
    return answers


def _row(one: Delivery) -> tuple[object, ...]:
    return (
        one.store_id,
        one.webhook_id,
        one.event_id,
        one.topic,
        one.api_version,
        one.triggered_at,
        one.body,
        hashlib.sha256(one.body).hexdigest(),
        EventState.WAITING.value if one.is_heard else EventState.DONE.value,
        "" if one.is_heard else SWITCHED_OFF,
    )


def _insert_postgresql(rows: list[tuple[object, ...]], now: datetime) -> list[tuple[int, str]]:
    import psycopg

    # Outside a transaction, the one statement is its own; BEGIN and COMMIT would cost two trips.
    guard = transaction.atomic() if connection.in_atomic_block else nullcontext()
    columns = [list(column) for column in zip(*rows, strict=True)]
    with guard:
        connection.ensure_connection()
        # Django's cursor would put each body into the statement as a literal twice its length.
        with (
            connection.wrap_database_errors,
            psycopg.Cursor(connection.connection) as cursor,
        ):
            cursor.execute(
                _POSTGRESQL, [*columns, now, counters.hour_of(now), counters.slot()], prepare=True
            )
            kept: list[tuple[int, str]] = cursor.fetchall()
            return kept


def _insert_sqlite(rows: list[tuple[Any, ...]], now: datetime) -> list[tuple[int, str]]:
    received_at = connection.ops.adapt_datetimefield_value(now)
    one_row = f"({', '.join(['%s'] * len(_COLUMNS))}, 0, %s)"
    values = ", ".join([one_row] * len(rows))
    params = [value for row in rows for value in (*row, received_at)]
    kept: list[tuple[int, str]]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {_EVENTS} ({_NAMES}, attempts, received_at) VALUES {values}"  # noqa: S608
            " ON CONFLICT (store_id, webhook_id) DO NOTHING RETURNING store_id, webhook_id",
            params,
        )
        kept = cursor.fetchall()
        stored = Counter(store_id for store_id, _ in kept)
        hour = connection.ops.adapt_datetimefield_value(counters.hour_of(now))
        for store_id, sent in sorted(Counter(row[0] for row in rows).items()):
            counts = (sent, stored[store_id], sent - stored[store_id])
            cursor.execute(
                f"INSERT INTO {_TALLIES} ({_TALLY_NAMES})"  # noqa: S608
                f" VALUES (%s, %s, %s, %s, %s, %s, 0, 0, 0) {_ADD}",
                [store_id, hour, counters.slot(), *counts],
            )
    return kept
