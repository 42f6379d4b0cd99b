"""Returns as recorded from a real shop: open after processing, bookable by anyone."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from practice_store.changes import (
    returning,
    staff_actions,
)
from practice_store.derived import order_sums, quantities
from practice_store.state import (
    Order,
    Return,
)
from practice_store.store import Store
from tests.practice_store.test_facts import SHOP, place, run

PROCESS = """mutation($input: ReturnProcessInput!) { returnProcess(input: $input) {
  return { id status returnLineItems(first: 9) { nodes {
    id quantity processedQuantity unprocessedQuantity processableQuantity refundedQuantity
    refundableQuantity } }
    reverseFulfillmentOrders(first: 5) { nodes { status lineItems(first: 9) { nodes {
      id totalQuantity dispositions { type quantity location { id } } } } } }
    refunds(first: 9) { nodes { id note totalRefundedSet { presentmentMoney { amount } } } } }
  userErrors { field message code } } }"""
DISPOSE = """mutation($inputs: [ReverseFulfillmentOrderDisposeInput!]!) {
  reverseFulfillmentOrderDispose(dispositionInputs: $inputs) {
    reverseFulfillmentOrderLineItems { id dispositions { type quantity } }
    userErrors { field message code } } }"""


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store([SHOP], allow_http=True)
    store.courier.send = lambda *a: None  # type: ignore[method-assign]
    yield store
    store.stop()


def shipped(store: Store) -> Order:
    """A paid and shipped order of 2 × 20.00."""
    price = {"shopMoney": {"amount": "20.00", "currencyCode": "EUR"}}
    line = {"title": "Mug", "quantity": 2, "requiresShipping": True, "priceSet": price}
    order = place(store, lineItems=[line])
    store.act(SHOP, lambda c: staff_actions.ship(c, order))
    return order


def returned(store: Store, *, requested: bool = False) -> tuple[Order, Return]:
    """All of a shipped order on its way back."""
    order = shipped(store)
    back = store.act(SHOP, lambda c: staff_actions.open_return(c, order, requested=requested))
    return order, back


def reverse(item: Any) -> str:
    return f"gid://shopify/ReverseFulfillmentOrderLineItem/{item.number_id}"


def process(store: Store, back: Return, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = run(store, PROCESS, {"input": {"returnId": back.id, **more}})
    found: dict[str, Any] = answer["data"]["returnProcess"]
    return found


def paying(order: Order, amount: str) -> dict[str, Any]:
    """financialTransfer of one payment."""
    sum_of = {"amount": amount, "currencyCode": order.presentment_currency}
    moves = [{"parentId": order.transactions[0].id, "transactionAmount": sum_of}]
    return {"issueRefund": {"orderTransactions": moves}}


def stock(store: Store) -> list[tuple[int, list[str]]]:
    return [(row["quantity"], row["by"]) for row in store.ledger(SHOP)["stock"]]


def test_processing_leaves_the_return_open_and_needs_no_disposition(store: Store) -> None:
    order, back = returned(store)
    found = process(store, back, returnLineItems=[{"id": back.lines[0].id, "quantity": 2}])
    assert found["userErrors"] == []
    assert found["return"]["status"] == "OPEN"
    [line] = found["return"]["returnLineItems"]["nodes"]
    assert (line["processedQuantity"], line["unprocessedQuantity"]) == (2, 0)
    [reverse_order] = found["return"]["reverseFulfillmentOrders"]["nodes"]
    assert reverse_order["status"] == "OPEN"
    assert reverse_order["lineItems"]["nodes"][0]["dispositions"] == []
    assert found["return"]["refunds"]["nodes"] == []
    assert stock(store) == []
    # Off the order, and its money still here.
    assert order.lines[0].current_quantity == 0
    assert quantities.refundable_quantity(order, order.lines[0].number_id) == 2
    assert order_sums.net(order) == Decimal("40.00")


def test_a_refund_through_a_return_books_goods_money_and_stock_at_once(store: Store) -> None:
    order, back = returned(store)
    item = back.lines[0]
    disposition = {
        "reverseFulfillmentOrderLineItemId": reverse(item),
        "quantity": 1,
        "dispositionType": "RESTOCKED",
        "locationId": "gid://shopify/Location/1",
    }
    lines = [{"id": item.id, "quantity": 1, "dispositions": [disposition]}]
    found = process(
        store, back, returnLineItems=lines, financialTransfer=paying(order, "20.00"), note="why"
    )
    assert found["userErrors"] == []
    [line] = found["return"]["returnLineItems"]["nodes"]
    assert (line["refundedQuantity"], line["refundableQuantity"]) == (1, 1)
    assert [r["note"] for r in found["return"]["refunds"]["nodes"]] == ["why"]
    assert stock(store) == [(1, ["return"])]
    [refund] = store.ledger(SHOP)["refunds"]
    assert (refund["amount"], refund["return"]) == ("20.0", back.id)
    assert (order.lines[0].current_quantity, order.lines[0].refunded) == (1, 1)


def test_processing_is_not_idempotent(store: Store) -> None:
    """What is left to process goes a second time; what is not is refused, money and all."""
    order, back = returned(store)
    once = {
        "returnLineItems": [{"id": back.lines[0].id, "quantity": 1}],
        "financialTransfer": paying(order, "20.00"),
    }
    assert process(store, back, **once)["userErrors"] == []
    assert process(store, back, **once)["userErrors"] == []
    assert [r["amount"] for r in store.ledger(SHOP)["refunds"]] == ["20.0", "20.0"]
    third = process(store, back, **once)
    assert third["return"] is None
    assert third["userErrors"] == [
        {
            "field": ["input", "returnLineItems", "0", "quantity"],
            "message": "Return line item has an invalid quantity.",
            "code": "INVALID",
        }
    ]
    assert len(store.ledger(SHOP)["refunds"]) == 2


def test_units_that_were_booked_in_cannot_be_booked_again(store: Store) -> None:
    order, back = returned(store)
    store.act(SHOP, lambda c: staff_actions.receive_return(c, order))
    assert stock(store) == [(2, ["return"])]
    disposition = {
        "reverseFulfillmentOrderLineItemId": reverse(back.lines[0]),
        "quantity": 2,
        "dispositionType": "RESTOCKED",
    }
    lines = [{"id": back.lines[0].id, "quantity": 2, "dispositions": [disposition]}]
    refused = process(store, back, returnLineItems=lines, financialTransfer=paying(order, "40.00"))
    assert refused["userErrors"][0]["message"] == "Invalid disposition quantity."
    assert (stock(store), store.ledger(SHOP)["refunds"]) == ([(2, ["return"])], [])
    lines[0].pop("dispositions")
    assert (
        process(store, back, returnLineItems=lines, financialTransfer=paying(order, "40.00"))[
            "userErrors"
        ]
        == []
    )
    assert stock(store) == [(2, ["return"])]


def test_a_refund_beside_the_return_counts_twice(store: Store) -> None:
    """What refundCreate does to goods that were booked in: this is why it must not be used."""
    order, back = returned(store)
    store.act(SHOP, lambda c: staff_actions.receive_return(c, order))
    mutation = """mutation($input: RefundInput!) { refundCreate(input: $input)
      @idempotent(key: "k") { refund { id } userErrors { message } } }"""
    line = {
        "lineItemId": order.lines[0].id,
        "quantity": 2,
        "restockType": "RETURN",
        "locationId": "gid://shopify/Location/1",
    }
    answer = run(store, mutation, {"input": {"orderId": order.id, "refundLineItems": [line]}})
    assert answer["data"]["refundCreate"]["userErrors"] == []
    assert stock(store) == [(4, ["return", "refund"])]
    assert (back.status, back.lines[0].refunded) == ("OPEN", 0)


def test_staff_process_first_and_the_money_follows_through_the_return(store: Store) -> None:
    order, back = returned(store)
    store.act(SHOP, lambda c: staff_actions.process_return(c, order))
    assert (back.lines[0].processed, back.lines[0].refunded) == (2, 0)
    found = process(store, back, financialTransfer=paying(order, "40.00"))
    assert found["userErrors"] == []
    assert found["return"]["returnLineItems"]["nodes"][0]["refundedQuantity"] == 2
    assert quantities.refundable_quantity(order, order.lines[0].number_id) == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"returnId": "gid://shopify/Return/9"}, "NOT_FOUND"),
        (
            {"returnLineItems": [{"id": "gid://shopify/ReturnLineItem/9", "quantity": 1}]},
            "NOT_FOUND",
        ),
    ],
)
def test_what_is_not_there_is_refused(store: Store, change: dict[str, Any], code: str) -> None:
    _order, back = returned(store)
    data = {"returnId": back.id} | change
    answer = run(store, PROCESS, {"input": data})["data"]["returnProcess"]
    assert (answer["return"], answer["userErrors"][0]["code"]) == (None, code)


def test_more_than_was_paid_is_refused(store: Store) -> None:
    order, back = returned(store)
    found = process(store, back, financialTransfer=paying(order, "40.01"))
    message = "Refund amount €40.01 is greater than net payment received €40.00"
    assert found["userErrors"][0]["message"] == message


def test_only_an_open_return_is_processed(store: Store) -> None:
    order, back = returned(store, requested=True)
    lines = [{"id": back.lines[0].id, "quantity": 1}]
    assert process(store, back, returnLineItems=lines)["userErrors"][0]["code"] == "INVALID_STATE"
    store.act(SHOP, lambda c: staff_actions.approve_return(c, order))
    assert process(store, back, returnLineItems=lines)["userErrors"] == []
    store.act(SHOP, lambda c: staff_actions.close_return(c, order))
    assert process(store, back, returnLineItems=lines)["userErrors"][0]["code"] == "INVALID_STATE"


def test_dispositions_are_refused_in_shopifys_words(store: Store) -> None:
    order, back = returned(store)
    order.lines[0].is_custom = True
    entry = {
        "reverseFulfillmentOrderLineItemId": reverse(back.lines[0]),
        "quantity": 1,
        "dispositionType": "RESTOCKED",
    }

    def said(*inputs: dict[str, Any]) -> Any:
        answer = run(store, DISPOSE, {"inputs": list(inputs)})
        error = answer["data"]["reverseFulfillmentOrderDispose"]["userErrors"][0]
        return error["message"], error["code"]

    assert said() == ("The array cannot be empty.", "BLANK")
    custom = "RESTOCKED is an invalid disposition type for a custom line item."
    assert said(entry) == (custom, "INVALID")
    unknown = entry | {"reverseFulfillmentOrderLineItemId": reverse(back.lines[0]) + "1"}
    several = "Cannot dispose items from more than one reverse fulfillment order."
    assert said(unknown) == (several, "INVALID")
    wrong = entry | {"reverseFulfillmentOrderLineItemId": back.id}
    assert run(store, DISPOSE, {"inputs": [wrong]})["errors"][0]["message"] == (
        f"Invalid id: {back.id}"
    )


def test_a_request_outranks_a_return_under_way(store: Store) -> None:
    order = shipped(store)
    item = order.fulfillments[0].lines[0].number_id
    for status in ("OPEN", "REQUESTED"):
        store.act(
            SHOP,
            lambda c, status=status: returning.open_return(  # type: ignore[misc]
                c, order, [(item, 1, "OTHER", "")], status=status
            ),
        )
    assert returning.return_status(order) == "RETURN_REQUESTED"


def test_fees_are_taken_off_the_outcome(store: Store) -> None:
    order, back = returned(store)
    back.lines[0].restocking_fee_percent, back.shipping_fee = Decimal(10), Decimal("5.00")
    query = """query($id: ID!, $lines: [SuggestedOutcomeReturnLineItemInput!]!) { return(id: $id) {
      suggestedFinancialOutcome(returnLineItems: $lines, exchangeLineItems: []) {
        maximumRefundable { presentmentMoney { amount } }
        financialTransfer { ... on RefundReturnOutcome { amount { presentmentMoney { amount } }
          suggestedTransactions { amountSet { presentmentMoney { amount } } } } } } } }"""
    lines = [{"id": back.lines[0].id, "quantity": 1}]
    answer = run(store, query, {"id": back.id, "lines": lines})
    outcome = answer["data"]["return"]["suggestedFinancialOutcome"]
    assert outcome["financialTransfer"]["amount"]["presentmentMoney"]["amount"] == "13.0"
    assert order.lines[0].refunded == 0


def test_a_parcel_on_its_way_back_is_of_what_the_return_expects(store: Store) -> None:
    order, back = returned(store)
    mutation = """mutation($id: ID!, $lines: [ReverseDeliveryLineItemInput!]!) {
      reverseDeliveryCreateWithShipping(reverseFulfillmentOrderId: $id,
        reverseDeliveryLineItems: $lines, trackingInput: {number: "RET-1"},
        labelInput: {fileUrl: "https://example.com/label.pdf"}) {
        reverseDelivery { id reverseFulfillmentOrder { id }
          reverseDeliveryLineItems(first: 5) { nodes { quantity
            reverseFulfillmentOrderLineItem { totalQuantity } } }
          deliverable { ... on ReverseDeliveryShippingDeliverable {
            tracking { number } label { publicFileUrl createdAt } } } }
        userErrors { field message code } } }"""
    rfo = f"gid://shopify/ReverseFulfillmentOrder/{back.reverse_order_number}"

    def create(rfo: str, *lines: dict[str, Any]) -> Any:
        answer = run(store, mutation, {"id": rfo, "lines": list(lines)})
        return answer["data"]["reverseDeliveryCreateWithShipping"]

    line = {"reverseFulfillmentOrderLineItemId": reverse(back.lines[0]), "quantity": 2}
    assert create(rfo + "9")["userErrors"][0]["code"] == "NOT_FOUND"
    twice = create(rfo, line, line)["userErrors"][0]
    assert (twice["field"], twice["message"]) == (
        ["reverseDeliveryLineItems", "1", "quantity"],
        "cannot deliver more items than are returned",
    )
    unknown = line | {"reverseFulfillmentOrderLineItemId": reverse(back.lines[0]) + "1"}
    assert create(rfo, unknown)["userErrors"][0]["message"] == "must exist"
    made = create(rfo)["reverseDelivery"]
    assert made["reverseFulfillmentOrder"]["id"] == rfo
    [sent] = made["reverseDeliveryLineItems"]["nodes"]
    assert sent == {"quantity": 2, "reverseFulfillmentOrderLineItem": {"totalQuantity": 2}}
    assert made["deliverable"]["tracking"] == {"number": "RET-1"}
    update = """mutation($id: ID!) { reverseDeliveryShippingUpdate(reverseDeliveryId: $id,
      trackingInput: {number: "RET-2"}) { reverseDelivery { id } userErrors { code } } }"""
    assert run(store, update, {"id": made["id"]})["data"]["reverseDeliveryShippingUpdate"] == {
        "reverseDelivery": {"id": made["id"]},
        "userErrors": [],
    }
    assert [d.tracking_number for d in order.returns[0].deliveries] == ["RET-2"]
