"""Heads of the chain, noted in a file outside the database (AUDIT_HEADS_FILE).

Without them, a chain whose end was cut off, or that was built again from its beginning in the old
format without a key, would look whole: the database alone can't tell.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from datetime import datetime
from pathlib import Path

from django.conf import settings

logger = logging.getLogger(__name__)


def note(seq: int, head: str, *, at: datetime) -> None:
    """Append the head to the log and to the file. A file that can't be written is only reported."""
    logger.info("audit log: head %s at %s entries", head, seq)
    if not settings.AUDIT_HEADS_FILE:
        return
    line = json.dumps({"seq": seq, "hash": head, "at": at.isoformat()})
    try:
        descriptor = os.open(
            settings.AUDIT_HEADS_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
        )
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(f"{line}\n")
    except OSError as error:
        logger.warning("audit log: AUDIT_HEADS_FILE can't be written: %s", error)


def noted() -> dict[str, str]:
    """Return the heads in the file, each with the time it was noted. Raises OSError.

    A line that was cut off by a crash is skipped. No file: none.
    """
    path = Path(settings.AUDIT_HEADS_FILE)
    if not settings.AUDIT_HEADS_FILE or not path.exists():
        return {}
    found = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                row = json.loads(line)
                found[str(row["hash"])] = str(row["at"])
            except (ValueError, KeyError, TypeError):
                continue
    return found
