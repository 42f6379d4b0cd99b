"""Connecting through OAuth, and attempts that must fail; only the shop's host is called."""

from __future__ import annotations

import socket
import time
import tomllib
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import urllib3
from django.contrib.auth.models import User
from django.test import Client

from orders.models import AuditEntry, Store
from shopify_sync.models import Backfill, ConnectionMethod, ShopConnection
from shopify_sync.setup import (
    connect as connecting,
)
from shopify_sync.setup import (
    oauth,
)
from tests.conftest import logged_in
from tests.support.shop.in_process import DOMAIN, Shop

pytestmark = pytest.mark.django_db(transaction=True)
ADD = "/admin/shopify_sync/shopconnection/add/"


@pytest.fixture
def admin(db: None) -> Client:
    return logged_in(User.objects.create_superuser("admin"))


@pytest.fixture
def calls(shop: Shop) -> Iterator[list[Any]]:
    """Every address a socket was opened to; any but the shop's is refused."""
    seen: list[Any] = []
    allowed = shop.server.server_address[:2]
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> Any:
        seen.append(address)
        # A local socket is the database's or Redis's.
        if isinstance(address, tuple) and address[:2] != allowed and address[1] not in {5432, 6379}:
            raise OSError(f"outbound connection to {address}")
        return connect(self, address)

    with patch.object(socket.socket, "connect", guarded):
        yield seen


def add(client: Client, **more: str) -> Any:
    words = {
        "shop": DOMAIN,
        "method": "oauth",
        "client_id": "practice-demo",
        "api_secret": "shpss_practice_demo",
        **more,
    }
    return client.post(ADD, words)


def consent(client: Client, at: Shop, **tampered: str) -> str:
    """Through install and the shop's consent page; the address it sends the browser back to."""
    out = client.get(f"/shopify/install/?shop={DOMAIN}").headers["Location"]
    query = parse_qs(urlsplit(out).query)
    form = {name: values[0] for name, values in query.items()}
    assert form["shop"] == DOMAIN
    back = urllib3.request(
        "POST",
        f"{at.origin}/admin/oauth/authorize",
        body=urlencode(form).encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        redirect=False,
    )
    parts = urlsplit(back.headers["Location"])
    assert parts.path == "/shopify/callback/"
    given = {name: values[0] for name, values in parse_qs(parts.query).items()} | tampered
    return f"{parts.path}?{urlencode(given)}"


def test_an_administrator_installs_the_app(admin: Client, shop: Shop, calls: list[Any]) -> None:
    added = add(admin)
    row = ShopConnection.objects.get()
    assert (added.status_code, row.access_token) == (302, "")
    page = admin.get(added.headers["Location"]).content.decode()
    assert "Install in Shopify" in page
    assert "shpss_practice_demo" not in page
    assert admin.get(consent(admin, shop)).status_code == 302
    row.refresh_from_db()
    assert row.access_token.reveal().startswith("shpat_")
    assert row.refresh_token
    assert row.credentials_ok_at
    assert row.webhooks_ok_at
    assert Backfill.objects.filter(store=row.store).exists()
    page = admin.get(added.headers["Location"]).content.decode()
    assert "Test call" in page
    assert "orders" in page
    secrets = [row.access_token.reveal(), row.refresh_token.reveal(), "shpss_practice_demo"]
    audited = str(list(AuditEntry.objects.values_list()))
    assert not [s for s in secrets if s in page or s in audited or s in repr(vars(row))]


def test_an_own_app_and_a_token_are_connected_as_they_are_saved(admin: Client, shop: Shop) -> None:
    assert add(admin, method="client").status_code == 302
    assert ShopConnection.objects.get().webhooks_ok_at
    Store.objects.all().delete()
    words = {"method": "token", "client_id": "", "access_token": "shpat_practice_demo"}
    assert add(admin, **words).status_code == 302
    assert ShopConnection.objects.get().webhooks_ok_at


