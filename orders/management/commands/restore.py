"""Bring back a backup that `backup` made. Nothing is sent to Shopify until you unfreeze."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection

from core.operations import backup_files, stored_secrets
from core.operations.backup_files import Description
from core.operations.postgres import Trouble
from orders.management import restore_mark, restores, runtime_role
from orders.management.restore_mark import Mark
from orders.models import OrderAction


class Command(BaseCommand):
    """Restore a backup. Raises CommandError with what to do; after an interruption, run it again."""

    help = (
        "Restore a backup into the environment's database, which must be empty, with every store "
        "frozen. If it was interrupted, running it again continues."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", metavar="FILE", type=Path)
        parser.add_argument(
            "--replace",
            action="store_true",
            help="delete what the database holds; asks for the database's name",
        )
        parser.add_argument(
            "--without-ledger",
            action="store_true",
            help="there is no REDACTION_LEDGER_FILE: people deleted since the backup come back",
        )

    def handle(self, *args: Any, path: Path, **options: Any) -> None:
        if connection.vendor != "postgresql":
            raise CommandError("DATABASE_URL names no PostgreSQL database.")
        try:
            description = backup_files.read_description(path)
            self._check(path, description, with_ledger=not options["without_ledger"])
            with runtime_role.as_owner(connection):
                mark = self._loaded(path, description, replace=options["replace"])
            restores.finish(
                connection,
                mark,
                description,
                with_ledger=not options["without_ledger"],
                stdout=self.stdout,
            )
        except (Trouble, DatabaseError) as trouble:
            raise CommandError(str(trouble)) from trouble
        self._say_what_remains(mark)

    def _check(self, path: Path, description: Description, *, with_ledger: bool) -> None:
        """Raise Trouble if it can't be restored here, before anything is touched."""
        if unknown := backup_files.unknown_migrations(description.migrations):
            raise Trouble(
                f"{path} was made by a newer version ({description.version}): this code doesn't "
                f"have {', '.join(unknown)}. Restore it with that version of the code."
            )
        ledger = Path(settings.REDACTION_LEDGER_FILE)
        if with_ledger and not ledger.is_file():
            raise Trouble(
                f"REDACTION_LEDGER_FILE ({ledger}) doesn't exist. Without it, people who were "
                "deleted since the backup come back. Put it there first. Only if no one was ever "
                "deleted and no one ever unsubscribed, add --without-ledger."
            )
        self.stdout.write("Checking the backup's SHA-256 …")
        backup_files.check_hash(path, description)

    def _loaded(self, path: Path, description: Description, *, replace: bool) -> Mark:
        """Load the backup unless an earlier run did. Raises Trouble. Expects the owner's connection."""
        name = connection.settings_dict["NAME"]
        mark = restore_mark.read(connection)
        if mark and mark.sha256 == description.sha256:
            self.stdout.write("This backup was loaded already. Going on with what remains.")
            return mark
        is_empty = restores.is_empty(connection)
        if mark and not replace:
            raise Trouble(
                f"The restore of {mark.file} into {name} isn't finished. Run it again with that "
                "file, or add --replace to delete it and restore this file instead."
            )
        if not is_empty and not replace:
            raise Trouble(
                f"The database {name} isn't empty. Create an empty one and let DATABASE_URL name "
                "it, so that you keep what is there; or add --replace to delete it."
            )
        restores.refuse_while_connected(connection)
        if not is_empty:
            restores.refuse_while_in_use(connection)
            self._confirm(name)
        self.stdout.write(f"Loading {path.name} into {name} …")
        restores.load(connection, path, description, replacing=not is_empty)
        mark = restore_mark.read(connection)
        if mark is None:
            raise Trouble(f"{path} was loaded, but {name} doesn't show it.")
        return mark

    def _confirm(self, name: str) -> None:
        try:
            typed = input(f"This deletes everything in {name}. Type its name to go on: ")
        except EOFError:
            typed = ""
        if typed.strip() != name:
            raise Trouble("That isn't its name. Nothing was changed.")

    def _say_what_remains(self, mark: Mark) -> None:
        write = self.stdout.write
        write("\nRestored. Every store is frozen: nothing is sent to Shopify. What remains:")
        write("1. manage.py audit_verify")
        write("2. ./run serve; wait until every store was compared: Comparisons in the admin.")
        write(
            "3. In the admin, take back what was taken back since the backup: accounts, roles, API "
            "tokens, channel keys. Everyone was logged out."
        )
        write(
            f"4. Look at the {OrderAction.objects.active().count()} cancellations and refunds that "
            "were under way, then unfreeze each store on its page in the admin. Each is read from "
            "Shopify first, and sent only if it wasn't."
        )
        if mark.frozen_before:
            write(f"   Frozen in the backup already: {', '.join(mark.frozen_before)}.")
        if lacking := stored_secrets.unreadable():
            write(
                "Secrets that no key in FIELD_ENCRYPTION_KEYS decrypts: "
                + ", ".join(f"{label}: {count}" for label, count in lacking.items())
                + ". Add the key that was in use at the time of the backup after the others."
            )
