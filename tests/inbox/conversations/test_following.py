"""A channel's conversations follow it to another team in batches, and no one sees them in between."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inbox import tasks
from inbox.conversations import moving, services, writing
from inbox.live import audience
from inbox.live.events import Event, Reading
from inbox.models import Conversation, ConversationState, Team
from inbox.models.conversations import ConversationQuerySet
from inbox.visibility import able_to_see, scope_of
from orders.shopify_port import get_gateway
from tests.conftest import logged_in
from tests.support.people.two_teams import GATEWAY, TwoTeams, two_teams

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(settings: Any) -> Iterator[TwoTeams]:
    settings.ORDERS_GATEWAY = GATEWAY
    get_gateway.cache_clear()
    yield two_teams()
    get_gateway.cache_clear()


def more_of(world: TwoTeams, count: int, **columns: Any) -> list[Conversation]:
    first = world.north.conversation
    return Conversation.objects.bulk_create(
        Conversation(
            contact=first.contact,
            channel=first.channel,
            external_id=f"more-{number}",
            team=world.north.team,
            assignee=world.people["agent"],
            **columns,
        )
        for number in range(count)
    )


def give(world: TwoTeams, team: Team) -> None:
    moving.give_channels(team=team, channels=[world.north.channel], by=world.people["agent"])


def statuses(world: TwoTeams, address: str) -> list[int]:
    people = [User.objects.get(pk=world.people[name].pk) for name in ("agent", "other")]
    return [logged_in(person).get(address).status_code for person in people]


def test_no_one_sees_a_conversation_on_its_way(world: TwoTeams) -> None:
    found = world.north.conversation
    address = f"/inbox/conversations/{found.pk}/"
    contact = f"/inbox/contacts/{found.contact_id}/"
    give(world, world.south.team)
    found.refresh_from_db()
    assert found.team == world.north.team, "the request moves none"
    for page in (address, contact):
        assert statuses(world, page) == [404, 404], page
    rows = logged_in(world.people["agent"]).get("/inbox/?scope=all").content.decode()
    assert address not in rows
    assert found.seen_by_team is None
    assert not able_to_see(found.seen_by_team).exists()
    announced = Event(1, 1, (f"conversation:{found.pk}", f"contact:{found.contact_id}"))
    read = audience.with_owners(Reading("1", (announced,))).events
    assert audience.heard(read[0], scope_of(world.people["agent"])) == []
    tasks.sweep_moves()
    for page in (address, contact):
        assert statuses(world, page) == [404, 200], page


def test_one_moved_by_an_older_version_is_seen_where_it_was_moved(world: TwoTeams) -> None:
    """That version, still running during an upgrade, knows no `was_moved`."""
    found = world.north.conversation
    Conversation.objects.filter(pk=found.pk).update(team=world.south.team)
    assert statuses(world, f"/inbox/conversations/{found.pk}/") == [404, 200]
    rows = logged_in(world.people["other"]).get("/inbox/?scope=all").content.decode()
    assert f"/inbox/conversations/{found.pk}/" in rows
    found.refresh_from_db()
    assert found.seen_by_team == world.south.team.pk


def test_without_that_rule_the_old_team_would_still_see_it(
    world: TwoTeams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control."""
    monkeypatch.setattr(ConversationQuerySet, "in_place", lambda rows: rows)
    give(world, world.south.team)
    assert statuses(world, f"/inbox/conversations/{world.north.conversation.pk}/") == [200, 404]


def test_they_follow_in_batches(world: TwoTeams, monkeypatch: pytest.MonkeyPatch) -> None:
    more_of(world, 6)
    monkeypatch.setattr(moving, "BATCH", 3)
    give(world, world.south.team)
    with CaptureQueriesContext(connection) as asked:
        tasks.sweep_moves()
    moved = [
        query["sql"]
        for query in asked
        if query["sql"].startswith('UPDATE "inbox_conversation" SET "team_id"')
    ]
    assert len(moved) == 3
    rows = Conversation.objects.filter(channel=world.north.channel)
    assert rows
    assert {(row.team, row.assignee) for row in rows} == {(world.south.team, None)}
    world.north.channel.refresh_from_db()
    assert world.north.channel.moving_since is None
    with CaptureQueriesContext(connection) as asked:
        tasks.sweep_moves()
    assert len(asked) == 2, "nothing is left to do"


