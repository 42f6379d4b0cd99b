"""docs/actions.md describes every state that exists, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from orders.models import ACTIVE_STATES, SETTLED_STATES, Outcome
from orders.shopify_port import Goal

PAGE = (Path(__file__).parents[3] / "docs" / "actions.md").read_text(encoding="utf-8")


def listed(title: str) -> set[str]:
    """The names in the first column of the table under a heading."""
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    firsts = re.findall(r"^\| (`[^|]*`) \|", section, re.MULTILINE)
    return {name for cell in firsts for name in re.findall(r"`(\w+)`", cell)}


def test_every_step_is_in_its_table() -> None:
    assert listed("Steps") == {goal.value for goal in Goal}


def test_every_state_is_in_its_table() -> None:
    assert listed("Active states") == {state.value for state in ACTIVE_STATES}
    assert listed("Settled states") == {state.value for state in SETTLED_STATES}


def test_every_outcome_is_in_its_table() -> None:
    assert listed("Outcomes") == set(Outcome.values)
