"""Whether the database is reachable, set up and up to date."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from core.database import replica
from core.operations import backup_files, stored_secrets
from core.operations.findings import Finding, ok, problem, warning

_TIMEOUTS: Final = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
# Leases tolerate a quarter of an hour (core.database.leases); one-time codes half a minute.
_CLOCK_WARNING: Final = timedelta(seconds=5)
_CLOCK_PROBLEM: Final = timedelta(seconds=60)


def is_reachable(connection: BaseDatabaseWrapper) -> Finding:
    """Connect, and say to what."""
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        return problem(
            "Database",
            f"It can't be reached: {' '.join(str(error).split())}",
            "Check that PostgreSQL runs and accepts this host, and that DATABASE_URL is right.",
        )
    if connection.vendor != "postgresql":
        return problem(
            "Database",
            "DATABASE_URL names SQLite, which is for trying things out.",
            "Set DATABASE_URL to a PostgreSQL database.",
        )
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version'), current_user")
        version, role = cursor.fetchone()
    return ok("Database", f"PostgreSQL {version} answers; our role is {role}.")


def look(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Look at a PostgreSQL database that can be reached."""
    yield _clock(connection)
    yield from _timeouts(connection)
    migrated = list(_migrations(connection))
    yield from migrated
    if all(finding.level == "OK" for finding in migrated):
        yield _rights(connection)
        yield _secrets()


def look_at_replica() -> Iterator[Finding]:
    """Ask how far behind the replica is, if there is one. Expects that the primary can be reached."""
    if replica.ALIAS not in settings.DATABASES:
        return
    todo = "Until then the primary also answers what the replica would."
    try:
        replica.forget()
        behind_s = replica.lag_s()
    except replica.NotAReplica as error:
        yield problem(
            "Replica", str(error), "Let DATABASE_REPLICA_URL name a standby, or leave it out."
        )
    except Error as error:
        text = f"It can't be asked ({type(error).__name__})."
        yield warning("Replica", text, f"Start it, or check DATABASE_REPLICA_URL. {todo}")
    else:
        text = f"It is {behind_s:.1f} s behind." if behind_s else "It has all that the primary has."
        if behind_s == float("inf"):
            text = "It hasn't replayed a transaction since it started."
        is_late = behind_s > settings.REPLICA_MAX_LAG_S
        yield (
            warning("Replica", text, f"Look at its log. {todo}") if is_late else ok("Replica", text)
        )


def _clock(connection: BaseDatabaseWrapper) -> Finding:
    with connection.cursor() as cursor:
        asked_at = time.monotonic()
        cursor.execute("SELECT clock_timestamp()")
        (theirs,) = cursor.fetchone()
        took = timedelta(seconds=time.monotonic() - asked_at)
    differs = abs(timezone.now() - took / 2 - theirs)
    text = f"This machine's clock and the database's differ by {differs.total_seconds():.1f} s."
    todo = "Synchronize both with NTP: timedatectl status."
    if differs > _CLOCK_PROBLEM:
        return problem("Clock", text, todo)
    return warning("Clock", text, todo) if differs > _CLOCK_WARNING else ok("Clock", text)


def _timeouts(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM pg_settings WHERE name = ANY(%s) AND setting = '0'", [list(_TIMEOUTS)]
        )
        unlimited = sorted(name for (name,) in cursor.fetchall())
    if unlimited:
        yield warning(
            "Timeouts",
            f"The connection has no {', '.join(unlimited)}, so one statement can block others.",
            "Let the pooler pass on startup options, or set them for the role: ALTER ROLE … SET.",
        )
    else:
        yield ok("Timeouts", "Statements, locks and idle transactions are limited.")


def _migrations(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    last = backup_files.last_migrations(connection)
    if unknown := backup_files.unknown_migrations(last):
        yield problem(
            "Migrations",
            f"The database is of a newer version than this code: {', '.join(unknown)}.",
            "Run that version of the code.",
        )
        return
    executor = MigrationExecutor(connection)
    if plan := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        yield problem("Migrations", f"Not yet applied here: {len(plan)}.", "Run ./run migrate.")
        return
    yield ok("Migrations", "The database is of this version.")


def _rights(connection: BaseDatabaseWrapper) -> Finding:
    """Look for tables that our role can't use; `check` warns about rights that it shouldn't have."""
    tables = sorted({model._meta.db_table for model in apps.get_models(include_auto_created=True)})
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM unnest(%s::text[]) name WHERE NOT has_table_privilege(name, 'SELECT')"
            " OR NOT has_table_privilege(name, 'INSERT')",
            [tables],
        )
        lacking = [name for (name,) in cursor.fetchall()]
    if lacking:
        return problem(
            "Rights",
            f"Our role can't read and write {len(lacking)} tables, such as {lacking[0]}.",
            "Run ./run migrate with MIGRATION_DATABASE_URL, which grants the rights.",
        )
    return ok("Rights", "Our role can use every table.")


def _secrets() -> Finding:
    if lacking := stored_secrets.unreadable():
        counted = ", ".join(f"{label}: {count}" for label, count in lacking.items())
        return problem(
            "Encryption keys",
            f"No key in FIELD_ENCRYPTION_KEYS decrypts these stored secrets: {counted}.",
            "Add the key that encrypted them after the others, or enter these secrets again.",
        )
    return ok("Encryption keys", "They decrypt every stored secret.")
