"""A contact's profile for the contact page and the header of the order panel: its customers, open
questions, suggestions, and recent decisions that can be undone."""

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
    suggested_addresses,
)
from inbox.contacts.identities import OrderKeys
from inbox.contacts.matching import (
    Match,
    Matching,
    Question,
)
from inbox.contacts.suggested_addresses import Suggestion
from inbox.models import Claim, Contact, Identity
from inbox.visibility import scope_of
from orders import services
from orders.panels import FoundOrders

# How long a panel offers its agent to undo a decision.
_UNDO_FOR: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Everything the header shows about who the orders belong to."""

    matching: Matching
    suggestions: tuple[Suggestion, ...]
    undoable: tuple[Identity, ...]
    # Unproven addresses they gave, and whether the viewing agent may confirm one.
    claims: tuple[Claim, ...] = ()
    may_confirm: bool = False

    @property
    def matches(self) -> tuple[Match, ...]:
        """The Shopify customers that the person certainly is."""
        return self.matching.matches

    @property
    def questions(self) -> tuple[Question, ...]:
        """For each store where several customers fit, which one it is."""
        return self.matching.questions

    @property
    def lead(self) -> Match | None:
        """The only customer, whose totals the panel may show as the person's; None if there are
        several, an open question, or no totals yet."""
        if len(self.matches) != 1 or self.questions or self.matches[0].head.spent is None:
            return None
        return self.matches[0]

    def suggested(self, kind: str, value: str) -> Suggestion | None:
        """Find the suggestion that a form names; None if it is no longer suggested."""
        return next((s for s in self.suggestions if s.key == (kind, value)), None)

    def candidate_values(self) -> set[str]:
        """The answers that the open questions allow."""
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
    """Build the profile of a contact.

    `known` are all of its identities, removed ones included, and `keys` their order keys; `found`
    are the orders being shown, if any. A customer known from orders alone is queued for reading
    from Shopify.
    """
    active = identities.active_of(known)
    matched = matching.match(contact, active, keys, found)
    unread = [m.head.pk for m in matched.matches if m.head.as_of is None and not m.head.is_deleted]
    if unread:
        services.mark_unread_customers(unread)
    # Removed and set-aside addresses are listed separately.
    claims = tuple(c for c in contact.claims.all() if (c.kind, c.value) not in keys.refused)
    suggested = suggested_addresses.suggestions(known, keys, matched, text, claims)
    return Person(
        matching=matched,
        suggestions=suggested,
        claims=claims,
        may_confirm=any(s.is_claim for s in suggested) and roles.is_supervisor(agent),
        undoable=tuple(
            identity
            for identity in known
            if identity.removed_at
            and is_shown(identity, agent=agent)
            and identity.removed_at > now - _UNDO_FOR
            and identity.removed_by_id == agent.pk
        ),
    )


def person_of(
    contact: Contact, *, known: Sequence[Identity], text: str, agent: Agent, now: datetime
) -> Person:
    """Build the profile of a contact without showing orders."""
    keys = identities.keys_of(known, stores=scope_of(agent).stores)
    return person(contact, known=known, keys=keys, found=None, text=text, agent=agent, now=now)


def all_text(contact: Contact, *, agent: Agent) -> str:
    """Return the contact's latest messages that the agent sees, for suggestions on pages without a
    conversation."""
    return identities.text_by(contact, scope=scope_of(agent))


def is_shown(identity: Identity, *, agent: Agent) -> bool:
    """Return whether an agent sees this identity of a contact they see: a customer of a store only
    if the store is theirs."""
    if not identity.is_shopify_customer:
        return True
    store_id, _gid = identities.customer_key(identity.value)
    return scope_of(agent).sees_store(store_id)
