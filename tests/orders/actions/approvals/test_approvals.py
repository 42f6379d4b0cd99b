"""Who may approve a colleague's request."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.auth.models import User

from orders import services
from orders.models import ActionKind, ActionState, Order, OrderAction, Policy, Store

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("shop_currency", ["", "EUR"])
@pytest.mark.parametrize(
    ("may_approve_up_to", "may"),
    [("none at all", False), (Decimal(0), False), (Decimal(50), True), (None, True)],
)
def test_anyone_who_may_approve_at_all_may_approve_a_cancellation(
    alice: User, sara: User, shop_currency: str, may_approve_up_to: Decimal | str | None, may: bool
) -> None:
    """Also of an order whose currency is not known: nothing is no permission."""
    if may_approve_up_to != "none at all":
        Policy.objects.create(role=sara.groups.get(), may_approve_up_to=may_approve_up_to)
    store = Store.objects.create(domain="demo.myshopify.com")
    order = Order.objects.create(store=store, gid="o", legacy_id=1, shop_currency=shop_currency)
    action = OrderAction.objects.create(
        order=order,
        kind=ActionKind.CANCEL,
        state=ActionState.AWAITING_APPROVAL,
        approvals_needed=1,
        requested_by=alice,
        proposal={},
        steps=[],
        nonce="n",
        digest="d",
    )
    action.refresh_from_db()
    refusal = services.approval_refusal(action, sara)
    assert (refusal.code if refusal else None) == (None if may else "not_approver")
