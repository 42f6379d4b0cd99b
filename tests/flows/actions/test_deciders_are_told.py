"""Who is told that a request waits: the count, the notice on the page, and the email."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from core import queue
from inbox.decisions import notices, people
from inbox.models import LiveEvent, NoticeChoice
from inbox.scopes import EVERYTHING, scope_of
from orders.actions import transitions
from orders.models import ActionState, OrderAction, Policy
from tests.conftest import logged_in
from tests.support.two_teams import TwoTeams, two_teams

pytestmark = pytest.mark.django_db(transaction=True)
COUNT = 'id="waiting"'


@pytest.fixture
def world() -> TwoTeams:
    """Two teams; the first one's supervisor may approve what its agent asks for."""
    made = two_teams()
    role = made.people["supervisor"].groups.get()
    Policy.objects.create(role=role, may_approve_up_to=100)
    return made


def topbar(user: User) -> str:
    """The page without what its live parts are compared by."""
    return unescape(logged_in(user).get("/inbox/").content.decode())


def test_the_count_is_shown_to_those_who_may_decide(world: TwoTeams) -> None:
    shown = topbar(world.people["supervisor"])
    assert COUNT in shown
    assert 'data-count="1"' in shown
    assert "<title>(1) " in shown
    assert f'data-newest="{world.north.action.pk}"' in shown
    for who in ("agent", "other"):
        shown = topbar(world.people[who])
        assert COUNT not in shown
        assert "<title>(" not in shown


def test_the_count_leaves_out_what_this_person_may_not_decide(world: TwoTeams) -> None:
    boss = world.people["supervisor"]
    Policy.objects.update(may_approve_up_to=4)
    assert 'data-count="0"' in topbar(boss)
    agent = world.people["agent"]
    Policy.objects.create(role=agent.groups.get(), may_approve_up_to=100)
    # It is the agent's own request.
    assert 'data-count="0"' in topbar(agent)


def test_without_the_rule_the_requester_would_be_asked(
    world: TwoTeams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: the count asks the service and has no rule of its own."""
    Policy.objects.update(may_approve_up_to=4)
    monkeypatch.setattr("inbox.decisions.people.services.approval_refusal", lambda *_a, **_k: None)
    assert 'data-count="1"' in topbar(world.people["supervisor"])


def test_without_the_scope_another_teams_request_would_be_counted(
    world: TwoTeams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: the two requests differ only in whose they are."""
    monkeypatch.setattr("inbox.decisions.people.scope_of", lambda _user: EVERYTHING)
    assert 'data-count="2"' in topbar(world.people["supervisor"])


def test_the_count_takes_two_queries_for_any_number(world: TwoTeams) -> None:
    boss = world.people["supervisor"]
    fresh = User.objects.get(pk=boss.pk)
    scope_of(fresh)
    with CaptureQueriesContext(connection) as asked:
        found = people.waiting_for(fresh)
        people.waiting_for(fresh)
    assert found is not None
    assert len(asked) == 2, [query["sql"] for query in asked]
    assert "document" not in asked[1]["sql"]


def ask(world: TwoTeams) -> OrderAction:
    """Make the side's request once more, as the service does."""
    action = world.north.action
    with transaction.atomic():
        transitions.created(action, action.requested_by)
    return OrderAction.objects.get(pk=action.pk)


def test_a_new_request_is_mailed_to_those_who_may_decide_and_want_it(
    world: TwoTeams, settings: Any
) -> None:
    settings.APPROVAL_EMAILS = True
    boss = world.people["supervisor"]
    action = ask(world)
    [sent] = mail.outbox
    assert sent.to == [boss.email]
    assert "asks for approval: Refund €5.00 of #1001" in sent.subject
    assert f"/inbox/decisions/?request={action.pk}" in sent.body
    assert "Above the limit." in sent.body
    # Chosen by the person, whatever the setting says, and the other way around.
    for setting, chosen, count in ((True, False, 0), (False, True, 1), (False, None, 0)):
        mail.outbox.clear()
        settings.APPROVAL_EMAILS = setting
        NoticeChoice.objects.update_or_create(user=boss, defaults={"by_email": chosen})
        ask(world)
        assert len(mail.outbox) == count


def test_what_was_decided_meanwhile_is_not_mailed(world: TwoTeams, settings: Any) -> None:
    settings.APPROVAL_EMAILS = True
    action = world.north.action
    OrderAction.objects.filter(pk=action.pk).update(
        state=ActionState.WITHDRAWN, settled_at=action.requested_at
    )
    assert notices.email_deciders(action.pk) == 0
    assert mail.outbox == []


def test_a_broker_that_is_down_does_not_hold_up_the_request(
    world: TwoTeams, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.APPROVAL_EMAILS = True
    monkeypatch.setattr(queue, "enqueue", lambda *_a, **_k: False)
    assert ask(world).state == ActionState.AWAITING_APPROVAL
    assert mail.outbox == []


def test_pages_are_told_along_with_the_order(world: TwoTeams) -> None:
    """Streams drop what concerns no store of theirs (tests/inbox/test_live.py)."""
    LiveEvent.objects.all().delete()
    action = ask(world)
    told = [event.topics.split() for event in LiveEvent.objects.all()]
    assert ["approvals", f"order:{action.order_id}"] in told


def test_each_person_chooses(world: TwoTeams, settings: Any) -> None:
    settings.APPROVAL_EMAILS = True
    boss = world.people["supervisor"]
    client = logged_in(boss)
    shown = unescape(client.get("/inbox/notices/").content.decode())
    assert shown.count(" checked") == 2  # on the page, and by email
    client.post("/inbox/notices/", {"on_desktop": "on"})
    chosen = NoticeChoice.objects.get(user=boss)
    assert (chosen.on_page, chosen.on_desktop, chosen.by_email) == (False, True, False)
    shown = topbar(boss)
    assert "data-on-desktop" in shown
    assert "data-on-page" not in shown
    assert NoticeChoice.objects.count() == 1
    # Someone without an address can't tick the box, and has not said no.
    User.objects.filter(pk=boss.pk).update(email="")
    client.post("/inbox/notices/", {"on_page": "on"})
    assert NoticeChoice.objects.get(user=boss).by_email is None


def test_whose_role_approves_nothing_is_told_so(world: TwoTeams) -> None:
    shown = unescape(logged_in(world.people["agent"]).get("/inbox/notices/").content.decode())
    assert "Your role approves nothing" in shown


def test_the_count_alone_is_a_fragment(world: TwoTeams, client: Client) -> None:
    shown = logged_in(world.people["supervisor"]).get("/inbox/decisions/waiting/").content.decode()
    assert shown.strip().startswith(f"<span {COUNT}")
    assert client.get("/inbox/decisions/waiting/").status_code == 302
