"""Tests of the invariants: each is violated once by a made-up history, and clean ones pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.chaos.judging import history
from tests.chaos.judging.history import ActionFact, Send, World

ORDER = "gid://shopify/Order/1"
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def action(state: str = "succeeded", kind: str = "refund", **more: Any) -> ActionFact:
    words: dict[str, Any] = {
        "id": 1,
        "order": ORDER,
        "kind": kind,
        "state": state,
        "marker": "aa",
        "key": "key-1",
        "amount": None if kind == "cancel" else Decimal("15.00"),
        "currency": "EUR",
    }
    return ActionFact(**words | more)


def refund(amount: str = "15.0", *statuses: str, **more: Any) -> dict[str, Any]:
    """Made by the app with the action's key, in one transaction for each status."""
    statuses = statuses or ("SUCCESS",)
    part = Decimal(amount) / len(statuses)
    return {
        "order": ORDER,
        "id": "gid://shopify/Refund/9",
        "note": "why [ax:aa]",
        "amount": amount,
        "currency": "EUR",
        "idempotency_key": "key-1",
        "made_by": "app",
        "cancel_note": None,
        "transactions": [{"status": status, "amount": str(part)} for status in statuses],
    } | more


def by_cancel(amount: str = "15.0", *statuses: str) -> dict[str, Any]:
    """As orderCancel books it: without a note of its own, and without a key."""
    return refund(amount, *statuses, note=None, idempotency_key=None, cancel_note="no [ax:aa]")


def books(
    *refunds: dict[str, Any], canceled: str | None = None, made_by: str = "app", paid: str = "100.0"
) -> dict[str, Any]:
    """`canceled`: the staff note of the cancellation, if there was one."""
    moved = [
        {"order": ORDER, "kind": "REFUND", **part} for r in refunds for part in r["transactions"]
    ]
    sale = {"order": ORDER, "kind": "SALE", "status": "SUCCESS", "amount": paid}
    cancellation = {"order": ORDER, "staff_note": canceled, "made_by": made_by}
    return {
        "refunds": list(refunds),
        "cancelations": [] if canceled is None else [cancellation],
        "transactions": [sale, *moved],
    }


CANCELED = "no [ax:aa]"
STAFF = {"made_by": "staff", "idempotency_key": None}


@pytest.mark.parametrize(
    ("fact", "ledger"),
    [
        (action(), books(refund())),
        (action(), books(refund(note=None))),
        (action(), books(refund(idempotency_key="another"))),
        (action("rejected"), books()),
        (action("withdrawn"), books()),
        (action("rejected"), books(refund("7.0", **STAFF))),
        (
            action("rejected"),
            books(refund("15.0", **STAFF)),
        ),
        (action("rejected", "cancel"), books(canceled="by us [ax:aa]", made_by="staff")),
        (action("rejected", "cancel"), books(canceled="")),
        (action("needs_human"), books()),
        (action("needs_human"), books(refund())),
        (action("awaiting_bank"), books(refund("15.0", "PENDING"))),
        (action("reversed"), books(refund("15.0", "FAILURE"))),
        (action("reversed"), books(refund("15.0", "SUCCESS", "FAILURE"))),
        (action("succeeded", "cancel"), books(canceled=CANCELED)),
        (action("succeeded", "cancel_and_refund"), books(by_cancel(), canceled=CANCELED)),
        (action("succeeded", "cancel_and_refund"), books(refund(), canceled=CANCELED)),
        (
            action("succeeded", "cancel_and_refund"),
            books(refund(), refund("1.0", **STAFF), canceled=CANCELED),
        ),
        (action("partial", "cancel_and_refund"), books(canceled=CANCELED)),
        (action("partial", "cancel_and_refund"), books(by_cancel("8.0"), canceled=CANCELED)),
        (
            action("partial", "cancel_and_refund"),
            books(refund("15.0", "FAILURE"), canceled=CANCELED),
        ),
        (
            action("partial", "cancel_and_refund"),
            books(by_cancel("15.0", "SUCCESS", "FAILURE"), canceled=CANCELED),
        ),
    ],
)
def test_a_consistent_history_passes(fact: ActionFact, ledger: dict[str, Any]) -> None:
    assert history.violations([fact], ledger, accepted=[1]) == []


