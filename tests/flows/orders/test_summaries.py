"""A summary's warnings, for every way in which the money goes back."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from orders import previews
from orders.models import Order, Policy, RefundMethod, Store
from orders.money import Money
from practice_store.changes import staff_actions as shop_actions
from practice_store.sales import lifecycle
from tests.support.shop.in_process import Shop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def disputed(shop: Shop, seen: Callable[[], Order], store: Store) -> Order:
    """40.00, paid by hand outside Shopify, and disputed; the store gives store credit."""
    Store.objects.filter(pk=store.pk).update(allow_store_credit=True)
    placed = shop.place(paid=False)

    def work(context: Any) -> None:
        shop_actions.pay(context, placed, gateway="manual")
        placed.dispute = "NEEDS_RESPONSE"
        lifecycle.touch(context, placed)

    shop.act(work)
    return seen()


def advice(order: Order, by: User, kind: str, method: RefundMethod) -> set[str]:
    amount, now = Money(Decimal("5.00"), "EUR"), timezone.now()
    if kind == "refund":
        refund = previews.RefundChoice(reason="other", amount=amount, method=method)
        found = previews.preview_refund(order, refund, by=by, now=now)
    else:
        cancel = previews.CancelChoice(reason="CUSTOMER", amount=amount, method=method)
        found = previews.preview_cancel(order, cancel, by=by, now=now)
    return {each.code for each in found.advice}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["refund", "cancel"])
@pytest.mark.parametrize("limit", [0, 100])
def test_store_credit_hides_no_warning_but_the_one_it_answers(
    disputed: Order, alice: User, kind: str, limit: int
) -> None:
    Policy.objects.create(role=alice.groups.get(), refund_up_to=limit)
    original = advice(disputed, alice, kind, RefundMethod.ORIGINAL)
    credit = advice(disputed, alice, kind, RefundMethod.STORE_CREDIT)
    assert "dispute" in credit
    assert ("approval" in credit) == (limit == 0)
    # Credit that Shopify gives must not be paid out by hand as well.
    assert original - credit == {"manual_gateway"}
    assert credit <= original
