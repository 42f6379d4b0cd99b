"""Bulk operations of the practice store, over HTTP, against the recorded facts."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import urllib3

from shopify_sync.api import documents
from tests.support.shop.in_process import Shop

pytestmark = pytest.mark.django_db
RUN = "mutation R($q: String!) { bulkOperationRunQuery(query: $q) { bulkOperation { id status } userErrors { field message code } } }"
LOOK = "query L($id: ID!) { bulkOperation(id: $id) { status errorCode objectCount rootObjectCount fileSize url partialDataUrl completedAt } }"
ORDERS = "{ orders { edges { node { id name lineItems { edges { node { id quantity } } } } } } }"
NEST = "{ edges { node { id %s } } }"

# (query, what Shopify said), recorded 2026-04.
REFUSED = [
    (
        "{ products { nodes { id title } } }",
        [
            "All connection fields in a bulk query must select their contents using 'edges' > 'node', e.g: 'products { edges { node {'. Selecting via 'nodes' is not supported. Invalid connection fields: 'products'."
        ],
    ),
    (
        '{ node(id: "gid://shopify/Product/0") { id } }',
        [
            "Bulk queries cannot contain a top level `node` field.",
            "Bulk queries must contain at least one connection.",
        ],
    ),
    (
        "{ orders { edges { node { id fulfillmentOrders { edges { node { id lineItems { edges { node { id lineItem { id returns: product { id collections { edges { node { id } } } } } } } } } } } } } } }",
        ["Bulk queries cannot contain connections with a nesting depth greater than 2."],
    ),
    (
        "{ orders { edges { node { name lineItems { edges { node { id } } } } } } }",
        [
            "The parent 'node' field for a nested connection must select the 'id' field without an alias and must be of 'ID' return type. Connection fields without 'id': orders."
        ],
    ),
    (
        'mutation { orderClose(input: {id: "gid://shopify/Order/1"}) { order { id } } }',
        ["Invalid operation type. Only `query` operations are supported."],
    ),
    (
        "{ orders { edges { node { id fulfillments { events { edges { node { id } } } } } } } }",
        [
            "Queries that contain a connection field within a list field are not currently supported."
        ],
    ),
    (
        "{ orders { edges { node { id lineItems { edges { node { id } } } fulfillmentOrders { edges { node { id } } } returns { edges { node { id } } } shippingLines { edges { node { id } } } discountApplications { edges { node { index } } } } } } }",
        ["Bulk queries cannot contain more than 5 connections."],
    ),
]


def run(shop: Shop, query: str = ORDERS) -> dict[str, Any]:
    found: dict[str, Any] = shop.graphql(RUN, {"q": query})["data"]["bulkOperationRunQuery"]
    return found


def ended(shop: Shop, gid: str) -> dict[str, Any]:
    for _ in range(200):
        found: dict[str, Any] = shop.graphql(LOOK, {"id": gid})["data"]["bulkOperation"]
        if found["completedAt"]:
            return found
        time.sleep(0.02)
    raise AssertionError(found)


@pytest.mark.parametrize(("query", "messages"), REFUSED, ids=[q[:40] for q, _ in REFUSED])
def test_what_shopify_refuses_is_refused_in_its_words(
    shop: Shop, query: str, messages: list[str]
) -> None:
    answer = run(shop, query)
    assert answer["bulkOperation"] is None
    assert [e["message"] for e in answer["userErrors"]] == messages
    assert {(*e["field"], e["code"]) for e in answer["userErrors"]} == {("query", "INVALID")}


def test_the_file_holds_a_line_an_object_children_after_their_parent(shop: Shop) -> None:
    first, second = shop.place(items=(("Mug", "5.00", 2), ("Cup", "7.00", 1))), shop.place()
    done = ended(shop, run(shop)["bulkOperation"]["id"])
    assert (done["status"], done["rootObjectCount"], done["objectCount"]) == ("COMPLETED", "2", "5")
    body = urllib3.request("GET", done["url"]).data
    assert len(body) == int(done["fileSize"])
    lines = [json.loads(line) for line in body.splitlines()]
    assert [line.get("name") or line["__parentId"] for line in lines] == [
        first.name,
        first.id,
        first.id,
        second.name,
        second.id,
    ]
    half = urllib3.request("GET", done["url"], headers={"Range": "bytes=100-"})
    assert (half.status, half.data) == (206, body[100:])


def test_our_own_back_fill_query_is_one_it_runs(shop: Shop) -> None:
    shop.place()
    inner = documents.load("BulkOrdersInner").replace("query BulkOrdersInner ", "")
    answer = run(shop, inner.replace("$SEARCH", "updated_at:>='2020-01-01T00:00:00Z'"))
    assert answer["userErrors"] == []
    assert ended(shop, answer["bulkOperation"]["id"])["rootObjectCount"] == "1"


def test_a_sixth_operation_has_to_wait(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop.store.bulk, "_begin", lambda _operation: None)
    answers = [run(shop) for _ in range(6)]
    assert all(answer["bulkOperation"] for answer in answers[:5])
    assert answers[5]["userErrors"][0]["code"] == "OPERATION_IN_PROGRESS"


def test_a_failed_one_says_so_and_gives_what_it_has(shop: Shop) -> None:
    shop.place()
    shop.fault(operation="bulk", phase="bulk_fail")
    done = ended(shop, run(shop)["bulkOperation"]["id"])
    assert (done["status"], done["errorCode"]) == ("FAILED", "INTERNAL_SERVER_ERROR")
    assert done["url"] is None
    assert done["partialDataUrl"]


def test_without_read_all_orders_only_sixty_days_are_there(shop: Shop) -> None:
    from datetime import timedelta

    old, _new = shop.place(), shop.place()
    state = shop.store.world.shops["demo.myshopify.com"]
    old.created_at -= timedelta(days=61)
    assert ended(shop, run(shop)["bulkOperation"]["id"])["rootObjectCount"] == "2"
    state.scopes.remove("read_all_orders")
    assert ended(shop, run(shop)["bulkOperation"]["id"])["rootObjectCount"] == "1"
    found = shop.graphql("query O($id: ID!) { order(id: $id) { id } }", {"id": old.id})
    assert found["data"]["order"] is None
