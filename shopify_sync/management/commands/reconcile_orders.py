"""Compare every store with Shopify now, and read again what differs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from orders.models import Order, Store
from shopify_sync import ingest, reconcile


class Command(BaseCommand):
    help = "Finds orders that changed at Shopify without a webhook, and reads them again."

    def handle(self, *args: Any, **options: Any) -> None:
        for store in Store.objects.active():
            found = reconcile.reconcile(store.pk)
            if found is None:
                self.stdout.write(f"{store.domain}: could not be read now, or another run is at it")
                continue
            due = Order.objects.due_for_reading(now=timezone.now()).filter(store=store)
            read = sum(ingest.fetch_order(pk) for pk in list(due.values_list("pk", flat=True)))
            self.stdout.write(f"{store.domain}: {found} changed, {read} read")
