"""What a refund does to the items of an order, and to the stock: quantities, types, locations."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from practice_store.changes import staff_actions
from practice_store.derived import quantities
from practice_store.state import Order
from practice_store.store import Store
from tests.practice_store.test_facts import REFUND, SHOP, place, run

LINES = """query($id: ID!) { order(id: $id) { lineItems(first: 9) { nodes {
  quantity currentQuantity refundableQuantity unfulfilledQuantity } }
  refunds { refundLineItems(first: 9) { nodes { quantity restockType location { id } } }
            orderAdjustments(first: 9) { nodes { reason amountSet { shopMoney { amount } } } } } } }"""
SUGGESTED = """query($id: ID!, $lines: [RefundLineItemInput!]) { order(id: $id) {
  suggestedRefund(refundLineItems: $lines) { amountSet { shopMoney { amount } }
    refundLineItems { quantity restockType location { id name }
                      subtotalSet { shopMoney { amount } } } } } }"""
SHELF, WAREHOUSE = (f"gid://shopify/Location/{n}" for n in (1, 2))


@pytest.fixture
def store() -> Store:
    found = Store([SHOP])
    found.courier.send = lambda *a: None  # type: ignore[method-assign]
    return found


def mixed(store: Store, *, units: int = 5, shipped: int = 3) -> Order:
    """So many tiles at 10.00, some shipped from the shelf; the rest waits in the warehouse."""
    price = {"shopMoney": {"amount": "10.00", "currencyCode": "EUR"}}
    line = {"title": "Tile", "quantity": units, "requiresShipping": True, "priceSet": price}
    order = place(store, lineItems=[line])

    def work(context: Any) -> None:
        if shipped:
            staff_actions.ship(context, order, quantities={order.lines[0].number_id: shipped})
        for wait in order.fulfillment_orders:
            wait.location_number = 2

    store.act(SHOP, work)
    return order


def refund(store: Store, order: Order, lines: list[dict[str, Any]], **more: Any) -> list[Any]:
    rows = [{"lineItemId": order.lines[0].id, **row} for row in lines]
    move = {
        "orderId": order.id,
        "parentId": order.transactions[0].id,
        "gateway": "manual",
        "kind": "REFUND",
        "amount": more.pop("amount", "5.00"),
    }
    data = {"orderId": order.id, "refundLineItems": rows, "transactions": [move], **more}
    answer = run(store, REFUND, {"input": data, "key": str(uuid.uuid4())})
    found: list[Any] = answer["data"]["refundCreate"]["userErrors"]
    return found


def shown(store: Store, order: Order) -> dict[str, int]:
    found: dict[str, int] = run(store, LINES, {"id": order.id})["data"]["order"]["lineItems"][
        "nodes"
    ][0]
    return found


def test_an_amount_leaves_every_item_on_the_order(store: Store) -> None:
    order = mixed(store)
    before = shown(store, order)
    assert refund(store, order, []) == []
    assert (
        shown(store, order)
        == before
        == {
            "quantity": 5,
            "currentQuantity": 5,
            "refundableQuantity": 5,
            "unfulfilledQuantity": 2,
        }
    )
    assert store.ledger(SHOP)["stock"] == []


def test_what_was_not_shipped_is_canceled_and_what_was_comes_back(store: Store) -> None:
    """Shopify's suggestion splits a line by what was shipped, and the refund accepts it."""
    order = mixed(store)
    wanted = [{"lineItemId": order.lines[0].id, "quantity": 4}]
    answer = run(store, SUGGESTED, {"id": order.id, "lines": wanted})["data"]["order"]
    found = answer["suggestedRefund"]
    assert found["amountSet"]["shopMoney"]["amount"] == "40.0"
    assert [
        (row["quantity"], row["restockType"], row["location"]["id"])
        for row in found["refundLineItems"]
    ] == [(2, "CANCEL", WAREHOUSE), (2, "RETURN", SHELF)]
    rows = [
        {
            "quantity": row["quantity"],
            "restockType": row["restockType"],
            "locationId": row["location"]["id"],
        }
        for row in found["refundLineItems"]
    ]
    assert refund(store, order, rows, amount="40.00") == []
    assert shown(store, order) == {
        "quantity": 5,
        "currentQuantity": 1,
        "refundableQuantity": 1,
        "unfulfilledQuantity": 0,
    }
    assert {(row["location"], row["quantity"]) for row in store.ledger(SHOP)["stock"]} == {
        (WAREHOUSE, 2),
        (SHELF, 2),
    }


