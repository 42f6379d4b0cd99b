"""Counting what came to the webhook door, so that an operator can see that nothing is lost.

What is stored is counted in the transaction that stores it (intake). What is refused has no
transaction: it is counted here, in memory, and written once a second.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Final

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import F, Q

from shopify_sync.models import WebhookTally

logger = logging.getLogger(__name__)

FLUSH_S: Final = 1.0
# Each process adds to a row of its own, or they would wait for each other's commits.
SLOTS: Final = 8

_lock = threading.Lock()
_counts: Counter[tuple[int | None, datetime, str]] = Counter()
_flushed_at = 0.0


def hour_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def slot() -> int:
    return os.getpid() % SLOTS


def count(store_id: int | None, column: str, *, now: datetime) -> None:
    """One refused delivery more; `column` is an Answer's."""
    with _lock:
        _counts[store_id, hour_of(now), column] += 1


def flush_due() -> bool:
    return bool(_counts) and time.monotonic() - _flushed_at >= FLUSH_S


def flush() -> None:
    """Write what was counted. With the database down it is kept for the next time."""
    global _flushed_at
    with _lock:
        taken = Counter(_counts)
        _counts.clear()
        _flushed_at = time.monotonic()
    if not taken:
        return
    kept: Counter[tuple[int | None, datetime, str]] = Counter()
    for key, number in sorted(taken.items(), key=str):
        try:
            with transaction.atomic():
                _add(*key, number)
        except IntegrityError:
            # Its store was removed meanwhile; the others' counts must not wait for it.
            logger.warning("%s deliveries of a store that is gone are not counted", number)
        except DatabaseError:
            kept[key] = number
    if kept:
        with _lock:
            _counts.update(kept)
        logger.warning("the webhook tallies could not be written; they are kept")


def _add(store_id: int | None, hour: datetime, column: str, number: int) -> None:
    mine = Q(store=None) if store_id is None else Q(store=store_id)
    row = WebhookTally.objects.filter(mine, hour=hour, slot=slot()).first()
    if row is None:
        row = WebhookTally.objects.create(store_id=store_id, hour=hour, slot=slot())
    changes = {"requests": F("requests") + number, column: F(column) + number}
    WebhookTally.objects.filter(pk=row.pk).update(**changes)
