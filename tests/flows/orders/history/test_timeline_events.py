"""Returns, edits, holds, disputes and notes of an order are rows of its activity."""

from __future__ import annotations

from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.test import Client

from inbox.models import CampaignMessage, Conversation
from orders.models import EventKind, Order, OrderEvent, Store
from orders.privacy import retention
from practice_store.changes import editing, staff_actions
from practice_store.sales.holding import hold, release
from tests.flows.test_main_job import panel
from tests.support.shop.in_process import Shop

pytestmark = pytest.mark.django_db(transaction=True)
NEW = (EventKind.RETURN, EventKind.EDITED, EventKind.HOLD, EventKind.DISPUTE, EventKind.NOTE)


def happens(shop: Shop, seen: Any, change: Any) -> Order:
    # Shopify's times have whole seconds.
    shop.store.advance(1)
    shop.act(change)
    found: Order = seen()
    return found


def rows() -> list[tuple[str, str, str]]:
    found = OrderEvent.objects.filter(kind__in=NEW).order_by("pk")
    return list(found.values_list("kind", "reason", "detail"))


def test_what_happens_to_an_order_is_a_row_each(
    shop: Shop, store: Store, seen: Any, as_alice: Client, conversation: Conversation
) -> None:
    placed = shop.place()
    seen()
    for change in (
        lambda c: editing.edit(c, placed, add=[("Bowl", Decimal("5.00"), 1)]),
        lambda c: hold(c, placed, "Incorrect address"),
        lambda c: release(c, placed),
        lambda c: staff_actions.edit(c, placed, note="Ring twice"),
        lambda c: staff_actions.dispute(c, placed, "NEEDS_RESPONSE"),
        lambda c: staff_actions.ship(c, placed),
        lambda c: staff_actions.open_return(c, placed),
        lambda c: staff_actions.close_return(c, placed),
    ):
        order = happens(shop, seen, change)
    name = f"{order.name}-R1"
    assert rows() == [
        ("edited", "", "+1 × Bowl"),
        ("hold", "", "Incorrect address"),
        ("hold", "RELEASED", ""),
        ("note", "", ""),
        ("dispute", "NEEDS_RESPONSE", ""),
        ("return", "", name),
        ("return", "CLOSED", name),
    ]
    # Reading the same again adds nothing, and no campaign waits for it.
    seen()
    assert len(rows()) == 7
    assert not OrderEvent.objects.unannounced().filter(kind__in=NEW).exists()
    assert not CampaignMessage.objects.exists()
    card = unescape(panel(as_alice, conversation))
    path = f"/inbox/contacts/{conversation.contact_id}/?show=orders"
    contact = unescape(as_alice.get(path).content.decode())
    for text in ("Order edited", "No longer on hold", "Incorrect address", "Note on the order"):
        assert text in card
        assert text in contact
    assert f"Closed · {name}" in card
    assert f"Closed · {name}" in contact


def test_what_was_masked_makes_no_row(shop: Shop, store: Store, seen: Any) -> None:
    placed = shop.place()
    order = happens(shop, seen, lambda c: staff_actions.edit(c, placed, note="Ring twice"))
    OrderEvent.objects.filter(kind__in=NEW).delete()
    retention._mask_orders([order])
    happens(shop, seen, lambda c: staff_actions.edit(c, placed, tags=["vip"]))
    assert rows() == []
