"""Every field of the schema gives data or a Shopify-style error, and never a crash."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from graphql import (
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
)

from practice_store.changes import staff_actions
from practice_store.graphql import execution, scalars
from practice_store.store import Store
from shopify_sync.api import documents
from tests.support.shop.in_process import Shop

SHOP = "demo.myshopify.com"


@pytest.fixture(scope="module")
def store() -> Store:
    """With one order that went through everything."""
    found = Store([SHOP])
    found.courier.send = lambda *a: None  # type: ignore[method-assign]

    def work(context: Any) -> None:
        order = staff_actions.place(
            context,
            email="a@example.com",
            financialStatus="PENDING",
            customer={"toUpsert": {"email": "a@example.com", "firstName": "Ann"}},
            lineItems=[
                {
                    "title": "Mug",
                    "quantity": 2,
                    "requiresShipping": True,
                    "priceSet": {"shopMoney": {"amount": "10.00", "currencyCode": "EUR"}},
                }
            ],
        )
        staff_actions.pay(context, order)
        staff_actions.ship(context, order)

    found.act(SHOP, work)
    return found


def arguments(field: Any, ids: dict[str, str]) -> str | None:
    """Words for the arguments a field insists on; None: this test knows none."""
    words = {}
    for name, argument in field.args.items():
        if isinstance(argument.type, GraphQLNonNull):
            if name != "id":
                return None
            words[name] = json.dumps(ids.get(get_named_type(field.type).name, "gid://shopify/X/1"))
    if "first" in field.args:
        words["first"] = "2"
    return f"({', '.join(f'{k}: {v}' for k, v in words.items())})" if words else ""


def selections(kind: Any, ids: dict[str, str], path: tuple[str, ...]) -> Iterator[tuple[Any, str]]:
    for name, field in kind.fields.items():
        words = arguments(field, ids)
        if words is None or len(path) > 6:
            continue
        named = get_named_type(field.type)
        inner = "" if is_leaf_type(named) else " { __typename }"
        opened = " { ".join((*path, f"{name}{words}{inner}"))
        yield named, "{ " + opened + " }" * (len(path) + 1)


@pytest.mark.slow
def test_no_field_of_the_schema_crashes_the_store(store: Store) -> None:
    schema = scalars.schema()
    order = next(iter(store.world.shops[SHOP].orders.values()))
    shop = store.world.shops[SHOP]
    ids = {
        "Order": order.id,
        "Fulfillment": order.fulfillments[0].id,
        "FulfillmentOrder": order.fulfillment_orders[0].id,
        "Customer": next(iter(shop.customers.values())).id,
    }
    known: dict[str, tuple[str, ...]] = {"QueryRoot": ()}
    waiting, asked, undefined = ["QueryRoot"], 0, 0
    while waiting:
        kind = schema.type_map[waiting.pop(0)]
        path = known[kind.name]
        for named, query in selections(kind, ids, path):
            work = partial(execution.execute, query=query, variables={}, operation_name=None)
            answer = store.act(SHOP, work)
            asked += 1
            for error in answer.get("errors", ()):
                code = (error.get("extensions") or {}).get("code")
                assert code, (query, error)
                undefined += code == "undefinedField"
            is_answered = "errors" not in answer
            if is_answered and isinstance(named, GraphQLObjectType) and named.name not in known:
                step = query.removeprefix("{ ").split(" { __typename }")[0].split(" { ")
                known[named.name] = tuple(step)
                waiting.append(named.name)
    assert asked > 300
    assert undefined > 20
    assert {"Order", "LineItem", "OrderTransaction", "Fulfillment"} <= set(known)


def test_a_field_without_a_resolver_is_reported_as_undefined(shop: Shop) -> None:
    """Over HTTP: 200 and a coded error, where there was a 500."""
    order = shop.place()
    answer = shop.graphql(
        "query($id: ID!) { order(id: $id) { id merchantEditableErrors } }", {"id": order.id}
    )
    code = answer["errors"][0]["extensions"]["code"]
    assert code == "undefinedField"


def test_what_the_product_asks_is_filled(shop: Shop) -> None:
    order = shop.place()
    shop.act(lambda c: staff_actions.ship(c, order))
    for name in ("OrderForPanel", "OrdersUpdatedSince", "OrdersCompared", "ShopInfo"):
        text = documents.load(name)
        wanted = {"id": order.id, "query": "updated_at:>=2020-01-01", "first": 5, "after": None}
        given = {key: value for key, value in wanted.items() if f"${key}:" in text}
        errors = shop.graphql(text, given).get("errors", [])
        found = [e for e in errors if e["extensions"]["code"] == "undefinedField"]
        assert found == [], name
