"""Test data with which every page has something to show."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from inbox.conversations import services
from inbox.frames import tokens
from inbox.frames.tokens import (
    Customer,
    Pass,
)
from inbox.models import Conversation, FrameKind, HelpDeskFrame
from orders.models import Order, OrderAction
from tests.conftest import logged_in
from tests.flows.test_main_job import confirm, review
from tests.support.pages.addresses import addresses, filled, lists_of_the_admin
from tests.support.shop.in_process import Shop, work_off

# Not the browser's: Shopify calls it, and it reads POST alone.
NOT_PAGES = ("/webhooks/",)


@dataclass
class Desk:
    """`client` is a supervisor who may also look at the admin; `ids` fill the addresses in."""

    client: Client
    conversation: Conversation
    ids: dict[str, Any]
    frame_pass: str

    def pages(self) -> list[str]:
        """Every address of ours that answers GET, with rows behind it."""
        found = []
        for namespace, route in addresses():
            if namespace == "admin" or route.startswith(NOT_PAGES):
                continue
            of_contact = {"pk": self.conversation.contact_id} if "/contacts/" in route else {}
            found.append(filled(route, **(self.ids | of_contact)))
        return [*dict.fromkeys(found), "/admin/", *lists_of_the_admin()]


@pytest.fixture
def desk(
    shop: Shop, seen: Callable[[], Order], conversation: Conversation, as_alice: Client, sara: User
) -> Desk:
    """Jane's order, refunded in part by alice; sara looks at it."""
    shop.place()
    order = seen()
    token = review(
        as_alice, conversation, order, "refund", mode="amount", amount="5.00", reason="goodwill"
    )
    assert confirm(as_alice, conversation, order, token) == 200
    work_off(shop, as_alice)
    for number in range(3):
        services.note(conversation=conversation, by=sara, text=f"Note {number}")
    User.objects.filter(pk=sara.pk).update(is_staff=True, is_superuser=True)
    frame = HelpDeskFrame.objects.create(
        name="Zammad",
        kind=FrameKind.GENERIC,
        origins="https://desk.example.com",
        proves_addresses=True,
    )
    held = Pass(
        frame_id=frame.pk,
        agent_id=sara.pk,
        session_key="",
        opened_at=int(time.time()),
        customer=Customer(email="jane@example.com", may_act=True),
    )
    action = OrderAction.objects.get()
    ids = {
        "pk": conversation.pk,
        "order_id": order.pk,
        "action_id": action.pk,
        "window": tokens.seal_window(held),
    }
    return Desk(
        client=logged_in(User.objects.get(pk=sara.pk)),
        conversation=conversation,
        ids=ids,
        frame_pass=tokens.seal_pass(held),
    )
