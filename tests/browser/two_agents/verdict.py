"""Rules that must hold at the end of a run. Pure, so that made-up evidence can test them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar


@dataclass(frozen=True, slots=True)
class Intent:
    """What an agent or customer meant to write: `kind` inbound, reply or note; `conversation`: our id of it.
    `is_believed`: its author was shown that it is done."""

    token: str
    kind: str
    conversation: int
    who: str
    is_believed: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """A message as the database has it. `external`: the channel's id of its conversation."""

    pk: int
    conversation: int
    external: str
    kind: str
    text: str
    author: str
    delivery_state: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the customer's messenger was handed: the webhook's id, its conversation, its text."""

    webhook: str
    conversation: str
    text: str


@dataclass(frozen=True, slots=True)
class Closing:
    """A conversation found closed: the newest message of the customer in it, and what the agent
    who closed it had on a screen by then."""

    conversation: int
    who: str
    newest_inbound: int
    shown: frozenset[int]


Told = TypeVar("Told", Row, Delivery)


@dataclass(slots=True)
class Evidence:
    intents: list[Intent] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)
    # Of each agent, by conversation: how far they have read, as the database says; and by agent
    # what was on a screen of theirs.
    read_marks: list[tuple[str, int, int]] = field(default_factory=list)
    shown: dict[str, set[int]] = field(default_factory=dict)
    drafts_lost: list[str] = field(default_factory=list)


def faults(evidence: Evidence) -> dict[str, list[str]]:
    """By kind of fault, what was found; empty lists where all is well."""
    found: dict[str, list[str]] = {
        "lost": [],
        "doubled": [],
        "changed": [],
        "wrong person": [],
        "notes sent": [],
        "unseen and closed": [],
        "never delivered": [],
        "read unseen": list(read_unseen(evidence)),
        "drafts lost": list(evidence.drafts_lost),
    }
    by_token = _by_token(evidence.rows, [intent.token for intent in evidence.intents])
    handed = _by_token(evidence.deliveries, [intent.token for intent in evidence.intents])
    for intent in evidence.intents:
        rows = by_token.get(intent.token, [])
        _weigh(intent, rows, handed.get(intent.token, []), found)
    for closing in evidence.closings:
        if closing.newest_inbound not in closing.shown:
            found["unseen and closed"].append(
                f"{closing.who} closed {closing.conversation} without having been shown "
                f"message {closing.newest_inbound}"
            )
    return found


def _weigh(
    intent: Intent, rows: Sequence[Row], handed: Sequence[Delivery], found: dict[str, list[str]]
) -> None:
    said = f"{intent.token} ({intent.kind} of {intent.who})"
    if not rows and intent.is_believed:
        found["lost"].append(said)
    if len(rows) > 1:
        found["doubled"].append(f"{said}: {len(rows)} rows")
    for row in rows:
        if row.kind != intent.kind:
            found["changed"].append(f"{said} became a {row.kind}")
        if row.conversation != intent.conversation:
            found["wrong person"].append(f"{said} is in conversation {row.conversation}")
        if intent.kind != "inbound" and row.author != intent.who:
            found["changed"].append(f"{said} is signed by {row.author}")
    if intent.kind != "reply":
        if handed and intent.kind == "note":
            found["notes sent"].append(said)
        return
    # A repeat under the same id is one message to a messenger.
    ids = {each.webhook for each in handed}
    if len(ids) > max(1, len(rows)):
        found["doubled"].append(f"{said}: handed over under {len(ids)} ids")
    externals = {row.external for row in rows}
    for each in handed:
        if each.conversation not in externals:
            found["wrong person"].append(f"{said} was handed over to {each.conversation}")
    if rows and not handed:
        found["never delivered"].append(f"{said}: {rows[0].delivery_state}")


def read_unseen(evidence: Evidence) -> Iterable[str]:
    """What counts as read by an agent who was never shown it: the conversation stays where it is,
    but its dot is gone."""
    inbound: dict[int, list[int]] = {}
    for row in evidence.rows:
        if row.kind == "inbound":
            inbound.setdefault(row.conversation, []).append(row.pk)
    for who, conversation, up_to in evidence.read_marks:
        for pk in inbound.get(conversation, []):
            if pk <= up_to and pk not in evidence.shown.get(who, set()):
                yield f"{who} counts as having read message {pk} of {conversation}, never shown"


def _by_token(rows: Sequence[Told], tokens: Iterable[str]) -> Mapping[str, list[Told]]:
    wanted = set(tokens)
    found: dict[str, list[Told]] = {}
    for row in rows:
        for word in row.text.split():
            if word in wanted:
                found.setdefault(word, []).append(row)
    return found


def repeats(deliveries: Sequence[Delivery]) -> int:
    """How often a message was handed over again under its own id."""
    counts = Counter(each.webhook for each in deliveries)
    return sum(counts.values()) - len(counts)