def test_its_app_file_is_one_shopify_reads(admin: Client, shop: Shop) -> None:
    add(admin, client_id='quo"ted')
    row = ShopConnection.objects.get()
    answer = admin.get(f"/admin/shopify_sync/shopconnection/{row.pk}/shopify.app.toml")
    found = tomllib.loads(answer.content.decode())
    assert found["client_id"] == 'quo"ted'
    assert found["auth"]["redirect_urls"] == ["http://testserver/shopify/callback/"]
    topics, compliance = found["webhooks"]["subscriptions"]
    assert {
        "orders/create",
        "app/uninstalled",
        "bulk_operations/finish",
        "reverse_fulfillment_orders/dispose",
    } <= set(topics["topics"])
    assert len(compliance["compliance_topics"]) == 3


def test_a_new_secret_keeps_the_old_one_for_webhooks_on_their_way(
    admin: Client, shop: Shop
) -> None:
    add(admin)
    row = ShopConnection.objects.get()
    words = {"method": "oauth", "client_id": "practice-demo", "api_secret": "shpss_new"}
    page = f"/admin/shopify_sync/shopconnection/{row.pk}/change/"
    assert admin.post(page, words).status_code == 302
    row.refresh_from_db()
    assert set(row.secrets) == {b"shpss_new", b"shpss_practice_demo"}
    assert admin.post(page, words | {"api_secret": ""}).status_code == 302
    row.refresh_from_db()
    assert set(row.secrets) == {b"shpss_new", b"shpss_practice_demo"}
    assert "Forget the previous secret" in admin.get(page).content.decode()
    words |= {"api_secret": "", "previous_api_secret": "", "forget_previous": "on"}
    assert admin.post(page, words).status_code == 302
    row.refresh_from_db()
    assert row.secrets == (b"shpss_new",)
    assert "Forget the previous secret" not in admin.get(page).content.decode()


BAD_SHOPS = [
    "",
    "demo",
    "demo.myshopify.com.evil.com",
    "evil.com/demo.myshopify.com",
    "demo@evil.com",
    "https://evil.com#.myshopify.com",
    "demo.myshopify.com:80",
    "demo.myshopify.com/",
    "127.0.0.1",
    "localhost",
    "[::1]",
    "demo.myshopify.com\n",
    "demo.myshopify.com%0d%0a",
    "-demo.myshopify.com",
    "demo_.myshopify.com",
    "demo..myshopify.com",
    "demo.myshopify.com?x=.myshopify.com",
    "dëmo.myshopify.com",
    "demo.MYSHOPIFY.com.",
    "169.254.169.254",
    "demo.myshopify.io",
    "a" * 80 + ".myshopify.com",
    "demo.myshopify.com\x00",
    "//evil.com",
    "file:///etc/passwd",
    "gopher://x.myshopify.com",
    "demo.myshopify.com@evil.com",
    "evil.com\\.myshopify.com",
    "demo myshopify.com",
    "demo.myshopify.com;evil.com",
    "demo.myshopify.com,evil.com",
    "０.myshopify.com",
    "demo.myshopifyXcom",
    "demo。myshopify.com",
    "xn--/.myshopify.com",
]


@pytest.mark.slow
@pytest.mark.parametrize("door", ["install", "add", "callback"])
def test_no_other_address_is_ever_called(
    admin: Client, shop: Shop, calls: list[Any], door: str
) -> None:
    for bad in BAD_SHOPS:
        calls.clear()
        if door == "install":
            assert admin.get("/shopify/install/", {"shop": bad}).status_code == 400, bad
        elif door == "add":
            answer = add(admin, shop=bad)
            if answer.status_code == 302:  # a slash or a line too many is mended
                assert bad in {"demo.myshopify.com/", "demo.myshopify.com\n"}
            ShopConnection.objects.filter(store__domain=DOMAIN).delete()
            assert not ShopConnection.objects.exists(), bad
        else:
            words = {"shop": bad, "code": "c", "state": "s", "hmac": "h", "timestamp": "1"}
            assert admin.get("/shopify/callback/", words).status_code == 400, bad
        assert calls == [], bad


