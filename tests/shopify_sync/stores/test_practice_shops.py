"""Staging has practice shops and nothing else; everything else has none of them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import checks
from django.core.management import CommandError, call_command

from orders.models import Store
from shopify_sync.api.errors import NeedsAdmin
from shopify_sync.models import ShopConnection
from shopify_sync.setup import connect
from shopify_sync.stores.clients import client_for
from tests.conftest import logged_in

pytestmark = pytest.mark.django_db
PRACTICE, REAL = "demo.myshopify.com", "real.myshopify.com"


@pytest.fixture
def in_staging(settings: Any) -> None:
    settings.PRACTICE_SHOPS = (PRACTICE,)
    settings.SHOPIFY_ADMIN_ORIGIN = "http://127.0.0.1:9"


def leave(settings: Any) -> None:
    settings.PRACTICE_SHOPS, settings.SHOPIFY_ADMIN_ORIGIN = (), ""


def refusals() -> list[str]:
    found = checks.run_checks(tags=[checks.Tags.database], databases=["default"])
    return [message.msg for message in found if message.id == "shopify_sync.E007"]


def test_a_real_store_is_not_connected_in_staging(in_staging: None) -> None:
    with pytest.raises(connect.ShopRefused):
        connect.connect(domain=REAL, token="shpat_real", secret="shpss_real")
    with pytest.raises(CommandError, match="only these practice shops"):
        call_command("connect_store", shop=REAL, token="shpat_real", secret="shpss_real")
    words = {"shop": REAL, "method": "token", "access_token": "a", "api_secret": "b"}
    web = logged_in(User.objects.create_superuser("root"))
    page = web.post("/admin/shopify_sync/shopconnection/add/", words).content.decode()
    assert "only these practice shops" in page
    assert not ShopConnection.objects.exists()
    assert not Store.objects.exists()


def test_staging_does_not_start_beside_a_real_store(settings: Any) -> None:
    connect.connect(domain=PRACTICE, token="shpat_real", secret="shpss_real")
    assert refusals() == []
    settings.PRACTICE_SHOPS = (PRACTICE,)
    assert refusals() == [f"Real stores are connected in this database: {PRACTICE}."]


def test_nothing_else_starts_beside_a_practice_shop(in_staging: None, settings: Any) -> None:
    connect.connect(domain=PRACTICE, token="shpat_practice", secret="shpss_practice")
    assert refusals() == []
    leave(settings)
    assert refusals() == [f"Practice shops are connected in this database: {PRACTICE}."]
    # Changing its credentials doesn't make it a real one.
    connect.connect(domain=PRACTICE, token="shpat_other", secret="shpss_other")
    assert ShopConnection.objects.get().is_practice


def test_no_shop_is_called_on_the_wrong_side(in_staging: None, settings: Any) -> None:
    row = connect.connect(domain=PRACTICE, token="shpat_practice", secret="shpss_practice")
    client_for(row.store)
    leave(settings)
    with pytest.raises(NeedsAdmin, match="a practice shop"):
        client_for(row.store)
    ShopConnection.objects.update(is_practice=False)
    settings.PRACTICE_SHOPS = (PRACTICE,)
    with pytest.raises(NeedsAdmin, match="a real store"):
        client_for(row.store)


@pytest.mark.parametrize(
    ("origin", "shops", "is_refused"),
    [
        ("http://127.0.0.1:9292", (PRACTICE,), False),
        ("http://127.0.0.1:9292", (), True),
        ("https://shop.example.com", (PRACTICE,), True),
        # Its domain is someone's real shop at Shopify.
        ("", (PRACTICE,), True),
        ("", (), False),
    ],
)
def test_only_a_practice_store_on_this_machine_stands_in(
    settings: Any, origin: str, shops: tuple[str, ...], is_refused: bool
) -> None:
    settings.SHOPIFY_ADMIN_ORIGIN, settings.PRACTICE_SHOPS = origin, shops
    found = [m for m in checks.run_checks(tags=["security"]) if m.id == "shopify_sync.E001"]
    assert bool(found) is is_refused
