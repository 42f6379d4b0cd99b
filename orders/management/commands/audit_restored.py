"""Record that a backup was restored, so that the audit log's lost end is accounted for."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders import audit
from orders.audit import restores


class Command(BaseCommand):
    help = (
        "Record in the audit log that a backup was restored. Afterward `audit_verify` accepts that "
        "the heads noted since that backup are missing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reason", required=True, help="why it was restored, in a few words")
        parser.add_argument(
            "--head",
            action="append",
            default=[],
            help="a lost hash that was noted elsewhere than in AUDIT_HEADS_FILE; may be repeated",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        reason = options["reason"].strip()
        if not reason:
            raise CommandError("Say why the backup was restored: --reason TEXT")
        try:
            lost = restores.record_restore(reason=reason, given=options["head"])
        except restores.NothingLost:
            raise CommandError(
                "The log has every head that was noted, or its loss is recorded already. "
                "Nothing was written."
            ) from None
        except OSError as error:
            raise CommandError(f"AUDIT_HEADS_FILE can't be read: {error}") from error
        audit.seal()
        self.stdout.write(f"Recorded: {len(lost)} noted heads were lost to the restored backup.")
