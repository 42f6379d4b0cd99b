"""Connect a store from the command line, or check a connected one."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core import queue
from orders import audit
from orders.models import AuditKind, Store
from shopify_sync.models import ConnectionMethod
from shopify_sync.setup import (
    connect,
    doctor,
)

_MARKS = {"ok": "ok     ", "warning": "note   ", "error": "MISSING"}


class Command(BaseCommand):
    """Connect or examine a store from a terminal; --check exits with 1 if something is missing."""

    help = (
        "Connect a Shopify store. --check examines the connection and exits non-zero if "
        "something is missing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--shop", required=True, help="demo.myshopify.com")
        parser.add_argument(
            "--client-id", help="for an app of your own organization; used instead of a token"
        )
        parser.add_argument("--token", help="the Admin API access token")
        parser.add_argument("--secret", help="the app's client secret, which signs webhooks")
        parser.add_argument("--check", action="store_true", help="only examine the connection")
        parser.add_argument(
            "--repair", action="store_true", help="with --check: also create missing webhooks"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        domain = options["shop"]
        if not options["check"]:
            client_id, token = options["client_id"] or "", options["token"] or ""
            if not options["secret"] or not (token or client_id):
                raise CommandError("Pass --secret with --token or --client-id, or pass --check.")
            own = ConnectionMethod.CLIENT_CREDENTIALS
            try:
                connect.connect(
                    domain=domain,
                    token=token,
                    secret=options["secret"],
                    client_id=client_id,
                    method=own if client_id else ConnectionMethod.ADMIN_TOKEN,
                )
            except connect.ShopRefused as refused:
                raise CommandError(str(refused)) from refused
            audit.record(AuditKind.STORE, actor=None, after="connected", domain=domain)
        store = Store.objects.filter(domain=domain).first()
        if store is None:
            raise CommandError(f"{domain} is not connected. Pass --token and --secret.")
        ticks = doctor.examine(store, repair=options["repair"] or not options["check"])
        for tick in ticks:
            self.stdout.write(f"{_MARKS[tick.level]} {tick.name} {tick.todo}".rstrip())
        if not all(tick.is_ok for tick in ticks):
            raise CommandError("The connection is incomplete.")
        if not options["check"]:
            queue.enqueue("shopify_sync.tasks.advance_backfill", connect.begin_sync(store).pk)
