"""The conversation list, fully computed here in a fixed number of queries for the templates."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.urls import reverse

from core.database import replica
from inbox import (
    access,
    read_marks,
)
from inbox.accounts.roles import Agent
from inbox.conversations import drafts, search
from inbox.models import Conversation, ConversationState
from inbox.models.conversations import ConversationQuerySet
from inbox.visibility import scope_of
from orders.panels.filters import (
    moment,
    number,
)

PAGE: Final = 40
SCOPES: Final = ("mine", "unassigned", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationRow:
    """One row of the list, as one agent sees it."""

    pk: int
    url: str
    name: str
    preview: str
    at: datetime
    is_inbound: bool
    # For this agent, regardless of who else has read it.
    is_unread: bool
    has_undelivered: bool
    assignee: str
    channel: str
    snoozed_until: datetime | None
    has_draft: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationList:
    """One page of the list. `next_url` is empty on the last page and `newest_url` on the first;
    `live_src` returns the same rows again."""

    rows: tuple[ConversationRow, ...]
    scope: str
    state: str
    query: str
    next_url: str
    newest_url: str
    live_src: str


@replica.up_to_date
def conversation_list(
    agent: Agent, *, scope: str, state: str, query: str, after: str
) -> ConversationList:
    """Return one page of the list for an agent.

    `after` is the keyset "time~id" of the last row shown; what can't be parsed means the first
    page. An unknown scope or state falls back to the default. A query searches every state.
    """
    scope = scope if scope in SCOPES else "all"
    state = state if state in ConversationState.values else ConversationState.OPEN
    query = query.replace("\x00", "").strip()[:100]
    params = {"scope": scope, "state": state, "q": query}
    here = reverse("inbox:list")
    at, _, pk = after.partition("~")
    edge, last = moment(at), number(pk)
    place = (edge, last) if edge is not None and last is not None else None
    if place is None:
        after = ""

    def wanted(rows: ConversationQuerySet) -> ConversationQuerySet:
        rows = rows.in_state(state)
        if scope == "mine":
            rows = rows.filter(assignee_id=agent.pk)
        elif scope == "unassigned":
            rows = rows.filter(assignee=None)
        return rows if place is None else rows.before(*place)

    rows = access.conversations_for(agent)
    teams = scope_of(agent).teams or ()
    if query:
        page = search.page(rows, query, scope=scope_of(agent), after=place, size=PAGE)
    elif len(teams) > 1 and scope != "mine":
        newest = rows.filter(pk__in=_newest_of_each(teams, wanted))
        page = search.first(newest, after=None, size=PAGE)
    else:
        page = search.first(wanted(rows), after=None, size=PAGE)  # type: ignore[arg-type]
    shown = page.rows
    unread = read_marks.unread_among(agent, shown)
    next_url = ""
    if page.further is not None:
        mark = f"{page.further[0].isoformat()}~{page.further[1]}"
        next_url = f"{here}?{urlencode(params | {'after': mark})}"
    begun = drafts.begun_in(agent, [conversation.pk for conversation in shown])
    return ConversationList(
        rows=tuple(
            _row(found, is_unread=found.pk in unread, has_draft=found.pk in begun)
            for found in shown
        ),
        scope=scope,
        state=state,
        query=query,
        next_url=next_url,
        newest_url=f"{here}?{urlencode(params)}" if after else "",
        live_src=f"{reverse('inbox:list_rows')}?{urlencode(params | {'after': after})}",
    )


def _newest_of_each(
    teams: Collection[int], wanted: Callable[[ConversationQuerySet], ConversationQuerySet]
) -> QuerySet[Conversation, int]:
    """Return the IDs of a page of each team's conversations, which the page is among.

    Each is read from the index of teams' lists, in its order and no further than needed. Of several
    teams at once, the database would read and sort all there are.
    """
    newest = [
        wanted(Conversation.objects.of_team(team))
        .newest_first()
        .values_list("pk", flat=True)[: PAGE + 1]
        for team in sorted(teams)
    ]
    # SQLite has no limits inside a union, only inside what a part of it asks for.
    parts = [
        Conversation.objects.filter(pk__in=each).order_by().values_list("pk", flat=True)
        for each in newest
    ]
    return parts[0].union(*parts[1:], all=True)


def _row(conversation: Conversation, *, is_unread: bool, has_draft: bool) -> ConversationRow:
    assignee = conversation.assignee
    return ConversationRow(
        pk=conversation.pk,
        url=reverse("inbox:conversation", args=[conversation.pk]),
        name=str(conversation.contact),
        preview=conversation.last_message_preview,
        at=conversation.last_message_at,
        is_inbound=conversation.last_message_is_inbound,
        is_unread=is_unread,
        has_undelivered=conversation.has_undelivered,
        assignee=(assignee.get_short_name() or assignee.get_username()) if assignee else "",
        channel=conversation.channel.name,
        snoozed_until=conversation.snoozed_until,
        has_draft=has_draft,
    )
