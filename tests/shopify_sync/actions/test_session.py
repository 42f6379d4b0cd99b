"""A refund that the order's list cut off is read by its ID."""

from __future__ import annotations

from typing import Any

import pytest

from orders.models import Order, OrderAction, Store
from orders.shopify_port import ActionRead
from shopify_sync.actions import session
from shopify_sync.reading import orders
from tests.support.orders import snapshots

OWN = "gid://shopify/Refund/9"


class Client:
    """Has no refund to return, as after it was just made."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def read(self, name: str, variables: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((name, variables))
        return {"refund": None}


@pytest.mark.django_db
def test_an_order_is_read_even_if_its_own_refund_is_not_found_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, cut = Client(), snapshots.order(unread=("refunds",))
    monkeypatch.setattr(session, "client_for", lambda _store: client)
    monkeypatch.setattr(orders, "read_snapshot", lambda _client, _gid: cut)
    action = OrderAction(order=Order(store=Store(pk=1), gid=cut.gid), refund_gid=OWN)
    found = session.ShopifyActionSession(action, renew=lambda: True).read()
    assert isinstance(found, ActionRead)
    assert found.snapshot == cut
    assert client.asked == [("Refund", {"id": OWN})]
