"""How far each agent has read a conversation, and what is unread by that.

A mark names an inbound message. Within a conversation their ids are in the order in which they
were committed, because whoever takes one in holds the conversation's lock: so nothing that came
after what was shown is ever below the mark.

A page says itself what somebody was there to see on it (js/reading.js): an answer may be lost on
its way, a tab be hidden, its agent be away. Only of pages without scripts it counts as read what
the server hands out.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from inbox.accounts import roles
from inbox.accounts.roles import Agent
from inbox.live import events
from inbox.models import Conversation, ConversationState, Message, MessageKind, ReadMark


def row_of(agent: Agent, conversation: Conversation) -> ReadMark | None:
    """None: this agent was never shown the conversation."""
    return ReadMark.objects.filter(user_id=agent.pk or 0, conversation=conversation).first()


def mark_of(agent: Agent, conversation: Conversation) -> int | None:
    """Up to which message this agent was shown the conversation; None: never."""
    row = row_of(agent, conversation)
    return row.last_message_id if row else None


def is_news(row: ReadMark | None, conversation: Conversation, *, to: Agent, up_to: int) -> bool:
    """Whether it would change anything that this agent was shown the conversation up to here.
    `row`: of row_of."""
    if row is None or up_to > row.last_message_id or _precedes(row, conversation):
        return True
    return conversation.is_unread and conversation.assignee_id in {None, to.pk}


def inbound_after(conversation: Conversation, message_id: int) -> QuerySet[Message]:
    """What the customer wrote after this message, oldest first."""
    rows = conversation.messages.filter(kind=MessageKind.INBOUND, pk__gt=message_id)
    return rows.order_by("pk")


def mark_read(*, conversation: Conversation, by: User, up_to: int) -> None:
    """This agent was shown the conversation with its messages up to this one.

    Goes forward only, and covers nothing that came after what was shown. Opens its own
    transaction, and none where nothing is new.
    """
    if not is_news(row_of(by, conversation), conversation, to=by, up_to=up_to):
        return
    with transaction.atomic(durable=True):
        found = Conversation.objects.select_for_update().get(pk=conversation.pk)
        if advance(found, by=by, up_to=up_to):
            events.announce("inbox")
    conversation.is_unread = found.is_unread


def advance(conversation: Conversation, *, by: User, up_to: int | None) -> bool:
    """The same inside a verb, which holds the conversation's lock; None: up to the last message.
    Whether something looks different by that."""
    inbound = conversation.messages.filter(kind=MessageKind.INBOUND)
    if up_to is not None:
        # No page has shown what does not exist yet, whatever it says.
        inbound = inbound.filter(pk__lte=up_to)
    last = inbound.aggregate(last=Max("pk"))["last"] or 0
    mark, _is_new = ReadMark.objects.get_or_create(user=by, conversation=conversation)
    has_moved = last > mark.last_message_id
    mark.last_message_id = max(last, mark.last_message_id)
    mark.read_at = timezone.now()
    mark.save(update_fields=["last_message_id", "read_at"])
    return settle_unread(conversation) or has_moved


def settle_unread(conversation: Conversation) -> bool:
    """Set `is_unread` by what its assignee has read, or without one the agent who has read most;
    whether it changed. Expects the conversation's lock: a message on its way in waits, and sets it
    afterwards."""
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
    """The customer's last message counts as unread for every agent again. Expects the
    conversation's lock."""
    last = conversation.messages.filter(kind=MessageKind.INBOUND).aggregate(last=Max("pk"))["last"]
    if last is None:
        return
    marks = ReadMark.objects.filter(conversation=conversation, last_message_id__gte=last)
    marks.update(last_message_id=last - 1)
    Conversation.objects.filter(pk=conversation.pk).update(is_unread=True)


def unread_among(agent: Agent, conversations: Sequence[Conversation]) -> set[int]:
    """Ids of those in which the customer wrote what this agent has not read. One query.

    What somebody resolved without this agent ever opening it is as unread as it is for its
    assignee. Whoever only looks has no marks, and sees how it stands for the others.
    """
    if not roles.may_work(agent):
        return {conversation.pk for conversation in conversations if conversation.is_unread}
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
    """Whether it went to somebody else after this agent was last shown it."""
    mark = row_of(agent, conversation)
    return mark is not None and _precedes(mark, conversation)


def _precedes(mark: ReadMark, conversation: Conversation) -> bool:
    return conversation.assigned_at is not None and mark.read_at < conversation.assigned_at
