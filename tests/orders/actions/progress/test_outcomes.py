"""Every state and outcome has a text, and none shows a code."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from django.contrib.auth.models import User

from orders.actions import status_texts
from orders.actions.status_texts import Going
from orders.models import (
    ACTIVE_STATES,
    SETTLED_STATES,
    ActionKind,
    ActionState,
    Order,
    OrderAction,
    Outcome,
    Store,
)
from tests.support.orders.snapshots import NOW

_CODE = re.compile(r"\b([A-Z]{2,}_[A-Z_]+|[a-z]+_[a-z_]+|[A-Z]{6,})\b")


def action(state: str = ActionState.REJECTED, outcome: str = "", **more: object) -> OrderAction:
    store = Store(domain="demo.myshopify.com", is_frozen=bool(more.pop("is_frozen", False)))
    values: dict[str, object] = {
        "kind": ActionKind.REFUND,
        "amount": Decimal("12.50"),
        "currency": "EUR",
        "proposal": {"facts": {"received": "20.00 EUR", "refunded": "0.00 EUR"}},
    }
    return OrderAction(
        order=Order(name="#1", store=store),
        requested_by=User(username="alice", first_name="Alice"),
        state=state,
        outcome=outcome,
        **(values | more),
    )


@pytest.mark.parametrize("code", [*Outcome.values, *Going])
def test_every_outcome_has_words_and_shows_no_code(code: str) -> None:
    state = ActionState.PARTIAL if code == Going.CANCELED_ONLY else ActionState.REJECTED
    words = status_texts.words(action(state, code))
    assert words.code == code
    assert status_texts.label(code)
    for text in (words.label, words.title, words.text):
        assert not _CODE.search(text), text
        assert "%" not in text


@pytest.mark.parametrize("state", ActionState.values)
def test_every_state_has_words_without_an_outcome(state: str) -> None:
    """For actions that ended before outcomes were recorded, the state gives the outcome."""
    words = status_texts.words(action(state))
    assert words.title
    assert not _CODE.search(words.title)
    known = status_texts.default_outcome(state)
    assert (known in Outcome.values) or known == ""
    if state in ACTIVE_STATES:
        assert known == ""


def test_a_state_that_says_too_little_is_not_guessed_at() -> None:
    silent = {ActionState.PARTIAL, ActionState.REJECTED, ActionState.EXPIRED}
    for state in SETTLED_STATES:
        assert (status_texts.default_outcome(state) == "") == (state in silent)
    assert status_texts.words(action(ActionState.REJECTED)).label == "Not carried out"
    assert status_texts.words(action(ActionState.EXPIRED)).label == "Expired"


def test_shopifys_refusal_and_our_own_are_told_apart() -> None:
    theirs = action(ActionState.REJECTED, Outcome.REFUSED_BY_SHOPIFY, message="No can do.")
    ours = action(ActionState.REJECTED, Outcome.REFUSED_BY_RULES, message="Over your limit.")
    assert status_texts.words(theirs).title == "Refund €12.50: refused by Shopify"
    assert status_texts.words(theirs).text == "No can do."
    assert status_texts.words(ours).title == "Refund €12.50: stopped by our rules"
    assert "Shopify" not in status_texts.words(ours).title


def test_a_frozen_store_does_not_start_forever() -> None:
    waiting = action(ActionState.QUEUED, is_frozen=True)
    assert status_texts.words(waiting).code == Going.FROZEN
    assert status_texts.words(waiting).title == "Refund €12.50: waiting, the store is frozen"
    # What was sent before the freeze is looked for all the same.
    sent = action(ActionState.PENDING, is_frozen=True, maybe_applied=True)
    assert status_texts.words(sent).code == Going.WORKING
    assert status_texts.words(action(ActionState.QUEUED)).code == Going.STARTING
    undo = action(ActionState.QUEUED, next_attempt_at=NOW)
    assert status_texts.words(undo).code == Going.UNDOABLE


def test_a_cancellation_says_what_was_refunded_and_what_is_kept() -> None:
    done = action(ActionState.SUCCEEDED, kind=ActionKind.CANCEL_AND_REFUND)
    assert status_texts.words(done).text == (
        "Canceled, and €12.50 of €20.00 refunded; €7.50 kept on purpose."
    )
    whole = action(
        ActionState.SUCCEEDED, kind=ActionKind.CANCEL_AND_REFUND, amount=Decimal("20.00")
    )
    assert status_texts.words(whole).text == ""
    assert status_texts.kept_on_purpose(whole) is None
    assert status_texts.kept_on_purpose(action(ActionState.SUCCEEDED)) is None


@pytest.mark.parametrize(
    "facts",
    [
        None,
        {},
        {"facts": {}},
        {"facts": {"received": "20 EUR"}},
        {"facts": {"received": "x y z", "refunded": ""}},
    ],
)
def test_a_proposal_of_another_release_says_nothing_of_what_is_kept(facts: object) -> None:
    done = action(ActionState.SUCCEEDED, kind=ActionKind.CANCEL_AND_REFUND, proposal=facts)
    assert status_texts.words(done).text == ""


def test_what_failed_after_the_cancellation_says_that_it_is_canceled() -> None:
    for outcome in (
        Outcome.FAILED_AT_BANK,
        Outcome.REFUSED_BY_SHOPIFY,
        Outcome.NOT_BOOKED,
        Outcome.STALE,
        Outcome.REFUSED_BY_RULES,
    ):
        words = status_texts.words(action(ActionState.PARTIAL, outcome))
        assert words.title.startswith("Canceled; ")
        assert words.label == words.title
