"""Process dead webhook events again. Harmless, since an event only causes a fresh read."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.models import Store
from shopify_sync.webhooks import replay


class Command(BaseCommand):
    """Replay dead webhook events, all of them or those of a topic or shop."""

    help = "Reset dead webhook events so that they are processed again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dead", action="store_true", help="replay dead events (the default)")
        parser.add_argument("--topic", default="", help="only this topic, e.g. orders/updated")
        parser.add_argument("--shop", default="", help="only this shop, e.g. x.myshopify.com")

    def handle(self, *args: Any, **options: Any) -> None:
        topic, domain = options["topic"] or "", options["shop"] or ""
        if domain and not Store.objects.filter(domain=domain).exists():
            raise CommandError(f"No store {domain} is connected.")
        count = replay.replay(replay.dead(topic=topic, domain=domain), by=None)
        self.stdout.write(f"{count} events will be processed again")
