"""What counts against a person's daily limit: sent, pending and moved amounts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orders import policies
from orders.models import (
    ACTIVE_STATES,
    NOTHING_DONE_STATES,
    SETTLED_STATES,
    ActionKind,
    ActionState,
    Order,
    OrderAction,
    OrderRefund,
    Store,
)
from tests.support.database.copies import without_triggers

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
REFUND_STEP = [{"goal": "refund"}]
CANCEL_THEN_REFUND = [{"goal": "cancel_order"}, {"goal": "refund"}]
_numbers = count(1)


def ago(**words: float) -> datetime:
    return NOW - timedelta(**words)


@pytest.fixture
def demo(db: None) -> Store:
    return Store.objects.create(domain="demo.myshopify.com", currency="EUR")


def action(store: Store, by: User, **words: Any) -> OrderAction:
    """A refund of 10.00, of an order of its own."""
    number = next(_numbers)
    order = Order.objects.create(
        store=store,
        gid=f"o{number}",
        legacy_id=number,
        currency="EUR",
        shop_currency="EUR",
        is_test=words.pop("is_test", False),
    )
    state = words.setdefault("state", ActionState.QUEUED)
    if state in SETTLED_STATES:
        words.setdefault("settled_at", NOW)
    if state in {ActionState.SUCCEEDED, ActionState.AWAITING_BANK}:
        words.setdefault("evidence_at", NOW)
    values = {
        "kind": ActionKind.REFUND,
        "amount": 10,
        "amount_shop": 10,
        "currency": "EUR",
        "proposal": {},
        "steps": REFUND_STEP,
        "nonce": str(number),
        "digest": "d",
    } | words
    return OrderAction.objects.create(order=order, requested_by=by, **values)


def asked(of: OrderAction, at: datetime) -> None:
    """Set when it was asked for, which is the time of writing otherwise."""
    with without_triggers(connection):
        OrderAction.objects.filter(pk=of.pk).update(requested_at=at)


def booked(of: OrderAction, **sums: int) -> OrderRefund:
    return OrderRefund.objects.create(
        order=of.order, action=of, gid=f"r{of.pk}", amount=10, amount_shop=10, **sums
    )


def spent(by: User, store: Store, **words: Any) -> Decimal:
    return policies.spent_today(by, store, now=NOW, **words)


def sent(store: Store, by: User, at: datetime, **words: Any) -> OrderAction:
    return action(store, by, state=ActionState.SUCCEEDED, sent_at=at, **words)


@pytest.mark.parametrize(("hours", "expected"), [(0, 10), (23.9, 10), (24, 0), (24.1, 0), (-1, 10)])
def test_it_is_the_sending_that_counts_in_rolling_24_hours(
    alice: User, demo: Store, hours: float, expected: int
) -> None:
    asked_long_ago = sent(demo, alice, ago(hours=hours))
    asked(asked_long_ago, ago(days=3))
    assert spent(alice, demo) == expected


def test_a_refund_sent_the_day_before_counts_for_that_day(alice: User, demo: Store) -> None:
    """Negative control of the one above: the time of asking decides nothing."""
    made = sent(demo, alice, ago(hours=25))
    asked(made, ago(minutes=1))
    assert spent(alice, demo) == 0


def test_the_last_sending_counts_too(alice: User, demo: Store) -> None:
    """Canceled two days ago, and its refund left only today."""
    sent(demo, alice, ago(days=2), step_last_sent_at=ago(hours=1))
    assert spent(alice, demo) == 10


@pytest.mark.parametrize("state", ACTIVE_STATES)
@pytest.mark.parametrize("is_sent", [False, True])
def test_all_that_has_not_ended_is_reserved_however_old(
    alice: User, demo: Store, state: ActionState, is_sent: bool
) -> None:
    made = action(demo, alice, state=state, sent_at=ago(days=9) if is_sent else None)
    asked(made, ago(days=9))
    assert spent(alice, demo) == 10
    # Nothing of it is given free before it has ended, whatever was seen of its refund.
    booked(made, moved_shop=2, waiting_shop=1)
    assert spent(alice, demo) == 10


@pytest.mark.parametrize("state", NOTHING_DONE_STATES)
def test_what_ended_without_anything_is_given_free(
    alice: User, demo: Store, state: ActionState
) -> None:
    action(demo, alice, state=state, sent_at=ago(hours=1))
    assert spent(alice, demo) == 0


@pytest.mark.parametrize(
    "state",
    [ActionState.SUCCEEDED, ActionState.AWAITING_BANK, ActionState.PARTIAL, ActionState.REVERSED],
)
@pytest.mark.parametrize(
    ("sums", "expected"),
    [
        ({"moved_shop": 10}, 10),
        ({"moved_shop": 6, "failed": 4}, 6),
        ({"moved_shop": 6, "waiting_shop": 3, "failed": 1}, 9),
        ({"waiting_shop": 10}, 10),
        ({"failed": 10}, 0),
    ],
)
def test_a_booked_refund_counts_by_what_moved_and_what_still_may(
    alice: User, demo: Store, state: ActionState, sums: dict[str, int], expected: int
) -> None:
    booked(action(demo, alice, state=state, sent_at=ago(hours=1)), **sums)
    assert spent(alice, demo) == expected


@pytest.mark.parametrize(
    "state", [ActionState.SUCCEEDED, ActionState.AWAITING_BANK, ActionState.REVERSED]
)
def test_a_refund_that_is_not_listed_counts_whole(
    alice: User, demo: Store, state: ActionState
) -> None:
    """A list that was cut, or settled by hand: nothing says that less of it moved."""
    action(demo, alice, state=state, sent_at=ago(hours=1))
    assert spent(alice, demo) == 10


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        # Shopify refunds with the cancellation itself, and may book it later than we looked.
        ({"steps": [{"goal": "cancel_order"}], "accepted_steps": 1}, 10),
        # The cancellation was accepted; its refund was refused, or never asked for.
        ({"steps": CANCEL_THEN_REFUND, "accepted_steps": 1, "step": 1}, 0),
        ({"steps": CANCEL_THEN_REFUND, "accepted_steps": 1, "step": 0}, 0),
        # Its refund was accepted, or may have been.
        ({"steps": CANCEL_THEN_REFUND, "accepted_steps": 2, "step": 1}, 10),
        ({"steps": CANCEL_THEN_REFUND, "accepted_steps": 1, "step": 1, "is_doubtful": True}, 10),
        ({"steps": CANCEL_THEN_REFUND, "accepted_steps": 1, "refund_gid": "r"}, 10),
    ],
)
def test_a_cancellation_without_its_refund(
    alice: User, demo: Store, words: dict[str, Any], expected: int
) -> None:
    action(
        demo,
        alice,
        kind=ActionKind.CANCEL_AND_REFUND,
        state=ActionState.PARTIAL,
        sent_at=ago(hours=1),
        **words,
    )
    assert spent(alice, demo) == expected


def test_done_without_a_known_sending_counts_when_it_was_found(alice: User, demo: Store) -> None:
    """A restored backup does not know what was sent after it."""
    action(demo, alice, state=ActionState.SUCCEEDED, settled_at=ago(hours=1))
    action(demo, alice, state=ActionState.SUCCEEDED, settled_at=ago(hours=25))
    assert spent(alice, demo) == 10


def test_only_ones_own_at_this_store_with_money_and_not_of_test_orders(
    alice: User, bob: User, demo: Store
) -> None:
    other = Store.objects.create(domain="other.myshopify.com")
    hour = ago(hours=1)
    sent(demo, bob, hour)
    sent(other, alice, hour)
    sent(demo, alice, hour, is_test=True)
    sent(demo, alice, hour, approvals_needed=1, approved_by=bob)
    sent(demo, alice, hour, kind=ActionKind.CANCEL, amount=None)
    assert spent(alice, demo) == 0
    assert spent(bob, demo) == 10
    assert spent(alice, other) == 10


def test_an_action_being_weighed_does_not_count_against_itself(alice: User, demo: Store) -> None:
    sent(demo, alice, ago(hours=1))
    weighed = action(demo, alice, amount_shop=7)
    assert spent(alice, demo) == 17
    assert spent(alice, demo, besides=weighed) == 10


def test_spending_takes_one_query_for_any_number_of_actions(alice: User, demo: Store) -> None:
    for n in range(5):
        booked(sent(demo, alice, ago(hours=n)), moved_shop=n)
    with CaptureQueriesContext(connection) as queries:
        assert spent(alice, demo) == 10
    assert len(queries) == 1
