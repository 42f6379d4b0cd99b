"""Try dead webhook events again. Harmless: an event only causes a fresh read."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from shopify_sync.models import EventState, WebhookEvent


class Command(BaseCommand):
    help = "Resets dead webhook events, so that they are processed again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--topic", help="only this topic, e.g. orders/updated")

    def handle(self, *args: Any, **options: Any) -> None:
        dead = WebhookEvent.objects.filter(state=EventState.DEAD)
        if options["topic"]:
            dead = dead.filter(topic=options["topic"])
        count = dead.update(state=EventState.WAITING, attempts=0, next_attempt_at=None, error="")
        self.stdout.write(f"{count} events will be processed again")
