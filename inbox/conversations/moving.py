"""Moving conversations between teams: one by hand, a channel's all at once.

Each function opens its own transaction and writes to the audit log.
"""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction

from inbox import read_marks
from inbox.live import events
from inbox.models import Channel, Conversation, Team
from inbox.scopes import able_to_see
from orders import audit
from orders.models import AuditKind


def move(*, conversation: Conversation, to: Team, by: User) -> None:
    """Move a conversation to another team, which alone sees it from then on.

    If its assignee isn't in that team, it becomes unassigned. Moving it where it already is changes
    nothing.
    """
    with transaction.atomic(durable=True):
        found = Conversation.objects.select_for_update(of=("self",)).get(pk=conversation.pk)
        if found.team_id == to.pk:
            return
        left, found.team = found.team_id, to
        found.save(update_fields=["team"])
        _unassign_strangers(to.pk, only=found.pk)
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


def give_channels(*, team: Team, channels: list[Channel], by: User) -> None:
    """Give channels to a team, together with their conversations.

    Conversations that were moved from a channel's earlier team to another one stay there.
    """
    with transaction.atomic():
        # The lock makes new conversations wait (inbox.conversations.receiving), not messages.
        locked = Channel.objects.select_for_update(no_key=True, of=("self",)).order_by("pk")
        for channel in locked.filter(pk__in=[channel.pk for channel in channels]):
            if channel.team_id == team.pk:
                continue
            left = channel.team_id
            Channel.objects.filter(pk=channel.pk).update(team=team)
            channel.conversations.filter(team=left).update(team=team)
            audit.record(
                AuditKind.PERMISSIONS,
                actor=by,
                after="channel",
                channel=channel.pk,
                was=left,
                team=team.pk,
            )
        events.announce("inbox")
        _unassign_strangers(team.pk)


def release_from_strangers(team: Team) -> None:
    """Unassign the team's conversations from people who no longer see them."""
    with transaction.atomic():
        _unassign_strangers(team.pk)
        events.announce("inbox")


def _unassign_strangers(team_id: int, *, only: int | None = None) -> None:
    rows = Conversation.objects.filter(team=team_id, assignee__isnull=False)
    if only is not None:
        rows = rows.filter(pk=only)
    strangers = rows.exclude(assignee__in=able_to_see(team_id).values("pk"))
    for found in strangers.select_for_update(of=("self",)):
        found.assignee = None
        found.save(update_fields=["assignee"])
        read_marks.settle_unread(found)
