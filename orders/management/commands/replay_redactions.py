"""Repeat redactions and opt-outs from the ledger file after a backup was restored."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders import (
    privacy,
    signals,
)
from orders.privacy import ledger


class Command(BaseCommand):
    """Bring a restored database up to date with the redactions that followed its backup."""

    help = (
        "After restoring a backup: redact everyone again who was redacted since the "
        "backup, and restore the unsubscribes since then."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--file",
            default=settings.REDACTION_LEDGER_FILE,
            help="The ledger file kept outside the database (REDACTION_LEDGER_FILE).",
        )

    def handle(self, *args: object, file: str, **options: object) -> None:
        path = Path(file)
        if not path.exists():
            raise CommandError(f"{path} doesn't exist. Pass the ledger file with --file.")
        try:
            entered = ledger.enter(ledger.read_file(path))
            signals.ledger_read.send(None, entries=list(ledger.other_entries(path)))
        except (OSError, ValueError, KeyError) as error:
            raise CommandError(f"{path} can't be read: {error}") from error
        rows = privacy.replay()
        self.stdout.write(f"{entered} entries in the ledger, {rows} rows masked or deleted again.")
