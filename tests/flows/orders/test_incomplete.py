"""An order with long lists is read completely, or every entry point refuses to act and says why."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from inbox.models import Conversation, HelpDeskFrame
from orders import services
from orders.errors import ActionRefused
from orders.models import ActionState, Order, OrderAction
from practice_store.changes import staff_actions as shop_actions
from practice_store.context import Context
from practice_store.state import Order as ShopOrder
from practice_store.state import Tracking
from shopify_sync.reading import complete_order
from tests.conftest import logged_in
from tests.flows.actions.test_api_clicks import confirm as confirm_by_api
from tests.flows.actions.test_api_clicks import preview as preview_by_api
from tests.flows.frames.test_frames import chatwoot, entered, zammad  # noqa: F401
from tests.flows.test_main_job import confirm, panel, review
from tests.support.orders.acting import ask, cancel, perform, refund, without_wake_ups
from tests.support.shop.in_process import Shop, work_off

Seen = Callable[[], Order]
pytestmark = pytest.mark.django_db(transaction=True)
SHIPMENTS = "This order has more shipments than could be read."


def refunded_by_staff(shop: Shop, placed: ShopOrder, times: int) -> None:
    def work(context: Context) -> None:
        for _ in range(times):
            shop_actions.refund(context, placed, Decimal("1.00"), "staff")

    shop.act(work)
    # Fifty webhooks say the same as one.
    del shop.held[:-1]


def shipped_one_by_one(
    shop: Shop, placed: ShopOrder, times: int, *, under_way: int = 0
) -> ShopOrder:
    line = placed.lines[0].number_id

    def work(context: Context) -> None:
        for place in range(times):
            box = Tracking(
                number=f"BOX{place + 1}", company="DHL", url=f"https://dhl.example/{place}"
            )
            shop_actions.ship(context, placed, quantities={line: 1}, tracking=[box])
            word = "IN_TRANSIT" if place >= times - under_way else "DELIVERED"
            shop_actions.carrier_says(context, placed, word)

    shop.act(work)
    del shop.held[:-1]
    return placed


@pytest.mark.slow
def test_a_refund_beside_fifty_others_is_booked_once(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    """600.00 with 50 refunds of 1.00; 5.00 goes back once, and the second click warns."""
    placed = shop.place(items=(("Sofa", "600.00", 1),))
    refunded_by_staff(shop, placed, 50)
    order = seen()
    assert order.orderrefunds.count() == 50
    token = review(as_alice, conversation, order, "refund", reason="other", amount="5.00")
    assert confirm(as_alice, conversation, order, token) == 200
    work_off(shop, as_alice)
    action = OrderAction.objects.get()
    assert (action.state, action.message) == (ActionState.SUCCEEDED, "")
    amounts = [r["amount"] for r in shop.ledger()["refunds"]]
    assert (len(amounts), amounts.count("5.0")) == (51, 1)
    url = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/refund/"
    for page in (as_alice.get(url), as_alice.post(url, {"reason": "other", "amount": "5.00"})):
        text = "€5.00 of this order was just refunded (€55.00 within an hour)."
        assert text in page.content.decode()


def test_what_was_just_refunded_is_said_by_rest_too(
    shop: Shop, seen: Seen, alice: User, conversation: Conversation
) -> None:
    shop.place()
    order = seen()
    api = logged_in(alice)
    first = preview_by_api(api, order, "5.00").json()
    assert "just_refunded" not in [a["code"] for a in first["advice"]]
    assert confirm_by_api(api, order, first["token"], "k-1").status_code == 202
    work_off(shop, api)
    again = preview_by_api(api, order, "5.00").json()["advice"]
    assert [a["text"] for a in again if a["code"] == "just_refunded"] == [
        "€5.00 of this order was just refunded. This would be another refund."
    ]


def test_an_order_with_twelve_parcels_is_shown_completely(
    shop: Shop, seen: Seen, as_alice: Client, alice: User, conversation: Conversation
) -> None:
    """Ten of twelve parcels are delivered, and two are in transit."""
    placed = shop.place(items=(("Chair", "10.00", 12),))
    shipped_one_by_one(shop, placed, 12, under_way=2)
    order = seen()
    page = panel(as_alice, conversation)
    assert "In transit" in page
    assert all(f"BOX{place}<" in page for place in range(1, 13))
    told = as_alice.get(f"/api/v1/orders/{order.pk}/").json()
    assert told["actions"]["cancel"]["reason_code"] == "partly_delivered"
    assert [b["label"] for b in told["badges"] if b["axis"] == "Fulfillment"][-1] == "In transit"
    assert len(told["lines"][0]["tracking"]) == 12
    assert told["incomplete"] is None


@pytest.fixture
def cut(shop: Shop, seen: Seen, monkeypatch: pytest.MonkeyPatch, conversation: Conversation) -> Any:
    """An order of 30 parcels in a world where a list ends after 25."""
    monkeypatch.setattr("practice_store.graphql.resolvers.objects.fields.MAX_PAGE", 25)
    monkeypatch.setattr(complete_order, "MOST", 25)
    placed = shop.place(items=(("Chair", "10.00", 30),))
    shipped_one_by_one(shop, placed, 30)
    return seen()


@pytest.mark.slow
def test_no_action_is_allowed_on_an_order_that_was_read_in_part(
    cut: Order, as_alice: Client, alice: User, conversation: Conversation
) -> None:
    assert cut.is_incomplete
    page = panel(as_alice, conversation)
    assert SHIPMENTS in page
    assert "Open it in Shopify." in page
    assert "Incomplete" in page
    assert "Delivered</" not in page.split("<summary>")[1].split("</summary>")[0]
    told = as_alice.get(f"/api/v1/orders/{cut.pk}/").json()
    assert told["incomplete"] == SHIPMENTS
    for button in told["actions"].values():
        assert (button["allowed"], button["reason_code"]) == (False, "incomplete")
        assert (button["reason"], button["hint"]) == (SHIPMENTS, "Open it in Shopify.")
    for kind, more in (("refund", {"amount": "5.00"}), ("cancel", {})):
        wish = {"kind": kind, "reason": "other", **more}
        answer = as_alice.post(
            f"/api/v1/orders/{cut.pk}/previews/", wish, content_type="application/json"
        )
        assert (answer.status_code, answer.json()["reason_code"]) == (409, "incomplete")
        url = f"/inbox/conversations/{conversation.pk}/orders/{cut.pk}/{kind}/"
        for shown in (as_alice.get(url), as_alice.post(url, {"reason": "other", "amount": "5.00"})):
            assert SHIPMENTS in shown.content.decode()
            assert 'name="token"' not in shown.content.decode()


def test_no_action_is_allowed_in_a_frame_on_an_incomplete_order(
    cut: Order,
    alice: User,
    zammad: HelpDeskFrame,  # noqa: F811
) -> None:
    User.objects.filter(pk=alice.pk).update(email="alice@shop.example")
    framed = entered(zammad)
    assert SHIPMENTS in framed.panel()
    assert SHIPMENTS in framed.review(cut, reason="other", amount="5.00")


def test_it_is_asked_again_before_sending(
    shop: Shop, seen: Seen, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list grew beyond its end after the click."""
    without_wake_ups(monkeypatch)
    placed = shop.place(items=(("Chair", "10.00", 30),))
    action = ask(seen(), refund("5.00"), alice)
    monkeypatch.setattr("practice_store.graphql.resolvers.objects.fields.MAX_PAGE", 25)
    monkeypatch.setattr(complete_order, "MOST", 25)
    shipped_one_by_one(shop, placed, 30, under_way=30)
    found = perform(action)
    assert (found.state, found.maybe_applied) == (ActionState.REJECTED, False)
    assert SHIPMENTS in found.message
    assert shop.ledger()["refunds"] == []


