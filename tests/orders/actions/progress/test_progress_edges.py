"""Edge cases of an action's next step: running jobs, refunds without parts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from orders import (
    policies,
)
from orders.actions import progress
from orders.actions.progress import (
    Contradiction,
    Settled,
    Waiting,
)
from orders.models import ActionKind, ActionState, Order, OrderAction, Outcome
from orders.money import Money
from orders.shopify_port import Goal, Job
from orders.snapshot import OrderSnapshot, Refund, RefundTransaction
from tests.support.orders.snapshots import NOW, bag, order

CANCEL = {"goal": Goal.CANCEL_ORDER.value, "target": "", "document": "OrderCancel"}


def action(**more: Any) -> OrderAction:
    values: dict[str, Any] = {
        "kind": ActionKind.CANCEL,
        "steps": [CANCEL],
        "marker": "0123456789",
        "proposal": {"facts": {"refunded": "0.00 EUR"}},
    }
    return OrderAction(**values | more)


def with_money(**more: Any) -> OrderAction:
    return action(
        kind=ActionKind.CANCEL_AND_REFUND, amount=Decimal("20.00"), currency="EUR", **more
    )


def move(action: OrderAction, snapshot: OrderSnapshot, job: Job = Job.NONE) -> progress.Move:
    return progress.next_move(action, snapshot, job=job, now=NOW)


@pytest.mark.parametrize("of", [action, with_money])
def test_a_cancellation_that_runs_is_waited_for_and_not_taken_for_done(of: Any) -> None:
    sent = of(accepted_steps=1, step_last_sent_at=NOW - timedelta(minutes=5))
    assert move(sent, order(), Job.OPEN) == Waiting()
    told = move(sent, order(), Job.SUCCEEDED)
    assert isinstance(told, Waiting)
    assert told.message


def canceled(*refunds: Refund) -> OrderSnapshot:
    return order(
        cancelled_at=NOW - timedelta(minutes=10),
        cancel_staff_note="[ax:0123456789]",
        refunds=refunds,
    )


def test_a_refund_of_its_cancellation_counts_by_its_sum_though_it_has_no_parts() -> None:
    """A protected shop shows no transactions; the refund's own sum is there."""
    booked = Refund(gid="r", created_at=NOW - timedelta(minutes=10), total=bag("20.00"))
    sent = with_money(accepted_steps=1, step_last_sent_at=NOW - timedelta(minutes=10))
    assert progress.refund_of(sent, canceled(booked)) == booked
    # One of nothing is none: taking items back moves no money.
    empty = replace(booked, total=bag("0"))
    assert progress.refund_of(sent, canceled(empty)) is None


def test_a_cancellation_without_money_owns_no_refund() -> None:
    booked = Refund(gid="r", created_at=NOW - timedelta(minutes=10), total=bag("20.00"))
    sent = action(accepted_steps=1)
    assert progress.refund_of(sent, canceled(booked)) is None
    assert isinstance(move(sent, canceled(booked)), Settled)


def test_a_sum_of_an_order_without_a_shop_currency_keeps_its_own() -> None:
    found = policies.in_shop_currency(Money(Decimal(5), "USD"), Order(shop_currency="", total=0))
    assert found == Money(Decimal(5), "USD")


def test_a_cancellation_with_the_refund_for_later_is_done_without_one() -> None:
    """Shopify books a refund of nothing with it, which contradicts nothing."""
    empty = Refund(
        gid="r",
        created_at=NOW - timedelta(minutes=10),
        total=bag("0"),
        transactions=(RefundTransaction(gid="t", status="SUCCESS", amount=bag("0")),),
    )
    sent = with_money(accepted_steps=1, step_last_sent_at=NOW - timedelta(hours=1))
    assert move(sent, canceled(empty), Job.SUCCEEDED) == Settled(
        ActionState.PARTIAL, outcome=Outcome.NOT_BOOKED
    )


def test_a_refund_of_another_amount_that_waits_for_its_bank_contradicts() -> None:
    """One of its transactions is enough, while its own total still says nothing."""
    waiting = Refund(
        gid="r",
        created_at=NOW - timedelta(minutes=10),
        total=bag("0"),
        transactions=(
            RefundTransaction(gid="t1", status="SUCCESS", amount=bag("0")),
            RefundTransaction(gid="t2", status="PENDING", amount=bag("7.00")),
        ),
    )
    sent = with_money(accepted_steps=1, step_last_sent_at=NOW - timedelta(hours=1))
    assert isinstance(move(sent, canceled(waiting), Job.SUCCEEDED), Contradiction)


def test_an_action_that_sends_its_own_refund_claims_none_of_the_cancellation() -> None:
    booked = Refund(gid="r", created_at=NOW - timedelta(minutes=10), total=bag("20.00"))
    refund = {"goal": Goal.REFUND.value, "target": "", "document": "RefundCreate"}
    sent = with_money(
        accepted_steps=1,
        steps=[CANCEL, refund],
        step_last_sent_at=NOW - timedelta(minutes=10),
    )
    assert progress.refund_of(sent, canceled(booked)) is None
