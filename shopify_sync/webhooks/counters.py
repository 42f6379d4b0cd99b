"""Count webhook requests, so that an operator can see that nothing gets lost.

Stored deliveries are counted by the statement that stores them (storage). Rejected ones have no
transaction: they are counted here, in memory, and written once a second.
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
# Each process adds to its own row; otherwise processes would wait for each other's commits.
SLOTS: Final = 8

_lock = threading.Lock()
_counts: Counter[tuple[int | None, datetime, str]] = Counter()
_flushed_at = 0.0


def hour_of(moment: datetime) -> datetime:
    """Return the start of the UTC hour, which is a tally's key."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def slot() -> int:
    """Return which of an hour's SLOTS rows this process adds to."""
    return os.getpid() % SLOTS


def count(store_id: int | None, column: str, *, now: datetime) -> None:
    """Count a rejected request; `column` is that of its Answer."""
    with _lock:
        _counts[store_id, hour_of(now), column] += 1


def flush_due() -> bool:
    """Return whether there are counts and the last flush was FLUSH_S ago or longer."""
    return bool(_counts) and time.monotonic() - _flushed_at >= FLUSH_S


def flush() -> None:
    """Write the counts to the database. If that fails, keep them for the next flush."""
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
            # The store has been removed since; the other counts must not suffer for it.
            logger.warning("not counting %s deliveries of a store that is gone", number)
        except DatabaseError:
            kept[key] = number
    if kept:
        with _lock:
            _counts.update(kept)
        logger.warning("could not write the webhook tallies; keeping them for later")


def _add(store_id: int | None, hour: datetime, column: str, number: int) -> None:
    mine = Q(store=None) if store_id is None else Q(store=store_id)
    row = WebhookTally.objects.filter(mine, hour=hour, slot=slot()).first()
    if row is None:
        row = WebhookTally.objects.create(store_id=store_id, hour=hour, slot=slot())
    changes = {"requests": F("requests") + number, column: F(column) + number}
    WebhookTally.objects.filter(pk=row.pk).update(**changes)
