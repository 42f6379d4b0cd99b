"""Refunds through a Shopify return: only the units received change the stock."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from inbox.models import Conversation
from orders import perform, previews
from orders.actions import worker_steps
from orders.errors import ActionRefused
from orders.models import ActionState, Order, OrderAction, Store
from orders.models.actions import OrderActionQuerySet
from orders.previews.return_refunds import return_for
from orders.snapshot import ExchangeItem, LineQuantity
from practice_store.changes import processing
from practice_store.changes import staff_actions as shop_actions
from practice_store.state import Order as ShopOrder
from shopify_sync.models import ShopConnection
from tests.conftest import logged_in
from tests.flows.test_main_job import confirm, review
from tests.support.orders import acting
from tests.support.shop.in_process import Shop, work_off

Seen = Callable[[], Order]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("conversation")]
STATES = ("none", "requested", "awaited", "partly", "received", "processed")


def shipped(shop: Shop, state: str, *, quantity: int = 2, delivered: bool = True) -> ShopOrder:
    """Mugs at 20.00, paid and delivered, and their return as far as `state` says."""
    placed = shop.place(items=(("Red mug", "20.00", quantity),))

    def work(context: Any) -> None:
        shop_actions.ship(context, placed)
        if delivered:
            shop_actions.carrier_says(context, placed, "DELIVERED")
        if state != "none":
            shop_actions.open_return(context, placed, requested=state == "requested")
        if state == "partly":
            shop_actions.receive_return(context, placed, units=1)
        if state == "received":
            shop_actions.receive_return(context, placed)
        if state == "processed":
            shop_actions.process_return(context, placed)

    shop.act(work)
    return placed


def stock(shop: Shop) -> list[tuple[int, list[str]]]:
    return [(row["quantity"], row["by"]) for row in shop.ledger()["stock"]]


def mutations(shop: Shop) -> list[str]:
    names = {"refundCreate", "returnProcess", "reverseFulfillmentOrderDispose"}
    return [r["operation"] for r in shop.ledger()["requests"] if r["operation"] in names]


def ask(client: Client, order: Order, quantity: int = 2, **more: Any) -> Any:
    line = order.snapshot.lines[0].gid
    data = {"kind": "refund", "reason": "changed_mind", **more}
    if quantity:
        data["lines"] = [{"line": line, "quantity": quantity}]
    url = f"/api/v1/orders/{order.pk}/previews/"
    return client.post(url, data, content_type="application/json")


def settle(client: Client, shop: Shop, order: Order, token: str) -> OrderAction:
    url = f"/api/v1/orders/{order.pk}/actions/"
    answer = client.post(
        url, {"token": token}, content_type="application/json", headers={"Idempotency-Key": "k-1"}
    )
    assert answer.status_code == 202, answer.json()
    work_off(shop, client)
    return OrderAction.objects.get(pk=answer.json()["id"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("state", "returned", "restock", "mutation", "moved", "facts"),
    [
        ("none", "received", None, "refundCreate", [(2, ["refund"])], {}),
        ("none", "not_needed", None, "refundCreate", [], {}),
        ("requested", "not_needed", None, "refundCreate", [], {}),
        (
            "awaited",
            "not_needed",
            None,
            "returnProcess",
            [],
            {"Stock": "No change: nothing will be marked as received."},
        ),
        (
            "awaited",
            "received",
            None,
            "returnProcess",
            [(2, ["return"])],
            {"Stock": "2 units will be restocked (Shop location)."},
        ),
        (
            "awaited",
            "received",
            False,
            "returnProcess",
            [],
            {"Stock": "2 units will be marked as received but not restocked."},
        ),
        (
            "partly",
            "received",
            None,
            "returnProcess",
            [(2, ["return", "return"])],
            {
                "Stock": "1 unit will be restocked (Shop location); "
                "1 unit was already marked as received (1 restocked): no change."
            },
        ),
        (
            "received",
            "received",
            True,
            "returnProcess",
            [(2, ["return"])],
            {"Stock": "2 units were already marked as received (2 restocked): no change."},
        ),
        ("received", "not_needed", None, "returnProcess", [(2, ["return"])], {}),
        ("processed", "received", None, "returnProcess", [], {}),
    ],
)
def test_each_receipt_state_by_rest(
    shop: Shop,
    seen: Seen,
    alice: User,
    state: str,
    returned: str,
    restock: bool | None,
    mutation: str,
    moved: Any,
    facts: dict[str, str],
) -> None:
    placed = shipped(shop, state)
    order, api = seen(), logged_in(alice)
    more = {} if restock is None else {"restock": restock}
    answer = ask(api, order, returned=returned, **more)
    assert answer.status_code == 200, answer.json()
    summary = answer.json()
    shown = {fact["label"]: fact["value"] for fact in summary["facts"]}
    assert facts.items() <= shown.items(), shown
    if mutation == "returnProcess":
        assert summary["return"] == {
            "id": placed.returns[0].id,
            "name": placed.returns[0].name,
            "left": 0,
        }
        assert "All of its units will then be processed" in shown["Return"]
    action = settle(api, shop, order, summary["token"])
    assert action.state == ActionState.SUCCEEDED, action.message
    assert mutations(shop) == [mutation]
    assert stock(shop) == moved
    [refund] = shop.ledger()["refunds"]
    assert Decimal(refund["amount"]) == 40
    through = placed.returns[0].id if mutation == "returnProcess" else None
    assert refund["return"] == through
    if state not in {"none", "requested"}:
        [back] = shop.ledger()["returns"]
        assert back["status"] == "OPEN"
        assert [(li["processed"], li["refunded"]) for li in back["lines"]] == [(2, 2)]


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
def test_the_order_shows_its_return(shop: Shop, seen: Seen, alice: User, state: str) -> None:
    shipped(shop, state)
    found = logged_in(alice).get(f"/api/v1/orders/{seen().pk}/").json()["returns"]
    expected = {
        "requested": ("requested", "Return requested", 0),
        "awaited": ("awaited", "On its way back", 0),
        "partly": ("partly", "Partially received", 1),
        "received": ("received", "Received on", 2),
        "processed": ("received", "Received", 2),
    }
    if state == "none":
        assert found == []
        return
    [row] = found
    receipt, label, received = expected[state]
    assert (row["state"], row["received"], row["units"]) == (receipt, received, 2)
    assert row["label"].startswith(label)
    [line] = row["lines"]
    assert (line["title"], line["quantity"], line["reason"]) == ("Red mug", 2, "Other")


def test_a_part_of_a_return_says_what_remains(shop: Shop, seen: Seen, alice: User) -> None:
    shipped(shop, "partly")
    order, api = seen(), logged_in(alice)
    summary = ask(api, order, 1, returned="received").json()
    shown = {fact["label"]: fact["value"] for fact in summary["facts"]}
    assert "1 of its 2 units still has to be processed, so it stays open" in shown["Return"]
    assert shown["Stock"] == "1 unit was already marked as received (1 restocked): no change."
    assert summary["return"]["left"] == 1
    settle(api, shop, order, summary["token"])
    assert stock(shop) == [(1, ["return"])]
    # The other one comes later, and is refunded for itself.
    order = seen()
    summary = ask(api, order, 1, returned="received").json()
    url = f"/api/v1/orders/{order.pk}/actions/"
    api.post(
        url,
        {"token": summary["token"]},
        content_type="application/json",
        headers={"Idempotency-Key": "k-2"},
    )
    work_off(shop, api)
    assert mutations(shop) == ["returnProcess", "returnProcess"]
    assert [(li["processed"], li["refunded"]) for li in shop.ledger()["returns"][0]["lines"]] == [
        (2, 2)
    ]
    assert sum(quantity for quantity, _by in stock(shop)) == 2


def test_an_amount_never_touches_the_return(shop: Shop, seen: Seen, alice: User) -> None:
    shipped(shop, "received")
    order, api = seen(), logged_in(alice)
    answer = ask(api, order, 0, amount="5.00", returned="not_needed")
    assert answer.json()["return"] is None
    settle(api, shop, order, answer.json()["token"])
    assert mutations(shop) == ["refundCreate"]
    [back] = shop.ledger()["returns"]
    assert [(li["processed"], li["refunded"]) for li in back["lines"]] == [(0, 0)]


def test_items_of_a_return_and_others_are_refunded_one_after_the_other(
    shop: Shop, seen: Seen, alice: User
) -> None:
    placed = shop.place(items=(("Red mug", "20.00", 3),))

    def work(context: Any) -> None:
        shop_actions.ship(context, placed, quantities={placed.lines[0].number_id: 2})
        shop_actions.open_return(context, placed)
        shop_actions.receive_return(context, placed)

    shop.act(work)
    order, api = seen(), logged_in(alice)
    mixed = ask(api, order, 3, returned="received")
    assert (mixed.status_code, mixed.json()["reason_code"]) == (409, "return_mixed")
    beside = ask(api, order, 1, returned="not_needed", through="")
    assert beside.json()["return"] is None
    too_many = ask(api, order, 2, returned="not_needed", through="")
    assert too_many.json()["reason_code"] == "return_mixed"
    own = ask(api, order, 2, returned="received", through=placed.returns[0].id)
    assert own.json()["return"]["left"] == 0
    gone = ask(api, order, 1, returned="received", through="gid://shopify/Return/1")
    assert gone.json()["reason_code"] == "quantity"


def test_a_return_booked_in_since_the_review_is_reviewed_again(
    shop: Shop, seen: Seen, alice: User
) -> None:
    placed = shipped(shop, "awaited")
    order, api = seen(), logged_in(alice)
    token = ask(api, order, returned="received").json()["token"]
    shop.act(lambda c: shop_actions.receive_return(c, placed))
    seen()
    url = f"/api/v1/orders/{order.pk}/actions/"
    answer = api.post(
        url, {"token": token}, content_type="application/json", headers={"Idempotency-Key": "k-1"}
    )
    assert answer.status_code == 409
    shown = {f["label"]: f["value"] for f in answer.json()["preview"]["facts"]}
    assert shown["Stock"] == "2 units were already marked as received (2 restocked): no change."
    assert mutations(shop) == []


@pytest.mark.slow
def test_without_the_scope_the_refund_goes_beside_and_says_so(
    shop: Shop, seen: Seen, alice: User, store: Store
) -> None:
    shipped(shop, "received")
    scopes = ["read_orders", "write_orders", "read_customers", "read_fulfillments", "read_returns"]
    ShopConnection.objects.filter(store=store).update(scopes=scopes)
    order, api = seen(), logged_in(alice)
    summary = ask(api, order, returned="received", restock=True).json()
    assert summary["return"] is None
    advice = {found["code"]: found["text"] for found in summary["advice"]}
    assert "close the return in Shopify" in advice["return_beside"]
    shown = {fact["label"]: fact["value"] for fact in summary["facts"]}
    assert shown["Restock items"] == "No"
    settle(api, shop, order, summary["token"])
    assert mutations(shop) == ["refundCreate"]
    assert stock(shop) == [(2, ["return"])]


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["commit_then_drop", "commit_then_500", "truncate"])
def test_a_lost_answer_is_settled_by_reading(
    shop: Shop, seen: Seen, alice: User, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    acting.without_wake_ups(monkeypatch)
    shipped(shop, "received")
    action = through(seen(), alice)
    shop.fault(operation="returnProcess", phase=phase, times=1)
    assert acting.perform(action).state == ActionState.UNKNOWN
    assert acting.perform(action).state == ActionState.SUCCEEDED
    assert mutations(shop) == ["returnProcess"]


def test_what_was_sent_without_an_answer_is_never_sent_again(
    shop: Shop, seen: Seen, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    acting.without_wake_ups(monkeypatch)
    shipped(shop, "received")
    action = through(seen(), alice)
    shop.fault(operation="returnProcess", phase="drop_before", times=1)
    assert acting.perform(action).state == ActionState.UNKNOWN
    # Looked for as long as a late commit may show …
    assert acting.perform(action).state == ActionState.UNKNOWN
    OrderAction.objects.update(step_last_sent_at=timezone.now() - timedelta(minutes=3))
    # … then by a person.
    found = acting.perform(action)
    assert found.state == ActionState.NEEDS_HUMAN
    assert "it won’t be sent again automatically" in found.message
    assert mutations(shop) == ["returnProcess"]
    assert shop.ledger()["refunds"] == []


def test_a_colleagues_refund_through_the_return_is_not_claimed(
    shop: Shop, seen: Seen, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours never arrived, and staff refund the same sum through the same return."""
    acting.without_wake_ups(monkeypatch)
    placed = shipped(shop, "received")
    action = through(seen(), alice)
    shop.fault(operation="returnProcess", phase="drop_before", times=1)
    assert acting.perform(action).state == ActionState.UNKNOWN
    sum_of = {"amount": Decimal("40.00"), "currencyCode": "EUR"}
    moves = [{"parentId": placed.transactions[0].id, "transactionAmount": sum_of}]
    data = {
        "returnLineItems": [{"id": placed.returns[0].lines[0].id, "quantity": 2}],
        "financialTransfer": {"issueRefund": {"orderTransactions": moves}},
    }
    shop.act(lambda c: processing.process(c, placed, placed.returns[0], data, made_by="staff"))
    assert acting.perform(action).state == ActionState.NEEDS_HUMAN


