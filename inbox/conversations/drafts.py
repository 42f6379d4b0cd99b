"""Agents' drafts: one text per agent and conversation, with its mode (reply or note).

Pages save while the agent types, and saves may arrive late, twice or out of order. Two IDs, both
made by the page, keep that harmless. `client_id` identifies the composer: the message it becomes
carries the same ID, so a save that arrives after its message is recognized. `version` identifies
the save: the next save lists the versions its page has seen, so a page never overwrites text it
doesn't know.
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
    """The contents of a composer."""

    text: str
    mode: str
    client_id: UUID
    version: UUID


class Outcome(StrEnum):
    """What happened to a save."""

    SAVED = "saved"
    # The composer's message has already been written; the save was dropped.
    SENT = "sent"
    # Another page has saved a text that this one has not seen; that text stays.
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The result of a save. `text` and `mode` are those of the message if it was SENT, else those
    of the draft as it is now."""

    outcome: Outcome
    text: str
    mode: str
    version: UUID


def of(agent: Agent, conversation: Conversation) -> Draft | None:
    """Return the agent's draft; None if there is none or it was cleared."""
    return _drafts_of(agent).filter(conversation=conversation).first()


def begun_in(agent: Agent, conversation_ids: Collection[int]) -> frozenset[int]:
    """Return the IDs of those conversations in which the agent has a draft."""
    begun = _drafts_of(agent).filter(conversation__in=conversation_ids)
    return frozenset(begun.values_list("conversation_id", flat=True))


def _drafts_of(agent: Agent) -> QuerySet[Draft]:
    if not isinstance(agent, User):
        return Draft.objects.none()
    return Draft.objects.filter(user=agent).exclude(text="")


def save(*, conversation: Conversation, by: User, words: Words, follows: Collection[UUID]) -> Kept:
    """Save a draft unless it was already sent or the stored one is unknown to the page.

    `follows` is every version that the page has seen or made. Opens its own transaction.
    """
    with transaction.atomic(durable=True):
        _lock(conversation)
        sent = Message.objects.filter(author=by, client_id=words.client_id).first()
        if sent is not None:
            mode = DraftMode.NOTE if sent.kind == MessageKind.NOTE else DraftMode.REPLY
            return Kept(outcome=Outcome.SENT, text=sent.text, mode=mode, version=words.version)
        known = Draft.objects.filter(user=by, conversation=conversation).first()
        if known is not None and known.version not in {words.version, *follows}:
            return _kept_from(known, Outcome.OTHER)
        return _kept_from(_write(conversation, by, words), Outcome.SAVED)


def put(*, conversation: Conversation, by: User, mode: str, text: str, client_id: UUID) -> None:
    """Save as a draft what was submitted but could not be sent (inbox.accounts.login.sessions).

    Text from another composer is kept in front of it, and the result is a note if either was one:
    what was meant for the team must not become a reply. Opens its own transaction.
    """
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
    """Delete the draft of a message that was just written.

    Expects the transaction that wrote the message and holds the conversation's lock
    (inbox.conversations.writing). Text from another composer stays unless it is the same, because
    the agent may still want it.
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


def _kept_from(draft: Draft, outcome: Outcome) -> Kept:
    return Kept(outcome=outcome, text=draft.text, mode=draft.mode, version=draft.version)


def _lock(conversation: Conversation) -> None:
    """Serialize a save with the message it becomes: otherwise a save that has not seen the
    message yet would bring its text back as a draft."""
    rows = Conversation.objects.select_for_update(no_key=True).filter(pk=conversation.pk)
    rows.values_list("pk", flat=True).first()
