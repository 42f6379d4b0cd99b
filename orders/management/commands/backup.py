"""Write the whole database to a file that `restore` can bring back."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection
from django.utils import timezone

from core.operations import backup_files
from core.operations.postgres import Trouble
from orders.management import backups


class Command(BaseCommand):
    """Back up the database. Raises CommandError, with what to do; then no file is left behind."""

    help = (
        "Back up the environment's database into a new file, or into a folder under a name with "
        "today's date. Servers and workers may go on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", metavar="FILE-or-FOLDER", type=Path)

    def handle(self, *args: Any, path: Path, **options: Any) -> None:
        # As for Ctrl-C: the unfinished file is deleted.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if connection.vendor != "postgresql":
            raise CommandError(
                "DATABASE_URL names no PostgreSQL database. SQLite is for trying things out: stop "
                "every process and copy its file."
            )
        try:
            target = backup_files.target(path, now=timezone.now())
            made = backups.make(connection, target)
        except (Trouble, DatabaseError) as trouble:
            raise CommandError(str(trouble)) from trouble
        except KeyboardInterrupt:
            raise CommandError("Stopped. No backup was made.") from None
        self.stdout.write(f"{target}: {made.size:,} bytes, SHA-256 {made.sha256}")
        self.stdout.write(f"{backup_files.description_of(target)} belongs to it.")
        self.stdout.write(
            "Not in it, and needed to restore it: " + ", ".join(made.not_included) + ". Keep them "
            "elsewhere: docs/operating.md says how."
        )