def test_a_task_without_time_leaves_the_rest_to_the_sweep(
    world: TwoTeams, monkeypatch: pytest.MonkeyPatch
) -> None:
    more_of(world, 6)
    monkeypatch.setattr(moving, "BATCH", 3)
    give(world, world.south.team)
    ticks = iter([0.0, 0.5, 2.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    moving.follow(world.north.channel.pk, seconds=1)
    monkeypatch.undo()
    followed = Conversation.objects.filter(channel=world.north.channel, team=world.south.team)
    assert followed.count() == 3
    # Given on before all have followed: every one goes to the last team.
    third = Team.objects.create(name="Third")
    give(world, third)
    tasks.sweep_moves()
    rows = Conversation.objects.filter(channel=world.north.channel)
    assert set(rows.values_list("team", flat=True)) == {third.pk}


def test_what_was_moved_by_hand_stays_and_follows_again_once_it_is_back(world: TwoTeams) -> None:
    found, third = world.north.conversation, Team.objects.create(name="Third")
    services.move(conversation=found, to=third, by=world.people["agent"])
    give(world, world.south.team)
    tasks.sweep_moves()
    found.refresh_from_db()
    assert (found.team, found.was_moved) == (third, True)
    third.members.add(world.people["agent"])
    services.move(conversation=found, to=world.south.team, by=world.people["agent"])
    give(world, third)
    tasks.sweep_moves()
    found.refresh_from_db()
    assert (found.team, found.was_moved) == (third, False)


def test_resolved_conversations_keep_the_person_who_handled_them(world: TwoTeams) -> None:
    agent, now = world.people["agent"], timezone.now()
    done, waiting = more_of(world, 2)
    Conversation.objects.filter(pk=done.pk).update(state=ConversationState.RESOLVED)
    gone = User.objects.create_user("gone", is_active=False)
    gone.teams.add(world.north.team)
    old = Conversation.objects.create(
        contact=done.contact,
        channel=done.channel,
        external_id="old",
        team=world.north.team,
        assignee=gone,
        state=ConversationState.RESOLVED,
    )
    world.north.team.members.remove(agent)
    moving.release_from_strangers(world.north.team)
    tasks.sweep_moves()
    for row in (done, waiting, old):
        row.refresh_from_db()
    assert [row.assignee for row in (done, waiting, old)] == [agent, None, gone]
    assert waiting.assigned_at is not None
    assert waiting.assigned_at >= now
    assert done.assigned_at is None
    # What a page offered before the person left is refused, because it changed hands since.
    assert world.north.conversation.assignee == agent
    now_free = Conversation.objects.get(pk=world.north.conversation.pk)
    assert now_free.assignee is None
    assert now_free.is_unread is True


def test_an_assignment_that_was_under_way_is_found_a_minute_later(world: TwoTeams) -> None:
    agent, found = world.people["agent"], world.north.conversation
    world.north.team.members.remove(agent)
    moving.release_from_strangers(world.north.team)
    tasks.sweep_moves()
    # By a request that began before.
    Conversation.objects.filter(pk=found.pk).update(assignee=agent)
    Team.objects.filter(pk=world.north.team.pk).update(
        members_changed_at=timezone.now() - timedelta(minutes=2)
    )
    tasks.sweep_moves()
    found.refresh_from_db()
    assert found.assignee is None
    assert Team.objects.get(pk=world.north.team.pk).members_changed_at is None


def test_only_a_change_of_members_looks_for_people_who_left(world: TwoTeams) -> None:
    root = logged_in(User.objects.create_superuser("root"))
    team = world.north.team
    change = f"/admin/inbox/team/{team.pk}/change/"
    values = {
        "name": "Renamed",
        "members": list(team.members.values_list("pk", flat=True)),
        "channels": [world.north.channel.pk],
        "stores": [world.north.store.pk],
    }
    assert root.post(change, values).status_code == 302
    team.refresh_from_db()
    assert (team.name, team.members_changed_at) == ("Renamed", None)
    root.post(change, values | {"members": [world.people["agent"].pk]})
    team.refresh_from_db()
    assert team.members_changed_at is not None


def test_saving_an_old_page_of_a_channel_keeps_its_new_team(world: TwoTeams) -> None:
    root, channel = logged_in(User.objects.create_superuser("root")), world.north.channel
    give(world, world.south.team)
    change = f"/admin/inbox/channel/{channel.pk}/change/"
    root.post(
        change, {"name": "New", "kind": "api", "team": world.south.team.pk, "is_active": "on"}
    )
    channel.refresh_from_db()
    assert (channel.name, channel.team) == ("New", world.south.team)
    assert channel.moving_since is not None, "its conversations still have to follow"


def _assign_while_they_leave(
    world: TwoTeams, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, User | None]:
    """The person leaves the team after the form was checked, while the press waits for the lock."""
    found, person = world.north.conversation, world.people["supervisor"]
    locked = writing._locked

    def late(conversation: Conversation) -> Conversation:
        person.teams.clear()
        return locked(conversation)

    monkeypatch.setattr(writing, "_locked", late)
    answer = logged_in(world.people["agent"]).post(
        f"/inbox/conversations/{found.pk}/assign/", {"assignee": person.pk}
    )
    found.refresh_from_db()
    return answer.status_code, found.assignee


def test_no_one_gets_a_conversation_while_they_leave_its_team(
    world: TwoTeams, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _assign_while_they_leave(world, monkeypatch) == (400, world.people["agent"])


def test_without_the_check_under_the_lock_they_would_get_it(
    world: TwoTeams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control."""
    monkeypatch.setattr(writing, "_refuse_strangers", lambda _found, _to: None)
    assert _assign_while_they_leave(world, monkeypatch) == (302, world.people["supervisor"])
