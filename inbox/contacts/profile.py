"""Who a contact is, for the contact's page and the head of the order panel: its customers, what
is not certain about them, what is suggested, and what was just taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from inbox.accounts import roles
from inbox.accounts.roles import Agent
from inbox.contacts import (
    identities,
    matching,
    suggestions,
)
from inbox.contacts.identities import OrderKeys
from inbox.contacts.matching import (
    Match,
    Matching,
    Question,
)
from inbox.contacts.suggestions import Suggestion
from inbox.models import Claim, Contact, Identity
from orders import services
from orders.panels import FoundOrders

# So long a panel offers to take back what its agent has just decided.
_UNDO_FOR: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    matching: Matching
    suggestions: tuple[Suggestion, ...]
    undoable: tuple[Identity, ...]
    # What they gave and nobody has proven; and whether the reader may confirm it.
    claims: tuple[Claim, ...] = ()
    may_confirm: bool = False

    @property
    def matches(self) -> tuple[Match, ...]:
        return self.matching.matches

    @property
    def questions(self) -> tuple[Question, ...]:
        return self.matching.questions

    @property
    def lead(self) -> Match | None:
        """The one customer whose totals stand for the whole panel's."""
        if len(self.matches) != 1 or self.questions or self.matches[0].head.spent is None:
            return None
        return self.matches[0]

    def suggested(self, kind: str, value: str) -> Suggestion | None:
        return next((s for s in self.suggestions if s.key == (kind, value)), None)

    def candidate_values(self) -> set[str]:
        return {c.value for question in self.questions for c in question.candidates}


def person(
    contact: Contact,
    *,
    known: Sequence[Identity],
    keys: OrderKeys,
    found: FoundOrders | None,
    text: str,
    agent: Agent,
    now: datetime,
) -> Person:
    """`known`: all identities of the contact, those taken away too; `keys`: of these;
    `found`: the orders that are shown, if any. A customer that only orders have told of is read meanwhile."""
    active = identities.active_of(known)
    matched = matching.match(contact, active, keys, found)
    unread = [m.head.pk for m in matched.matches if m.head.as_of is None and not m.head.is_deleted]
    if unread:
        services.mark_unread_customers(unread)
    # What was taken away or set aside is listed as such.
    claims = tuple(c for c in contact.claims.all() if (c.kind, c.value) not in keys.refused)
    suggested = suggestions.suggestions(known, keys, matched, text, claims)
    return Person(
        matching=matched,
        suggestions=suggested,
        claims=claims,
        may_confirm=any(s.is_claim for s in suggested) and roles.is_supervisor(agent),
        undoable=tuple(
            identity
            for identity in known
            if identity.removed_at
            and identity.removed_at > now - _UNDO_FOR
            and identity.removed_by_id == agent.pk
        ),
    )


def person_of(
    contact: Contact, *, known: Sequence[Identity], text: str, agent: Agent, now: datetime
) -> Person:
    """The same by themselves, without their orders beside them."""
    keys = identities.keys_of(known)
    return person(contact, known=known, keys=keys, found=None, text=text, agent=agent, now=now)


def all_text(contact: Contact) -> str:
    return identities.text_by(contact)