def test_a_note_that_shopify_does_not_keep_is_made_up_for_by_the_answer(
    shop: Shop, seen: Seen, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    acting.without_wake_ups(monkeypatch)
    shop.conditions(keeps_return_notes=False)
    shipped(shop, "received")
    action = through(seen(), alice)
    found = acting.perform(action)
    assert found.state == ActionState.SUCCEEDED
    assert found.refund_gid == shop.ledger()["refunds"][0]["id"]


def test_without_answer_and_without_note_a_person_decides(
    shop: Shop, seen: Seen, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    acting.without_wake_ups(monkeypatch)
    shop.conditions(keeps_return_notes=False)
    shipped(shop, "received")
    action = through(seen(), alice)
    shop.fault(operation="returnProcess", phase="commit_then_drop", times=1)
    acting.perform(action)
    assert acting.perform(action).state == ActionState.NEEDS_HUMAN
    assert mutations(shop) == ["returnProcess"]


def through(order: Order, by: User) -> OrderAction:
    """All of the order's return, confirmed."""
    line = order.snapshot.lines[0]
    choice = previews.RefundChoice(
        reason="changed_mind",
        returned="received",
        restock=True,
        lines=(LineQuantity(line_gid=line.gid, quantity=2),),
    )
    return acting.ask(order, choice, by)


class Dialog:
    """What the refund dialog shows, read from its page."""

    def __init__(self, client: Client, conversation: Conversation, order: Order) -> None:
        self.client, self.conversation, self.order = client, conversation, order
        self.url = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/refund/"
        self.page = unescape(client.get(self.url).content.decode())

    def ticked(self, name: str) -> list[str]:
        """Values of the checked boxes and radios of that name."""
        found = re.findall(rf'<input type="(?:radio|checkbox)" name="{name}"[^>]*>', self.page)
        return [
            (re.findall(r'value="([^"]*)"', field) or ["on"])[0]
            for field in found
            if re.search(r"\schecked\b", field)
        ]

    def value(self, name: str) -> str:
        return next(iter(re.findall(rf'name="{name}" value="([^"]*)"', self.page)), "")

    def fields(self, **more: str) -> dict[str, str]:
        """As a browser would send the dialog just opened, with what the agent then chose."""
        shown = {
            "mode": "items",
            "through": self.value("through"),
            "line_0": self.value("line_0"),
            "shipping": self.value("shipping"),
            "reason": "changed_mind",
        }
        for name in ("returned", "restock"):
            shown |= dict.fromkeys([name] * len(self.ticked(name)), "".join(self.ticked(name)))
        return shown | more


@pytest.mark.slow
@pytest.mark.parametrize(
    ("state", "badge", "returned", "quantity"),
    [
        ("none", None, [], "2"),
        ("requested", "Return requested", [], "2"),
        ("awaited", "On its way back", [], "2"),
        ("partly", "Partially received", ["received"], "1"),
        ("received", "Received on", ["received"], "2"),
    ],
)
def test_each_receipt_state_preselects_what_is_so(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    conversation: Conversation,
    state: str,
    badge: str | None,
    returned: list[str],
    quantity: str,
) -> None:
    shipped(shop, state)
    dialog = Dialog(as_alice, conversation, seen())
    assert dialog.ticked("returned") == returned
    assert dialog.value("line_0") == quantity
    # Restock stands beside "Received" and is ticked with it; nothing else ticks it.
    received, not_needed = re.findall(r'<input type="radio" name="returned"[^>]*>', dialog.page)
    assert 'data-ticks="restock"' in received
    assert 'data-unticks="restock"' in not_needed
    card = unescape(
        as_alice.get(
            f"/inbox/conversations/{conversation.pk}/orders/", headers={"HX-Request": "true"}
        ).content.decode()
    )
    assert ("A return was requested" in dialog.page) == (state == "requested")
    assert ("ask for the items back first" in dialog.page) == (state == "none")
    for page in (dialog.page, card) if state not in {"none", "requested"} else (card,):
        assert badge is None or badge in page
        assert badge is None or re.search(r"\d of 2\s+units received", page)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("state", "choose", "stock_after", "said"),
    [
        ("awaited", {"returned": "received", "restock": "on"}, 2, "2 units will be restocked"),
        ("awaited", {"returned": "not_needed"}, 0, "No change: nothing will be marked as received"),
        ("partly", {}, 1, "1 unit was already marked as received (1 restocked): no change"),
        ("received", {}, 2, "2 units were already marked as received (2 restocked): no change"),
    ],
)
def test_each_receipt_state_by_the_pages(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    conversation: Conversation,
    state: str,
    choose: dict[str, str],
    stock_after: int,
    said: str,
) -> None:
    placed = shipped(shop, state)
    order = seen()
    dialog = Dialog(as_alice, conversation, order)
    fields = dialog.fields(**choose)
    if choose.get("returned") == "not_needed":
        fields.pop("restock", None)
    assert fields["through"] == placed.returns[0].id
    shown = unescape(as_alice.post(dialog.url, fields).content.decode())
    assert said in shown
    assert f"Refunded through {placed.returns[0].name}" in shown
    token = review(as_alice, conversation, order, "refund", **fields)
    assert confirm(as_alice, conversation, order, token) == 200
    work_off(shop, as_alice)
    assert OrderAction.objects.get().state == ActionState.SUCCEEDED
    assert mutations(shop) == ["returnProcess"]
    assert sum(quantity for quantity, _by in stock(shop)) == stock_after


def test_the_sum_beside_the_dialog_says_what_becomes_of_the_return(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    shipped(shop, "partly")
    order = seen()
    dialog = Dialog(as_alice, conversation, order)
    assert "1 of its 2 units still has to be processed" in dialog.page
    url = dialog.url.replace("/refund/", "/suggestion/")
    answer = as_alice.post(url, dialog.fields(line_0="2"))
    shown = unescape(answer.content.decode())
    assert "All of its units will then be processed" in shown
    assert "1 unit will be restocked" in shown


def test_the_dialog_offers_each_return_and_what_is_in_none(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    placed = shop.place(items=(("Red mug", "20.00", 3),))

    def work(context: Any) -> None:
        shop_actions.ship(context, placed, quantities={placed.lines[0].number_id: 2})
        shop_actions.open_return(context, placed)
        shop_actions.receive_return(context, placed)

    shop.act(work)
    order = seen()
    dialog = Dialog(as_alice, conversation, order)
    assert dialog.value("line_0") == "2"
    assert "2 of 3 can be refunded" in dialog.page
    assert "1 unit is with the customer or not shipped" in dialog.page
    other = unescape(as_alice.get(dialog.url, {"through": ""}).content.decode())
    assert "1 of 3 can be refunded" in other
    assert 'name="through" value=""' in other
    # What was typed comes back with the summary's "Back".
    back = as_alice.post(dialog.url, {**dialog.fields(through="", line_0="1"), "edit": "1"})
    assert "1 of 3 can be refunded" in unescape(back.content.decode())


def test_a_review_once_more_keeps_the_return(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    alice: User,
    conversation: Conversation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acting.without_wake_ups(monkeypatch)
    placed = shipped(shop, "awaited")
    action = through(seen(), alice)
    shop.act(lambda c: shop_actions.receive_return(c, placed, units=1))
    assert acting.perform(action).state == ActionState.REJECTED
    url = f"/inbox/conversations/{conversation.pk}/actions/{action.pk}/again/"
    page = unescape(as_alice.get(url).content.decode())
    assert "Units in its returns were received, processed, or refunded." in page
    assert "1 unit was already marked as received (1 restocked)" in page
    assert mutations(shop) == []


def test_what_an_ended_return_put_back_is_not_put_back_again(
    shop: Shop, seen: Seen, alice: User
) -> None:
    """Booked in and closed by the shop, and never refunded."""
    placed = shipped(shop, "received")
    shop.act(lambda c: shop_actions.close_return(c, placed))
    order, api = seen(), logged_in(alice)
    summary = ask(api, order, returned="received", restock=True).json()
    assert summary["return"] is None
    assert "already_restocked" in [advice["code"] for advice in summary["advice"]]
    settle(api, shop, order, summary["token"])
    assert mutations(shop) == ["refundCreate"]
    assert stock(shop) == [(2, ["return"])]


def test_an_exchange_is_processed_in_shopify(shop: Shop, seen: Seen, alice: User) -> None:
    shipped(shop, "received")
    snapshot = seen().snapshot
    [back] = snapshot.returns
    exchange = replace(back, exchanges=(ExchangeItem(title="Blue mug", quantity=1),))
    lines = (LineQuantity(line_gid=snapshot.lines[0].gid, quantity=2),)
    with pytest.raises(ActionRefused) as caught:
        return_for(replace(snapshot, returns=(exchange,)), lines, None)
    assert caught.value.refusal.code == "return_exchange"


@pytest.mark.slow
def test_store_credit_and_shipping_go_through_the_return_too(
    shop: Shop, seen: Seen, alice: User, store: Store
) -> None:
    Store.objects.filter(pk=store.pk).update(allow_store_credit=True)
    carriage = {"shopMoney": {"amount": "4.90", "currencyCode": "EUR"}}
    placed = shop.place(shippingLines=[{"title": "Post", "priceSet": carriage}])

    def work(context: Any) -> None:
        shop_actions.ship(context, placed)
        shop_actions.open_return(context, placed)
        shop_actions.receive_return(context, placed)

    shop.act(work)
    order, api = seen(), logged_in(alice)
    answer = ask(api, order, returned="received", method="store_credit", shipping="4.90")
    assert answer.json()["amount"] == {"amount": "44.90", "currency": "EUR"}
    action = settle(api, shop, order, answer.json()["token"])
    assert action.state == ActionState.SUCCEEDED
    [refund] = shop.ledger()["refunds"]
    assert (refund["amount"], refund["gateways"]) == ("44.9", ["shopify_store_credit"])
    assert refund["return"] == placed.returns[0].id
    assert placed.refunds[0].shipping == Decimal("4.90")


def test_the_fees_of_a_return_are_taken_off(shop: Shop, seen: Seen, alice: User) -> None:
    placed = shipped(shop, "received")
    placed.returns[0].lines[0].restocking_fee_percent = Decimal(10)
    order, api = seen(), logged_in(alice)
    summary = ask(api, order, returned="received").json()
    assert summary["amount"] == {"amount": "36.00", "currency": "EUR"}
    settle(api, shop, order, summary["token"])
    assert shop.ledger()["refunds"][0]["amount"] == "36.0"


def test_two_currencies_are_paid_back_in_the_customers(shop: Shop, seen: Seen, alice: User) -> None:
    price = {
        "shopMoney": {"amount": "20.00", "currencyCode": "EUR"},
        "presentmentMoney": {"amount": "3200", "currencyCode": "JPY"},
    }
    placed = shop.place(
        presentmentCurrency="JPY",
        lineItems=[{"title": "Mug", "quantity": 2, "requiresShipping": True, "priceSet": price}],
    )

    def work(context: Any) -> None:
        shop_actions.ship(context, placed)
        shop_actions.open_return(context, placed)

    shop.act(work)
    order, api = seen(), logged_in(alice)
    summary = ask(api, order, 1, returned="received").json()
    assert summary["amount"] == {"amount": "3200", "currency": "JPY"}
    action = settle(api, shop, order, summary["token"])
    assert action.state == ActionState.SUCCEEDED, action.message
    assert [(r["amount"], r["currency"]) for r in shop.ledger()["refunds"]] == [("3200.0", "JPY")]


def test_a_worker_that_was_given_up_and_sends_after_all_is_noticed_by_the_next(
    shop: Shop, seen: Seen, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease ran out before it began the step, and it begins it just as the next one takes
    the action: there is no key that would make the second request harmless."""
    acting.without_wake_ups(monkeypatch)
    shipped(shop, "received", quantity=4)
    action = through(seen(), alice)
    now = timezone.now()
    slow = worker_steps.claim(action_id=action.pk, now=now)
    assert slow is not None
    OrderAction.objects.update(lease_until=now - timedelta(seconds=1))
    look = OrderActionQuerySet.first

    def looked_at(found: Any) -> Any:
        row = look(found)
        monkeypatch.setattr(OrderActionQuerySet, "first", look)
        assert worker_steps.begin_step(slow, step=0, now=timezone.now()) is True
        return row

    monkeypatch.setattr(OrderActionQuerySet, "first", looked_at)
    assert worker_steps.claim(action_id=action.pk, now=timezone.now()) is None
    row = OrderAction.objects.get(pk=action.pk)
    assert (row.fence, row.is_doubtful) == (slow.fence, True)
    # Given up once more, it is looked for, and not sent.
    OrderAction.objects.update(lease_until=now - timedelta(seconds=1))
    perform.perform(action.pk)
    assert OrderAction.objects.get(pk=action.pk).state == ActionState.UNKNOWN
    assert mutations(shop) == []
