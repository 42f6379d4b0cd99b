"""Agents' actions on a conversation: a button press counts once, and only on a current page.

Every function holds the conversation's lock, and so does receiving a message: an inbound message
is either visible to the check or comes after the action. Without a `press` (a call from code
rather than from a page) nothing is checked. Each function opens its own transaction.
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
from inbox.channels import recipients
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
from inbox.visibility import able_to_see

# How many unseen messages a refusal lists; the thread has them all.
NEWS_AT_MOST: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """One button press and what the page showed at the time; None where the page doesn't say.

    `seen` is the ID of the last message; if None, what this agent was last shown counts.
    `assignee` is a user ID, or "" for unassigned. `state_mark` identifies the change that led to
    `state`, which may have been left and returned to since. `recipient` is where the page says a
    reply goes, if it doesn't name a participant.
    """

    client_id: UUID | None = None
    seen: int | None = None
    state: str | None = None
    assignee: str | None = None
    state_mark: str | None = None
    recipient: str | None = None

    def mark(self, action: str) -> UUID | None:
        """Derive the ID that the conversation remembers. It includes the action, because one form
        may have several buttons and each of them is a press of its own."""
        return uuid5(self.client_id, action) if self.client_id else None


class Overtaken(Exception):
    """The conversation is no longer what the page showed; nothing was changed.

    `messages` is what the customer has written since, oldest first. `earlier` is set if this press
    has already written a different message.
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


class NotAssignable(Exception):
    """The person doesn't see the conversation, so it can't be assigned to them; nothing was
    changed."""


def reply(
    *,
    conversation: Conversation,
    by: User,
    text: str,
    to: Participant | None = None,
    press: Press | None = None,
) -> Message:
    """Write a reply; the channel sends it after commit, and a sweep catches what got lost.

    `to` is a participant; None means the last one to write. The recipient is fixed now. Repeating
    a press returns the first message. Raises Overtaken if the customer wrote something the page
    did not show, if the conversation was reassigned or changed state, or if the reply would go
    elsewhere than the page says.

    Without a press nothing is refused and everything counts as answered. If neither the page nor
    the read mark says what the agent has seen, new messages don't cause a refusal, but they don't
    count as answered either.
    """
    with transaction.atomic(durable=True):
        found = _locked(conversation)
        if earlier := _earlier_message(press, found, by, MessageKind.REPLY, text):
            return earlier
        seen: int | None = None
        if press is not None:
            known = _last_seen(found, by, press)
            _refuse_if_overtaken(found, press, unseen_after=known)
            seen = known or 0
        reader = recipients.recipient(found, to=to)
        if press is not None and reader not in _allowed_recipients(press, to, reader):
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


def _allowed_recipients(press: Press, to: Participant | None, reader: str) -> set[str]:
    """Return the recipients this press allows: the chosen participant, else what the page said."""
    if to is not None:
        return {to.address, to.external_id}
    return {reader if press.recipient is None else press.recipient}


def note(*, conversation: Conversation, by: User, text: str, press: Press | None = None) -> Message:
    """Write a note for the team; the customer never gets it.

    A note settles nothing, so it is accepted from an outdated page too. Repeating a press returns
    the first note; raises Overtaken if that press wrote something else.
    """
    with transaction.atomic(durable=True):
        found = _locked(conversation)
        if earlier := _earlier_message(press, found, by, MessageKind.NOTE, text):
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
    """Assign the conversation to an agent, or unassign it.

    Raises Overtaken if the assignee is no longer the one that the page showed, and NotAssignable for
    a person who doesn't see the conversation (any more).
    """
    action = f"assign {to.pk if to else 0}"
    with transaction.atomic(durable=True):
        found = _locked(conversation)
        if found.assignee_id == (to.pk if to else None):
            _copy_back(found, conversation)
            return
        if press is not None:
            if _is_repeat(press, found, action):
                _copy_back(found, conversation)
                return
            _refuse_if_taken(found, by, to, press)
            _refuse_strangers(found, to)
        found.assignee = to
        found.assigned_at = timezone.now()
        found.last_press = press.mark(action) if press else None
        found.save(update_fields=["assignee", "assigned_at", "last_press"])
        read_marks.settle_unread(found)
        _announce(found)
    _copy_back(found, conversation)


def _refuse_strangers(found: Conversation, to: User | None) -> None:
    """Check under the lock what the form checked before it: the conversation may have been moved
    since, or the person may have left the team or the job."""
    if to is None:
        return
    # Read again, because waiting for the lock renews the conversation's columns only.
    found.channel.refresh_from_db(fields=["team"])
    if not able_to_see(found.seen_by_team).filter(pk=to.pk).exists():
        raise NotAssignable


def snooze(
    *, conversation: Conversation, hours: int, by: User | None = None, press: Press | None = None
) -> None:
    """Hide the conversation for some hours. Raises Overtaken under the conditions of `resolve`."""
    _set_state(conversation, ConversationState.SNOOZED, hours=hours, by=by, press=press)