TAMPERED = [
    {"state": "other"},
    {"state": ""},
    {"shop": "second.myshopify.com"},
    {"shop": "evil.com"},
    {"code": "other"},
    {"code": ""},
    {"hmac": ""},
    {"hmac": "0" * 64},
    {"hmac": "ü"},
    {"timestamp": "1"},
    {"timestamp": "9" * 12},
    {"timestamp": "-1"},
    {"timestamp": "1e9"},
    {"extra": "unsigned"},
    {"host": "evil.com"},
]


@pytest.mark.slow
@pytest.mark.parametrize("tampered", TAMPERED, ids=str)
def test_an_answer_that_was_tampered_with_connects_nothing(
    admin: Client, shop: Shop, tampered: dict[str, str]
) -> None:
    add(admin)
    assert admin.get(consent(admin, shop, **tampered)).status_code == 400
    assert not ShopConnection.objects.get().access_token


def test_a_state_is_good_once_for_one_session_and_ten_minutes(admin: Client, shop: Shop) -> None:
    add(admin)
    address = consent(admin, shop)
    other = logged_in(User.objects.create_superuser("other"))
    assert other.get(address).status_code == 400
    assert admin.get(address + "&state=x").status_code == 400
    assert admin.get(address).status_code == 400, "the try before used the state up"
    late = consent(admin, shop)
    with patch("shopify_sync.setup.oauth.time.time", lambda: real() + 601):
        assert admin.get(late).status_code == 400


real = time.time


@pytest.mark.parametrize("tampered", [{"code": "other"}, {"extra": "unsigned"}], ids=str)
def test_without_the_signature_check_it_would_be_believed(
    admin: Client, shop: Shop, tampered: dict[str, str]
) -> None:
    """The negative control: the code is then all that is left to refuse."""
    add(admin)
    with patch.object(oauth, "_is_signed", lambda *_: True):
        answer = admin.get(consent(admin, shop, **tampered))
    assert (answer.status_code == 302) == ("extra" in tampered)


def test_a_redirect_of_the_token_address_is_not_followed(
    admin: Client, shop: Shop, calls: list[Any]
) -> None:
    add(admin)
    address = consent(admin, shop)
    from practice_store.web import server
    from practice_store.web.answers import Answer

    def elsewhere(self: Any, *_: Any) -> Any:
        return Answer(302, b"", headers={"Location": "http://169.254.169.254/"})

    with patch.object(server.Handler, "_token", elsewhere):
        assert admin.get(address).status_code == 400
    assert not ShopConnection.objects.get().access_token


@pytest.mark.parametrize(
    "path", ["/shopify/install/?shop=demo.myshopify.com", "/shopify/callback/"]
)
def test_only_administrators_connect(as_alice: Client, path: str) -> None:
    assert as_alice.get(path).status_code == 403
    assert Client().get(path).status_code == 302


def test_the_bulk_file_must_be_behind_https(settings: Any) -> None:
    from shopify_sync.api.errors import NeedsAdmin
    from shopify_sync.sync import bulk_file

    settings.SHOPIFY_ADMIN_ORIGIN = ""
    for url in ("http://storage.example.com/x", "file:///etc/passwd", "ftp://x", ""):
        with pytest.raises(NeedsAdmin):
            list(bulk_file.orders_in(url, start=0))


def test_a_method_needs_its_client_id(shop: Shop, admin: Client) -> None:
    from django.db import IntegrityError

    assert add(admin, client_id="").status_code == 200
    with pytest.raises(IntegrityError):
        connecting.connect(domain=DOMAIN, secret="s", method=ConnectionMethod.OAUTH)
