"""Bring a backup back: load it with every store frozen, then repeat what happened since.

Loading is one transaction, in which the stores are frozen, too: there is no moment at which a worker
could find the old rows and send what they say. Each later step may run twice.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.core.management.base import OutputWrapper
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from core.operations import postgres
from core.operations.backup_files import Description
from core.operations.postgres import Trouble
from orders import audit
from orders.audit import restores
from orders.management import restore_mark, runtime_role
from orders.management.restore_mark import Mark
from orders.models import AuditEntry, AuditKind, Store

# Tables and functions that belong to no extension: what an empty database doesn't have.
_OWN: Final = """
  NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = o.oid AND d.deptype = 'e')
"""
_COUNT: Final = f"""
SELECT count(*) FROM pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND o.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND {_OWN}
"""  # noqa: S608  our own text
_EMPTY: Final = f"""
SET LOCAL lock_timeout = '10s';
DO $empty$
DECLARE found record;
BEGIN
  FOR found IN
    SELECT o.relname, CASE o.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
             WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind
      FROM pg_class o
     WHERE o.relnamespace = current_schema()::regnamespace
       AND o.relkind IN ('r', 'p', 'v', 'm', 'S') AND {_OWN}
     ORDER BY o.relkind = 'S'
  LOOP
    EXECUTE format('DROP %s IF EXISTS %I.%I CASCADE', found.kind, current_schema(), found.relname);
  END LOOP;
  FOR found IN
    SELECT o.proname, pg_get_function_identity_arguments(o.oid) AS arguments FROM pg_proc o
     WHERE o.pronamespace = current_schema()::regnamespace AND {_OWN}
  LOOP
    EXECUTE format('DROP ROUTINE IF EXISTS %I.%I(%s) CASCADE',
      current_schema(), found.proname, found.arguments);
  END LOOP;
END $empty$;
"""  # noqa: S608  our own text
_OTHERS: Final = """
SELECT coalesce(usename, '?') || coalesce(' (' || nullif(application_name, '') || ')', ''), count(*)
  FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL
 GROUP BY 1 ORDER BY 1
"""
_STOP_THEM: Final = "Stop every web server, worker, scheduler and monitor, end a pooler's connections, then try again."
_WATCH_S: Final = 6


def is_empty(connection: BaseDatabaseWrapper) -> bool:
    """Say whether the database has no table of anyone's, apart from those of extensions."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT)
        return not cursor.fetchone()[0]


def refuse_while_connected(connection: BaseDatabaseWrapper) -> None:
    """Raise Trouble if anyone else is connected to the database: a server, a worker, a person."""
    with connection.cursor() as cursor:
        cursor.execute(_OTHERS)
        others = cursor.fetchall()
    if others:
        who = ", ".join(f"{name}: {count}" for name, count in others)
        raise Trouble(f"Others are connected to this database: {who}. {_STOP_THEM}")


def refuse_while_in_use(connection: BaseDatabaseWrapper) -> None:
    """Raise Trouble if anyone else connects within some seconds, however briefly.

    A worker connects for each task, so at any one moment it's most likely not connected; but the
    scheduler gives it something to do every two seconds.
    """
    before = _sessions(connection)
    time.sleep(_WATCH_S)
    if came := _sessions(connection) - before:
        raise Trouble(
            f"Others connected to this database {came} times within {_WATCH_S} s. {_STOP_THEM}"
        )
    refuse_while_connected(connection)


def _sessions(connection: BaseDatabaseWrapper) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT sessions FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def load(
    connection: BaseDatabaseWrapper, path: Path, description: Description, *, replacing: bool
) -> None:
    """Load the archive and freeze every store, or change nothing. Raises Trouble.

    Expects the connection of the tables' owner. `replacing`: what is there is dropped in the same
    transaction.
    """
    mark = Mark(sha256=description.sha256, file=path.name)
    postgres.load(
        connection,
        path,
        before=_EMPTY if replacing else "",
        after=restore_mark.freeze_and_mark(mark),
    )


def finish(
    connection: BaseDatabaseWrapper,
    mark: Mark,
    description: Description,
    *,
    with_ledger: bool,
    stdout: OutputWrapper,
) -> None:
    """Repeat what happened since the backup, and take the mark away. Goes on after a kill."""
    stdout.write("Migrating to this version …")
    call_command("migrate", interactive=False, verbosity=0, stdout=stdout)
    # Who was logged out, or lost an account, since the backup must not be let in again.
    Session.objects.all().delete()
    if with_ledger:
        stdout.write("Replaying redactions and opt-outs …")
        call_command("replay_redactions", stdout=stdout)
    call_command("skip_old_news", stdout=stdout)
    _record(mark, description)
    stdout.write("Asking for a comparison of every store with Shopify …")
    call_command("reconcile_orders", full=True, later=True, stdout=stdout)
    with runtime_role.as_owner(connection):
        restore_mark.clear(connection)


def _record(mark: Mark, description: Description) -> None:
    """Write into the audit log that this backup was restored and every store frozen; once."""
    reason = f"restored {mark.file}, made {description.made_at:%Y-%m-%d %H:%M} UTC"
    try:
        with transaction.atomic(durable=True):
            restores.record_restore(reason=reason)
    except restores.NothingLost:
        pass
    with transaction.atomic(durable=True):
        known = AuditEntry.objects.filter(
            kind=AuditKind.RESTORE, detail__restore=mark.restore
        ).exists()
        if not known:
            audit.record(
                AuditKind.RESTORE,
                actor=None,
                reason=reason,
                restore=mark.restore,
                sha256=mark.sha256,
            )
            for store in Store.objects.exclude(domain__in=mark.frozen_before):
                audit.record(
                    AuditKind.STORE,
                    actor=None,
                    store_id=store.pk,
                    after="frozen after a restored backup",
                    domain=store.domain,
                )
    audit.seal()
