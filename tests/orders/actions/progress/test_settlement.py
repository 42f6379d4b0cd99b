"""What a later read changes about an action that is already settled."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User

from orders.models import ActionKind, ActionState, Order, OrderAction, Outcome
from orders.shopify_port import Goal
from orders.snapshot import OrderSnapshot, Refund, RefundTransaction
from tests.support.orders.snapshots import NOW, bag, order
from tests.support.orders.stored import stored

pytestmark = pytest.mark.django_db
MARK = "[ax:0123456789]"


def failed() -> Refund:
    """The action's own refund, which its bank refused."""
    part = RefundTransaction(gid="t", status="FAILURE", amount=bag("5.00"))
    return Refund(gid="r", created_at=NOW, note=MARK, total=bag("5.00"), transactions=(part,))


def canceled(*refunds: Refund) -> OrderSnapshot:
    return order(cancelled_at=NOW, cancel_staff_note=MARK, refunds=refunds)


def settled_by_hand(by: User, **changes: Any) -> OrderAction:
    """A cancellation with a refund that a supervisor settled as done without reading Shopify."""
    values: dict[str, Any] = {
        "kind": ActionKind.CANCEL_AND_REFUND,
        "state": ActionState.SUCCEEDED,
        "outcome": Outcome.DONE_BY_HAND,
        "settled_at": NOW,
        "evidence_at": NOW,
        "maybe_applied": True,
        "amount": Decimal("5.00"),
        "amount_shop": Decimal("5.00"),
        "currency": "EUR",
        "marker": MARK[4:-1],
        "proposal": {"facts": {"refunded": "0.00 EUR"}},
        "steps": [{"goal": Goal.CANCEL_ORDER.value}, {"goal": Goal.REFUND.value}],
        "nonce": "n",
        "digest": "d",
    }
    return OrderAction.objects.create(order=stored(order()), requested_by=by, **values | changes)


def state_after(action: OrderAction, snapshot: OrderSnapshot) -> str:
    """The action's state once the order was read again."""
    stored(snapshot, Order.objects.get().store)
    action.refresh_from_db()
    return action.state


@pytest.mark.parametrize(
    "shown", [canceled(), canceled(failed())], ids=["no refund", "a failed refund"]
)
def test_what_a_supervisor_settled_without_a_refund_to_point_to_stays(
    alice: User, shown: OrderSnapshot
) -> None:
    assert state_after(settled_by_hand(alice), shown) == ActionState.SUCCEEDED


def test_a_known_refund_that_its_bank_refuses_is_corrected(alice: User) -> None:
    """Negative control: the same read changes an action whose refund is known."""
    action = settled_by_hand(alice, refund_gid="r")
    assert state_after(action, canceled(failed())) == ActionState.PARTIAL


def test_a_read_that_lacks_the_known_refund_changes_nothing(alice: User) -> None:
    """A list may have been cut off, or a replica may lag: only what is shown is evidence."""
    action = settled_by_hand(alice, refund_gid="r")
    assert state_after(action, canceled()) == ActionState.SUCCEEDED
