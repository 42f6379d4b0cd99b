"""The same order in two help desks: one action, and the other desk is told whose it is."""

# ruff: noqa: F811  fixtures of the other file, by their names

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from inbox.models import HelpDeskFrame
from orders.actions import worker_steps
from orders.models import Order, OrderAction
from tests.conftest import logged_in
from tests.flows.frames.test_frames import (  # noqa: F401  fixtures
    Framed,
    alice,
    chatwoot,
    connect,
    entered,
    swap_code,
    token_in,
    zammad,
)
from tests.support.shop.in_process import Shop, work_off

pytestmark = pytest.mark.django_db(transaction=True)
Seen = Callable[[], Order]


def test_one_desk_cannot_refund_what_another_is_refunding_and_says_who_is(
    shop: Shop,
    seen: Seen,
    alice: User,
    bob: User,
    zammad: HelpDeskFrame,
    chatwoot: HelpDeskFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # No worker hears of the action before the sweep does: until then it is under way.
    monkeypatch.setattr(worker_steps, "wake", lambda _id, *, after_s=0.0: None)
    HelpDeskFrame.objects.update(confirm_up_to=50)
    User.objects.filter(pk=bob.pk).update(email="bob@shop.example", first_name="Bob")
    shop.place()
    order = seen()
    bobs_login: Client = logged_in(bob)
    code = connect(bobs_login, chatwoot)
    bobs = Framed(swap_code(chatwoot, code, assignee="bob@shop.example")[1])
    alices = entered(zammad)
    # Both have the summary in front of them.
    first = token_in(alices.review(order, reason="other", amount="5.00"))
    second = token_in(bobs.review(order, reason="other", amount="5.00"))
    assert alices.post(f"orders/{order.pk}/confirm/", {"token": first}).status_code == 200
    action = OrderAction.objects.get()
    assert (action.requested_by, action.origin) == (alice, f"frame:{zammad.pk}")
    answer = bobs.post(f"orders/{order.pk}/confirm/", {"token": second})
    said = answer.content.decode()
    assert "alice" in said.lower()
    assert "already started" in said
    assert OrderAction.objects.count() == 1
    # His panel says it before he tries, and then what became of it.
    assert "alice" in bobs.panel().lower()
    work_off(shop, bobs.client)
    assert [r["amount"] for r in shop.ledger()["refunds"]] == ["5.0"]
    assert "Partially refunded" in bobs.panel()
