"""System checks of this app."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.conf import settings
from django.core import checks
from django.db import DatabaseError, connections
from django.db.backends.utils import CursorWrapper

from orders.models import Policy

_SHORTEST_KEY: Final = 32
# For each table of records, the rights with which a role could change or empty it. Actions move
# from state to state, so they need UPDATE; a trigger limits what it may change.
_TOO_MUCH: Final = {
    "orders_auditentry": "UPDATE, DELETE, TRUNCATE, TRIGGER",
    "orders_auditseal": "UPDATE, DELETE, TRUNCATE, TRIGGER",
    "orders_orderaction": "DELETE, TRUNCATE, TRIGGER",
}


@checks.register(checks.Tags.database)
def policies_exist(
    app_configs: object, databases: Sequence[str] | None = None, **kwargs: object
) -> list[checks.CheckMessage]:
    """Warn if there are no policies, so that nothing limits refunds.

    Queries the database, so it runs only with `check --database default`.
    """
    try:
        if not databases or Policy.objects.exists():
            return []
    except DatabaseError:
        # `migrate` runs this before the table exists.
        return []
    return [
        checks.Warning(
            "There are no policies, so every agent can refund any amount.",
            hint="Add limits for the agents and supervisors roles in the admin, under Policies.",
            id="orders.W001",
        )
    ]


@checks.register(checks.Tags.security)
def audit_keys_are_long(app_configs: object, **kwargs: object) -> list[checks.CheckMessage]:
    """Refuse audit keys that could be guessed from the seals in the database."""
    if all(len(key) >= _SHORTEST_KEY for key in settings.AUDIT_KEYS):
        return []
    return [
        checks.Error(
            f"Every key in AUDIT_KEYS must have {_SHORTEST_KEY} characters or more.",
            hint="Make one with: openssl rand -hex 32",
            id="orders.E001",
        )
    ]


@checks.register(checks.Tags.database)
def records_are_out_of_reach(
    app_configs: object, databases: Sequence[str] | None = None, **kwargs: object
) -> list[checks.CheckMessage]:
    """Warn if this PostgreSQL role could empty the audit log or turn the triggers off.

    That is the log, its seals, and the actions that it is compared with.

    Queries the database, so it runs only with `check --database default`.
    """
    connection = connections["default"]
    if not databases or connection.vendor != "postgresql":
        return []
    try:
        with connection.cursor() as cursor:
            reachable = [
                table for table, rights in _TOO_MUCH.items() if _has_any(cursor, table, rights)
            ]
    except DatabaseError:
        # `migrate` runs this before the table exists.
        return []
    if not reachable:
        return []
    return [
        checks.Warning(
            "The database role of web servers and workers can change what is recorded: "
            f"{', '.join(reachable)}.",
            hint="Let another role own the tables: see docs/database-roles.md.",
            id="orders.W002",
        )
    ]


def _has_any(cursor: CursorWrapper, table: str, rights: str) -> bool:
    """Say whether the connection's role has at least one of these rights on the table."""
    cursor.execute("SELECT has_table_privilege(%s, %s)", [table, rights])
    return bool(cursor.fetchone()[0])
