"""The list of a person in several teams reads each team's index, and only as far as its page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.utils import timezone

from inbox.conversations import listing
from inbox.conversations.listing import ConversationList, conversation_list
from inbox.models import Channel, Contact, Conversation, Team
from inbox.visibility import scope_of
from tests.orders.projection.test_sweep_plans import plans, reads_the_table

pytestmark = pytest.mark.django_db

TEAMS = 30
TABLE = "inbox_conversation"


def a_person(count: int) -> User:
    """A person in two of thirty teams with this many conversations, every third of them unassigned."""
    teams = [Team.objects.create(name=f"Team {number}") for number in range(TEAMS)]
    channels = [Channel.objects.create(name=team.name, team=team) for team in teams]
    user, contact = User.objects.create_user("ann"), Contact.objects.create(name="Jane")
    user.groups.add(Group.objects.get_or_create(name="agents")[0])
    user.teams.set(teams[:2])
    now = timezone.now()
    Conversation.objects.bulk_create(
        Conversation(
            contact=contact,
            channel=channels[number % TEAMS],
            team=teams[number % TEAMS],
            external_id=str(number),
            assignee=user if number % 3 else None,
            subject="x" * 250,
            last_message_preview="x" * 140,
            # Some share their time, and the ID decides.
            last_message_at=now - timedelta(minutes=number // 50),
        )
        for number in range(count)
    )
    return user


@pytest.fixture
def person(db: None) -> Iterator[User]:
    """Of teams with more conversations than a database would rather read all of."""
    user = a_person(12_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    yield user
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM sqlite_stat1")
            cursor.execute("ANALYZE sqlite_schema")


def page_of(person: User, after: str = "", scope: str = "all") -> ConversationList:
    return conversation_list(person, scope=scope, state="open", query="", after=after)


def expected(person: User, **only: Any) -> list[int]:
    rows = Conversation.objects.filter(team__in=person.teams.values("pk"), **only)
    return list(rows.newest_first().values_list("pk", flat=True))


def far_down(person: User) -> tuple[str, int]:
    """The edge of a page far down, and how many rows are above it."""
    wanted = expected(person)
    above = len(wanted) * 2 // 3
    last = Conversation.objects.get(pk=wanted[above - 1])
    return f"{last.last_message_at.isoformat()}~{last.pk}", above


@pytest.mark.parametrize("scope", ["all", "unassigned", "mine"])
def test_the_pages_of_several_teams_follow_one_another(scope: str) -> None:
    person = a_person(1_500)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # What a test before this one left in the statistics can make the page take a minute.
            cursor.execute("ANALYZE")
    scopes: dict[str, dict[str, User | None]] = {
        "all": {},
        "unassigned": {"assignee": None},
        "mine": {"assignee": person},
    }
    only = scopes[scope]
    wanted = expected(person, **only)
    first = page_of(person, scope=scope)
    assert [row.pk for row in first.rows] == wanted[: listing.PAGE]
    last = first.rows[-1]
    second = page_of(person, f"{last.at.isoformat()}~{last.pk}", scope)
    assert [row.pk for row in second.rows] == wanted[listing.PAGE : 2 * listing.PAGE]
    edge, above = far_down(person)
    assert [row.pk for row in page_of(person, edge).rows] == expected(person)[above:][:40]


def test_each_page_reads_the_index_of_each_team(
    person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(scope_of(person).teams or ()) == 2
    for edge in ("", far_down(person)[0]):
        plan = plans(partial(page_of, person, edge), TABLE)[0]
        assert plan.count("inbox_list_team") == 2, plan
        assert "Bitmap" not in plan, plan
        # U0 are the channels on their way to another team.
        assert not reads_the_table(plan.replace("SCAN U0", ""), TABLE), plan
        # A page far down begins at its edge in the index.
        begun = re.findall(r"last_message_at(?:,\s*id)?\)? ?<|\(ROW\(last_message_at, id\) <", plan)
        assert len(begun) >= (2 if edge else 0), plan
    # Negative control: of all teams at once, the index doesn't give the order.
    monkeypatch.setattr(
        listing,
        "_newest_of_each",
        lambda teams, wanted: wanted(Conversation.objects.of_teams(teams)).values("pk"),
    )
    plan = plans(lambda: page_of(person), TABLE)[0]
    assert plan.count("inbox_list_team") < 2 or "Bitmap" in plan, plan
