"""Django's own, without the limits that keep a page from waiting."""

from __future__ import annotations

import time
from typing import Any, Final

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections

from orders.locks import is_lock_wait

_AGAIN_AFTER_S: Final = (1, 2, 5, 10, 20)
_NO_LIMIT: Final = ("statement_timeout", "idle_in_transaction_session_timeout")


class Command(migrate.Command):
    """An index of a large table takes minutes. The limit for locks stays (settings.env): whatever
    waits for one keeps everybody behind it waiting, so it lets go and comes back."""

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        limits = _NO_LIMIT if connection.vendor == "postgresql" else ()
        for name in limits:
            _say(connection, f"SET {name} = 0")
        for again_after_s in _AGAIN_AFTER_S:
            if self._is_done(*args, **options):
                break
            self.stdout.write(f"A table is in use. Trying again in {again_after_s} s.")
            time.sleep(again_after_s)
        else:
            if not self._is_done(*args, **options):
                raise CommandError(
                    "A table was in use each time. Nothing of this step was changed: stop the web "
                    "servers and workers, or wait for a quiet hour, and run it again."
                )
        for name in limits:
            _say(connection, f"RESET {name}")

    def _is_done(self, *args: Any, **options: Any) -> bool:
        """False: a lock was not there in time, or a deadlock was ended. What was applied until then
        stays applied."""
        try:
            super().handle(*args, **options)
        except OperationalError as error:
            if not is_lock_wait(error):
                raise
            return False
        return True


def _say(connection: Any, words: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(words)
