"""Detect and report row locks that others hold for longer than a person should wait."""

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
    """Whether the database gave up waiting for a lock.

    Then nothing was written, and a retry may succeed at once.
    """
    if getattr(error.__cause__, "sqlstate", None) in _LOCK_STATES:
        return True
    # SQLite has one lock for the whole database, and Django exposes no error code for it.
    return "database is locked" in str(error) or "database table is locked" in str(error)


@contextmanager
def refused_when_busy() -> Iterator[None]:
    """Turn a lock timeout into an ActionRefused that says so. Other errors pass through.

    Wrap it around a transaction that a person is waiting for.
    """
    try:
        yield
    except OperationalError as error:
        if not is_lock_wait(error):
            raise
        reason = _("Someone else is working on this order right now. Nothing was changed.")
        raise ActionRefused(Refusal("busy", reason, _("Try again in a moment."))) from error
