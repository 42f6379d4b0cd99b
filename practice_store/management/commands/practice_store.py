"""Run the stand-in for Shopify, in its own process with its own state."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from practice_store import seed
from practice_store.store import Store
from practice_store.web.server import serve

DEFAULT_SHOPS = ("demo.myshopify.com", "second.myshopify.com")


class Command(BaseCommand):
    """Run a practice store until Ctrl-C or SIGTERM."""

    help = "A practice store that speaks Shopify's Admin GraphQL schema and sends signed webhooks."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=9292)
        parser.add_argument("--deliver-to", default="", help="send every webhook to this address")
        parser.add_argument(
            "--through",
            default="",
            help="send every webhook to this server, as the proxy at the webhook's address would",
        )
        parser.add_argument("--shop", action="append", help="a shop's domain; can be repeated")
        parser.add_argument("--state", help="keep the shops in this file")
        parser.add_argument("--seed", choices=["demo"], help="fill empty shops")
        parser.add_argument(
            "--orders",
            type=int,
            default=0,
            help="number of orders to create in the first empty shop",
        )
        parser.add_argument(
            "--allow-http", action="store_true", help="accept http:// webhook addresses"
        )

    def handle(self, *args: object, **options: Any) -> None:
        domains = options["shop"] or list(DEFAULT_SHOPS)
        store = Store(
            domains,
            deliver_to=options["deliver_to"],
            through=options["through"],
            allow_http=options["allow_http"],
            state_file=Path(options["state"]) if options["state"] else None,
        )
        if options["seed"] and not store.is_resumed:
            seed.seed(store)
            store.save()
        if options["orders"] and not store.is_resumed:
            seed.many(store, options["orders"])
        try:
            server = serve(store, options["port"])
        except OSError as error:
            raise CommandError(f"Port {options['port']} cannot be used: {error}") from error
        store.start()
        for domain, shop in store.world.shops.items():
            self.stdout.write(f"{domain}: token {shop.token}, secret {shop.secret}")
        self.stdout.write(f"Practice store is ready: http://127.0.0.1:{options['port']}/_practice/")
        self.stdout.flush()
        # The demo stops us with SIGTERM; treat it like Ctrl-C, so that the shops are saved.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
        finally:
            store.stop()
