"""Refunding an amount versus items: what each sends, shows and leaves behind."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from inbox.models import Conversation
from orders import services
from orders.models import ActionState, Order, OrderAction, Policy
from practice_store.changes import staff_actions as shop_actions
from practice_store.state import Order as ShopOrder
from tests.conftest import logged_in
from tests.flows.test_main_job import confirm, review
from tests.support.shop.in_process import DOMAIN, Shop, work_off

Seen = Callable[[], Order]
pytestmark = pytest.mark.django_db(transaction=True)
GRINDER, FILTERS = ("Grinder", "74.90", 1), ("Filters", "6.50", 3)
LINES = """query($id: ID!) { order(id: $id) { lineItems(first: 9) { nodes {
  currentQuantity refundableQuantity unfulfilledQuantity } } } }"""


def basket(shop: Shop, *, fate: str = "") -> ShopOrder:
    """99.30 with 4.90 of shipping; `fate`: "", "shipped" or "delivered"."""
    carriage = {"shopMoney": {"amount": "4.90", "currencyCode": "EUR"}}
    placed = shop.place(
        items=(GRINDER, FILTERS), shippingLines=[{"title": "Post", "priceSet": carriage}]
    )
    if fate:
        shop.act(lambda c: shop_actions.ship(c, placed))
        words = {"shipped": "IN_TRANSIT", "delivered": "DELIVERED"}
        shop.act(lambda c: shop_actions.carrier_says(c, placed, words[fate]))
    return placed


def units(shop: Shop, order: Order) -> list[tuple[int, int, int]]:
    """Of each line, as the shop itself answers: current, refundable, unfulfilled."""
    found = shop.graphql(LINES, {"id": order.gid})["data"]["order"]["lineItems"]["nodes"]
    return [tuple(line.values()) for line in found]


class Desk:
    def __init__(self, client: Client, conversation: Conversation, order: Order) -> None:
        self.client, self.conversation, self.order = client, conversation, order
        self.url = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/refund/"

    def page(self, **data: str) -> str:
        answer = self.client.post(self.url, data) if data else self.client.get(self.url)
        return unescape(answer.content.decode())

    def confirm(self, shop: Shop, **data: str) -> dict[str, Any]:
        """What was sent to Shopify."""
        token = review(self.client, self.conversation, self.order, "refund", **data)
        confirm(self.client, self.conversation, self.order, token)
        work_off(shop, self.client)
        action = OrderAction.objects.latest("pk")
        assert action.state == ActionState.SUCCEEDED, action.message
        sent: dict[str, Any] = action.steps[-1]["variables"]["input"]
        return sent


@pytest.fixture
def desk(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> Callable[..., Desk]:
    def make(fate: str = "") -> Desk:
        basket(shop, fate=fate)
        return Desk(as_alice, conversation, seen())

    return make


def is_ticked(page: str, name: str) -> bool:
    box = re.search(rf'<input type="checkbox" name="{name}"[^>]*>', page)
    assert box, page
    return "checked" in box[0]


EVERYTHING = {"line_0": "1", "line_1": "3", "shipping": "4.90", "restock": "on"}


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"mode": "amount"}, {"mode": "amount"} | EVERYTHING])
def test_an_amount_sends_no_items_and_leaves_them_all(
    shop: Shop, desk: Callable[..., Desk], seen: Seen, more: dict[str, str]
) -> None:
    found = desk()
    before = units(shop, found.order)
    form = {"reason": "goodwill", "amount": "5.00", **more}
    shown = found.page(**form)
    assert "No items are marked as refunded, and stock stays the same" in shown
    assert "Refunded items" not in shown
    sent = found.confirm(shop, **form)
    assert {"refundLineItems", "shipping", "discrepancyReason"}.isdisjoint(sent)
    assert units(shop, found.order) == before == [(1, 1, 1), (3, 3, 3)]
    assert shop.ledger()["stock"] == []
    seen()
    again = found.page()
    assert 'name="line_0" value="1"' in again
    assert 'name="line_1" value="3"' in again
    assert "€94.30" in again, "what is left of the money"


@pytest.mark.slow
def test_a_refund_of_an_amount_does_not_ask_about_a_return(
    shop: Shop, desk: Callable[..., Desk]
) -> None:
    found = desk("delivered")
    form = {"mode": "amount", "reason": "goodwill", "amount": "5.00"}
    shown = found.page(**form)
    assert 'name="token"' in shown
    assert "Has the item come back?" not in shown
    assert "refundLineItems" not in found.confirm(shop, **form)
    assert found.page(mode="items", reason="goodwill", line_0="1").count("Say whether") == 1


def test_an_amount_leaves_an_open_return_open(
    shop: Shop, desk: Callable[..., Desk], seen: Seen
) -> None:
    found = desk("delivered")
    (placed,) = shop.store.world.shops[DOMAIN].orders.values()
    shop.act(lambda c: shop_actions.open_return(c, placed))
    seen()
    form = {"mode": "amount", "reason": "goodwill", "amount": "5.00"}
    words = f"{placed.name}-R1 stays open"
    assert words in found.page(**form)
    url = found.url.replace("/refund/", "/suggestion/")
    assert words in unescape(found.client.post(url, form).content.decode())
    found.confirm(shop, **form)
    assert [back.status for back in placed.returns] == ["OPEN"]
    assert units(shop, found.order) == [(1, 1, 0), (3, 3, 0)]


@pytest.mark.slow
def test_errors_in_the_hidden_refund_mode_are_ignored(desk: Callable[..., Desk]) -> None:
    found = desk()
    nonsense = {"line_0": "77", "shipping": "many", "items_amount": "1.000"}
    assert 'name="token"' in found.page(mode="amount", reason="other", amount="5.00", **nonsense)
    assert 'name="token"' in found.page(mode="items", reason="other", amount="-", line_0="1")
    assert "above 0 and up to €99.30" in found.page(mode="amount", reason="other", **nonsense)
    assert "Choose items or shipping" in found.page(mode="items", reason="other", amount="5.00")


@pytest.mark.slow
def test_items_for_another_sum_need_a_reason_and_show_the_difference(
    shop: Shop, desk: Callable[..., Desk]
) -> None:
    found = desk()
    form = {"mode": "items", "reason": "damaged", "line_1": "2", "items_amount": "10.00"}
    asked = found.page(**form)
    assert 'name="token"' not in asked
    assert 'id="discrepancy_reason-error"' in asked
    assert "Say why the amount differs from the €13.00 that Shopify calculates." in asked
    form["discrepancy_reason"] = "DAMAGE"
    shown = found.page(**form)
    for words in (
        "Calculated by Shopify</dt><dd>€13.00",
        "Difference</dt><dd>-€3.00",
        "Damaged items",
        "Refund €10.00",
    ):
        assert words in shown
    sent = found.confirm(shop, **form)
    assert sent["discrepancyReason"] == "DAMAGE"
    assert [t["amount"] for t in sent["transactions"]] == ["10.00"]
    assert [line["quantity"] for line in sent["refundLineItems"]] == [2]
    assert units(shop, found.order) == [(1, 1, 1), (1, 1, 1)]


def test_back_and_again_keep_the_way_and_what_was_typed(desk: Callable[..., Desk]) -> None:
    found = desk()
    shown = found.page(mode="amount", reason="goodwill", amount="5.00")
    for name, value in (("mode", "amount"), ("amount", "5.00")):
        assert f'<input type="hidden" name="{name}" value="{value}">' in shown
    back = found.page(mode="amount", reason="goodwill", amount="5.00", edit="1")
    assert re.search(r'value="amount" checked', back)
    assert re.search(r'name="amount" value="5.00"', back)


def test_the_summary_follows_what_is_filled_in(desk: Callable[..., Desk]) -> None:
    found = desk()
    url = found.url.replace("/refund/", "/suggestion/")

    def summary(**data: str) -> str:
        return unescape(found.client.post(url, data).content.decode())

    amount = summary(mode="amount", amount="5.00", **EVERYTHING)
    for words in ("€5.00", "All 4 items stay on the order", "No change", "€94.30"):
        assert words in amount
    assert "can be read two ways" in summary(mode="amount", amount="1.000")
    items = summary(mode="items", line_1="2", items_amount="10.00", amount="77")
    for words in ("€10.00", "€13.00", "-€3.00", "€89.30"):
        assert words in items


def test_the_api_chooses_the_refund_mode_by_its_lines(
    shop: Shop, desk: Callable[..., Desk], alice: User
) -> None:
    found = desk()
    api = logged_in(alice)

    def preview(**wish: Any) -> Any:
        url = f"/api/v1/orders/{found.order.pk}/previews/"
        wish = {"kind": "refund", "reason": "damaged", **wish}
        return api.post(url, wish, content_type="application/json")

    alone = preview(amount="5.00").json()
    assert (alone["mode"], alone["items"], alone["difference"]) == ("amount", [], None)
    row = {"line": found.order.snapshot.lines[1].gid, "quantity": 2}
    items = preview(amount="10.00", lines=[row]).json()
    assert (items["mode"], items["discrepancy_reason"]) == ("items", "DAMAGE")
    assert items["calculated"] == {"amount": "13.00", "currency": "EUR"}
    assert items["difference"] == {"amount": "-3.00", "currency": "EUR"}
    own = preview(amount="10.00", lines=[row], discrepancy_reason="RESTOCK").json()
    assert own["discrepancy_reason"] == "RESTOCK"
    assert preview(lines=[row]).json()["amount"] == {"amount": "13.00", "currency": "EUR"}
    assert preview(lines=[row], discrepancy_reason="ODD").status_code == 400


@pytest.mark.parametrize("more", [{"mode": "items"}, {"amount": "5.00"}])
def test_more_shipping_than_was_paid_is_refused_at_review(
    desk: Callable[..., Desk], more: dict[str, str]
) -> None:
    """The error is shown at the field, with the most that can be refunded."""
    found = desk()
    shown = found.page(reason="other", shipping="999", **more)
    assert 'name="token"' not in shown
    assert 'id="shipping-error"' in shown
    assert "You can refund at most €4.90 of the shipping." in shown


def test_shipping_alone_is_refunded(shop: Shop, desk: Callable[..., Desk]) -> None:
    """Shipping can be refunded without any items, and only once."""
    found = desk()
    sent = found.confirm(shop, mode="items", reason="other", shipping="4.90")
    assert (sent["shipping"], [t["amount"] for t in sent["transactions"]]) == (
        {"amount": "4.90"},
        ["4.90"],
    )
    shown = found.page(mode="items", reason="other", shipping="0.01")
    assert "There’s no shipping left to refund." in shown


# --- restock


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fate", "kind"), [("", "CANCEL"), ("shipped", "RETURN"), ("delivered", "RETURN")]
)
def test_items_go_back_to_stock_the_way_shopify_wants_it(
    shop: Shop, desk: Callable[..., Desk], fate: str, kind: str
) -> None:
    """Unshipped units are restocked as canceled, shipped ones as returned."""
    found = desk(fate)
    form = {"mode": "items", "reason": "other", "line_1": "2", "restock": "on"}
    if fate == "delivered":
        form["returned"] = "received"
    assert "Shop location" in found.page(**form)
    sent = found.confirm(shop, **form)
    assert [
        (row["quantity"], row["restockType"], row["locationId"]) for row in sent["refundLineItems"]
    ] == [(2, kind, "gid://shopify/Location/1")]
    assert [row["quantity"] for row in shop.ledger()["stock"]] == [2]


def test_a_line_that_was_shipped_in_part_goes_back_in_two_ways(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    """Unshipped units are restocked as canceled, the others as returned, each at its location."""
    placed = shop.place(items=(("Tile", "10.00", 5),))

    def part(context: Any) -> None:
        shop_actions.ship(context, placed, quantities={placed.lines[0].number_id: 3})
        placed.fulfillment_orders[0].location_number = 2

    shop.act(part)
    found = Desk(as_alice, conversation, seen())
    form = {"mode": "items", "reason": "other", "line_0": "4", "restock": "on"}
    shown = found.page(**form)
    assert "2 unshipped items will be restocked at Warehouse" in shown
    assert "2 items will be restocked at Shop location" in shown
    sent = found.confirm(shop, **form)
    assert [
        (row["quantity"], row["restockType"], row["locationId"]) for row in sent["refundLineItems"]
    ] == [(2, "CANCEL", "gid://shopify/Location/2"), (2, "RETURN", "gid://shopify/Location/1")]
    assert units(shop, found.order) == [(1, 1, 0)]


def test_what_is_on_its_way_is_not_preselected_for_stock(
    shop: Shop, desk: Callable[..., Desk]
) -> None:
    found = desk("shipped")
    assert not is_ticked(found.page(), "restock")
    cancel = unescape(found.client.get(found.url.replace("refund", "cancel")).content.decode())
    assert not is_ticked(cancel, "restock")
    sent = found.confirm(shop, mode="items", reason="other", line_1="1")
    assert [row["restockType"] for row in sent["refundLineItems"]] == ["NO_RESTOCK"]
    assert shop.ledger()["stock"] == []


@pytest.mark.slow
def test_received_restocks_and_no_return_does_not(shop: Shop, desk: Callable[..., Desk]) -> None:
    """The box stands beside Received, ticked; without JavaScript as well."""
    found = desk("delivered")
    shown = found.page()
    received = shown.index('data-revealed-by="restock"')
    assert shown.index('value="received"') < received < shown.index('name="restock"')
    assert is_ticked(shown, "restock")
    form = {"mode": "items", "reason": "other", "line_1": "1", "restock": "on"}
    sent = found.confirm(shop, returned="not_needed", **form)
    assert [row["restockType"] for row in sent["refundLineItems"]] == ["NO_RESTOCK"]
    sent = found.confirm(shop, returned="received", **form)
    assert [row["restockType"] for row in sent["refundLineItems"]] == ["RETURN"]


def test_items_that_cannot_be_restocked_for_lack_of_a_location_are_named(
    shop: Shop, desk: Callable[..., Desk]
) -> None:
    """An app that may not read locations is not told where to."""
    found = desk("shipped")
    shop.store.world.shops[DOMAIN].scopes.remove("read_locations")
    form = {"mode": "items", "reason": "other", "line_1": "2"}
    shown = found.page(**form, restock="on")
    assert 'name="token"' not in shown
    assert "Shopify doesn’t say where “Filters” would be restocked." in shown
    assert "read_locations" in shown
    assert 'name="token"' in found.page(**form)


@pytest.mark.slow
def test_an_approver_sees_what_happens_to_the_items(
    shop: Shop, desk: Callable[..., Desk], alice: User, sara: User
) -> None:
    Policy.objects.create(role=alice.groups.get(), refund_up_to=0)
    found = desk()
    wishes = (
        ({"amount": "5.00", "mode": "amount"}, "No items are marked as refunded"),
        ({"line_1": "2", "mode": "items"}, ">Filters<"),
    )
    for form, words in wishes:
        token = review(
            found.client, found.conversation, found.order, "refund", reason="other", **form
        )
        confirm(found.client, found.conversation, found.order, token)
        page = unescape(logged_in(sara).get("/inbox/decisions/").content.decode())
        assert words in page
        action = OrderAction.objects.latest("pk")
        services.withdraw(action_id=action.pk, by=alice, now=timezone.now())