def test_a_shipped_unit_that_comes_back_leaves_the_unshipped_ones_to_ship(store: Store) -> None:
    order = mixed(store)
    row = {"quantity": 1, "restockType": "RETURN", "locationId": SHELF}
    assert refund(store, order, [row]) == []
    assert shown(store, order) == {
        "quantity": 5,
        "currentQuantity": 4,
        "refundableQuantity": 4,
        "unfulfilledQuantity": 2,
    }


@pytest.mark.parametrize(
    ("row", "field", "message"),
    [
        (
            {"quantity": 1, "restockType": "RETURN"},
            "locationId",
            "Location is required to restock items",
        ),
        (
            {"quantity": 1, "restockType": "CANCEL"},
            "locationId",
            "Location is required to restock items",
        ),
        (
            {"quantity": 1, "restockType": "RETURN", "locationId": "gid://shopify/Location/77"},
            "locationId",
            "Location not found.",
        ),
        (
            {"quantity": 3, "restockType": "CANCEL", "locationId": SHELF},
            "restockType",
            "Cannot restock fulfilled items as canceled",
        ),
        (
            {"quantity": 4, "restockType": "RETURN", "locationId": SHELF},
            "restockType",
            "Cannot return items that have not been fulfilled",
        ),
        (
            {"quantity": 1, "restockType": "LEGACY_RESTOCK", "locationId": SHELF},
            "restockType",
            "Restock type is not supported",
        ),
    ],
)
def test_a_restock_that_cannot_be_is_refused(
    store: Store, row: dict[str, Any], field: str, message: str
) -> None:
    """The error names the field, and nothing changes."""
    order = mixed(store)
    before = shown(store, order)
    assert refund(store, order, [row]) == [
        {"field": ["refundLineItems", "0", field], "message": message}
    ]
    assert (shown(store, order), order.refunds) == (before, [])


def test_the_parts_of_a_line_are_counted_together(store: Store) -> None:
    order = mixed(store)
    rows = [{"quantity": 3, "restockType": "NO_RESTOCK"}] * 2
    message = "Quantity cannot refund more items than were purchased"
    assert refund(store, order, rows) == [
        {"field": ["refundLineItems", "1", "quantity"], "message": message}
    ]


def test_a_refused_shipping_amount_takes_no_item_off(store: Store) -> None:
    order = mixed(store)
    row = {"quantity": 1, "restockType": "NO_RESTOCK"}
    errors = refund(store, order, [row], shipping={"amount": "999.00"})
    assert errors == [
        {
            "field": ["shipping", "amount"],
            "message": "Shipping amount exceeds the refundable amount",
        }
    ]
    assert shown(store, order)["currentQuantity"] == 5


def test_the_reason_of_another_amount_is_kept(store: Store) -> None:
    order = mixed(store)
    row = {"quantity": 1, "restockType": "NO_RESTOCK"}
    assert refund(store, order, [row], amount="7.50", discrepancyReason="DAMAGE") == []
    [made] = run(store, LINES, {"id": order.id})["data"]["order"]["refunds"]
    assert made["orderAdjustments"]["nodes"] == [
        {"reason": "DAMAGE", "amountSet": {"shopMoney": {"amount": "2.5"}}}
    ]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.data())
def test_quantities_add_up_whatever_is_refunded(units: int, data: st.DataObject) -> None:
    store = Store([SHOP])
    store.courier.send = lambda *a: None  # type: ignore[method-assign]
    order = mixed(store, units=units, shipped=data.draw(st.integers(0, units)))
    line = order.lines[0]
    for _ in range(3):
        shipped = quantities.kept_quantity(order, line.number_id)
        unshipped = quantities.unfulfilled_quantity(order, line.number_id)
        assert shipped + unshipped == line.current_quantity
        kind = data.draw(st.sampled_from(["RETURN", "CANCEL", "NO_RESTOCK"]))
        quantity = data.draw(st.integers(1, units))
        row = {"quantity": quantity, "restockType": kind}
        if kind != "NO_RESTOCK":
            row["locationId"] = SHELF
        errors = refund(store, order, [row], amount="0.01")
        fits = {"RETURN": shipped, "CANCEL": unshipped, "NO_RESTOCK": shipped + unshipped}[kind]
        assert (errors == []) == (quantity <= fits)
