"""Orders with duties, swaps, money owed, disputes and odd lines, on the pages and the API."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from inbox.models import Conversation
from orders import previews
from orders.models import Order
from orders.panels.cards import needs_attention, order_card
from orders.snapshot import LineQuantity
from practice_store.changes import editing
from practice_store.changes import staff_actions as shop_actions
from practice_store.context import Context
from practice_store.sales import lifecycle
from practice_store.state import Fee
from practice_store.state import Order as ShopOrder
from shopify_sync.models import ShopConnection
from tests.flows.actions.test_api_clicks import preview as preview_by_api
from tests.flows.test_main_job import panel
from tests.support.orders.acting import ask, perform, refund, without_wake_ups
from tests.support.shop.in_process import Shop, work_off

Seen = Callable[[], Order]
pytestmark = pytest.mark.django_db(transaction=True)


def changed(shop: Shop, placed: ShopOrder, work: Callable[[Context], Any]) -> None:
    """Something happens to the order and is reported once."""

    def both(context: Context) -> None:
        work(context)
        lifecycle.touch(context, placed)

    shop.act(both)


def money_of(page: str) -> dict[str, str]:
    """The rows of the first order's sums."""
    found = re.search(r'<dl class="money">(.*?)</dl>', page, re.DOTALL)
    assert found
    return dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", found[1]))


def card(order: Order) -> Any:
    from django.utils import timezone

    return order_card(order, acting=None, now=timezone.now())


@pytest.fixture
def with_duties(shop: Shop) -> ShopOrder:
    """108.90 goods + 4.90 shipping + 20.69 tax + 3.00 tip + 20.00 duties = 157.49, all paid."""
    price = {"shopMoney": {"amount": "4.90", "currencyCode": "EUR"}}
    placed = shop.place(
        items=(("Lamp", "108.90", 1),),
        paid=False,
        shippingLines=[{"title": "Standard", "priceSet": price}],
    )
    placed.lines[0].tax, placed.lines[0].duty = Decimal("20.69"), Decimal("20.00")
    placed.tip = Decimal("3.00")
    shop.act(lambda c: shop_actions.pay(c, placed))
    return placed


def test_an_order_with_duties(
    shop: Shop, seen: Seen, with_duties: ShopOrder, as_alice: Client, conversation: Conversation
) -> None:
    """Duties have a row of their own, and the rows add up."""
    order = seen()
    rows = money_of(panel(as_alice, conversation))
    assert rows == {
        "Subtotal": "€108.90",
        "Shipping": "€4.90",
        "Tax": "€20.69",
        "Duties": "€20.00",
        "Tip": "€3.00",
        "Total": "€157.49",
        "Paid": "€157.49",
    }
    told = as_alice.get(f"/api/v1/orders/{order.pk}/").json()["money"]
    assert {"label": "Duties", "included": False, "amount": "20.00", "currency": "EUR"} in told
    whole = next(i for i, row in enumerate(told) if row["label"] == "Total")
    parts = [Decimal(row["amount"]) for row in told[:whole] if not row["included"]]
    assert sum(parts) == Decimal(told[whole]["amount"]) == Decimal("157.49")


def test_the_refund_dialog_names_what_items_do_not_give_back(
    shop: Shop, seen: Seen, with_duties: ShopOrder, as_alice: Client, conversation: Conversation
) -> None:
    with_duties.fees.append(Fee(name="Recycling fee", price=Decimal("1.50")))
    changed(shop, with_duties, lambda _c: None)
    order = seen()
    url = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/refund/"
    page = as_alice.get(url).content.decode()
    for words in ("Recycling fee €1.50", "Tip €3.00"):
        assert words in page


