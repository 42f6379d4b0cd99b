"""Apply the retention rules right now, or count what they would change."""

from __future__ import annotations

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from orders.privacy import retention


class Command(BaseCommand):
    """Apply retention now, or count with --dry-run. It also runs every hour by itself."""

    help = "Mask or delete personal data past its retention period (settings RETENTION_…)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only count; change nothing.")

    def handle(self, *args: object, dry_run: bool, **options: object) -> None:
        now = timezone.now()
        counts = retention.preview(now=now) if dry_run else retention.apply(now=now)
        verb = "would go" if dry_run else "gone"
        for name, count in counts.items():
            self.stdout.write(f"{name}: {count} {verb}")
