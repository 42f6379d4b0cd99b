"""An action's next step, as a table over what was sent, read and reported by its job."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from orders.actions.progress import (
    KEY_WINDOW,
    Contradiction,
    Move,
    Settled,
    ToSend,
    Waiting,
    canceled_by,
    is_evident,
    next_move,
    outcome,
    refund_of,
)
from orders.models import ActionKind, ActionState, OrderAction
from orders.shopify_port import Goal, Job
from orders.snapshot import MoneyBag, OrderSnapshot, Refund, RefundTransaction
from tests.support.orders.snapshots import NOW, bag, order, parcel

MARK = "[ax:0123456789]"
STEPS = {
    "refund": [Goal.REFUND],
    "cancel": [Goal.CANCEL_ORDER],
    "cancel and all": [Goal.CANCEL_ORDER],
    "cancel and a part": [Goal.CANCEL_ORDER, Goal.REFUND],
    "shipment and cancel": [Goal.CANCEL_SHIPMENT, Goal.CANCEL_ORDER],
}
KINDS = {
    "refund": (ActionKind.REFUND, "5.00"),
    "cancel": (ActionKind.CANCEL, None),
    "cancel and all": (ActionKind.CANCEL_AND_REFUND, "20.00"),
    "cancel and a part": (ActionKind.CANCEL_AND_REFUND, "5.00"),
    "shipment and cancel": (ActionKind.CANCEL, None),
}
JUST_NOW = NOW - timedelta(seconds=5)
LONG_AGO = NOW - timedelta(hours=21)


def action(what: str, sent: str = "unsent", step: int = 0, **changes: Any) -> OrderAction:
    """An unsaved action. `sent`: what is known of the last send of its `step`."""
    kind, amount = KINDS[what]
    values: dict[str, Any] = {
        "kind": kind,
        "amount": Decimal(amount) if amount else None,
        "currency": "EUR" if amount else "",
        "marker": MARK[4:-1],
        "steps": [{"goal": goal, "target": "parcel-1"} for goal in STEPS[what]],
        "proposal": {"facts": {"refunded": "0.00 EUR"}},
        "step": step,
        "accepted_steps": step,
    }
    at = {"doubtful": JUST_NOW, "doubtful for a day": LONG_AGO, "accepted": JUST_NOW}.get(sent)
    if at:
        values |= {
            "step_first_sent_at": at,
            "step_last_sent_at": at,
            "maybe_applied": True,
            "is_doubtful": sent != "accepted",
            "accepted_steps": step + (sent == "accepted"),
        }
    return OrderAction(**values | changes)


def refund(
    amount: str = "5.00", note: str = f"Sorry {MARK}", *statuses: str, **changes: Any
) -> Refund:
    parts = statuses or ("SUCCESS",)
    share = bag(str(Decimal(amount) / len(parts)))
    base = Refund(
        gid="refund-1",
        created_at=NOW,
        note=note,
        total=bag(amount),
        transactions=tuple(
            RefundTransaction(gid=f"t{n}", status=status, amount=share)
            for n, status in enumerate(parts)
        ),
    )
    return replace(base, **changes)


def refunded(*refunds: Refund, **changes: Any) -> OrderSnapshot:
    total = sum((r.total.presentment.amount for r in refunds), Decimal(0))
    return order(refunded=str(total), refunds=refunds, **changes)


def canceled(*refunds: Refund, note: str = f"Bye {MARK}") -> OrderSnapshot:
    return refunded(*refunds, cancelled_at=NOW, cancel_staff_note=note)


AUTOMATIC = refund("20.00", "")
READS = {
    "nothing": order(),
    "our refund": refunded(refund()),
    "another refund": refunded(refund("3.00", "by hand")),
    "canceled by us": canceled(),
    "canceled by us, with its refund": canceled(AUTOMATIC),
    "canceled by us, and our refund": canceled(refund()),
    "canceled elsewhere": canceled(note="in the admin"),
}
SENT = ("unsent", "doubtful", "doubtful for a day", "accepted")
SUCCEEDED, PARTIAL = Settled(ActionState.SUCCEEDED), Settled(ActionState.PARTIAL)
REJECTED = Settled(ActionState.REJECTED)

# (what, read): the move for each of SENT, without a job.
TABLE: dict[tuple[str, str], tuple[Any, Any, Any, Any]] = {
    ("refund", "nothing"): (ToSend(0), ToSend(0), Contradiction, Waiting),
    ("refund", "our refund"): (SUCCEEDED, SUCCEEDED, SUCCEEDED, SUCCEEDED),
    ("refund", "another refund"): (REJECTED, Contradiction, Contradiction, Waiting),
    ("cancel", "nothing"): (ToSend(0), ToSend(0), Contradiction, Waiting),
    # Nothing was confirmed about money, but what was shown is not so any more.
    ("cancel", "another refund"): (REJECTED, ToSend(0), Contradiction, Waiting),
    ("cancel", "canceled by us"): (SUCCEEDED, SUCCEEDED, SUCCEEDED, SUCCEEDED),
    ("cancel", "canceled elsewhere"): (REJECTED, Contradiction, Contradiction, Contradiction),
    ("cancel and all", "nothing"): (ToSend(0), ToSend(0), Contradiction, Waiting),
    ("cancel and all", "another refund"): (REJECTED, ToSend(0), Contradiction, Waiting),
    # The refund may follow its cancellation for a while.
    ("cancel and all", "canceled by us"): (PARTIAL, Waiting, PARTIAL, Waiting),
    ("cancel and all", "canceled by us, with its refund"): (SUCCEEDED,) * 4,
    ("cancel and all", "canceled by us, and our refund"): (PARTIAL, Waiting, PARTIAL, Waiting),
    ("cancel and all", "canceled elsewhere"): (
        REJECTED,
        Contradiction,
        Contradiction,
        Contradiction,
    ),
    ("cancel and a part", "nothing"): (ToSend(0), ToSend(0), Contradiction, Waiting),
    ("cancel and a part", "another refund"): (REJECTED, ToSend(0), Contradiction, Waiting),
    ("cancel and a part", "canceled by us"): (ToSend(1), ToSend(1), ToSend(1), ToSend(1)),
    ("cancel and a part", "canceled by us, with its refund"): (PARTIAL,) * 4,
    ("cancel and a part", "canceled by us, and our refund"): (SUCCEEDED,) * 4,
    ("cancel and a part", "canceled elsewhere"): (
        REJECTED,
        Contradiction,
        Contradiction,
        Contradiction,
    ),
}
# The same with its refund as the step that was last sent.
SECOND_STEP: dict[str, tuple[Any, Any, Any, Any]] = {
    # A read that has not heard of the cancellation: it was seen, and is not sent again.
    "nothing": (Waiting, Waiting, Waiting, Waiting),
    "another refund": (Waiting, Waiting, Waiting, Waiting),
    "canceled by us": (ToSend(1), ToSend(1), Contradiction, Waiting),
    "canceled by us, with its refund": (PARTIAL, Contradiction, Contradiction, Waiting),
    "canceled by us, and our refund": (SUCCEEDED,) * 4,
    "canceled elsewhere": (Contradiction,) * 4,
}


def move(acted: OrderAction, seen: OrderSnapshot, job: Job = Job.NONE, said: str = "") -> Move:
    return next_move(acted, seen, job=job, job_message=said, now=NOW)


def holds(found: Move, expected: Any) -> bool:
    if isinstance(expected, type):
        return isinstance(found, expected)
    if isinstance(expected, Settled):
        return isinstance(found, Settled) and found.state == expected.state
    return bool(found == expected)


@pytest.mark.parametrize(
    ("what", "read", "sent", "expected"),
    [
        (what, read, sent, expected)
        for (what, read), moves in TABLE.items()
        for sent, expected in zip(SENT, moves, strict=True)
    ],
)
def test_the_next_move_of_the_first_step(what: str, read: str, sent: str, expected: Any) -> None:
    found = move(action(what, sent), READS[read])
    assert holds(found, expected), found


@pytest.mark.parametrize(
    ("read", "sent", "expected"),
    [
        (read, sent, expected)
        for read, moves in SECOND_STEP.items()
        for sent, expected in zip(SENT, moves, strict=True)
    ],
)
def test_the_next_move_of_the_refund_after_a_cancel(read: str, sent: str, expected: Any) -> None:
    found = move(action("cancel and a part", sent, step=1), READS[read])
    assert holds(found, expected), found


@pytest.mark.parametrize("sent", ["accepted", "doubtful"])
@pytest.mark.parametrize(
    ("job", "early", "late"),
    [
        (Job.OPEN, Waiting, Waiting),
        (Job.SUCCEEDED, Waiting, Waiting),
        (Job.FAILED, Waiting, REJECTED),
    ],
)
def test_a_job_alone_never_cancels_an_order(sent: str, job: Job, early: Any, late: Any) -> None:
    """And its failure counts once a replica that lags would have shown the opposite."""
    assert holds(move(action("cancel and all", sent), order(), job, "No."), early)
    before = NOW - timedelta(minutes=3)
    old = action("cancel and all", sent, step_last_sent_at=before)
    found = move(old, order(), job, "No.")
    assert holds(found, late)
    if job == Job.FAILED:
        assert found == Settled(ActionState.REJECTED, "No.")


@pytest.mark.parametrize("job", Job)
def test_a_job_does_not_speak_against_what_the_order_shows(job: Job) -> None:
    assert move(action("cancel", "accepted"), canceled(), job) == SUCCEEDED
    found = move(action("cancel and all", "accepted"), canceled(AUTOMATIC), job)
    assert holds(found, SUCCEEDED)


def test_a_refund_that_its_cancellation_still_owes() -> None:
    old = action("cancel and all", "accepted", step_last_sent_at=NOW - timedelta(minutes=3))
    assert isinstance(move(old, canceled(), Job.OPEN), Waiting)
    assert move(old, canceled(), Job.FAILED, "Gateway down.") == Settled(
        ActionState.PARTIAL, "Gateway down."
    )
    assert holds(move(old, canceled()), PARTIAL)


@pytest.mark.parametrize(
    ("sent", "move_"),
    [
        ("unsent", ToSend(0)),
        ("doubtful", ToSend(0)),
        ("doubtful for a day", Contradiction),
        ("accepted", Waiting),
    ],
)
def test_a_shipment_record_is_canceled_once(sent: str, move_: Any) -> None:
    acted = action("shipment and cancel", sent)
    assert holds(move(acted, order(fulfillments=(parcel(),))), move_)
    gone = order(fulfillments=(parcel(status="CANCELLED"),))
    assert move(acted, gone) == ToSend(1)
    assert move(acted, canceled()) == SUCCEEDED
    # Once the order is canceled, its shipment record no longer matters.
    assert move(acted, replace(canceled(), fulfillments=(parcel(),))) == SUCCEEDED


def test_a_doubtful_cancel_that_would_return_more_than_was_confirmed_is_not_repeated() -> None:
    paid_more = order(paid="30.00")
    assert isinstance(move(action("cancel and all", "doubtful"), paid_more), Contradiction)
    assert move(action("cancel and a part", "doubtful"), paid_more) == ToSend(0)


@pytest.mark.parametrize(
    ("sent_at", "expected"),
    [
        (NOW - KEY_WINDOW, ToSend(0)),
        (NOW - KEY_WINDOW - timedelta(microseconds=1), Contradiction),
    ],
)
def test_a_doubtful_step_is_repeated_until_its_key_expires(
    sent_at: datetime, expected: Any
) -> None:
    acted = action("refund", "doubtful", step_first_sent_at=sent_at)
    assert holds(move(acted, order()), expected)


def test_a_cancellation_without_a_confirmed_sum_says_so() -> None:
    acted = action("cancel and all", "doubtful for a day", amount=None, currency="")
    found = move(acted, canceled(refund("3.00", "")))
    assert isinstance(found, Contradiction)
    assert "€3.00 instead of –" in found.message


def test_a_step_of_a_later_version_is_left_alone() -> None:
    unknown = action("refund")
    unknown.steps = [{"goal": "exchange", "target": "x"}]
    assert isinstance(move(unknown, order()), Contradiction)


@pytest.mark.parametrize("sent", SENT)
@pytest.mark.parametrize("read", [name for name in READS if name != "our refund"])
def test_whatever_is_read_an_unseen_refund_was_never_refused(sent: str, read: str) -> None:
    """The one promise behind the table: "refused" only where nothing can have been applied."""
    # Of a shipment record that may be gone, its order's cancellation was not sent yet.
    for what, job in product(STEPS.keys() - {"shipment and cancel"}, Job):
        found = move(action(what, sent), READS[read], job)
        if isinstance(found, Settled) and found.state == ActionState.REJECTED:
            assert sent == "unsent" or (job == Job.FAILED and sent == "doubtful for a day")


@pytest.mark.parametrize(
    ("statuses", "kind", "expected"),
    [
        (["SUCCESS"], "refund", ActionState.SUCCEEDED),
        (["PENDING"], "refund", None),
        (["AWAITING_RESPONSE"], "refund", None),
        (["UNKNOWN"], "refund", None),
        (["SUCCESS", "PENDING"], "refund", None),
        (["FAILURE"], "refund", ActionState.REVERSED),
        (["ERROR"], "refund", ActionState.REVERSED),
        (["SUCCESS", "FAILURE"], "refund", ActionState.REVERSED),
        (["PENDING", "FAILURE"], "refund", ActionState.REVERSED),
        (["FAILURE"], "cancel and a part", ActionState.PARTIAL),
        (["SUCCESS"], "cancel and a part", ActionState.SUCCEEDED),
        ([], "refund", ActionState.SUCCEEDED),
    ],
)
def test_an_outcome_is_its_transactions(
    statuses: list[str], kind: str, expected: ActionState | None
) -> None:
    made = refund("5.00", MARK, *(statuses or ["SUCCESS"]))
    if not statuses:
        made = replace(made, transactions=())
    found = outcome(action(kind), canceled(made))
    if expected is None:
        assert isinstance(found, Waiting)
        assert found.refund_gid == "refund-1"
    else:
        assert isinstance(found, Settled)
        assert (found.state, found.refund_gid) == (expected, "refund-1")


def test_a_half_failed_refund_says_what_was_returned() -> None:
    parts = refund("5.00", MARK, "SUCCESS", "FAILURE")
    broken = replace(parts.transactions[1], error_code="CARD_DECLINED")
    found = outcome(
        action("refund"), refunded(replace(parts, transactions=(parts.transactions[0], broken)))
    )
    assert isinstance(found, Settled)
    assert "the card was declined" in found.message
    assert "€2.50 of it was returned" in found.message


@pytest.mark.parametrize(
    ("made", "is_ours"),
    [
        (refund(), True),
        (refund(note=f"{MARK} \n"), True),
        (refund(note=f"{MARK} was the first try"), False),
        (refund(note="[ax:fedcba9876]"), False),
        (refund(note=f"{MARK} [ax:fedcba9876]"), False),
        (refund("6.00"), False),
        (refund(total=MoneyBag(shop=bag("5.00").shop, presentment=bag("5.00", "USD").shop)), True),
        (refund("5.00", MARK, "SUCCESS", "FAILURE", total=bag("2.50")), True),
    ],
)
def test_a_refund_is_ours_by_its_marker_and_its_amount(made: Refund, is_ours: bool) -> None:
    if made.total.presentment.currency == "USD":
        made, is_ours = replace(made, transactions=()), False
    assert (refund_of(action("refund"), refunded(made)) is not None) is is_ours


def test_a_refund_whose_id_is_known_is_that_one_alone() -> None:
    known = action("refund", "accepted", refund_gid="refund-2")
    assert refund_of(known, refunded(refund())) is None
    assert refund_of(known, refunded(refund("7.00", "", gid="refund-2"))) is not None


@pytest.mark.parametrize(
    ("made", "is_its_own"),
    [
        (AUTOMATIC, True),
        (replace(AUTOMATIC, created_at=NOW - timedelta(seconds=30)), True),
        (replace(AUTOMATIC, created_at=NOW + timedelta(minutes=59)), True),
        # The window includes both of its ends.
        (replace(AUTOMATIC, created_at=NOW - timedelta(seconds=60)), True),
        (replace(AUTOMATIC, created_at=NOW + timedelta(hours=1)), True),
        (replace(AUTOMATIC, created_at=NOW - timedelta(seconds=61)), False),
        (replace(AUTOMATIC, created_at=NOW + timedelta(seconds=3601)), False),
        (replace(AUTOMATIC, created_at=NOW - timedelta(minutes=2)), False),
        (replace(AUTOMATIC, created_at=NOW + timedelta(hours=2)), False),
        (replace(AUTOMATIC, created_at=None), False),
        (refund("1.00", "goodwill"), False),
        (refund("20.00", "[ax:fedcba9876]"), False),
        # What waits for its bank, or failed there, may not be in the total.
        (refund("20.00", "", "PENDING", total=bag("0.00")), True),
        (refund("20.00", "", "FAILURE", "FAILURE", total=bag("0.00")), True),
        # Of a cancellation with "refund later".
        (refund("0.00", "", total=bag("0.00")), False),
        (refund("20.00", "", total=bag("0.00"), transactions=()), False),
    ],
)
def test_a_cancellation_made_the_refund_of_its_amount_and_time(
    made: Refund, is_its_own: bool
) -> None:
    acted = action("cancel and all", "accepted", step_last_sent_at=NOW - timedelta(hours=3))
    assert (refund_of(acted, canceled(made)) is not None) is is_its_own
    assert is_evident(acted, canceled(made)) is is_its_own
    assert refund_of(acted, canceled(made, note="someone else")) is None
    assert refund_of(acted, refunded(made)) is None


def test_a_cancellation_whose_refund_waits_for_its_bank_is_not_half_done() -> None:
    acted = action("cancel and all", "accepted", step_last_sent_at=NOW - timedelta(hours=3))
    on_its_way = refund("20.00", "", "PENDING", total=bag("0.00"))
    found = move(acted, canceled(on_its_way))
    assert isinstance(found, Waiting)
    assert found.refund_gid == on_its_way.gid


def test_a_colleagues_goodwill_is_not_the_whole_refund() -> None:
    acted = action("cancel and all", "accepted", step_last_sent_at=NOW - timedelta(hours=3))
    found = move(acted, canceled(refund("1.00", "goodwill")))
    assert isinstance(found, Contradiction)
    assert "€1.00" in found.message
    assert "€20.00" in found.message


def test_a_cancellation_is_ours_by_the_marker_at_its_end() -> None:
    assert canceled_by(action("cancel"), canceled())
    assert not canceled_by(action("cancel"), canceled(note=f"{MARK} was refused"))
    assert not canceled_by(action("cancel"), order(cancel_staff_note=MARK))


@pytest.mark.parametrize("note", ["", "Called the customer, all is well"])
def test_a_cancellation_is_ours_by_its_job_too(note: str) -> None:
    """Staff rewrote the note; Shopify says that the job it gave us canceled the order."""
    acted = action("cancel", "accepted", job_gid="gid://shopify/OrderCancelJobResult/1")
    seen = canceled(note=note)
    assert not canceled_by(acted, seen)
    assert canceled_by(acted, seen, job=Job.SUCCEEDED)
    assert isinstance(move(acted, seen), Contradiction)
    assert move(acted, seen, job=Job.SUCCEEDED) == Settled(ActionState.SUCCEEDED)
    for job in (Job.NONE, Job.OPEN, Job.FAILED):
        assert not canceled_by(acted, seen, job=job)
    # Neither without a job of its own, nor where the note names another action, nor too early.
    assert not canceled_by(action("cancel", "accepted"), seen, job=Job.SUCCEEDED)
    other = canceled(note="[ax:fedcba9876]")
    assert not canceled_by(acted, other, job=Job.SUCCEEDED)
    assert not canceled_by(acted, order(cancel_staff_note=note), job=Job.SUCCEEDED)


def test_the_refund_of_a_cancellation_known_by_its_job_is_found() -> None:
    acted = action(
        "cancel and all",
        "accepted",
        step_last_sent_at=NOW - timedelta(hours=3),
        job_gid="gid://shopify/OrderCancelJobResult/1",
    )
    seen = canceled(AUTOMATIC, note="rewritten")
    found = move(acted, seen, job=Job.SUCCEEDED)
    assert found == Settled(ActionState.SUCCEEDED, refund_gid=AUTOMATIC.gid)
    assert isinstance(move(acted, seen), Contradiction)


def test_without_a_time_no_grace_is_given_to_a_refund_that_should_follow() -> None:
    acted = action("cancel and all", "accepted", step_last_sent_at=NOW)
    assert isinstance(outcome(acted, canceled(), now=NOW), Waiting)
    end = outcome(acted, canceled())
    assert isinstance(end, Settled)
    assert end.state == ActionState.PARTIAL
