"""How far each agent has read a conversation, and what is unread as a result.

A mark is the ID of an inbound message. Messages are received under their conversation's lock, so
within a conversation IDs follow the order of commits: a message that arrives after what was shown
never falls below the mark.

The page itself reports what an agent was there to see (js/reading.js), because a response may get
lost, the tab may be hidden, or the agent may be away. Without scripts, what the server renders
counts as read.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from inbox.accounts.roles import Agent
from inbox.live import events
from inbox.models import Conversation, ConversationState, Message, MessageKind, ReadMark


def row_of(agent: Agent, conversation: Conversation) -> ReadMark | None:
    """Return the agent's read mark; None if they were never shown the conversation."""
    # An anonymous user has no pk, and no user has 0.
    return ReadMark.objects.filter(user_id=agent.pk or 0, conversation=conversation).first()


def mark_of(agent: Agent, conversation: Conversation) -> int | None:
    """Return the ID of the last message the agent was shown; None if they never opened it."""
    row = row_of(agent, conversation)
    return row.last_message_id if row else None


def is_news(row: ReadMark | None, conversation: Conversation, *, to: Agent, up_to: int) -> bool:
    """Return whether it would change anything to mark the conversation read up to here.

    `row` is the agent's mark, from `row_of`.
    """
    if row is None or up_to > row.last_message_id or _precedes(row, conversation):
        return True
    return conversation.is_unread and conversation.assignee_id in {None, to.pk}


def inbound_after(conversation: Conversation, message_id: int) -> QuerySet[Message]:
    """Return what the customer wrote after this message, oldest first."""
    rows = conversation.messages.filter(kind=MessageKind.INBOUND, pk__gt=message_id)
    return rows.order_by("pk")


def mark_read(*, conversation: Conversation, by: User, up_to: int) -> None:
    """Record that the agent was shown the conversation up to this message.

    Marks only move forward, and never past what was shown. Opens its own durable transaction, but
    only if there is something to change.
    """
    if not is_news(row_of(by, conversation), conversation, to=by, up_to=up_to):
        return
    with transaction.atomic(durable=True):
        found = Conversation.objects.select_for_update().get(pk=conversation.pk)
        if advance(found, by=by, up_to=up_to):
            events.announce("inbox")
    conversation.is_unread = found.is_unread


def advance(conversation: Conversation, *, by: User, up_to: int | None) -> bool:
    """Move the agent's mark within a service that holds the conversation's lock.

    `up_to` None means the last message. Returns whether anything looks different now.
    """
    inbound = conversation.messages.filter(kind=MessageKind.INBOUND)
    if up_to is not None:
        # No page can have shown a message that doesn't exist yet, whatever it reports.
        inbound = inbound.filter(pk__lte=up_to)
    last = inbound.aggregate(last=Max("pk"))["last"] or 0
    mark, _is_new = ReadMark.objects.get_or_create(user=by, conversation=conversation)
    has_moved = last > mark.last_message_id
    mark.last_message_id = max(last, mark.last_message_id)
    mark.read_at = timezone.now()
    mark.save(update_fields=["last_message_id", "read_at"])
    return settle_unread(conversation) or has_moved


def settle_unread(conversation: Conversation) -> bool:
    """Recompute `is_unread` and return whether it changed.

    It follows the assignee's mark or, if unassigned, the furthest mark of any agent. Expects the
    conversation's lock, so that an incoming message waits and sets the flag afterwards.
    """
    marks = ReadMark.objects.filter(conversation=conversation)
    if conversation.assignee_id:
        marks = marks.filter(user_id=conversation.assignee_id)
    read = marks.aggregate(last=Max("last_message_id"))["last"] or 0
    is_unread = inbound_after(conversation, read).exists()
    if is_unread == conversation.is_unread:
        return False
    Conversation.objects.filter(pk=conversation.pk).update(is_unread=is_unread)
    conversation.is_unread = is_unread
    return True


def make_unread(conversation: Conversation) -> None:
    """Make the customer's last message unread for every agent again.

    Expects the conversation's lock.
    """
    last = conversation.messages.filter(kind=MessageKind.INBOUND).aggregate(last=Max("pk"))["last"]
    if last is None:
        return
    marks = ReadMark.objects.filter(conversation=conversation, last_message_id__gte=last)
    # Any ID below the message does, as marks are only ever compared.
    marks.update(last_message_id=last - 1)
    Conversation.objects.filter(pk=conversation.pk).update(is_unread=True)


def unread_among(agent: Agent, conversations: Sequence[Conversation]) -> set[int]:
    """Return IDs of the conversations with customer messages this agent hasn't read. One query.

    A conversation that was resolved without this agent ever opening it counts as its `is_unread`
    says.
    """
    mine = ReadMark.objects.filter(user_id=agent.pk or 0, conversation=OuterRef("pk"))
    newer = Message.objects.filter(
        conversation=OuterRef("pk"),
        kind=MessageKind.INBOUND,
        pk__gt=Coalesce(OuterRef("read_up_to"), 0),
    )
    was_never_mine = Q(read_up_to=None, state=ConversationState.RESOLVED, is_unread=False)
    rows = (
        Conversation.objects.filter(pk__in=[conversation.pk for conversation in conversations])
        .annotate(read_up_to=Subquery(mine.values("last_message_id")[:1]))
        .filter(Exists(newer))
        .exclude(was_never_mine)
    )
    return set(rows.values_list("pk", flat=True))


def changed_hands_unseen(agent: Agent, conversation: Conversation) -> bool:
    """Return whether the conversation was reassigned after this agent last looked at it."""
    mark = row_of(agent, conversation)
    return mark is not None and _precedes(mark, conversation)


def _precedes(mark: ReadMark, conversation: Conversation) -> bool:
    return conversation.assigned_at is not None and mark.read_at < conversation.assigned_at
