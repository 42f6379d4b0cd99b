"""What `./run doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is: a problem keeps the product from working or from being safe."""

    OK = "OK"
    WARNING = "warning"
    PROBLEM = "PROBLEM"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one thing, and what to do if it isn't OK. Never holds a secret."""

    level: Level
    what: str
    text: str
    todo: str = ""


def ok(what: str, text: str) -> Finding:
    """Return a finding about something that works."""
    return Finding(Level.OK, what, text)


def warning(what: str, text: str, todo: str) -> Finding:
    """Return a finding that someone should look at."""
    return Finding(Level.WARNING, what, text, todo)


def problem(what: str, text: str, todo: str) -> Finding:
    """Return a finding that keeps something from working."""
    return Finding(Level.PROBLEM, what, text, todo)
