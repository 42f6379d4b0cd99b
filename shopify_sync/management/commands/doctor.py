"""Say in plain sentences what works in this installation, and what to do about the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from core.observability.masking import mask
from core.operations import connections, database_checks, server_checks
from core.operations.findings import Finding, Level
from orders.management import record_checks
from orders.models import Store
from shopify_sync.setup import doctor

_LEVELS: Final[dict[doctor.Level, Level]] = {
    "ok": Level.OK,
    "warning": Level.WARNING,
    "error": Level.PROBLEM,
}


class Command(BaseCommand):
    """Examine the installation; changes nothing. Exits with 1 if there is a problem."""

    help = (
        "Examine the installation: settings, database, Redis, workers, files, stores. Exits with 1 "
        "if something keeps it from working. Run it on a server that is running, as its user."
    )
    # What they find is said below, together with what to do.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--online",
            action="store_true",
            help="also call Shopify, the mail server and PUBLIC_URL",
        )

    def handle(self, *args: Any, online: bool, **options: Any) -> None:
        said: Counter[Level] = Counter()
        for finding in _examine(online=online):
            said[finding.level] += 1
            self.stdout.write(mask(f"{finding.level:8} {finding.what}: {finding.text}"))
            if finding.todo:
                self.stdout.write(f"{'':8} → {finding.todo}")
        told = f"Problems: {said[Level.PROBLEM]}. Warnings: {said[Level.WARNING]}."
        if said[Level.PROBLEM]:
            raise CommandError(told)
        self.stdout.write(told)


def _examine(*, online: bool) -> Iterator[Finding]:
    yield from server_checks.look_at_settings()
    yield from connections.look_at_connections()
    reached = database_checks.is_reachable(connection)
    is_reached = reached.level == Level.OK
    found = list(database_checks.look(connection)) if is_reached else []
    is_usable = is_reached and all(
        one.what != "Migrations" or one.level == Level.OK for one in found
    )
    yield reached
    yield from found
    if is_reached:
        yield from database_checks.look_at_replica()
    yield server_checks.look_at_disk()
    brokers = [server_checks.look_at_redis(), *server_checks.look_at_broker()]
    yield from brokers
    if brokers[-1].level == Level.OK:
        yield from server_checks.look_at_workers()
    yield from server_checks.look_at_scheduler()
    yield server_checks.look_at_email(online=online)
    if online:
        yield server_checks.look_at_address()
    if is_usable:
        yield from server_checks.look_at_rules()
        yield from record_checks.look()
        for store in Store.objects.active():
            yield from _store(store, online=online)


def _store(store: Store, *, online: bool) -> Iterator[Finding]:
    ticks = doctor.examine(store, repair=False) if online else doctor.examine_offline(store)
    for tick in ticks:
        text = "It works." if tick.level == "ok" else tick.todo
        yield Finding(_LEVELS[tick.level], f"{store.domain}: {tick.name}", text)
