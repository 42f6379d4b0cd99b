"""The store's HTTP interface: tokens, scopes, faults, throttling, OAuth."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3

from tests.support.shop.in_process import DOMAIN, Shop

pytestmark = pytest.mark.django_db
HEADERS = {"Host": DOMAIN, "X-Shopify-Access-Token": "shpat_practice_demo"}
Door = Callable[..., urllib3.BaseHTTPResponse]


@pytest.fixture
def door(shop: Shop) -> Door:
    pool = urllib3.PoolManager(retries=False)

    def call(method: str, path: str, body: Any = None, **headers: str) -> urllib3.BaseHTTPResponse:
        data = json.dumps(body).encode() if isinstance(body, dict | list) else body
        return pool.request(
            method, shop.origin + path, body=data, headers=HEADERS | headers, redirect=False
        )

    return call


def test_a_wrong_token_and_an_unknown_shop_are_turned_away(door: Door) -> None:
    path, body = "/admin/api/2026-10/graphql.json", {"query": "{ shop { name } }"}
    assert door("POST", path, body).status == 200
    assert door("POST", path, body, **{"X-Shopify-Access-Token": "wrong"}).status == 401
    assert door("POST", path, body, Host="unknown.myshopify.com").status == 404
    assert door("POST", "/admin/api/2026-10/orders.json", body).status == 404


def test_a_missing_scope_is_access_denied(shop: Shop) -> None:
    shop.store.world.shops[DOMAIN].scopes = ["read_orders"]
    answer = shop.graphql("{ customers(first: 1) { nodes { id } } }")
    assert answer["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    assert "errors" not in shop.graphql("{ orders(first: 1) { nodes { id } } }")


def test_an_empty_bucket_throttles_and_runs_nothing(shop: Shop) -> None:
    shop.store.buckets[DOMAIN].level = 0
    shop.store.buckets[DOMAIN].at += 3600
    order = shop.place(paid=False)
    query = "mutation($id: ID!) { orderClose(input: {id: $id}) { userErrors { message } } }"
    answer = shop.graphql(query, {"id": order.id})
    assert answer["errors"][0]["extensions"]["code"] == "THROTTLED"
    assert order.closed_at is None


def test_a_query_beyond_the_limit_is_refused(shop: Shop) -> None:
    inner = "lineItems(first: 250) { nodes { id } }"
    for _ in range(4):
        inner = f"refunds {{ order {{ {inner} fulfillmentOrders(first: 250) {{ nodes {{ order {{ {inner} }} }} }} }} }}"
    answer = shop.graphql(f"{{ orders(first: 250) {{ nodes {{ {inner} }} }} }}")
    assert answer["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"


def test_faults_are_rules_and_nonsense_is_refused(door: Door) -> None:
    rules = [{"operation": "shop", "phase": "500_before", "nth": 2}]
    assert door("POST", "/_practice/faults", rules).status == 200
    path, body = "/admin/api/2026-10/graphql.json", {"query": "{ shop { name } }"}
    assert [door("POST", path, body).status for _ in range(3)] == [200, 500, 200]
    assert door("POST", "/_practice/faults", [{"phase": "explode"}]).status == 400
    assert door("POST", "/_practice/clock", {"advance_s": 60}).status == 200
    assert door("POST", "/_practice/reset", {}).status == 200


def test_oauth_hands_out_a_code_once_and_rotates_refresh_tokens(door: Door) -> None:
    query = "client_id=practice-demo&redirect_uri=https://inbox.example.com/cb&state=s&scope=read_orders"
    assert b"Install app" in door("GET", f"/admin/oauth/authorize?{query}").data
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    back = door("POST", "/admin/oauth/authorize", query.encode(), **form).headers["Location"]
    found = {k: v[0] for k, v in parse_qs(urlsplit(back).query).items()}
    assert found["state"] == "s"
    app = {"client_id": "practice-demo", "client_secret": "shpss_practice_demo"}
    as_json = {"Content-Type": "application/json"}
    ask = app | {"code": found["code"], "expiring": "1"}
    first = door("POST", "/admin/oauth/access_token", ask, **as_json)
    token = json.loads(first.data)
    assert (first.status, token["expires_in"]) == (200, 3600)
    assert door("POST", "/admin/oauth/access_token", ask, **as_json).status == 400
    again = app | {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]}
    assert door("POST", "/admin/oauth/access_token", again, **as_json).status == 200
    wrong = again | {"client_secret": "x"}
    assert door("POST", "/admin/oauth/access_token", wrong, **as_json).status == 401


def test_the_staff_page_shows_names_as_text(door: Door, shop: Shop) -> None:
    shop.place(email="a@example.com", paid=False)
    page = door("GET", "/_practice/?q=<script>").data.decode()
    assert "<script>" not in page
    assert "a@example.com" in door("GET", "/_practice/").data.decode()


def test_a_saved_store_goes_on_where_it_stopped(shop: Shop, tmp_path: Any) -> None:
    from practice_store.store import Store

    file = tmp_path / "store.json"
    first = Store([DOMAIN], state_file=file)
    first.world.shops[DOMAIN] = shop.store.world.shops[DOMAIN]
    order = shop.place()
    first.save()
    again = Store([DOMAIN], state_file=file)
    assert again.is_resumed
    assert again.world.shops[DOMAIN].orders[order.number_id] == order


def test_a_page_says_what_the_store_can_and_cannot_do(door: Door) -> None:
    assert b'href="/_practice/about"' in door("GET", "/_practice/").data
    page = door("GET", "/_practice/about").data.decode()
    for words in ("pre-release of 2026-10", "requestedOrderEdits", "returnProcess", "It cannot"):
        assert words in page


def test_older_versions_are_answered_as_themselves(door: Door, shop: Shop) -> None:
    order = shop.place()
    query = f'''mutation {{ orderCancel(orderId: "{order.id}", reason: OTHER, restock: false)
        {{ jobResult {{ id }} orderCancelUserErrors {{ message }} }} }}'''
    words = {"X-Shopify-Access-Token": "shpat_practice_demo"}

    def ask(version: str, text: str) -> Any:
        return door("POST", f"/admin/api/{version}/graphql.json", {"query": text}, **words)

    old = ask("2026-07", query)
    assert old.headers["X-Shopify-API-Version"] == "2026-07"
    assert json.loads(old.data)["errors"][0]["extensions"]["code"] == "undefinedField"
    assert shop.ledger()["cancelations"] == []
    # One that has ended is answered by the oldest there is, and says so.
    assert ask("2024-01", "{ shop { name } }").headers["X-Shopify-API-Version"] == "2026-01"
    assert ask("2031-01", "{ shop { name } }").status == 404
    assert "errors" not in json.loads(ask("2026-10", query).data)
