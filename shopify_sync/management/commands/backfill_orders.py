"""Import a store's past orders and show a progress bar."""

from __future__ import annotations

import time

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.models import Store
from shopify_sync.models import Backfill, BackfillState
from shopify_sync.sync import backfill

_BAR = 40


class Command(BaseCommand):
    """Run a store's import to its end in this process, beside or without a worker."""

    help = (
        "Import a store's past orders with a bulk operation, resuming where an earlier run "
        "stopped. Without a worker, this command does the work itself."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--shop", required=True, help="demo.myshopify.com")

    def handle(self, *args: object, **options: object) -> None:
        store = Store.objects.filter(domain=options["shop"]).first()
        if store is None:
            raise CommandError(
                f"{options['shop']} is not connected. Connect it with connect_store."
            )
        row = backfill.begin(store)
        while row.is_open:
            # None means that a worker is on it; then only watch.
            wait_s = backfill.advance(row.pk)
            row = Backfill.objects.get(pk=row.pk)
            self._show(row)
            if row.is_open:
                time.sleep(min(wait_s if wait_s is not None else 1.0, 5.0))
        self.stdout.write("")
        if row.state == BackfillState.FAILED:
            raise CommandError(f"The import failed: {row.error}")
        skipped = (
            f", {row.orders_skipped} still to be read one by one" if row.orders_skipped else ""
        )
        self.stdout.write(f"{row.orders_done} orders read{skipped}.")

    def _show(self, row: Backfill) -> None:
        full = _BAR * row.percent // 100
        bar = "#" * full + "." * (_BAR - full)
        text = f"[{bar}] {row.percent:3d} %  {row.get_state_display()}: {row.orders_done} orders"
        if self.stdout.isatty():
            self.stdout.write(f"\r{text}", ending="")
        else:
            self.stdout.write(text)
