"""When a row stays locked by others for longer than a person should wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import OperationalError
from django.utils.translation import gettext as _

from orders.errors import ActionRefused, Refusal

# PostgreSQL: lock_not_available (our lock_timeout), deadlock_detected.
_LOCK_STATES: Final = frozenset({"55P03", "40P01"})


def is_lock_wait(error: OperationalError) -> bool:
    """Whether the database gave up waiting for a lock: nothing was written, and trying again
    may work at once."""
    if getattr(error.__cause__, "sqlstate", None) in _LOCK_STATES:
        return True
    # SQLite has one lock for all, and no code that Django passes on.
    return "database is locked" in str(error) or "database table is locked" in str(error)


@contextmanager
def refused_when_busy() -> Iterator[None]:
    """Around a transaction that a person waits for: a lock that cannot be had becomes an
    ActionRefused that says so. What else goes wrong stays what it is."""
    try:
        yield
    except OperationalError as error:
        if not is_lock_wait(error):
            raise
        reason = _("Others are working on this order right now; nothing was changed.")
        raise ActionRefused(Refusal("busy", reason, _("Try again in a moment."))) from error
