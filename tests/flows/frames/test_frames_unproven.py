"""In another help desk's frame, an unverified address shows no orders."""

# ruff: noqa: F811  fixtures of the other file, by their names

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from inbox.models import HelpDeskFrame
from orders.models import Customer, Order
from tests.flows.frames.test_frames import (  # noqa: F401  fixtures
    Framed,
    alice,
    chatwoot,
    connect,
    entered,
    swap_code,
    zammad,
)
from tests.support.shop.in_process import Shop, fetch_dirty, read_customers

Seen = Callable[[], Order]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def order(shop: Shop, store: object, seen: Seen) -> Order:
    shop.place()
    found = seen()
    fetch_dirty()
    read_customers()
    Customer.objects.update(name="Jane Doe")
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verified", "always", "shows"),
    [
        (None, False, False),
        ("email", False, True),
        ("phone", False, False),
        ("email,phone", False, True),
        (None, True, True),
        ("", True, False),
    ],
)
def test_a_signed_address_says_what_it_has_proven(
    order: Order, zammad: HelpDeskFrame, alice: User, verified: Any, always: bool, shows: bool
) -> None:
    HelpDeskFrame.objects.filter(pk=zammad.pk).update(proves_addresses=always)
    zammad.refresh_from_db()
    said = {} if verified is None else {"verified": verified}
    desk = entered(zammad, **said)
    shown = desk.panel()
    assert (f'id="order-{order.pk}"' in shown or order.name in shown) is shows
    assert ("gave the email address of Jane Doe, unverified" in shown) is not shows
    for door in ("cancel/", "refund/"):
        assert desk.get(f"orders/{order.pk}/{door}").status_code == (200 if shows else 404)


def test_the_page_around_the_frame_cannot_say_that_it_has_proven_one(
    order: Order, chatwoot: HelpDeskFrame, as_alice: Any, alice: User
) -> None:
    """Anyone who shows that page could have typed what it says."""
    HelpDeskFrame.objects.filter(pk=chatwoot.pk).update(proves_addresses=False)
    chatwoot.refresh_from_db()
    code = connect(as_alice, chatwoot)
    said = {"email": "jane@example.com", "verified": "email", "assignee": "alice@shop.example"}
    desk = Framed(swap_code(chatwoot, code, **said)[1])
    assert order.name not in desk.panel()
    assert "Not verified" in desk.panel()
    again = Framed(desk.post("look/", said).json())
    assert order.name not in again.panel()
    assert again.get(f"orders/{order.pk}/refund/").status_code == 404
