"""@idempotent as Shopify does it: kept for 24 hours, replays show the current state."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.errors import UserError
from practice_store.state import (
    IdempotencyRecord,
    Order,
    Refund,
)

WINDOW: Final = timedelta(hours=24)


def remember(
    context: Context, key: str, data: JsonObject, work: Callable[[], tuple[Order, Refund]]
) -> tuple[Order, Refund | None]:
    """Do the work once per key; later calls return its refund as it is now, None if it is gone.

    A failure is remembered too. Raises UserError.
    """
    table = context.shop.idempotency
    fingerprint = json.dumps(data, default=str)
    known = table.get(key)
    if known and context.now() - known.at < WINDOW:
        return _replay(context, known, fingerprint)
    record = IdempotencyRecord(fingerprint=fingerprint, at=context.now())
    try:
        order, refund = work()
    except UserError as error:
        record.errors = [error.entry]
        table[key] = record
        raise
    record.order_number, record.refund_number = order.number_id, refund.number_id
    table[key] = record
    return order, refund


def _replay(
    context: Context, known: IdempotencyRecord, fingerprint: str
) -> tuple[Order, Refund | None]:
    if known.fingerprint != fingerprint:
        raise UserError(
            "The same idempotency key cannot be used with different operation parameters."
        )
    if known.errors:
        raise UserError(
            "A previous request with this idempotency key failed. Retry with a new idempotency key."
        )
    order = context.shop.orders[known.order_number or 0]
    return order, next((r for r in order.refunds if r.number_id == known.refund_number), None)
