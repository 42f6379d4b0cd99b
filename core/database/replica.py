"""Reads that a standby of PostgreSQL answers (DATABASE_REPLICA_URL), so that the primary needn't.

Only functions that say so, by one of two decorators, and never what decides about money: those
functions return what is shown, and whoever acts on it reads the primary again.

- `up_to_date`: lists and search. Answered by the replica only once it has replayed everything that was
  committed before the call, so nobody misses what they, or the live update they follow, just wrote.
- `may_lag`: reports. Answered by the replica if it is at most REPLICA_MAX_LAG_S behind.

Otherwise, and whenever the replica fails, the primary answers. Writes, locks and everything inside a
transaction go to the primary in any case.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, connections
from psycopg.errors import QueryCanceled

logger = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")

ALIAS: Final = "replica"
# After a failure, the replica isn't asked for this long.
REST_S: Final = 10.0
# How long a list waits for the replica; and for how long none does after one has waited in vain.
_CATCH_UP_S: Final = 0.05
_POLL_S: Final = 0.005
_NO_WAITING_S: Final = 1.0
_LAG_IS_VALID_S: Final = 1.0
_CLUSTER_IS_VALID_S: Final = 60.0
_reading: ContextVar[bool] = ContextVar("reading", default=False)


class NotAReplica(Exception):
    """DATABASE_REPLICA_URL names another database, or one that isn't a standby."""


@dataclass(slots=True)
class _Known:
    """What this process knows of the replica, in seconds of the monotonic clock."""

    resting_until: float = 0.0
    same_cluster_until: float = 0.0
    recent_until: float = 0.0
    behind_until: float = 0.0


_known = _Known()


def forget() -> None:
    """Ask the replica again before it is used next."""
    global _known
    _known = _Known()


class Router:
    """Send reads to the replica while a function runs that may use it; everything else to the primary."""

    def db_for_read(self, model: object, **hints: object) -> str:
        # Within a transaction, what it wrote must be seen.
        is_free = _reading.get() and not connections[DEFAULT_DB_ALIAS].in_atomic_block
        return ALIAS if is_free else DEFAULT_DB_ALIAS

    def db_for_write(self, model: object, **hints: object) -> str:
        return DEFAULT_DB_ALIAS

    def allow_relation(self, one: object, other: object, **hints: object) -> bool:
        """Rows of either are rows of the same database."""
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: object) -> bool:
        return db == DEFAULT_DB_ALIAS


def up_to_date(function: Callable[P, R]) -> Callable[P, R]:
    """Let the replica answer if it has everything committed before the call. Must return no lazy query."""
    return _routed(function, _has_caught_up)


def may_lag(function: Callable[P, R]) -> Callable[P, R]:
    """Let the replica answer if it is REPLICA_MAX_LAG_S behind at most. Must return no lazy query."""
    return _routed(function, _is_recent)


def _routed(function: Callable[P, R], is_fresh: Callable[[], bool]) -> Callable[P, R]:
    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if not _may_be_asked():
            return function(*args, **kwargs)
        try:
            if is_fresh():
                token = _reading.set(True)
                try:
                    return function(*args, **kwargs)
                finally:
                    _reading.reset(token)
        except (Error, NotAReplica) as error:
            if isinstance(error.__cause__, QueryCanceled):
                # It took too long; on the primary it would, too.
                raise
            _rest(error)
        return function(*args, **kwargs)

    return call


def _may_be_asked() -> bool:
    return (
        ALIAS in settings.DATABASES
        and not _reading.get()
        and time.monotonic() >= _known.resting_until
        and not connections[DEFAULT_DB_ALIAS].in_atomic_block
    )


def _rest(error: Exception) -> None:
    # No text of the error: it may name the server and its role.
    logger.warning("the replica can't be used (%s); reading the primary", type(error).__name__)
    connections[ALIAS].close()
    forget()
    _known.resting_until = time.monotonic() + REST_S


def _has_caught_up() -> bool:
    now = time.monotonic()
    if now < _known.behind_until:
        return False
    _insist_on_a_standby()
    (position,) = _row(DEFAULT_DB_ALIAS, "SELECT pg_current_wal_flush_lsn()::text")
    while not _has_replayed(position):
        if time.monotonic() - now > _CATCH_UP_S:
            _known.behind_until = time.monotonic() + _NO_WAITING_S
            return False
        time.sleep(_POLL_S)
    return True


def _is_recent() -> bool:
    if time.monotonic() < _known.recent_until:
        return True
    if lag_s() > settings.REPLICA_MAX_LAG_S:
        return False
    _known.recent_until = time.monotonic() + _LAG_IS_VALID_S
    return True


def lag_s() -> float:
    """Return for how many seconds the replica hasn't replayed what the primary has; 0 if it has.

    Right after the replica's start, before it has replayed a transaction, this is infinite. Raises
    NotAReplica, and django.db.Error if one of the two can't be asked.
    """
    _insist_on_a_standby()
    (position,) = _row(DEFAULT_DB_ALIAS, "SELECT pg_current_wal_flush_lsn()::text")
    if _has_replayed(position):
        return 0.0
    (behind,) = _row(
        ALIAS, "SELECT extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())"
    )
    return float("inf") if behind is None else max(0.0, float(behind))


def _has_replayed(position: str) -> bool:
    (is_there,) = _row(ALIAS, "SELECT pg_last_wal_replay_lsn() >= %s::text::pg_lsn", position)
    return bool(is_there)


def _insist_on_a_standby() -> None:
    """Raise NotAReplica unless it is a standby of the primary's own cluster, as positions mean
    nothing elsewhere, and the data would be someone else's."""
    if time.monotonic() < _known.same_cluster_until:
        return
    which = (
        "SELECT system_identifier, current_database(), pg_is_in_recovery() FROM pg_control_system()"
    )
    ours, theirs = _row(DEFAULT_DB_ALIAS, which), _row(ALIAS, which)
    if theirs[:2] != ours[:2]:
        raise NotAReplica("It's a replica of another database.")
    if not theirs[2]:
        raise NotAReplica("It isn't a standby, so it doesn't follow the primary.")
    _known.same_cluster_until = time.monotonic() + _CLUSTER_IS_VALID_S


def _row(alias: str, statement: str, *values: str) -> Any:
    with connections[alias].cursor() as cursor:
        cursor.execute(statement, values or None)
        return cursor.fetchone()
