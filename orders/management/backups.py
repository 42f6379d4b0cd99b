"""Backups of this installation: a dump, and the audit log's head at exactly that moment."""

from __future__ import annotations

from pathlib import Path

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from core.operations import backup_files, postgres
from core.operations.backup_files import Description
from orders.management import runtime_role
from orders.models import AuditSeal


def make(connection: BaseDatabaseWrapper, path: Path) -> Description:
    """Write the backup and what describes it. Raises Trouble, and then leaves no file behind.

    Both are read from one snapshot, which this transaction exports to pg_dump. Runs as the owner of
    the tables if MIGRATION_DATABASE_URL names one.
    """
    with runtime_role.as_owner(connection):
        # Before anything is written: without them, there is no backup.
        postgres.program_for(connection, "pg_dump")
        postgres.program("pg_restore")
        with (
            backup_files.unfinished(path) as (partial, lock),
            transaction.atomic(using=connection.alias, durable=True),
            connection.cursor() as cursor,
        ):
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            # This connection idles while pg_dump works.
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            cursor.execute("SELECT pg_export_snapshot(), current_setting('server_version')")
            snapshot, server = cursor.fetchone()
            made_at = timezone.now()
            last = AuditSeal.objects.using(connection.alias).order_by("-seq").first()
            migrations = backup_files.last_migrations(connection)
            postgres.dump(connection, partial, snapshot=snapshot, holding=lock)
            postgres.check_archive(partial)
            description = Description(
                made_at=made_at,
                version=backup_files.code_version(),
                database=str(connection.settings_dict["NAME"]),
                server=server,
                migrations=migrations,
                facts={"audit_head": {"seq": last.seq, "hash": last.hash} if last else None},
                size=partial.stat().st_size,
                sha256=backup_files.sha256_of(partial),
            )
            backup_files.finish(partial, path, description)
    return description
