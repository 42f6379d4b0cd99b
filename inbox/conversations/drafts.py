"""What agents have begun to write: one text for each agent and conversation, with its mode.

Pages save while somebody types, and their saves may arrive late, twice or out of order. Two ids,
both made by the page, keep that harmless. `client_id` is the composer's: the message it becomes
carries the same one, so a save that comes after its message is recognized. `version` is the
save's: the next save names the versions its page has seen, so a page never replaces words that
it does not know.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID, uuid4

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from inbox.accounts.roles import Agent
from inbox.models import Conversation, Draft, DraftMode, Message, MessageKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What stands in a composer."""

    text: str
    mode: str
    client_id: UUID
    version: UUID


class Outcome(StrEnum):
    SAVED = "saved"
    # The composer's message is written already; what was saved here is the message's text.
    SENT = "sent"
    # Another page has saved words that this one has not seen; they stay.
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """`text` and `mode`: of the message, or of the draft as it is now."""

    outcome: Outcome
    text: str
    mode: str
    version: UUID


def of(agent: Agent, conversation: Conversation) -> Draft | None:
    """None also where it was cleared."""
    return _of(agent).filter(conversation=conversation).first()


def begun_in(agent: Agent, conversation_ids: Collection[int]) -> frozenset[int]:
    """In which of these conversations the agent has a draft."""
    begun = _of(agent).filter(conversation__in=conversation_ids)
    return frozenset(begun.values_list("conversation_id", flat=True))


def _of(agent: Agent) -> QuerySet[Draft]:
    if not isinstance(agent, User):
        return Draft.objects.none()
    return Draft.objects.filter(user=agent).exclude(text="")


def save(*, conversation: Conversation, by: User, words: Words, follows: Collection[UUID]) -> Kept:
    """Keep the words, unless they were sent or something else stands in their place.

    Opens its own transaction. `follows`: every version that the page has seen or made.
    """
    with transaction.atomic(durable=True):
        _lock(conversation)
        sent = Message.objects.filter(author=by, client_id=words.client_id).first()
        if sent is not None:
            mode = DraftMode.NOTE if sent.kind == MessageKind.NOTE else DraftMode.REPLY
            return Kept(outcome=Outcome.SENT, text=sent.text, mode=mode, version=words.version)
        known = Draft.objects.filter(user=by, conversation=conversation).first()
        if known is not None and known.version not in {words.version, *follows}:
            return _as_it_is(known, Outcome.OTHER)
        return _as_it_is(_write(conversation, by, words), Outcome.SAVED)


def put(*, conversation: Conversation, by: User, mode: str, text: str, client_id: UUID) -> None:
    """Keep what came in a form and could not be sent (inbox.accounts.sessions). Words from another
    composer stay before it, and together they are a note if either was one."""
    with transaction.atomic(durable=True):
        _lock(conversation)
        if Message.objects.filter(author=by, client_id=client_id).exists():
            return
        known = of(by, conversation)
        if known is not None and known.client_id != client_id:
            text = f"{known.text}\n\n{text}"
            mode = DraftMode.NOTE if DraftMode.NOTE in {mode, known.mode} else mode
        words = Words(text=text, mode=mode, client_id=client_id, version=uuid4())
        _write(conversation, by, words)


def settle(*, conversation: Conversation, by: User, text: str, client_id: UUID | None) -> None:
    """A message was written: its draft goes, in the transaction that wrote it and holds the
    conversation's lock (inbox.conversations.writing).

    Words from another composer stay, unless they are the same: their agent may still want them.
    """
    mine = Draft.objects.filter(user=by, conversation=conversation).first()
    if mine is None:
        return
    if mine.client_id == client_id or mine.text.split() == text.split():
        mine.delete()


def _write(conversation: Conversation, by: User, words: Words) -> Draft:
    kept, _is_new = Draft.objects.update_or_create(
        user=by,
        conversation=conversation,
        defaults={
            "text": words.text if words.text.strip() else "",
            "mode": words.mode,
            "client_id": words.client_id,
            "version": words.version,
            "updated_at": timezone.now(),
        },
    )
    return kept


def _as_it_is(draft: Draft, outcome: Outcome) -> Kept:
    return Kept(outcome=outcome, text=draft.text, mode=draft.mode, version=draft.version)


def _lock(conversation: Conversation) -> None:
    """A save and the message it becomes come one after the other: otherwise a save that has not
    seen the message yet would bring its words back as a draft."""
    rows = Conversation.objects.select_for_update(no_key=True).filter(pk=conversation.pk)
    rows.values_list("pk", flat=True).first()
