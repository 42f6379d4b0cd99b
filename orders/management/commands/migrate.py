"""Django's migrate, without the statement timeout that protects web requests."""

from __future__ import annotations

import time
from typing import Any, Final

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from orders.lock_waits import is_lock_wait
from orders.management import restore_mark, runtime_role

_AGAIN_AFTER_S: Final = (1, 2, 5, 10, 20)
_NO_LIMIT: Final = ("statement_timeout", "idle_in_transaction_session_timeout")


class Command(migrate.Command):
    """Run migrations without a statement timeout, retrying when a table is locked.

    Indexing a large table takes minutes, so the statement timeout is lifted. The lock timeout
    (settings.env) stays: a migration waiting for a lock blocks every query queued behind it, so it
    gives up and tries again later.

    With MIGRATION_DATABASE_URL, it runs as that role, which owns the tables, and afterward gives the
    role of DATABASE_URL what it needs, unless it was only asked what it would do.
    """

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate; raise CommandError if a table stays locked after every retry.

        With --check, also if a restore isn't finished: nothing may start on such a database.
        """
        connection = connections[options["database"]]
        if options["check_unapplied"] and (mark := restore_mark.read(connection)):
            raise CommandError(
                f"The restore of {mark.file} isn't finished. Run ./run restore with that file again."
            )
        with runtime_role.as_owner(connection) as role:
            self._migrate(connection, *args, **options)
            if role and not (options["plan"] or options["check_unapplied"]):
                with transaction.atomic(using=connection.alias):
                    for statement in runtime_role.grants(connection, role):
                        _execute(connection, statement)

    def _migrate(self, connection: BaseDatabaseWrapper, *args: object, **options: object) -> None:
        limits = _NO_LIMIT if connection.vendor == "postgresql" else ()
        for name in limits:
            _execute(connection, f"SET {name} = 0")
        for again_after_s in _AGAIN_AFTER_S:
            if self._try_migrate(*args, **options):
                break
            self.stdout.write(f"A table is in use. Trying again in {again_after_s} s.")
            time.sleep(again_after_s)
        else:
            if not self._try_migrate(*args, **options):
                raise CommandError(
                    "A table was in use each time. This step changed nothing. Stop the web "
                    "servers and workers, or wait for a quiet hour, then run it again."
                )
        for name in limits:
            _execute(connection, f"RESET {name}")

    def _try_migrate(self, *args: object, **options: object) -> bool:
        """Run the migrations; False if a lock timed out or a deadlock was broken.

        Migrations applied before that stay applied.
        """
        try:
            super().handle(*args, **options)
        except OperationalError as error:
            if not is_lock_wait(error):
                raise
            return False
        return True


def _execute(connection: Any, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
