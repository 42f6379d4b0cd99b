"""At 100,000 rows (30,000 in .ci/run), nothing that runs all day reads a large table from one end to the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.db.models import F, Q
from django.test import Client

from inbox.models import Channel, Contact, Conversation, Team
from orders.models import Order, Store
from tests.support.database import many_rows
from tests.support.database.copies import without_triggers
from tests.support.database.plans import LARGE, statements, whole_tables
from tests.support.pages import busy_paths

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="plans of PostgreSQL"),
    pytest.mark.django_db(transaction=True),
]
ROWS: Final = int(os.environ.get("SCALE_TEST_ROWS", "100000"))


@pytest.fixture
def boss(settings: Any) -> Iterator[User]:
    settings.SECOND_FACTOR_REQUIRED = False
    made = User.objects.create_superuser("boss")
    made.groups.add(Group.objects.get_or_create(name="supervisors")[0])
    store = Store.objects.create(domain="demo.myshopify.com", country="DE", currency="EUR")
    channel = Channel.objects.create(name="Messenger", proves_addresses=True)
    many_rows.build(store, channel, agent_id=made.pk, count=ROWS)
    yield made
    with without_triggers(connection), connection.cursor() as cursor:
        # Deleting so many rows one by one may take longer than a statement is given.
        cursor.execute(f"TRUNCATE {', '.join(sorted(large_tables()))} CASCADE")
        cursor.execute("SET statement_timeout = DEFAULT")


def large_tables() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples >= %s", [LARGE]
        )
        return {name for (name,) in cursor.fetchall()}


def old_queries(number: int) -> dict[str, Callable[[], object]]:
    """What each path asked before; the check has to find them."""
    held = Order.objects.filter(cancelled_at__isnull=False, net_payment__gt=0)
    words = Q(contact__name__icontains="jane") | Q(contact__identities__value__icontains="jane")
    return {
        "dirty orders": lambda: Order.objects.filter(dirty_seq__gt=F("clean_seq")).count(),
        "money held": lambda: list(
            held.exclude(kept=F("net_payment")).order_by("cancelled_at")[:50]
        ),
        "conversation search": lambda: list(
            Conversation.objects.filter(words).distinct().order_by("-last_message_at")[:41]
        ),
        "order search of the admin": lambda: list(
            Order.objects.filter(
                Q(name__icontains=number) | Q(trackings__number__icontains=number)
            ).distinct()[:50]
        ),
        "the admin's count": lambda: Contact.objects.count(),
        "the admin's statuses": lambda: list(
            Order.objects.values_list("financial_status", flat=True).distinct().order_by()
        ),
    }


def of_a_team(boss: User, number: int) -> dict[str, Callable[[], object]]:
    """Their searches once they see no more than their team's store and conversations."""
    team = Team.objects.create(name="North")
    team.stores.set(Store.objects.all())
    boss.teams.add(team)
    Conversation.objects.update(team=team)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE inbox_conversation")
    client = Client()
    client.force_login(boss)
    return busy_paths.searches(client, number)


def read_whole(name: str, path: Callable[[], object], large: set[str]) -> list[str]:
    return [
        f"{name}: {table}: {sql[:300]}"
        for sql in statements(path)
        for table in whole_tables(sql, large)
    ]


def test_nothing_reads_a_large_table_whole(boss: User) -> None:
    large = large_tables()
    assert {"orders_order", "inbox_message", "inbox_conversation", "orders_orderevent"} <= large
    number = ROWS - 957
    found = []
    paths = busy_paths.paths(boss, number)
    # Once a day, this also adds up the tallies of all past hours.
    paths["metrics"]()
    for name, path in paths.items():
        found += read_whole(name, path, large)
    for name, path in of_a_team(boss, number).items():
        found += read_whole(f"team: {name}", path, large)
    assert found == []
    # The controls.
    for name, path in old_queries(number).items():
        assert any(whole_tables(sql, large) for sql in statements(path)), name
    assert whole_tables('SELECT * FROM "inbox_message"', large) == {"inbox_message"}
