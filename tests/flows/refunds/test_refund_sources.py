"""The timeline names who made a refund: the agent who requested it here, or Shopify."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.test import Client

from inbox.models import Conversation
from orders.models import EventKind, EventSource, Order, OrderAction
from practice_store.changes import staff_actions as shop_actions
from tests.flows.test_main_job import confirm, review
from tests.support.shop.in_process import Shop, work_off

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_timeline_names_who_refunded_here_or_in_shopify(
    shop: Shop,
    seen: Callable[[], Order],
    as_alice: Client,
    alice: User,
    conversation: Conversation,
) -> None:
    placed = shop.place()
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="damaged", amount="5.00")
    assert confirm(as_alice, conversation, order, token) == 200
    work_off(shop, as_alice)
    shop.act(lambda c: shop_actions.refund(c, placed, Decimal("7.00"), note="called us"))
    seen()
    ours, theirs = order.events.filter(kind=EventKind.REFUNDED).order_by("amount")
    action = OrderAction.objects.get()
    assert (ours.source, ours.actor, ours.action) == (EventSource.AGENT, alice, action)
    assert (ours.reason, ours.detail) == ("damaged", "")
    assert (theirs.source, theirs.actor, theirs.action) == (EventSource.SHOPIFY, None, None)
    assert (theirs.reason, theirs.detail) == ("", "called us")
