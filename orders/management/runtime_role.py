"""What the PostgreSQL role of web servers and workers may do, if another role runs the migrations.

A role that owns a table can empty it and turn its triggers off. The runtime role owns nothing: it
can't change or delete what is recorded, whatever a request makes it send.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.conf import settings
from django.core.management.base import CommandError
from django.db.backends.base.base import BaseDatabaseWrapper

# Only added to; see the triggers in migration 0023.
_ADDED_TO: Final = ("orders_auditentry", "orders_auditseal")
# Kept forever, but they move from state to state.
_KEPT: Final = ("orders_orderaction",)
# Read by `check` and the health probe, written by `migrate` only.
_READ: Final = ("django_migrations",)
# What the owner's URL may say otherwise: it may go past a pooler, for example, or require TLS.
_OF_A_CONNECTION: Final = ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")


def grants(connection: BaseDatabaseWrapper, role: str) -> list[str]:
    """Return the statements that give this role what it needs and nothing else.

    Run them as the owner of the tables, and in one transaction: the first ones take all rights
    away, from servers that may be running. Safe to repeat.
    """
    quote = connection.ops.quote_name
    to = quote(role)
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        tables = sorted(name for (name,) in cursor.fetchall())
        cursor.execute("SELECT quote_ident(current_schema())")
        schema = cursor.fetchone()[0]
    found = [
        f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA {schema} TO {to}",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {to}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {to}",
    ]
    return found + [f"GRANT {_rights(table)} ON {quote(table)} TO {to}" for table in tables]


def _rights(table: str) -> str:
    if table in _ADDED_TO:
        return "SELECT, INSERT"
    if table in _KEPT:
        return "SELECT, INSERT, UPDATE"
    return "SELECT" if table in _READ else "SELECT, INSERT, UPDATE, DELETE"


@contextmanager
def as_owner(connection: BaseDatabaseWrapper) -> Iterator[str]:
    """Inside, the connection is the one of MIGRATION_DATABASE_URL; yield the runtime role.

    Without that setting, nothing changes and "" is yielded. Raises CommandError if it isn't for
    PostgreSQL.
    """
    owner: dict[str, object] | None = settings.MIGRATION_DATABASE
    if owner is None or connection.vendor != "postgresql":
        yield ""
        return
    if owner["ENGINE"] != connection.settings_dict["ENGINE"]:
        raise CommandError("MIGRATION_DATABASE_URL must begin with postgres://, as DATABASE_URL.")
    kept = {name: connection.settings_dict[name] for name in _OF_A_CONNECTION}
    connection.close()
    connection.settings_dict.update({name: owner[name] for name in _OF_A_CONNECTION})
    try:
        yield str(kept["USER"])
    finally:
        connection.close()
        connection.settings_dict.update(kept)