@pytest.mark.parametrize(
    ("fact", "ledger", "sentence"),
    [
        (action(), books(refund(), refund()), "refunded 2 times"),
        (action(), books(refund(), refund(idempotency_key="fresh")), "refunded 2 times"),
        (
            action("succeeded", "cancel_and_refund"),
            books(by_cancel(), refund(), canceled=CANCELED),
            "refunded 2 times",
        ),
        (action(), books(refund("40.0")), "40.0 moved instead of 15.00"),
        (
            action("succeeded", "cancel_and_refund"),
            books(by_cancel("40.0"), canceled=CANCELED),
            "40.0 moved instead of 15.00",
        ),
        (
            action("succeeded", "cancel"),
            books(by_cancel(), canceled=CANCELED),
            "15.0 moved instead of 0",
        ),
        (
            action("partial", "cancel_and_refund"),
            books(refund("7.0"), canceled=CANCELED),
            "7.0 booked instead of 15.00",
        ),
        (action(), books(refund(currency="USD")), "refunded in USD instead of EUR"),
        (action("rejected"), books(refund()), "said not to have happened"),
        (action("rejected"), books(refund("15.0", "PENDING")), "said not to have happened"),
        (action("withdrawn"), books(refund()), "said not to have happened"),
        (action("declined"), books(refund()), "said not to have happened"),
        (action("expired"), books(refund()), "said not to have happened"),
        (
            action("rejected", "cancel_and_refund"),
            books(by_cancel(), canceled=CANCELED),
            "said not to have happened",
        ),
        (action("rejected", "cancel"), books(canceled=CANCELED), "said not to have happened"),
        (action(), books(), "done without a refund"),
        (action(), books(refund("15.0", **STAFF)), "done without a refund"),
        (action("awaiting_bank"), books(), "done without a refund"),
        (action("reversed"), books(), "done without a refund"),
        (action("succeeded", "cancel"), books(), "the order is not canceled"),
        (
            action("succeeded", "cancel"),
            books(canceled=CANCELED, made_by="staff"),
            "the order is not canceled",
        ),
        (action("partial", "cancel_and_refund"), books(), "said to be half done, and nothing is"),
        (
            action("partial", "cancel_and_refund"),
            books(by_cancel(), canceled=CANCELED),
            "said to be half done, and the refund arrived",
        ),
        (
            action("partial", "cancel_and_refund"),
            books(refund(), canceled=CANCELED),
            "said to be half done, and the refund arrived",
        ),
        (action(), books(refund("15.0", "SUCCESS", "FAILURE")), "done, and 7.5 of 15.00 arrived"),
        (action(), books(refund("15.0", "PENDING")), "done, and 0 of 15.00 arrived"),
        (
            action("succeeded", "cancel_and_refund"),
            books(by_cancel("8.0"), canceled=CANCELED),
            "done, and 8.0 of 15.00 arrived",
        ),
        (action("reversed"), books(refund()), "said to have failed at the bank"),
        (action("awaiting_bank"), books(refund()), "waits for a bank that has answered"),
        (action("unknown"), books(), "still open"),
        (action("blocked"), books(), "still open"),
        (action(), books(refund(), refund("90.0", **STAFF)), "more refunded than paid"),
        (
            action(),
            books(refund(), refund("5.0", note="[ax:bb]", idempotency_key="x")),
            "a refund of unknown action bb",
        ),
        (
            action(),
            books(refund(), refund("5.0", note=None, idempotency_key=None)),
            "a refund of unknown action gid://shopify/Refund/9",
        ),
    ],
)
def test_each_inconsistency_is_found(
    fact: ActionFact, ledger: dict[str, Any], sentence: str
) -> None:
    found = history.violations([fact], ledger)
    assert any(sentence in text for text in found), found


@pytest.mark.parametrize(
    "fact",
    [action(), action("partial", "cancel_and_refund"), action("unknown"), action("awaiting_bank")],
)
def test_delays_by_a_bank_or_replica_are_not_violations_yet(fact: ActionFact) -> None:
    canceled = CANCELED if fact.cancels else None
    ledger = books(
        refund("15.0", "PENDING" if fact.state == "succeeded" else "SUCCESS"), canceled=canceled
    )
    assert history.violations([fact], ledger, is_drained=False) == []


def test_a_lost_action_is_seen() -> None:
    assert history.violations([], books(), accepted=[7]) == ["action 7 was accepted and is lost"]


def test_a_staff_refund_with_our_marker_is_no_action_of_ours() -> None:
    """A colleague copied the marker into a note of their own."""
    ledger = books(refund("1.0", **STAFF))
    assert history.violations([action("rejected")], ledger) == []
    assert "done without a refund" in history.violations([action()], ledger)[0]


@pytest.mark.parametrize(
    ("state", "hours", "is_seen"),
    [
        ("blocked", 25, True),
        ("queued", 25, True),
        ("awaiting_approval", 25, True),
        ("pending", 25, True),
        ("blocked", 23, False),
        ("needs_human", 99, False),
        ("awaiting_bank", 99, False),
        ("succeeded", 99, False),
    ],
)
def test_everything_ends_within_a_day_or_waits_for_a_person(
    state: str, hours: int, is_seen: bool
) -> None:
    fact = action(state, asked_at=NOW - timedelta(hours=hours))
    assert bool(history.without_end([fact], now=NOW)) == is_seen