def test_what_was_sent_already_is_still_found(
    shop: Shop, seen: Seen, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of refunds ends exactly before ours: it is read by its id."""
    without_wake_ups(monkeypatch)
    placed = shop.place(items=(("Sofa", "600.00", 1),))
    refunded_by_staff(shop, placed, 24)
    monkeypatch.setattr("practice_store.graphql.resolvers.objects.fields.MAX_PAGE", 24)
    order = seen()
    monkeypatch.setattr(complete_order, "MOST", 25)
    action = ask(order, refund("5.00"), alice)
    found = perform(action)
    assert found.state == ActionState.SUCCEEDED
    assert [r["amount"] for r in shop.ledger()["refunds"]].count("5.0") == 1
    order = Order.objects.get()
    assert order.snapshot.unread == ("refunds",)
    with pytest.raises(ActionRefused) as refused:
        ask(order, refund("5.00"), alice)
    assert refused.value.refusal.code == "incomplete"


def test_its_money_is_not_kept_either(
    shop: Shop, seen: Seen, alice: User, sara: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_wake_ups(monkeypatch)
    shop.place()
    action = ask(seen(), cancel(), alice)
    perform(action)
    work_off(shop, Client())
    Order.objects.update(
        document=Order.objects.get().document.replace('"unread":[]', '"unread":["refunds"]')
    )
    with pytest.raises(ActionRefused) as refused:
        services.keep_money(order_id=action.order_id, by=sara, reason="Agreed")
    assert refused.value.refusal.code == "incomplete"


def test_an_order_is_whole_again_once_its_list_is(
    cut: Order,
    shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
    as_alice: Client,
    conversation: Conversation,
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(complete_order, "MOST", 250)
    services.mark_dirty(store=cut.store, gid=cut.gid, legacy_id=cut.legacy_id, now=timezone.now())
    work_off(shop, as_alice)
    found = Order.objects.get()
    assert not found.is_incomplete
    assert found.orderfulfillments.count() == 30
    assert SHIPMENTS not in panel(as_alice, conversation)


@pytest.mark.slow
def test_its_activity_says_how_much_of_it_is_shown(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    placed = shop.place(items=(("Sofa", "600.00", 1),))
    refunded_by_staff(shop, placed, 98)
    seen()
    assert "Show all 100" in panel(as_alice, conversation)
    refunded_by_staff(shop, placed, 20)
    seen()
    assert "Show the newest 100 of 120" in panel(as_alice, conversation)


def test_an_agent_comparing_manually_is_told_that_the_list_is_cut(
    shop: Shop, seen: Seen, alice: User, sara: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refund without an answer, beyond the end of what can be read."""
    without_wake_ups(monkeypatch)
    placed = shop.place(items=(("Sofa", "600.00", 1),))
    refunded_by_staff(shop, placed, 24)
    order = seen()
    action = ask(order, refund("5.00"), alice)
    shop.fault(operation="refundCreate", phase="commit_then_drop", times=1)
    perform(action)
    monkeypatch.setattr("practice_store.graphql.resolvers.objects.fields.MAX_PAGE", 24)
    monkeypatch.setattr(complete_order, "MOST", 24)
    found = perform(action)
    assert found.state == ActionState.NEEDS_HUMAN
    assert [r["amount"] for r in shop.ledger()["refunds"]].count("5.0") == 1
    page = logged_in(sara).get("/inbox/decisions/").content.decode()
    assert "This order has more refunds than could be read." in page
