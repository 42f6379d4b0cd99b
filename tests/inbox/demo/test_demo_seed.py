"""What seeding the demo creates, and where it refuses to run."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from inbox import api_tokens
from inbox.channels import keys as channel_keys
from inbox.demo import keys as demo_keys
from inbox.management.commands import seed_demo
from inbox.models import Channel, Conversation
from orders.models import Order, Store

SQLITE = "django.db.backends.sqlite3"


def use_database(monkeypatch: pytest.MonkeyPatch, found: dict[str, str]) -> None:
    """What the settings say; the test's own connection stays."""
    monkeypatch.setitem(django_settings.DATABASES, "default", found)


@pytest.fixture
def demo_settings(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """As `./run demo` sets them."""
    settings.DEBUG = True
    settings.SHOPIFY_ADMIN_ORIGIN = "http://127.0.0.1:9292"
    settings.VAR_DIR = tmp_path
    use_database(monkeypatch, {"ENGINE": SQLITE, "NAME": str(tmp_path / "inbox.sqlite3")})
    return settings


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"DEBUG": False}, "DEBUG"),
        ({"SHOPIFY_ADMIN_ORIGIN": ""}, "practice store"),
        ({"SHOPIFY_ADMIN_ORIGIN": "https://shop.example.com"}, "practice store"),
        (
            {"database": {"ENGINE": "django.db.backends.postgresql", "NAME": "x"}},
            "isn't the demo's",
        ),
        ({"database": {"ENGINE": SQLITE, "NAME": "/srv/inbox.sqlite3"}}, "isn't the demo's"),
    ],
)
def test_it_creates_no_users_outside_the_demo(
    demo_settings: Any, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: str
) -> None:
    for name, value in changes.items():
        if name == "database":
            use_database(monkeypatch, value)
        else:
            setattr(demo_settings, name, value)
    with pytest.raises(CommandError, match=said):
        call_command("seed_demo", base_url="http://127.0.0.1:1")
    assert not User.objects.exists()


@pytest.mark.django_db
def test_it_leaves_a_database_of_other_people_alone(demo_settings: Any) -> None:
    User.objects.create_user("ann")
    with pytest.raises(CommandError, match="1 people use this database"):
        call_command("seed_demo", base_url="http://127.0.0.1:1")
    assert not User.objects.filter(is_superuser=True).exists()


@pytest.mark.django_db
def test_in_the_demo_it_is_let_in(demo_settings: Any) -> None:
    seed_demo.refuse_outside_the_demo()


def _read_order(domain: str) -> None:
    store = Store.objects.get_or_create(domain=domain)[0]
    Order.objects.create(
        store=store, gid=f"o-{domain}", legacy_id=1, document="{}", placed_at=timezone.now()
    )


@pytest.mark.django_db
def test_a_third_store_does_not_keep_the_demo_from_starting(
    monkeypatch: pytest.MonkeyPatch, channel: Channel, conversation: Conversation
) -> None:
    """As the README's "Connect a store" leaves it: three stores, one of them never read."""
    monkeypatch.setattr(seed_demo, "WAIT_S", 1)
    for domain in (*seed_demo.SHOPS, "new.myshopify.com"):
        _read_order(domain)
    Store.objects.create(domain="mine.myshopify.com")
    seed_demo.Command()._wait_for_orders()
    # Also where it was connected before the demo's own conversations were there.
    Conversation.objects.all().delete()
    seed_demo.Command()._wait_for_orders()


@pytest.mark.django_db
def test_it_waits_for_its_own_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seed_demo, "WAIT_S", 0.1)
    for domain in seed_demo.SHOPS:
        Store.objects.create(domain=domain)
    _read_order("demo.myshopify.com")
    with pytest.raises(CommandError, match="didn't arrive"):
        seed_demo.Command()._wait_for_orders()


@pytest.mark.django_db
def test_the_keys_open_what_they_say(alice: User, sara: User, tmp_path: Path) -> None:
    proven = Channel.objects.create(name="Messenger", proves_addresses=True)
    Channel.objects.create(name="Chat widget")
    file = tmp_path / "keys.json"
    demo_keys.write(file, people=("alice", "sara"), shops=seed_demo.SHOPS)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = json.loads(file.read_text())
    assert [(c["name"], c["kind"], c["verifies"]) for c in found["channels"]] == [
        ("Messenger", "api", True),
        ("Chat widget", "api", False),
    ]
    owner = channel_keys.channel_of(found["channels"][0]["key"])
    assert owner is not None
    assert owner.pk == proven.pk == found["channels"][0]["id"]
    assert found["shops"]["demo.myshopify.com"] == {
        "token": "shpat_practice_demo",
        "secret": "shpss_practice_demo",
    }
    assert set(found["tokens"]) == {"alice", "sara"}
    asked = {"Authorization": f"Token {found['tokens']['sara']}"}
    assert Client().get("/api/v1/orders/?q=1043", headers=asked).status_code == 200
    # Started again: the same keys, also those of a program that read them before.
    demo_keys.write(file, people=("alice", "sara"), shops=seed_demo.SHOPS)
    assert json.loads(file.read_text()) == found
    # And where the file was lost, ones that work.
    file.unlink()
    again = demo_keys.write(file, people=("alice", "sara"), shops=seed_demo.SHOPS)
    assert channel_keys.channel_of(again["channels"][0]["key"]) == proven
    token = api_tokens.owned_by(again["tokens"]["alice"], now=timezone.now())
    assert token is not None
    assert (token.owner, token.scope) == (alice, "act")
    assert api_tokens.owned_by(found["tokens"]["alice"], now=timezone.now()) is None
