"""Fixtures for all tests. Only the practice store stands in for something that isn't ours."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import hypothesis
import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.core.management.commands import flush
from django.db import connection
from django.db.backends.base.operations import BaseDatabaseOperations
from django.test import Client
from django.utils import timezone, translation

from inbox.accounts.default_roles import make_staff_roles
from inbox.channels import keys
from inbox.contacts import customer_views
from inbox.conversations import services
from inbox.models import Campaign, Channel, Conversation
from inbox.outgoing_webhooks import events as outgoing_webhooks
from orders.models import Order, Store
from shopify_sync.api import client as shopify_client
from shopify_sync.setup import connect
from tests.support.database.copies import copy_what_was_migrated, without_triggers
from tests.support.shop.in_process import DOMAIN, Shop, fetch_dirty, quicken

# How long a busy machine takes to make up an example says nothing about the code.
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what a database can make a difference to. Before pytest looks at -m."""
    for item in items:
        used = getattr(item, "fixturenames", ())
        if item.get_closest_marker("django_db") or {"db", "transactional_db"} & set(used):
            item.add_marker("database")


def pytest_collection_finish() -> None:
    """What is loaded by now stays to the end: looking through it for garbage again and again
    took an eighth of the suite's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


@pytest.fixture(autouse=True, scope="session")
def _flush_past_the_triggers() -> Iterator[None]:
    """Emptying the tables between tests is what the append-only triggers are there to refuse."""
    real = BaseDatabaseOperations.execute_sql_flush

    def flush(self: BaseDatabaseOperations, sql_list: list[str]) -> None:
        with without_triggers(self.connection):
            real(self, sql_list)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseDatabaseOperations, "execute_sql_flush", flush)
        yield


# Django's own lists of what there is: the same after every test, so they stay.
_LISTS = {"django_content_type", "auth_permission"}


@pytest.fixture(autouse=True, scope="session")
def _lists_of_models_stay() -> Iterator[None]:
    """After each test that commits, Django empties them and fills them again, model by model:
    longer than most of those tests take. The staff roles, which `migrate` makes besides, are
    put back as they were made the first time."""
    permissions = Group.permissions.through
    groups: list[Group] = []
    granted: list[Any] = []

    def emit(*_: Any, **__: Any) -> None:
        if groups:
            Group.objects.bulk_create(groups)
            permissions._default_manager.bulk_create(granted)
            return
        make_staff_roles(apps.get_app_config("inbox"))
        groups.extend(Group.objects.all())
        granted.extend(permissions._default_manager.all())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "emit_post_migrate_signal", emit)
        yield


@pytest.fixture(autouse=True, scope="session")
def _migrations_run_once() -> None:
    """One of the test processes runs them; the others, and the next run, take a copy."""
    copy_what_was_migrated(connection)


@pytest.fixture(autouse=True, scope="session")
def _empty_only_what_has_rows() -> Iterator[None]:
    """TRUNCATE makes new files for every table and index, 200 ms a test; few tables have rows."""
    real = connection.ops.sql_flush

    def sql_flush(style: Any, tables: list[str], **how: Any) -> list[str]:
        tables = [name for name in tables if name not in _LISTS]
        if connection.vendor != "postgresql" or how.get("reset_sequences") or not tables:
            return real(style, tables, **how)
        emptied = "".join(
            f"IF EXISTS (SELECT FROM {name}) THEN DELETE FROM {name}; END IF; "  # noqa: S608
            for name in map(connection.ops.quote_name, tables)
        )
        return [f"DO $$ BEGIN {emptied}END $$"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection.ops, "sql_flush", sql_flush)
        yield


@pytest.fixture(autouse=True)
def _each_test_begins_in_english() -> Iterator[None]:
    """A page in another language leaves it active in its thread, which here is the tests' own."""
    yield
    translation.deactivate()


@pytest.fixture(autouse=True)
def _each_test_begins_without_memory() -> None:
    """What a process remembers belongs to the last test's database: views it has recorded, and
    cached answers, such as which login codes were used."""
    customer_views.forget()
    outgoing_webhooks.listen()
    cache.clear()


@pytest.fixture
def shop(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    quicken(monkeypatch)
    found = Shop()
    settings.SHOPIFY_ADMIN_ORIGIN = found.origin
    settings.PUBLIC_URL = "http://testserver"
    cache.clear()
    shopify_client._budgets.clear()
    yield found
    found.stop()


@pytest.fixture
def store(shop: Shop, transactional_db: None) -> Store:
    """demo.myshopify.com, connected, its history beginning now."""
    connection = connect.connect(
        domain=DOMAIN, token="shpat_practice_demo", secret="shpss_practice_demo"
    )
    Store.objects.filter(pk=connection.store_id).update(
        name="Demo",
        currency="EUR",
        time_zone="Europe/Berlin",
        country="DE",
        notify_by_default=False,
    )
    return Store.objects.get(pk=connection.store_id)


def _person(username: str, group: str) -> User:
    user = User.objects.create_user(username, password="demo", first_name=username.title())
    user.groups.add(Group.objects.get_or_create(name=group)[0])
    return user


@pytest.fixture
def alice(db: None) -> User:
    return _person("alice", "agents")


@pytest.fixture
def bob(db: None) -> User:
    return _person("bob", "agents")


@pytest.fixture
def sara(db: None) -> User:
    return _person("sara", "supervisors")


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def as_alice(alice: User) -> Client:
    return logged_in(alice)


@pytest.fixture
def channel(db: None) -> Channel:
    made = Channel.objects.create(name="Messenger", proves_addresses=True)
    keys.new_key(made)
    return made


@pytest.fixture
def conversation(channel: Channel, alice: User) -> Conversation:
    """Jane writes; alice has the conversation."""
    message, _is_new = services.receive(
        channel=channel,
        external_id="m-1",
        conversation_id="c-1",
        sender=services.Sender(external_id="u-1", name="Jane Doe", email="jane@example.com"),
        text="Where is my order?",
        sent_at=message_time(),
    )
    services.assign(conversation=message.conversation, to=alice)
    return Conversation.objects.get(pk=message.conversation_id)


def message_time() -> datetime:
    return timezone.now()


@pytest.fixture
def campaigns(db: None) -> list[Campaign]:
    return [
        Campaign.objects.create(
            name=f"{kind} confirmation",
            event_kind=kind,
            subject="Your order {{ order.number }}",
            body=body,
        )
        for kind, body in (
            ("canceled", "{{ order.number }} was canceled. {{ refund_sentence }}"),
            ("refunded", "We are refunding {{ amount }} of {{ order.number }}."),
        )
    ]


@pytest.fixture
def seen(shop: Shop, store: Store) -> Callable[[], Order]:
    """Deliver the shop's webhooks and give the newest order as we then have it."""

    def deliver() -> Order:
        shop.deliver(Client())
        fetch_dirty()
        return Order.objects.select_related("store").order_by("-pk")[0]

    return deliver
