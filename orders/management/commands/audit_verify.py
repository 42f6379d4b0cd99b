"""Recompute the audit log's hash chain; exit nonzero if an entry was changed or removed."""

from __future__ import annotations

import time
from itertools import chain
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders import audit

_SAYS_EVERY_S: Final = 5.0


class Command(BaseCommand):
    """Verify the hash chain. Raises CommandError if an entry was changed or is missing."""

    help = "Verify that the audit log is complete and unchanged."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--head",
            default="",
            help="a hash printed by an earlier run, which the log must contain",
        )
        parser.add_argument(
            "--since",
            default="",
            help="a hash up to which an earlier run verified the log; goes on behind it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self._said_at, self._reached = time.monotonic(), options["since"]
        try:
            found = audit.verify(
                head=options["head"], since=options["since"], progress=self._progress
            )
        except KeyboardInterrupt:
            raise CommandError(f"Stopped. Go on with --since {self._reached}") from None
        self.stdout.write(f"{found.entries} entries, {found.sealed} sealed. Head: {found.head}")
        self.stdout.write(f"{found.required} noted heads required.")
        if found.signed:
            self.stdout.write(f"{found.signed} approvals signed with a passkey.")
        for note in found.notes:
            self.stdout.write(note)
        count = 0
        for problem in chain(found.problems, audit.check_actions()):
            count += 1
            self.stderr.write(problem)
        if count:
            raise CommandError(f"The audit log is damaged: {count} problems.")

    def _progress(self, seq: int, reached: str) -> None:
        self._reached = reached
        if time.monotonic() - self._said_at > _SAYS_EVERY_S:
            self._said_at = time.monotonic()
            self.stdout.write(f"Verified up to seal {seq}: {reached}")
