from __future__ import annotations

from django.core.management.base import BaseCommand
from django.utils import timezone

from inbox.campaigns import after_restore


class Command(BaseCommand):
    """Skip all events and campaign messages up to now, after a backup was restored."""

    help = (
        "After restoring a backup: send no messages about anything that happened until "
        "now, because it's unknown what was sent after the backup was made."
    )

    def handle(self, *args: object, **options: object) -> None:
        events, messages = after_restore.skip_all(now=timezone.now())
        self.stdout.write(f"{events} events and {messages} messages will not be sent.")
