"""Heads of the chain, noted in a file outside the database (AUDIT_HEADS_FILE).

Without them, a chain whose end was cut off, or that was built again from its beginning in the old
format without a key, would look whole: the database alone can't tell.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from django.conf import settings
from django.utils import timezone

from orders.models import AuditSeal

logger = logging.getLogger(__name__)

# An hour, and what the sealing job needs.
_NOTED_WITHIN: Final = timedelta(minutes=70)


def note(seq: int, head: str, *, at: datetime) -> None:
    """Append the head to the log and to the file. A file that can't be written is only reported."""
    logger.info("audit log: head %s at %s entries", head, seq)
    if not settings.AUDIT_HEADS_FILE:
        return
    line = json.dumps({"seq": seq, "hash": head, "at": at.isoformat()})
    try:
        descriptor = os.open(settings.AUDIT_HEADS_FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab+", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # A crash may have cut off the last line, which must not take this one with it.
            begin = "\n" if _is_torn(descriptor) else ""
            file.write(f"{begin}{line}\n".encode())
    except OSError as error:
        logger.warning("audit log: AUDIT_HEADS_FILE can't be written: %s", error)


def noted() -> dict[str, str]:
    """Return the heads in the file, each with the time it was noted. Raises OSError.

    A line that was cut off by a crash is skipped. No file, or no setting: none.
    """
    if not settings.AUDIT_HEADS_FILE:
        return {}
    found = {}
    try:
        with Path(settings.AUDIT_HEADS_FILE).open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    row = json.loads(line)
                    found[str(row["hash"])] = str(row["at"])
                except (ValueError, KeyError, TypeError):
                    continue
    except FileNotFoundError:
        return {}
    return found


def are_due() -> bool:
    """Say whether the chain is so old that a head of it must have been noted.

    The first link is noted at once, and the first one of each hour. In an installation that is
    older than this file, that is an hour after the upgrade at the latest.
    """
    if not settings.AUDIT_HEADS_FILE:
        return False
    first = AuditSeal.objects.order_by("seq").first()
    return first is not None and first.sealed_at < timezone.now() - _NOTED_WITHIN


def _is_torn(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
