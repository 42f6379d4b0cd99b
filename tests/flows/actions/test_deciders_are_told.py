"""Who is told that a request waits: the count, the notice on the page, and the email."""

from __future__ import annotations

from html import unescape
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inbox.channels import email
from inbox.channels.errors import NotSent
from inbox.decisions import emails, people
from inbox.models import LiveEvent, NoticeChoice, NoticeState, RequestNotice
from inbox.outbox.claiming import LEASE
from inbox.tasks import sweep_request_notices
from inbox.visibility import EVERYTHING, scope_of
from orders.actions import transitions
from orders.models import ActionState, OrderAction, Policy
from tests.conftest import logged_in
from tests.support.people.two_teams import TwoTeams, two_teams
from tests.support.shop.queues import messages_lost

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
    RequestNotice.objects.all().delete()
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


@pytest.mark.parametrize("state", [ActionState.WITHDRAWN, ActionState.AWAITING_APPROVAL])
def test_what_was_decided_or_lapsed_meanwhile_is_not_mailed(
    state: ActionState, world: TwoTeams, settings: Any
) -> None:
    settings.APPROVAL_EMAILS = True
    with messages_lost():
        action = ask(world)
    now = timezone.now()
    ended = {"settled_at": now} if state == ActionState.WITHDRAWN else {"expires_at": now}
    OrderAction.objects.filter(pk=action.pk).update(state=state, **ended)
    sweep_request_notices()
    assert mail.outbox == []
    assert RequestNotice.objects.get().state == NoticeState.NOT_NEEDED


def test_a_lost_message_delays_the_email_but_does_not_lose_it(
    world: TwoTeams, settings: Any
) -> None:
    settings.APPROVAL_EMAILS = True
    with messages_lost():
        assert ask(world).state == ActionState.AWAITING_APPROVAL
        # That of the second message, to the one person, is lost as well.
        emails.deliver(RequestNotice.objects.get().pk)
    assert mail.outbox == []
    sweep_request_notices()
    [sent] = mail.outbox
    assert sent.to == [world.people["supervisor"].email]


def test_the_message_and_the_sweep_send_one_email(world: TwoTeams, settings: Any) -> None:
    settings.APPROVAL_EMAILS = True
    with messages_lost():
        ask(world)
        emails.deliver(RequestNotice.objects.get().pk)
    to_person = RequestNotice.objects.get(user=world.people["supervisor"])

    def sweep_while_sending(*_: object, **__: object) -> bool:
        sweep_request_notices()
        return True

    # The sweep comes while the message's worker talks to the mail server, and once more afterwards.
    with patch.object(email, "send_mail", side_effect=sweep_while_sending) as sending:
        emails.deliver(to_person.pk)
        sweep_request_notices()
    assert sending.call_count == 1
    to_person.refresh_from_db()
    assert (to_person.state, to_person.attempts) == (NoticeState.SENT, 1)


def test_an_address_that_fails_is_retried_and_does_not_hold_up_the_others(
    world: TwoTeams, settings: Any
) -> None:
    settings.APPROVAL_EMAILS = True
    boss = world.people["supervisor"]
    second = User.objects.create_user("second", password="demo", email="second@demo.example")
    second.groups.set(boss.groups.all())
    second.teams.set(boss.teams.all())
    tried, send = list[str](), email.send_mail

    def fail_first(*, to: str, **more: Any) -> None:
        tried.append(to)
        if to == boss.email:
            raise RuntimeError if len(tried) == 1 else NotSent("The mail server refused.")
        send(to=to, **more)

    with messages_lost():
        ask(world)
        emails.deliver(RequestNotice.objects.get().pk)
    with patch.object(email, "send_mail", fail_first):
        for _ in range(3):
            sweep_request_notices()
        assert tried == [boss.email, second.email]
        RequestNotice.objects.filter(user=boss).update(next_attempt_at=None)
        sweep_request_notices()
    assert [sent.to for sent in mail.outbox] == [[second.email]]
    failing = RequestNotice.objects.get(user=boss)
    assert (failing.state, failing.attempts) == (NoticeState.PENDING, 2)
    # It was refused, so it waits for its back-off and not until the lease would end.
    assert failing.next_attempt_at is not None
    assert failing.next_attempt_at < timezone.now() + LEASE / 2
    RequestNotice.objects.update(next_attempt_at=None)
    sweep_request_notices()
    assert [sent.to for sent in mail.outbox] == [[second.email], [boss.email]]


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
    assert "Your role can’t approve anything" in shown


def test_the_count_alone_is_a_fragment(world: TwoTeams, client: Client) -> None:
    shown = logged_in(world.people["supervisor"]).get("/inbox/decisions/waiting/").content.decode()
    assert shown.strip().startswith(f"<span {COUNT}")
    assert client.get("/inbox/decisions/waiting/").status_code == 302
