"""What agents do with a conversation: each press once, and only on what the page showed.

Every verb holds the conversation's lock, as does whoever takes in a message: what arrives is
there before the verb looks, or comes after it. Without a `press` (a program's own call) a verb
acts on whatever there is. Each opens its own transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from inbox import (
    outbox,
    read_marks,
)
from inbox.channels import reach
from inbox.conversations import drafts
from inbox.live import events
from inbox.models import (
    Channel,
    ChannelKind,
    Conversation,
    ConversationState,
    DeliveryState,
    Message,
    MessageKind,
    Participant,
)
from inbox.models.conversations import preview_of

# So many of the messages that were not seen are shown at once; the thread has them all.
NEWS_AT_MOST: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """One press of a button, and what the page showed then; None: it does not say.

    `seen`: the last message. Of a page that does not say, it is what this agent was last shown.
    `assignee`: an id, or "" for nobody. `state_mark`: which change led to that state, for it may
    have been left and come back to. `recipient`: where a reply goes, of a page that names nobody
    who writes here.
    """

    client_id: UUID | None = None
    seen: int | None = None
    state: str | None = None
    assignee: str | None = None
    state_mark: str | None = None
    recipient: str | None = None

    def mark(self, what: str) -> UUID | None:
        """What the conversation remembers of it. One form may have several buttons: another one
        is another press."""
        return uuid5(self.client_id, what) if self.client_id else None


class Overtaken(Exception):
    """The conversation is not what the page showed: nothing was changed.

    `messages`: what the customer wrote since, oldest first. `earlier`: this press has already
    written another message.
    """

    def __init__(
        self,
        *,
        messages: Sequence[Message] = (),
        is_reassigned: bool = False,
        is_restated: bool = False,
        is_readdressed: bool = False,
        earlier: Message | None = None,
    ) -> None:
        super().__init__("the conversation is not what the page showed")
        self.messages = messages
        self.is_reassigned = is_reassigned
        self.is_restated = is_restated
        self.is_readdressed = is_readdressed
        self.earlier = earlier


def reply(
    *,
    conversation: Conversation,
    by: User,
    text: str,
    to: Participant | None = None,
    press: Press | None = None,
) -> Message:
    """Answer the customer; it leaves by the channel after commit, and a sweep makes sure. `to`: one
    of those who write here; None: whoever wrote last. Where it goes is fixed now.

    The same press again gives the first message. Raises Overtaken when the customer wrote what
    the page did not show, somebody else took the conversation, or it would go elsewhere than the
    page says. To an agent who was never
    shown it (a program), nothing is refused, and nothing unseen counts as answered.
    """
    with transaction.atomic(durable=True):
        found = _locked(conversation)
        if earlier := _written_by(press, found, by, MessageKind.REPLY, text):
            return earlier
        seen: int | None = None
        if press is not None:
            known = _seen(found, by, press)
            _refuse_if_overtaken(found, press, unseen_after=known)
            seen = known or 0
        reader = reach.recipient(found, to=to)
        if press is not None and reader not in _named(press, to, reader):
            raise Overtaken(is_readdressed=True)
        message = _write(found, MessageKind.REPLY, by, text, press, recipient=reader)
        drafts.settle(conversation=found, by=by, text=text, client_id=message.client_id)
        read_marks.advance(found, by=by, up_to=seen)
        columns = last_of(message)
        if seen is None or not read_marks.inbound_after(found, seen).exists():
            columns["waiting_since"] = None
        Conversation.objects.filter(pk=found.pk).update(**columns)
        outbox.wake(message)
        events.announce("inbox", f"conversation:{found.pk}")
    return message


def _named(press: Press, to: Participant | None, reader: str) -> set[str]:
    """Where a reply of this press may go: to whom was chosen, else where the page said."""
    if to is not None:
        return {to.address, to.external_id}
    return {reader if press.recipient is None else press.recipient}


def note(*, conversation: Conversation, by: User, text: str, press: Press | None = None) -> Message:
    """Words for the team only; the customer never gets them. They hide nothing, so they may be
    written on whatever the page showed. The same press again gives the first note."""
    with transaction.atomic(durable=True):
        found = _locked(conversation)
        if earlier := _written_by(press, found, by, MessageKind.NOTE, text):
            return earlier
        message = _write(found, MessageKind.NOTE, by, text, press)
        drafts.settle(conversation=found, by=by, text=text, client_id=message.client_id)
        events.announce(f"conversation:{found.pk}")
    return message


def assign(
    *,
    conversation: Conversation,
    to: User | None,
    by: User | None = None,
    press: Press | None = None,
) -> None:
    """Hand the conversation to somebody, or to nobody. Raises Overtaken when somebody else than
    the page showed has it meanwhile."""
    what = f"assign {to.pk if to else 0}"
    with transaction.atomic(durable=True):
        found = _locked(conversation)
        if found.assignee_id == (to.pk if to else None):
            _copy(found, conversation)
            return
        if press is not None:
            if _is_repeat(press, found, what):
                _copy(found, conversation)
                return
            _refuse_if_taken(found, by, to, press)
        found.assignee = to
        found.assigned_at = timezone.now()
        found.last_press = press.mark(what) if press else None
        found.save(update_fields=["assignee", "assigned_at", "last_press"])
        read_marks.settle_unread(found)
        _announce(found)
    _copy(found, conversation)


def snooze(
    *, conversation: Conversation, hours: int, by: User | None = None, press: Press | None = None
) -> None:
    """Raises Overtaken, as `resolve`."""
    _set_state(conversation, ConversationState.SNOOZED, hours=hours, by=by, press=press)


def resolve(
    *, conversation: Conversation, by: User | None = None, press: Press | None = None
) -> None:
    """Raises Overtaken when the customer wrote what the page did not show, when the state or the
    assignee is another one than it showed, or when somebody has changed the state and back."""
    _set_state(conversation, ConversationState.RESOLVED, by=by, press=press)


def reopen(
    *, conversation: Conversation, by: User | None = None, press: Press | None = None
) -> None:
    """Raises Overtaken, as `resolve`, whatever the customer wrote."""
    _set_state(conversation, ConversationState.OPEN, by=by, press=press)


def delivery_state(channel: Channel) -> str:
    """A messenger without a callback keeps replies in the conversation only."""
    leaves = channel.kind == ChannelKind.EMAIL or bool(channel.callback_url)
    return DeliveryState.PENDING if leaves and channel.is_active else DeliveryState.KEPT


def last_of(message: Message) -> dict[str, object]:
    """The columns of the list that repeat the last message."""
    return {
        "last_message_at": message.created_at,
        "last_message_preview": preview_of(message.text),
        "last_message_is_inbound": message.kind == MessageKind.INBOUND,
    }


def _locked(conversation: Conversation) -> Conversation:
    rows = Conversation.objects.select_for_update(of=("self",)).select_related("channel")
    return rows.get(pk=conversation.pk)


def _written_by(
    press: Press | None, found: Conversation, by: User, kind: MessageKind, text: str
) -> Message | None:
    """What this press has already written. Raises Overtaken where that was something else: the
    answer was lost, and the text was changed since."""
    if press is None or press.client_id is None:
        return None
    earlier = Message.objects.filter(author=by, client_id=press.client_id).first()
    if earlier is None:
        return None
    if (earlier.conversation_id, earlier.kind, earlier.text) != (found.pk, kind, text):
        raise Overtaken(earlier=earlier)
    return earlier


def _write(
    found: Conversation,
    kind: MessageKind,
    by: User,
    text: str,
    press: Press | None,
    *,
    recipient: str = "",
) -> Message:
    is_reply = kind == MessageKind.REPLY
    return Message.objects.create(
        conversation=found,
        channel=found.channel,
        kind=kind,
        author=by,
        recipient=recipient,
        text=text,
        client_id=press.client_id if press else None,
        created_at=_written_at(found),
        delivery_state=delivery_state(found.channel) if is_reply else DeliveryState.KEPT,
    )


def _written_at(found: Conversation) -> datetime:
    """Now, and after what we wrote before: the clocks of two servers may differ."""
    now = timezone.now()
    if found.last_message_is_inbound:
        return now
    return max(now, found.last_message_at + timedelta(microseconds=1))


def _seen(found: Conversation, by: User | None, press: Press) -> int | None:
    if press.seen is not None or by is None:
        return press.seen
    return read_marks.mark_of(by, found)


def _refuse_if_overtaken(found: Conversation, press: Press, *, unseen_after: int | None) -> None:
    """`unseen_after`: up to where the messages were seen; None: they do not matter."""
    messages: list[Message] = []
    if unseen_after is not None:
        messages = list(read_marks.inbound_after(found, unseen_after)[:NEWS_AT_MOST])
    is_restated = press.state is not None and press.state != found.state
    is_reassigned = press.assignee is not None and press.assignee != str(found.assignee_id or "")
    if messages or is_restated or is_reassigned:
        raise Overtaken(messages=messages, is_restated=is_restated, is_reassigned=is_reassigned)


def _refuse_if_taken(found: Conversation, by: User | None, to: User | None, press: Press) -> None:
    _refuse_if_overtaken(found, Press(assignee=press.assignee), unseen_after=None)
    # A page of before does not say who had it; nobody takes it from a colleague by that.
    if press.assignee is not None or by is None or to != by or not found.assignee_id:
        return
    if read_marks.changed_hands_unseen(by, found):
        raise Overtaken(is_reassigned=True)


def _is_repeat(press: Press, found: Conversation, what: str) -> bool:
    return press.client_id is not None and press.mark(what) == found.last_press


def _set_state(
    conversation: Conversation,
    state: ConversationState,
    *,
    hours: int = 0,
    by: User | None,
    press: Press | None,
) -> None:
    is_closing = state != ConversationState.OPEN
    what = f"{state} {hours}"
    now = timezone.now()
    with transaction.atomic(durable=True):
        found = _locked(conversation)
        if press is not None:
            if _is_repeat(press, found, what):
                _copy(found, conversation)
                return
            seen = _seen(found, by, press) or 0
            _refuse_if_overtaken(found, press, unseen_after=seen if is_closing else None)
            if press.state_mark not in {None, found.state_mark}:
                raise Overtaken(is_restated=True)
            if by is not None and is_closing:
                read_marks.advance(found, by=by, up_to=seen)
        found.state = state
        found.snoozed_until = now + timedelta(hours=hours) if hours else None
        found.state_changed_at, found.state_changed_by = now, by
        found.last_press = press.mark(what) if press else None
        columns = ["state", "snoozed_until", "state_changed_at", "state_changed_by", "last_press"]
        if state == ConversationState.RESOLVED:
            found.waiting_since = None
            columns.append("waiting_since")
        found.save(update_fields=columns)
        _announce(found)
    _copy(found, conversation)


def _announce(found: Conversation) -> None:
    events.announce("inbox", f"conversation:{found.pk}", f"conversation-orders:{found.pk}")


def _copy(found: Conversation, conversation: Conversation) -> None:
    """The caller's row shows what was done."""
    for name in ("state", "snoozed_until", "waiting_since", "assignee", "is_unread"):
        setattr(conversation, name, getattr(found, name))
