"""Moving conversations between teams: one by hand, a channel's all at once.

A change of owners commits first, and access follows it at once: until a conversation has followed
its channel to another team, no one sees it (`ConversationQuerySet.in_place`). The rows follow in
batches: `Channel.moving_since` and `Team.members_changed_at` say that there may be some left, so a
lost task only means that the sweep does it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from typing import Final

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from core import queue
from inbox.live import events
from inbox.models import (
    Channel,
    Conversation,
    ConversationState,
    Message,
    MessageKind,
    ReadMark,
    Team,
)
from inbox.visibility import able_to_see
from orders import audit
from orders.models import AuditKind

# Rows that one transaction locks; agents and customers wait for it.
BATCH: Final = 500
# A request that began before people left a team may assign to them a moment later. So a team is
# looked through once more after this time.
_LOOK_AGAIN: Final = timedelta(minutes=1)
_UNRESOLVED: Final = (ConversationState.OPEN, ConversationState.SNOOZED)


def move(*, conversation: Conversation, to: Team, by: User) -> None:
    """Move a conversation to another team, which alone sees it from then on.

    If it is unresolved and its assignee isn't in that team, it becomes unassigned. Moving it where
    it already is changes nothing.
    """
    with transaction.atomic(durable=True):
        # The channel first, as everywhere: it must not change its team at the same moment.
        channel = _locked_channels().get(pk=conversation.channel_id)
        found = Conversation.objects.select_for_update(of=("self",)).get(pk=conversation.pk)
        was_moved = to.pk != channel.team_id
        if (found.team_id, found.was_moved) == (to.pk, was_moved):
            return
        left, found.team, found.was_moved = found.team_id, to, was_moved
        found.save(update_fields=["team", "was_moved"])
        _unassign_strangers(to.pk, [found.pk])
        audit.record(
            AuditKind.PERMISSIONS,
            actor=by,
            after="moved",
            conversation=found.pk,
            was=left,
            team=to.pk,
        )
        # On its own, because the conversation's topics no longer reach the team that it has left.
        events.announce("inbox")
        events.announce("inbox", f"conversation:{found.pk}", f"conversation-orders:{found.pk}")


def give_channels(*, team: Team, channels: Iterable[Channel], by: User) -> bool:
    """Give channels to a team and return whether any was another team's.

    New conversations are the team's at once. The others follow within a minute, and no one sees them
    until then. Those that were moved to another team by hand stay there.
    """
    has_changed = False
    with transaction.atomic():
        # The lock makes new conversations wait (inbox.conversations.receiving), not messages.
        for channel in _locked_channels().filter(pk__in=[channel.pk for channel in channels]):
            if channel.team_id == team.pk:
                continue
            has_changed = True
            Channel.objects.filter(pk=channel.pk).update(team=team, moving_since=timezone.now())
            audit.record(
                AuditKind.PERMISSIONS,
                actor=by,
                after="channel",
                channel=channel.pk,
                was=channel.team_id,
                team=team.pk,
            )
            _wake("follow_channel", channel.pk)
        if has_changed:
            events.announce("inbox")
    return has_changed


def release_from_strangers(team: Team) -> None:
    """Have the team's conversations unassigned from people who have just left it. They no longer see
    them anyway."""
    with transaction.atomic():
        Team.objects.filter(pk=team.pk).update(members_changed_at=timezone.now())
        _wake("release_team", team.pk)


def follow(channel_id: int, *, seconds: float) -> None:
    """Move a channel's conversations to its team, batch by batch, for as long as there is time."""
    until, last, target = time.monotonic() + seconds, 0, None
    while time.monotonic() < until:
        with transaction.atomic(durable=True):
            channel = _locked_channels().filter(pk=channel_id, moving_since__isnull=False).first()
            if channel is None:
                return
            if channel.team_id != target:
                # It was given away once more, so those that have been moved move again.
                last, target = 0, channel.team_id
            found = _batch(_left_behind(channel).filter(pk__gt=last))
            if found:
                last = found[-1]
                Conversation.objects.filter(pk__in=found).update(team=channel.team_id)
                if channel.team_id is not None:
                    _unassign_strangers(channel.team_id, found)
            else:
                Channel.objects.filter(pk=channel_id).update(moving_since=None)
            events.announce("inbox")
        if not found:
            return


def release(team_id: int, *, seconds: float) -> None:
    """Unassign a team's unresolved conversations from people who no longer see them."""
    until = time.monotonic() + seconds
    changed_at = (
        Team.objects.values_list("members_changed_at", flat=True).filter(pk=team_id).first()
    )
    begun = timezone.now()
    while time.monotonic() < until:
        with transaction.atomic(durable=True):
            found = _batch(_of_strangers(team_id, Conversation.objects.filter(team=team_id)))
            _unassign_strangers(team_id, found)
            if found:
                events.announce("inbox")
        if not found:
            break
    else:
        return
    if changed_at is not None and changed_at <= begun - _LOOK_AGAIN:
        # Not if others have left since.
        Team.objects.filter(pk=team_id, members_changed_at=changed_at).update(
            members_changed_at=None
        )


def unfinished_channels() -> list[int]:
    """Return the IDs of channels whose conversations may not all have followed them."""
    rows = Channel.objects.filter(moving_since__isnull=False).order_by("moving_since")
    return list(rows.values_list("pk", flat=True))


def unfinished_teams() -> list[int]:
    """Return the IDs of teams whose conversations may still be assigned to people who left."""
    rows = Team.objects.filter(members_changed_at__isnull=False).order_by("members_changed_at")
    return list(rows.values_list("pk", flat=True))


def _wake(task: str, pk: int) -> None:
    transaction.on_commit(partial(queue.enqueue, f"inbox.tasks.{task}", pk), robust=True)


def _locked_channels() -> QuerySet[Channel]:
    return Channel.objects.select_for_update(no_key=True, of=("self",)).order_by("pk")


def _left_behind(channel: Channel) -> QuerySet[Conversation]:
    rows = Conversation.objects.filter(channel=channel, was_moved=False)
    if channel.team_id is None:
        return rows.filter(team__isnull=False)
    return rows.filter(Q(team=None) | ~Q(team=channel.team_id))


def _of_strangers(team_id: int, rows: QuerySet[Conversation]) -> QuerySet[Conversation]:
    """Return those of the rows whose assignee doesn't see this team. Resolved ones aren't among them:
    they keep the name of the person who handled them."""
    rows = rows.filter(state__in=_UNRESOLVED, assignee__isnull=False)
    return rows.exclude(assignee__in=able_to_see(team_id).values("pk"))


def _batch(rows: QuerySet[Conversation]) -> list[int]:
    """Lock the first rows and return their IDs. By ID, so that two of these never deadlock."""
    locked = rows.select_for_update(of=("self",)).order_by("pk")
    return list(locked.values_list("pk", flat=True)[:BATCH])


def _unassign_strangers(team_id: int, ids: list[int]) -> None:
    """Unassign those of these locked conversations whose assignee doesn't see this team.

    `is_unread` then says what inbox.read_marks.settle_unread says of an unassigned one: whether the
    customer wrote something that no agent has read.
    """
    if not ids:
        return
    read = ReadMark.objects.filter(
        conversation=OuterRef("conversation"), last_message_id__gte=OuterRef("pk")
    )
    unread = Message.objects.filter(
        ~Exists(read), conversation=OuterRef("pk"), kind=MessageKind.INBOUND
    )
    _of_strangers(team_id, Conversation.objects.filter(pk__in=ids)).update(
        assignee=None, assigned_at=timezone.now(), is_unread=Exists(unread)
    )
