"""A page of the conversations with the people whom a search is about, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import QuerySet

from inbox.contacts import search
from inbox.models import Conversation
from inbox.visibility import Scope

# A frequent name is looked for among the newest conversations, some at a time: it takes few of them
# to fill a page, and no search looks at more than this many.
_STEP: Final = 500
_LOOKED_AMONG: Final = 8_000
Place = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Page:
    """Conversations, and the place from which the next page goes on; None: there are no more."""

    rows: list[Conversation]
    further: Place | None


def page(
    rows: QuerySet[Conversation],
    query: str,
    *,
    scope: Scope,
    after: Place | None,
    size: int,
) -> Page:
    """Return a page of the conversations that the query finds among these rows.

    `after` is where the page before ended. With a frequent name, a page may have fewer rows than
    `size` although more follow.
    """
    found = search.find(query, scope=scope)
    if not found.names:
        return first(rows.filter(contact__in=found.ids), after=after, size=size)
    kept: list[Place] = []
    for _step in range(0, _LOOKED_AMONG, _STEP):
        recent = list(_from(rows, after).values_list("last_message_at", "pk", "contact_id")[:_STEP])
        people = found.ids | search.namesakes(found.names, {pk for *_, pk in recent})
        kept += [(at, pk) for at, pk, contact_id in recent if contact_id in people]
        if len(kept) > size:
            return Page(_loaded(rows, kept[:size]), kept[size - 1])
        if len(recent) < _STEP:
            return Page(_loaded(rows, kept), None)
        after = recent[-1][:2]
    return Page(_loaded(rows, kept), after)


def _loaded(rows: QuerySet[Conversation], places: Sequence[Place]) -> list[Conversation]:
    found = rows.filter(pk__in=[pk for _at, pk in places])
    return list(_from(found, None)) if places else []


def first(rows: QuerySet[Conversation], *, after: Place | None, size: int) -> Page:
    """Return the first rows after a place, newest first."""
    found = list(_from(rows, after)[: size + 1])
    return Page(found[:size], _place(found[size - 1]) if len(found) > size else None)


def _from(rows: QuerySet[Conversation], after: Place | None) -> QuerySet[Conversation]:
    newest: QuerySet[Conversation] = rows.newest_first()  # type: ignore[attr-defined]
    return newest if after is None else newest.before(*after)  # type: ignore[attr-defined]


def _place(row: Conversation) -> Place:
    return row.last_message_at, row.pk
