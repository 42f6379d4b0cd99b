"""Recompute the audit log's hash chain; exit nonzero if an entry was changed or removed."""

from __future__ import annotations

import time
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
        self._said_at, self._problems = time.monotonic(), 0
        # Up to here, this run or the one before found nothing wrong.
        self._sound = options["since"]
        try:
            found = audit.verify(
                head=options["head"],
                since=options["since"],
                progress=self._progress,
                report=self._report,
            )
            self.stdout.write(f"{found.entries} entries, {found.sealed} sealed. Head: {found.head}")
            self.stdout.write(f"{found.required} noted heads required.")
            if found.signed:
                self.stdout.write(f"{found.signed} approvals signed with a passkey.")
            for note in found.notes:
                self.stdout.write(note)
            for problem in audit.check_actions():
                self._report(problem)
        except KeyboardInterrupt:
            raise CommandError(self._stopped()) from None
        if self._problems:
            raise CommandError(f"The audit log is damaged: {self._problems} problems.")

    def _report(self, problem: str) -> None:
        self._problems += 1
        self.stderr.write(problem)

    def _progress(self, seq: int, reached: str) -> None:
        if not self._problems:
            self._sound = reached
        if time.monotonic() - self._said_at > _SAYS_EVERY_S:
            self._said_at = time.monotonic()
            self.stdout.write(f"Verified up to seal {seq}: {reached}")

    def _stopped(self) -> str:
        again = f"--since {self._sound}" if self._sound else "from the beginning"
        if self._problems:
            return (
                f"Stopped. The audit log is damaged: {self._problems} problems so far, listed "
                f"above. To see them again together with the rest, verify {again}."
            )
        return f"Stopped. No problem so far. To go on, verify {again}."
