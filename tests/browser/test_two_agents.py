"""Two agents and a customer at once, with everything failing at random (tests.browser.two_agents).

`TWO_AGENTS_MINUTES=10` runs it for as long as that; `TWO_AGENTS_SEED` repeats a run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.two_agents.verdict import (
    Closing,
    Delivery,
    Evidence,
    Intent,
    Row,
    faults,
    repeats,
)
from tests.support.browser.demo import CHROMIUM, ROOT

MINUTES = os.environ.get("TWO_AGENTS_MINUTES", "0.7")
# For a machine that has much else to do.
WITHIN_S = os.environ.get("TWO_AGENTS_WITHIN_S", "2")


def run(*words: str) -> tuple[int, str]:
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed: apt-get install chromium")
    if seed := os.environ.get("TWO_AGENTS_SEED"):
        words = (*words, "--seed", seed)
    done = subprocess.run(
        [sys.executable, "-m", "tests.browser.two_agents", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    sys.stdout.write(done.stdout[-6000:] + done.stderr[-3000:])
    return done.returncode, done.stdout


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.thorough
def test_nothing_is_lost_doubled_misdirected_or_closed_unseen() -> None:
    code, said = run("--minutes", MINUTES, "--within", WITHIN_S)
    assert code == 0, said[-3000:]


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.thorough
def test_without_the_ids_of_presses_messages_are_doubled() -> None:
    """Negative control: the answer is lost, the agent presses again, and two are sent."""
    code, said = run("--minutes", "1", "--forget-ids", "--seed", "7")
    assert code == 1
    assert "doubled: " in said


REPLY = Intent("r1", "reply", 5, "alice")
ROW = Row(10, 5, "c-1", "reply", "Reply r1 by alice", "alice", "sent")
INBOUND = Row(9, 5, "c-1", "inbound", "q1", "", "kept")
HANDED = Delivery("msg_10", "c-1", "Reply r1 by alice")


def judged(**evidence: object) -> dict[str, int]:
    whole = {"intents": [REPLY], "rows": [ROW], "deliveries": [HANDED]} | evidence
    found = faults(Evidence(**whole))  # type: ignore[arg-type]
    return {kind: len(said) for kind, said in found.items() if said}


def test_the_checker_accepts_a_correct_run() -> None:
    assert judged() == {}
    # A repeat under its own id is one message to a messenger.
    assert judged(deliveries=[HANDED, HANDED]) == {}
    assert repeats([HANDED, HANDED]) == 1


@pytest.mark.parametrize(
    ("evidence", "kind"),
    [
        ({"rows": [], "deliveries": []}, "lost"),
        ({"rows": [ROW, Row(11, 5, "c-1", "reply", "r1", "alice", "sent")]}, "doubled"),
        ({"deliveries": [HANDED, Delivery("msg_11", "c-1", "r1")]}, "doubled"),
        ({"deliveries": [Delivery("msg_10", "c-2", "r1")]}, "wrong person"),
        ({"rows": [Row(10, 6, "c-1", "reply", "r1", "alice", "sent")]}, "wrong person"),
        ({"rows": [Row(10, 5, "c-1", "reply", "r1", "bob", "sent")]}, "changed"),
        ({"deliveries": []}, "never delivered"),
        ({"closings": [Closing(5, "bob", 9, frozenset({8}))]}, "unseen and closed"),
        ({"drafts_lost": ["a1"]}, "drafts lost"),
        ({"rows": [ROW, INBOUND], "read_marks": [("alice", 5, 9)]}, "read unseen"),
    ],
)
def test_the_checker_finds_each_kind_of_fault(evidence: dict[str, object], kind: str) -> None:
    """Negative controls: made-up evidence with one fault in it."""
    assert judged(**evidence) == {kind: 1}


def test_what_was_shown_may_count_as_read() -> None:
    marks = [("alice", 5, 9)]
    assert judged(rows=[ROW, INBOUND], read_marks=marks, shown={"alice": {9}}) == {}
    assert judged(rows=[ROW, INBOUND], read_marks=marks, shown={"alice": {8}}) != {}


def test_a_note_that_turned_into_a_reply_and_left_is_found() -> None:
    note = Intent("r1", "note", 5, "alice")
    assert judged(intents=[note]) == {"changed": 1, "notes sent": 1}