def resolve(
    *, conversation: Conversation, by: User | None = None, press: Press | None = None
) -> None:
    """Close the conversation; the customer no longer counts as waiting.

    Raises Overtaken if the customer wrote something the page did not show, if the state or the
    assignee differs from what it showed, or if the state was changed and changed back.
    """
    _set_state(conversation, ConversationState.RESOLVED, by=by, press=press)


def reopen(
    *, conversation: Conversation, by: User | None = None, press: Press | None = None
) -> None:
    """Open the conversation again. Raises Overtaken as `resolve` does, except that new messages
    from the customer don't matter."""
    _set_state(conversation, ConversationState.OPEN, by=by, press=press)


def delivery_state(channel: Channel) -> str:
    """Return the initial delivery state of a reply: PENDING, or KEPT if the channel is inactive or
    a messenger without a callback."""
    leaves = channel.kind == ChannelKind.EMAIL or bool(channel.callback_url)
    return DeliveryState.PENDING if leaves and channel.is_active else DeliveryState.KEPT


def last_of(message: Message) -> dict[str, object]:
    """Return the conversation columns that denormalize its last message."""
    return {
        "last_message_at": message.created_at,
        "last_message_preview": preview_of(message.text),
        "last_message_is_inbound": message.kind == MessageKind.INBOUND,
    }


def _locked(conversation: Conversation) -> Conversation:
    rows = Conversation.objects.select_for_update(of=("self",)).select_related("channel")
    return rows.get(pk=conversation.pk)


def _earlier_message(
    press: Press | None, found: Conversation, by: User, kind: MessageKind, text: str
) -> Message | None:
    """Return the message this press has already written. Raises Overtaken if it differs: the
    response was lost and the agent has edited the text since."""
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
    """Return the current time, but always after our previous message: the clocks of two servers
    may differ."""
    now = timezone.now()
    if found.last_message_is_inbound:
        return now
    return max(now, found.last_message_at + timedelta(microseconds=1))


def _last_seen(found: Conversation, by: User | None, press: Press) -> int | None:
    if press.seen is not None or by is None:
        return press.seen
    return read_marks.mark_of(by, found)


def _refuse_if_overtaken(found: Conversation, press: Press, *, unseen_after: int | None) -> None:
    """Raise Overtaken if the page is outdated. `unseen_after` is the ID of the last message seen;
    None ignores new messages."""
    messages: list[Message] = []
    if unseen_after is not None:
        messages = list(read_marks.inbound_after(found, unseen_after)[:NEWS_AT_MOST])
    is_restated = press.state is not None and press.state != found.state
    is_reassigned = press.assignee is not None and press.assignee != str(found.assignee_id or "")
    if messages or is_restated or is_reassigned:
        raise Overtaken(messages=messages, is_restated=is_restated, is_reassigned=is_reassigned)


def _refuse_if_taken(found: Conversation, by: User | None, to: User | None, press: Press) -> None:
    _refuse_if_overtaken(found, Press(assignee=press.assignee), unseen_after=None)
    # A page that doesn't say who had the conversation must not take it from a colleague either.
    if press.assignee is not None or by is None or to != by or not found.assignee_id:
        return
    if read_marks.changed_hands_unseen(by, found):
        raise Overtaken(is_reassigned=True)


def _is_repeat(press: Press, found: Conversation, action: str) -> bool:
    return press.client_id is not None and press.mark(action) == found.last_press


def _set_state(
    conversation: Conversation,
    state: ConversationState,
    *,
    hours: int = 0,
    by: User | None,
    press: Press | None,
) -> None:
    is_closing = state != ConversationState.OPEN
    action = f"{state} {hours}"
    now = timezone.now()
    with transaction.atomic(durable=True):
        found = _locked(conversation)
        if press is not None:
            if _is_repeat(press, found, action):
                _copy_back(found, conversation)
                return
            seen = _last_seen(found, by, press) or 0
            _refuse_if_overtaken(found, press, unseen_after=seen if is_closing else None)
            if press.state_mark not in {None, found.state_mark}:
                raise Overtaken(is_restated=True)
            if by is not None and is_closing:
                read_marks.advance(found, by=by, up_to=seen)
        found.state = state
        found.snoozed_until = now + timedelta(hours=hours) if hours else None
        found.state_changed_at, found.state_changed_by = now, by
        found.last_press = press.mark(action) if press else None
        columns = ["state", "snoozed_until", "state_changed_at", "state_changed_by", "last_press"]
        if state == ConversationState.RESOLVED:
            found.waiting_since = None
            columns.append("waiting_since")
        found.save(update_fields=columns)
        _announce(found)
    _copy_back(found, conversation)


def _announce(found: Conversation) -> None:
    events.announce("inbox", f"conversation:{found.pk}", f"conversation-orders:{found.pk}")


def _copy_back(found: Conversation, conversation: Conversation) -> None:
    """Update the caller's instance to what was written."""
    for name in ("state", "snoozed_until", "waiting_since", "assignee", "is_unread"):
        setattr(conversation, name, getattr(found, name))
