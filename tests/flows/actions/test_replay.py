"""What the agent saw at the click, what followed, and what Shopify said when."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.utils.formats import date_format
from django.utils.timezone import localtime

from inbox.models import Contact, Conversation
from orders.models import Order, OrderAction, OrderVersion
from practice_store.changes import staff_actions
from tests.flows.test_main_job import confirm, review
from tests.support.database.copies import without_triggers
from tests.support.shop.in_process import Shop, work_off

Seen = Callable[[], Order]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def action(shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation) -> OrderAction:
    """Alice refunds 15.00, and later someone refunds 3.00 more in Shopify."""
    placed = shop.place(paid=True)
    order = seen()
    token = review(
        as_alice, conversation, order, "refund", reason="goodwill", amount="15.00", staff_note="Ok."
    )
    assert confirm(as_alice, conversation, order, token) == 200
    work_off(shop, as_alice)
    # Shopify's times have whole seconds.
    shop.store.advance(1)
    shop.act(lambda context: staff_actions.refund(context, placed, Decimal("3.00")))
    seen()
    return OrderAction.objects.select_related("order").get()


def replay(client: Client, path: str, **headers: str) -> str:
    answer = client.get(f"{path}replay/", headers=headers)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", unescape(answer.content.decode()))


def pairs(text: str) -> dict[str, str]:
    return dict(re.findall(r"<dt>(?:<bdi>)?([^<]*)(?:</bdi>)?</dt><dd[^>]*>([^<]*)</dd>", text))


def test_it_shows_the_click_what_followed_and_shopifys_times(
    as_alice: Client, action: OrderAction, conversation: Conversation
) -> None:
    beside = f"/inbox/conversations/{conversation.pk}/actions/{action.pk}/"
    text = replay(as_alice, beside)
    found = pairs(text)
    # As of the click, and not with what was refunded since.
    paid = action.order.snapshot.money.received.presentment
    assert action.money is not None
    assert (found["Paid"], found["Already refunded"]) == (paid.format(), "€0.00")
    assert found["Refund total"] == "€15.00"
    assert found["Stays with the shop"] == (paid - action.money).format()
    assert (found["Reason"], found["Staff note"]) == ("Goodwill", "Ok.")
    assert "no longer known" not in text
    assert [text.index(word) for word in ("Confirmed", "Sending to Shopify", ">Done<")] == sorted(
        text.index(word) for word in ("Confirmed", "Sending to Shopify", ">Done<")
    )
    booked = next(r for r in action.order.snapshot.refunds if r.gid == action.refund_gid)
    assert booked.created_at is not None
    said = text.partition("What Shopify said, and when")[2]
    assert "Refund recorded <span" in said
    assert date_format(localtime(booked.created_at), "j M Y, H:i:s") in said
    assert "€3.00" not in said
    # The same on the order's page, and as a fragment.
    assert pairs(replay(as_alice, f"/inbox/orders/actions/{action.pk}/")) == found
    assert "<html" not in replay(as_alice, beside, **{"HX-Request": "true"})
    history = as_alice.get(f"/inbox/orders/{action.order_id}/history/").content.decode()
    activity = as_alice.get(f"/inbox/contacts/{conversation.contact_id}/").content.decode()
    for shown in (history, activity):
        assert f'href="/inbox/orders/actions/{action.pk}/replay/"' in shown


def test_without_the_state_of_that_time_it_says_so(as_alice: Client, action: OrderAction) -> None:
    with without_triggers(connection):
        OrderVersion.objects.all().delete()
    text = replay(as_alice, f"/inbox/orders/actions/{action.pk}/")
    assert "What the order looked like at the click is no longer known." in text
    assert pairs(text)["Already refunded"] == "€0.00"


def test_a_request_that_cannot_be_read_is_not_guessed(
    as_alice: Client, action: OrderAction
) -> None:
    with without_triggers(connection):
        OrderAction.objects.update(proposal={"kind": "?"})
    text = replay(as_alice, f"/inbox/orders/actions/{action.pk}/")
    assert "The original request can no longer be read." in text
    assert "Refund recorded" in text


def test_another_customers_action_does_not_exist_beside_a_conversation(
    as_alice: Client, action: OrderAction, conversation: Conversation
) -> None:
    stranger = Contact.objects.create(name="Joe")
    elsewhere = Conversation.objects.create(
        contact=stranger, channel=conversation.channel, external_id="c-9"
    )
    path = f"/inbox/conversations/{elsewhere.pk}/actions/{action.pk}/replay/"
    assert as_alice.get(path).status_code == 404
