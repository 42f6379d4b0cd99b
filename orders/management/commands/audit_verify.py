"""Recompute the audit log's hash chain; exit nonzero if an entry was changed or removed."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders import audit


class Command(BaseCommand):
    """Verify the hash chain. Raises CommandError if an entry was changed or is missing."""

    help = "Verify that the audit log is complete and unchanged."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--head",
            default="",
            help="a hash printed by an earlier run, which the log must contain",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = audit.verify(head=options["head"])
        self.stdout.write(f"{found.entries} entries, {found.sealed} sealed. Head: {found.head}")
        for problem in found.problems:
            self.stderr.write(problem)
        if found.problems:
            raise CommandError(f"The audit log is damaged: {len(found.problems)} problems.")
