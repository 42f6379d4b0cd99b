"""Connect a store without the admin pages, or check one that is connected."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.models import Store
from shopify_sync import connecting, tasks


class Command(BaseCommand):
    help = (
        "Connects a Shopify store; --check examines it and exits non-zero if something is missing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--shop", required=True, help="demo.myshopify.com")
        parser.add_argument("--token", help="the Admin API access token")
        parser.add_argument("--secret", help="the app's client secret, which signs webhooks")
        parser.add_argument("--check", action="store_true", help="examine only")

    def handle(self, *args: Any, **options: Any) -> None:
        domain = options["shop"]
        if not options["check"]:
            if not options["token"] or not options["secret"]:
                raise CommandError("Give --token and --secret, or --check.")
            connecting.connect(domain=domain, token=options["token"], secret=options["secret"])
        store = Store.objects.filter(domain=domain).first()
        if store is None:
            raise CommandError(f"{domain} is not connected: give --token and --secret.")
        ticks = connecting.examine(store, repair=not options["check"])
        for tick in ticks:
            self.stdout.write(
                f"{'ok     ' if tick.is_ok else 'MISSING'} {tick.name} {tick.todo}".rstrip()
            )
        if not all(tick.is_ok for tick in ticks):
            raise CommandError("The connection is not complete.")
        if not options["check"]:
            tasks.ring(tasks.reconcile_store, [store.pk])