def test_fees_and_included_tax(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    placed = shop.place(paid=False)
    placed.taxes_included, placed.lines[0].tax = True, Decimal("6.39")
    placed.fees = [Fee(name="Recycling fee", price=Decimal("1.50"))]
    placed.cash_rounding = Decimal("0.05")
    shop.act(lambda c: shop_actions.pay(c, placed))
    seen()
    assert money_of(panel(as_alice, conversation)) == {
        "Subtotal": "€40.00",
        "Recycling fee": "€1.50",
        "Total": "€41.50",
        "incl. tax": "€6.39",
        "Paid": "€41.55",
        "Cash rounding": "€0.05",
    }


def test_a_line_that_was_swapped(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    """134.49 paid; 89.00 swapped for 120.00: 31.00 is outstanding, and the swap is named."""
    placed = shop.place(items=(("Coat", "89.00", 1), ("Scarf", "45.49", 1)))
    coat = placed.lines[0].number_id
    shop.act(
        lambda c: editing.edit(c, placed, remove={coat: 1}, add=[("Jacket", Decimal("120.00"), 1)])
    )
    order = seen()
    page = panel(as_alice, conversation)
    assert "€31.00 outstanding" in page
    assert "of €254.49 paid" not in page
    assert "Swapped: Jacket instead of Coat" in page
    assert "left after refunds" not in page
    rows = money_of(page)
    assert (rows["Total"], rows["After changes"]) == ("€254.49", "€165.49")
    assert (rows["Paid"], rows["Outstanding"]) == ("€134.49", "€31.00")
    told = as_alice.get(f"/api/v1/orders/{order.pk}/").json()
    assert told["swaps"] == ["Swapped: Jacket instead of Coat"]
    assert [line["altered"] for line in told["lines"]] == [["Removed"], [], ["Added later"]]


def test_an_exchange(shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation) -> None:
    """The same swap by a return: the same sums, and both sides are named."""
    placed = shop.place(items=(("Shoes", "89.00", 1), ("Scarf", "45.49", 1)))
    shop.act(lambda c: shop_actions.ship(c, placed))
    sent = placed.fulfillments[0].lines[0].number_id
    shop.act(
        lambda c: editing.exchange(
            c, placed, [(sent, 1, "SIZE_TOO_SMALL", "")], [("Boots", Decimal("120.00"), 1)]
        )
    )
    seen()
    page = panel(as_alice, conversation)
    assert "Exchange: Boots instead of Shoes" in page
    assert "€31.00 outstanding" in page
    assert "left after refunds" not in page


def test_what_we_owe_after_an_edit(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    """134.49 paid; 105.91 removed by an order edit, and nothing refunded yet."""
    placed = shop.place(items=(("Coat", "105.91", 1), ("Scarf", "28.58", 1)))
    coat = placed.lines[0].number_id
    shop.act(lambda c: editing.edit(c, placed, remove={coat: 1}))
    order = seen()
    page = panel(as_alice, conversation)
    assert "We owe €105.91" in page
    assert "Removed" in page
    assert "left after refunds" not in page
    assert money_of(page)["We owe"] == "€105.91"
    assert "-€" not in page
    assert needs_attention(card(order))
    attention = as_alice.get(
        f"/inbox/conversations/{conversation.pk}/orders/?show=attention",
        headers={"HX-Request": "true"},
    )
    assert order.name in attention.content.decode()


@pytest.mark.parametrize("paid", [False, True])
def test_an_order_that_was_canceled_is_not_called_refunded(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, paid: bool
) -> None:
    placed = shop.place(paid=paid)
    shop.act(lambda c: shop_actions.cancel(c, placed, reason="CUSTOMER", refund_all=False))
    work_off(shop, as_alice)
    seen()
    assert "left after refunds" not in panel(as_alice, conversation)


@pytest.mark.slow
@pytest.mark.parametrize("word", ["LOST", "ACCEPTED", "CHARGE_REFUNDED"])
def test_a_lost_dispute_warns_as_loudly_as_an_open_one(
    shop: Shop, seen: Seen, as_alice: Client, alice: User, conversation: Conversation, word: str
) -> None:
    """A dispute was lost, and an agent is about to refund 5.00."""
    placed = shop.place()
    placed.dispute = word
    changed(shop, placed, lambda _c: None)
    order = seen()
    assert "Dispute lost" in panel(as_alice, conversation)
    assert needs_attention(card(order))
    advice = preview_by_api(as_alice, order, "5.00").json()["advice"]
    text = "The bank has already returned this money. A refund would pay the customer twice."
    assert {"code": "dispute_lost", "text": text} in advice
    url = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/refund/"
    page = as_alice.get(url).content.decode()
    assert re.search(rf'data-tone="critical">.*?{text}', page, re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("NEEDS_RESPONSE", "Dispute open"),
        ("UNDER_REVIEW", "Dispute open"),
        ("ON_THE_MOON", "Dispute open"),
        ("WON", None),
        ("PREVENTED", None),
        (None, None),
    ],
)
def test_disputes_on_the_card(
    shop: Shop, seen: Seen, as_alice: Client, word: str | None, label: str | None
) -> None:
    from shopify_sync import mapping

    placed = shop.place()
    order = seen()
    data = {"gid": order.gid, "word": word}
    from dataclasses import replace

    from orders.snapshot import Dispute, encode

    found = (Dispute(gid=str(data["gid"]), status=word),) if word else ()
    order.document = encode(replace(order.snapshot, disputes=found))
    order.__dict__.pop("snapshot", None)
    notes = [badge.label for badge in card(order).notes]
    assert [n for n in notes if "ispute" in n] == ([label] if label else [])
    assert placed.name == order.name
    assert mapping.UNREAD


def test_without_the_scope_orders_are_read_without_disputes(
    shop: Shop, seen: Seen, conversation: Conversation
) -> None:
    placed = shop.place()
    placed.dispute = "LOST"
    scopes = [s for s in shop.store.world.shops[shop_domain()].scopes if "disputes" not in s]
    shop.store.world.shops[shop_domain()].scopes = scopes
    ShopConnection.objects.update(scopes=scopes)
    changed(shop, placed, lambda _c: None)
    assert seen().snapshot.disputes == ()
    assert not seen().snapshot.are_disputes_known


def shop_domain() -> str:
    from tests.support.shop.in_process import DOMAIN

    return DOMAIN


def test_a_line_without_a_product(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    """The line has no title, image or SKU."""
    placed = shop.place()
    placed.lines[0].title = ""
    changed(shop, placed, lambda _c: None)
    assert seen().snapshot.lines[0].title == "–"
    assert "<bdi>–</bdi>" in panel(as_alice, conversation)


@pytest.mark.parametrize(
    ("amount", "shares"),
    [
        ("134.49", {"shopify_payments": "84.49", "gift_card": "50.00"}),
        ("60.00", {"shopify_payments": "60.00"}),
    ],
)
def test_gift_card_and_card(
    shop: Shop,
    seen: Seen,
    alice: User,
    conversation: Conversation,
    amount: str,
    shares: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """134.49 paid, 50.00 of it by gift card: 84.49 + 50.00; and 60.00 to the card."""
    without_wake_ups(monkeypatch)
    placed = shop.place(items=(("Lamp", "134.49", 1),), paid=False)
    shop.act(lambda c: shop_actions.pay(c, placed, Decimal("50.00"), "gift_card", None))
    shop.act(lambda c: shop_actions.pay(c, placed, Decimal("84.49")))
    order = seen()
    action = ask(order, refund(amount), alice)
    proposal = previews.decode_proposal(action.proposal)
    assert {t.gateway: t.amount.plain() for t in proposal.targets} == shares
    assert perform(action).state == "succeeded"
    labels = [row.label for row in card(Order.objects.get()).money]
    assert "Gift card" in labels


def test_duties_go_back_with_their_items(
    shop: Shop,
    seen: Seen,
    with_duties: ShopOrder,
    alice: User,
    conversation: Conversation,
    as_alice: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is calculated for the items, shown and sent is one sum: goods, tax and duties."""
    without_wake_ups(monkeypatch)
    order = seen()
    url = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/refund/"
    assert "<dt>Duties</dt><dd>€20.00</dd>" in as_alice.get(url).content.decode()
    only = (LineQuantity(line_gid=order.snapshot.lines[0].gid, quantity=1),)
    action = ask(order, previews.RefundChoice(reason="other", lines=only), alice)
    assert action.amount == Decimal("149.59")
    assert perform(action).state == "succeeded"
    [booked] = with_duties.refunds
    assert [duty.amount for duty in booked.duties] == [Decimal("20.00")]
    assert booked.adjustments == []
    found = Order.objects.get().snapshot.refunds[0].duties
    assert found is not None
    assert found.presentment.amount == 20


def test_an_amount_gives_back_no_duties_in_particular(
    shop: Shop,
    seen: Seen,
    with_duties: ShopOrder,
    alice: User,
    conversation: Conversation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_wake_ups(monkeypatch)
    action = ask(seen(), refund("5.00"), alice)
    assert perform(action).state == "succeeded"
    assert with_duties.refunds[0].duties == []


def test_a_dispute_is_told_by_its_webhook(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    placed = shop.place()
    seen()
    for word, label in (("NEEDS_RESPONSE", "Dispute open"), ("LOST", "Dispute lost")):
        shop.act(partial(shop_actions.dispute, order=placed, status=word))
        assert [held[1].split("/")[0] for held in shop.held] == ["disputes"]
        assert seen().snapshot.are_disputes_known
        assert label in panel(as_alice, conversation)