FIFTY = Decimal("50.00")


@pytest.mark.parametrize(
    ("world", "goal", "sentence"),
    [
        ({"store_is_frozen": True}, "refund", "the store was frozen"),
        ({"store_is_active": False}, "refund", "the store was switched off"),
        ({"requester_is_active": False}, "refund", "the requester was deactivated"),
        ({"ruling": "refused"}, "cancel_order", "the policy said refused"),
        ({"ruling": "approval"}, "refund", "the policy said approval"),
        ({"has_new_dispute": True}, "refund", "a dispute had been opened"),
        ({"is_delivered": True}, "cancel_order", "the order was delivered"),
        ({"is_delivered": True}, "cancel_shipment", "the order was delivered"),
        ({"moves": FIFTY, "left": Decimal(40)}, "refund", "only 40 of 50.00 was left"),
        (
            {"moves": FIFTY, "confirmed": Decimal(10)},
            "cancel_order",
            "50.00 would be returned where 10 was confirmed",
        ),
        ({"credit_is_on": False}, "refund", "store credit was switched off"),
        ({"has_other_customer": True}, "refund", "the order had another customer"),
    ],
)
def test_each_rule_of_the_moment_is_seen_broken(
    world: dict[str, Any], goal: str, sentence: str
) -> None:
    send = Send(action=1, goal=goal, again=False, is_store_credit=True, world=World(**world))
    [found] = history.sent_against_rules([send])
    assert found == f"action 1: {goal} sent although {sentence}"
    again = history.sent_against_rules([replace(send, again=True)])
    assert bool(again) == ("store_is_" in str(world)), "only the store's switches hold a repeat"


def test_what_was_seen_done_is_never_sent_again() -> None:
    send = Send(action=1, goal="cancel_order", again=True, is_seen_done=True, world=World())
    assert history.sent_against_rules([send]) == [
        "action 1: cancel_order sent again although it had been seen done"
    ]


@pytest.mark.parametrize(
    ("world", "goal"),
    [
        ({}, "refund"),
        ({"is_delivered": True}, "refund"),
        ({"credit_is_on": False}, "refund"),
        ({"has_other_customer": True}, "refund"),
        ({"moves": FIFTY, "left": FIFTY, "confirmed": FIFTY}, "cancel_order"),
    ],
)
def test_what_is_allowed_may_be_sent(world: dict[str, Any], goal: str) -> None:
    send = Send(action=1, goal=goal, again=False, world=World(**world))
    assert history.sent_against_rules([send]) == []


RETURN = "gid://shopify/Return/5"
LINE = "gid://shopify/LineItem/7"


def goods(
    *, restocked: int = 0, shelved: int = 0, processed: int = 0, quantity: int = 2
) -> dict[str, Any]:
    """The goods in the ledger: a return of so many units, and what is back in stock."""
    dispositions = [{"type": "RESTOCKED", "quantity": restocked}] if restocked else []
    line = {
        "line": LINE,
        "quantity": quantity,
        "processed": processed,
        "refunded": processed,
        "dispositions": dispositions,
    }
    return {
        "returns": [{"id": RETURN, "order": ORDER, "status": "OPEN", "lines": [line]}],
        "stock": [{"line": LINE, "quantity": shelved}] if shelved else [],
    }


def test_a_refund_through_its_return_is_consistent() -> None:
    ledger = books(refund(**{"return": RETURN}, idempotency_key=None))
    ledger |= goods(restocked=2, shelved=2, processed=2)
    assert history.violations([action(through=RETURN)], ledger) == []


@pytest.mark.parametrize(
    ("fact", "ledger", "sentence"),
    [
        (action(through=RETURN), books(refund()), "refunded through no return"),
        (action(), books(refund(**{"return": RETURN})), f"refunded through {RETURN}"),
        (
            action("rejected"),
            books() | goods(restocked=2, shelved=4),
            "4 units back in stock where 2 came back",
        ),
        (action("rejected"), books() | goods(restocked=2), "0 units back in stock where 2"),
        (action("rejected"), books() | goods(shelved=2), "2 units back in stock where 0"),
        (action("rejected"), books() | goods(restocked=3, shelved=3), "3 units of 2"),
        (action("rejected"), books() | goods(processed=3), "3 units of 2"),
    ],
)
def test_goods_that_count_twice_are_seen(
    fact: ActionFact, ledger: dict[str, Any], sentence: str
) -> None:
    found = history.violations([fact], ledger)
    assert any(sentence in text for text in found), found
