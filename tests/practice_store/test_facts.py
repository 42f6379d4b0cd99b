"""Facts recorded from a real shop, as tables that the practice store has to match."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from practice_store.changes import staff_actions
from practice_store.derived import order_sums, quantities
from practice_store.graphql import execution
from practice_store.sales import cancellation, lifecycle, payments
from practice_store.state import Order
from practice_store.store import Store

SHOP = "demo.myshopify.com"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(cancellation, "JOB_SECONDS", 3600.0)
    found = Store([SHOP])
    found.courier.send = lambda *a: None  # type: ignore[method-assign]
    return found


def run(store: Store, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = store.act(SHOP, lambda c: execution.execute(c, query, variables or {}, None))
    plain: dict[str, Any] = json.loads(json.dumps(answer, default=str))
    return plain


def place(store: Store, *, status: str | None = "PAID", price: str = "15.00", **more: Any) -> Order:
    data = {
        "email": "a@example.com",
        "lineItems": [
            {
                "title": "Mug",
                "quantity": 1,
                "requiresShipping": True,
                "priceSet": {"shopMoney": {"amount": price, "currencyCode": "EUR"}},
            }
        ],
        **({"financialStatus": status} if status else {}),
        **more,
    }
    order: Order = store.act(SHOP, lambda c: staff_actions.place(c, **data))
    return order


def finish_jobs(store: Store) -> None:
    for key in list(store.world.shops[SHOP].jobs):
        store.act(SHOP, partial(cancellation.run_job, key=key))


CANCEL = """mutation($id: ID!, $refund: Boolean, $method: OrderCancelRefundMethodInput, $note: String) {
  orderCancel(orderId: $id, reason: OTHER, restock: true, refund: $refund, refundMethod: $method,
              staffNote: $note) {
    job { done } orderCancelUserErrors { code field message } } }"""


@pytest.mark.parametrize(
    ("prepare", "variables", "field", "message"),
    [
        ("missing", {}, ["orderId"], "Order does not exist"),
        ("canceled", {}, ["orderId"], "Cannot cancel an order that has already been canceled"),
        ("running", {}, None, "Cancellation is already in progress"),
        ("shipped", {}, ["orderId"], "Cannot cancel an order that has outstanding fulfillments"),
        ("returned", {}, ["orderId"], "Cannot cancel an order that has returns"),
        (
            "",
            {"note": "x" * 256},
            ["staffNote"],
            "Staff note is too long. Maximum length is 255 characters.",
        ),
        (
            "",
            {"refund": False, "method": {"originalPaymentMethodsRefund": True}},
            ["refund"],
            "Only one of the arguments `refund` or `refund_method` is allowed.",
        ),
    ],
)
def test_cancellations_are_refused_in_shopifys_words(
    store: Store, prepare: str, variables: dict[str, Any], field: Any, message: str
) -> None:
    order = place(store)
    order_id = order.id
    if prepare == "missing":
        order_id = "gid://shopify/Order/999"
    if prepare in {"canceled", "running"}:
        run(store, CANCEL, {"id": order.id})
    if prepare == "canceled":
        finish_jobs(store)
    if prepare in {"shipped", "returned"}:
        store.act(SHOP, lambda c: staff_actions.ship(c, order))
    if prepare == "returned":
        store.act(SHOP, lambda c: staff_actions.open_return(c, order))
    answer = run(store, CANCEL, {"id": order_id, **variables})["data"]["orderCancel"]
    error = answer["orderCancelUserErrors"][0]
    assert (error["field"], error["message"]) == (field, message)
    assert answer["job"] is None


def test_an_unpaid_fulfilled_order_may_be_canceled(store: Store) -> None:
    order = place(store, status="PENDING")
    store.act(SHOP, lambda c: staff_actions.ship(c, order))
    assert run(store, CANCEL, {"id": order.id})["data"]["orderCancel"]["job"] == {"done": False}


@pytest.mark.parametrize(
    ("version", "word"), [("2026-04", "UNFULFILLED"), ("2026-10", "FULFILLMENT_NOT_REQUIRED")]
)
def test_a_canceled_order_has_the_fulfillment_word_of_its_version(
    store: Store, version: str, word: str
) -> None:
    order = place(store)
    run(store, CANCEL, {"id": order.id, "method": {"originalPaymentMethodsRefund": True}})
    finish_jobs(store)
    assert quantities.fulfillment_status(order, version) == word


def test_what_is_paid_and_shipped_is_archived_by_the_shop(store: Store) -> None:
    order = place(store)
    store.act(SHOP, lambda c: staff_actions.ship(c, order))
    assert order.closed_at is not None
    kept = place(store)
    store.world.shops[SHOP].auto_archive = False
    store.act(SHOP, lambda c: staff_actions.ship(c, kept))
    assert kept.closed_at is None


def test_an_order_canceled_after_its_archiving_keeps_that_time(store: Store) -> None:
    order = place(store)
    store.act(SHOP, lambda c: lifecycle.close(c, order))
    archived = order.closed_at
    store.world.ahead_s += 3600
    run(store, CANCEL, {"id": order.id, "method": {"originalPaymentMethodsRefund": True}})
    finish_jobs(store)
    assert order.closed_at == archived != order.cancelled_at


def test_a_paid_cancel_with_refund_leaves_the_order_so(store: Store) -> None:
    order = place(store)
    run(store, CANCEL, {"id": order.id, "method": {"originalPaymentMethodsRefund": True}})
    assert order.cancelled_at is None, "accepted is not done"
    finish_jobs(store)
    query = """query($id: ID!) { order(id: $id) {
      closed cancelReason displayFinancialStatus displayFulfillmentStatus
      currentTotalPriceSet { shopMoney { amount } } netPaymentSet { shopMoney { amount } }
      totalReceivedSet { shopMoney { amount } } totalRefundedSet { shopMoney { amount } }
      refunds { transactions(first: 5) { nodes { kind status } } }
      lineItems(first: 5) { nodes { quantity currentQuantity } }
      fulfillmentOrders(first: 5) { nodes { status } } } }"""
    found = run(store, query, {"id": order.id})["data"]["order"]
    assert order.closed_at == order.cancelled_at
    assert found == {
        "closed": True,
        "cancelReason": "OTHER",
        "displayFinancialStatus": "REFUNDED",
        "displayFulfillmentStatus": "FULFILLMENT_NOT_REQUIRED",
        "currentTotalPriceSet": {"shopMoney": {"amount": "0.0"}},
        "netPaymentSet": {"shopMoney": {"amount": "0.0"}},
        "totalReceivedSet": {"shopMoney": {"amount": "15.0"}},
        "totalRefundedSet": {"shopMoney": {"amount": "15.0"}},
        "refunds": [{"transactions": {"nodes": [{"kind": "REFUND", "status": "SUCCESS"}]}}],
        "lineItems": {"nodes": [{"quantity": 1, "currentQuantity": 0}]},
        "fulfillmentOrders": {"nodes": [{"status": "CLOSED"}]},
    }


@pytest.mark.parametrize(
    ("status", "after"), [("PENDING", "VOIDED"), ("AUTHORIZED", "VOIDED"), (None, None)]
)
def test_canceling_an_unpaid_order_voids_it(
    store: Store, status: str | None, after: str | None
) -> None:
    order = place(store, status=status)
    run(store, CANCEL, {"id": order.id})
    finish_jobs(store)
    assert order_sums.financial_status(order) == after
    assert order.refunds == []


REFUND = """mutation($input: RefundInput!, $key: String!) {
  refundCreate(input: $input) @idempotent(key: $key) {
    refund { id } order { displayFinancialStatus } userErrors { field message } } }"""


def refund_input(order: Order, **changes: Any) -> dict[str, Any]:
    transaction = {
        "orderId": order.id,
        "parentId": order.transactions[0].id,
        "gateway": "manual",
        "kind": "REFUND",
        "amount": "5.00",
    } | changes
    return {"orderId": order.id, "transactions": [transaction]}


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"kind": "AUTHORIZATION"}, None, "Kind authorization is not a valid transaction"),
        (
            {"parentId": "gid://shopify/OrderTransaction/1"},
            ["transactions"],
            "Transactions require a parent_id associated with the order",
        ),
        (
            {"amount": "25.00"},
            None,
            "Refund amount €25.00 is greater than net payment received €15.00",
        ),
    ],
)
def test_refunds_are_refused_in_shopifys_words(
    store: Store, changes: dict[str, Any], field: Any, message: str
) -> None:
    order = place(store)
    variables = {"input": refund_input(order, **changes), "key": "k"}
    answer = run(store, REFUND, variables)["data"]["refundCreate"]
    assert answer["userErrors"] == [{"field": field, "message": message}]
    assert answer["refund"] is None
    assert order.refunds == []


def test_a_refund_of_an_amount_needs_no_lines_and_keeps_the_parents_gateway(store: Store) -> None:
    order = place(store)
    variables = {"input": refund_input(order, gateway="another"), "key": "k"}
    answer = run(store, REFUND, variables)["data"]["refundCreate"]
    assert answer["order"] == {"displayFinancialStatus": "PARTIALLY_REFUNDED"}
    assert [t.gateway for t in order.transactions if t.kind == "REFUND"] == ["manual"]


def test_line_quantities_are_bounded(store: Store) -> None:
    order = place(store)
    data = {
        "orderId": order.id,
        "refundLineItems": [{"lineItemId": order.lines[0].id, "quantity": 2}],
    }
    answer = run(store, REFUND, {"input": data, "key": "k"})["data"]["refundCreate"]
    assert answer["userErrors"] == [
        {
            "field": ["refundLineItems", "0", "quantity"],
            "message": "Quantity cannot refund more items than were purchased",
        }
    ]


def test_a_key_is_demanded_and_remembered_for_a_day(store: Store) -> None:
    order = place(store)
    plain = REFUND.replace("@idempotent(key: $key)", "").replace(", $key: String!", "")
    error = run(store, plain, {"input": refund_input(order)})["errors"][0]
    assert error["message"] == (
        "The @idempotent directive is required for this mutation but was not provided."
    )
    assert error["extensions"]["code"] == "BAD_REQUEST"
    variables = {"input": refund_input(order), "key": "k"}
    first, again = (run(store, REFUND, variables)["data"]["refundCreate"] for _ in range(2))
    assert first["refund"] == again["refund"]
    assert len(order.refunds) == 1
    other = {"input": refund_input(order, amount="1.00"), "key": "k"}
    message = run(store, REFUND, other)["data"]["refundCreate"]["userErrors"][0]["message"]
    assert message.startswith("The same idempotency key cannot be used with different")
    store.advance(24 * 3600)
    run(store, REFUND, variables)
    assert len(order.refunds) == 2, "after 24 hours the key is new"


def test_user_errors_of_a_refund_have_no_code(store: Store) -> None:
    query = REFUND.replace("userErrors { field message }", "userErrors { code }")
    error = run(store, query, {"input": {}, "key": "k"})["errors"][0]
    assert error["message"] == "Field 'code' doesn't exist on type 'UserError'"
    assert error["extensions"]["code"] == "undefinedField"


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        (
            "query Q {\n  shop {\n    id\n",
            "PARSE_ERROR",
            "syntax error, unexpected end of file at [3, 5]",
        ),
        (
            "{ shop }",
            "selectionMismatch",
            "Field must have selections (field 'shop' returns Shop but has no selections. "
            "Did you mean 'shop { ... }'?)",
        ),
        ("{ nope { id } }", "undefinedField", "Field 'nope' doesn't exist on type 'QueryRoot'"),
        ("mutation { nope }", "undefinedField", "Field 'nope' doesn't exist on type 'Mutation'"),
        (
            "mutation { webhookSubscriptionCreate(webhookSubscription: {}) { userErrors { field } } }",
            "missingRequiredArguments",
            "Field 'webhookSubscriptionCreate' is missing required arguments: topic",
        ),
        (
            "query($id: ID!) { order(id: $id) { id } }",
            "INVALID_VARIABLE",
            "Variable $id of type ID! was provided invalid value",
        ),
    ],
)
def test_documents_are_refused_in_shopifys_words(
    store: Store, query: str, code: str, message: str
) -> None:
    error = run(store, query)["errors"][0]
    assert (error["extensions"]["code"], error["message"]) == (code, message)


def test_an_authorized_order_owes_nothing_until_it_is_voided(store: Store) -> None:
    order = place(store, status="AUTHORIZED", price="25.00")
    assert order_sums.outstanding(order) == 0
    assert order_sums.capturable(order) == Decimal("25.00")
    store.act(SHOP, lambda c: payments.void(c, order, order.transactions[0]))
    assert order_sums.outstanding(order) == Decimal("25.00")
    assert [t.amount for t in order.transactions if t.kind == "VOID"] == [0]
    assert order_sums.financial_status(order) == "VOIDED"


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        ("captured", "Can only capture successful authorizations"),
        ("capture", "Parent transaction should be a successful authorization"),
    ],
)
def test_captures_are_refused_in_shopifys_words(store: Store, prepare: str, message: str) -> None:
    order = place(store, status="AUTHORIZED")
    store.act(SHOP, lambda c: staff_actions.capture(c, order))
    parent = order.transactions[0 if prepare == "captured" else 1]
    query = """mutation($input: OrderCaptureInput!) { orderCapture(input: $input) {
      userErrors { field message } } }"""
    data = {"id": order.id, "parentTransactionId": parent.id, "amount": "1.00"}
    answer = run(store, query, {"input": data})["data"]["orderCapture"]
    assert answer["userErrors"] == [{"field": None, "message": message}]


def test_a_shipment_canceled_twice_is_fine_and_still_takes_events(store: Store) -> None:
    order = place(store)
    store.act(SHOP, lambda c: staff_actions.ship(c, order))
    query = "mutation($id: ID!) { fulfillmentCancel(id: $id) { userErrors { message } } }"
    for _ in range(2):
        answer = run(store, query, {"id": order.fulfillments[0].id})
        assert answer["data"]["fulfillmentCancel"]["userErrors"] == []
    store.act(SHOP, lambda c: staff_actions.carrier_says(c, order, "DELIVERED"))
    assert order.fulfillments[0].display_status == "CANCELED"


def test_a_delivered_shipment_can_still_be_canceled_at_shopify(store: Store) -> None:
    """So the rule that a delivered order is not canceled has to be ours."""
    order = place(store)
    store.act(SHOP, lambda c: staff_actions.ship(c, order))
    store.act(SHOP, lambda c: staff_actions.carrier_says(c, order, "DELIVERED"))
    query = "mutation($id: ID!) { fulfillmentCancel(id: $id) { userErrors { message } } }"
    run(store, query, {"id": order.fulfillments[0].id})
    assert order.fulfillments[0].status == "CANCELLED"


def test_marking_a_paid_order_as_paid_is_refused(store: Store) -> None:
    order = place(store)
    query = """mutation($id: ID!) { orderMarkAsPaid(input: {id: $id}) {
      order { displayFinancialStatus } userErrors { field message } } }"""
    answer = run(store, query, {"id": order.id})["data"]["orderMarkAsPaid"]
    assert answer["userErrors"] == [{"field": ["id"], "message": "Order cannot be marked as paid."}]
    assert answer["order"] == {"displayFinancialStatus": "PAID"}


def test_unknown_search_fields_are_ignored_with_a_warning(store: Store) -> None:
    place(store)
    answer = run(store, '{ orders(first: 5, query: "nonsense:1") { nodes { id } } }')
    assert len(answer["data"]["orders"]["nodes"]) == 1
    warning = answer["extensions"]["search"][0]["warnings"][0]
    assert (warning["field"], warning["code"]) == ("nonsense", "invalid_field")


def test_webhook_addresses_must_be_https_and_new(store: Store) -> None:
    query = """mutation($uri: String!) { webhookSubscriptionCreate(topic: ORDERS_UPDATED,
      webhookSubscription: {uri: $uri}) { userErrors { field message } } }"""

    def said(uri: str) -> list[str]:
        answer = run(store, query, {"uri": uri})["data"]["webhookSubscriptionCreate"]
        return [e["message"] for e in answer["userErrors"]]

    assert said("http://example.com/h") == ["Address protocol http:// is not supported"]
    assert said("https://example.com/h") == []
    assert said("https://example.com/h") == ["Address for this topic has already been taken"]


def test_shares_of_a_line_add_up_to_it_to_the_last_cent(store: Store) -> None:
    from practice_store.changes.refunding import line_share

    order = place(store, price="10.00")
    line = order.lines[0]
    line.quantity, line.unit_price, line.discount, line.tax = (
        3,
        Decimal("3.34"),
        Decimal("0.02"),
        Decimal("1.00"),
    )
    price = tax = Decimal(0)
    for _ in range(3):
        part = line_share(order, line, 1)
        price, tax = price + part[0], tax + part[1]
        line.refunded += 1
    assert (price, tax) == (Decimal("10.00"), Decimal("1.00"))


@pytest.mark.parametrize(("captured", "voids"), [(None, 1), ("5.00", 0), ("15.00", 0)])
def test_a_captured_authorization_is_never_voided(
    store: Store, captured: str | None, voids: int
) -> None:
    """Neither by canceling its order, nor when it is asked for."""
    order = place(store, status="AUTHORIZED")
    held = order.transactions[0]
    if captured:
        capture = """mutation($i: OrderCaptureInput!) { orderCapture(input: $i) {
            userErrors { message } } }"""
        given = {"id": order.id, "parentTransactionId": held.id, "amount": captured}
        assert run(store, capture, {"i": given})["data"]["orderCapture"]["userErrors"] == []
    run(store, CANCEL, {"id": order.id, "method": {"originalPaymentMethodsRefund": True}})
    finish_jobs(store)
    seen = store.world.shops[SHOP].orders[order.number_id]
    kinds = [t.kind for t in seen.transactions]
    assert (kinds.count("VOID"), kinds.count("REFUND")) == (voids, 1 if captured else 0)
    assert order_sums.capturable(seen) == 0
    void = """mutation($i: ID!) { transactionVoid(parentTransactionId: $i) {
        userErrors { code } } }"""
    errors = run(store, void, {"i": held.id})["data"]["transactionVoid"]["userErrors"]
    assert [error["code"] for error in errors] == ["AUTH_NOT_VOIDABLE"]
