"""Compare every store with Shopify now and read changed orders again."""

from __future__ import annotations

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from orders.models import Order, Store
from shopify_sync.reading import orders
from shopify_sync.sync import (
    nightly_comparison,
    reconcile,
)


class Command(BaseCommand):
    """Run now what the scheduler runs every five minutes, or, with --full, every night."""

    help = "Find orders that changed in Shopify without a webhook, and reread them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--full", action="store_true", help="compare every order, as the nightly run does"
        )
        parser.add_argument(
            "--later", action="store_true", help="with --full: only ask for it; workers do it"
        )

    def handle(self, *args: object, **options: object) -> None:
        for store in Store.objects.active():
            if options["full"] and options["later"]:
                nightly_comparison.begin(store)
                self.stdout.write(f"{store.domain}: will be compared")
                continue
            if options["full"]:
                self._compare(store)
                continue
            found = reconcile.reconcile(store.pk)
            if found is None:
                self.stdout.write(
                    f"{store.domain}: couldn't be read right now, or another run is in progress"
                )
                continue
            due = Order.objects.due_for_reading(now=timezone.now()).filter(store=store)
            read = sum(orders.fetch_order(pk) for pk in list(due.values_list("pk", flat=True)))
            self.stdout.write(f"{store.domain}: {found} changed, {read} read")

    def _compare(self, store: Store) -> None:
        row = nightly_comparison.compare(store)
        if row.finished_at is None:
            self.stdout.write(f"{store.domain}: couldn't be compared: {row.error}")
            return
        self.stdout.write(
            f"{store.domain}: {row.orders_at_shop} orders in Shopify; {row.missing} missing here, "
            f"{row.differing} differing, {row.vanished} vanished; refunds (Shopify, here): "
            f"{row.refunds or 'none'}; duplicate markers: {row.markers_twice}"
        )
