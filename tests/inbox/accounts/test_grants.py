"""Roles that move money take two administrators; sessions end when someone's rights do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from inbox.accounts import grants
from inbox.accounts.models import RoleGrant
from orders.models import ActionState, AuditEntry, AuditKind, Store
from tests.admin.test_desk import act, order
from tests.conftest import logged_in
from tests.support.people.signing_in import give_app, log_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def kim(db: None) -> User:
    return User.objects.create_user("kim", email="kim@shop.example", password="demo")


@pytest.fixture
def ann(db: None) -> Client:
    return logged_in(User.objects.create_superuser("ann"))


@pytest.fixture
def ben(db: None) -> Client:
    return logged_in(User.objects.create_superuser("ben"))


def ask(web: Client, user: User, *roles: str, **more: str) -> None:
    groups = [Group.objects.get_or_create(name=role)[0].pk for role in roles]
    fields = {"username": user.username, "email": user.email, "is_active": "on", "groups": groups}
    assert web.post(f"/admin/auth/user/{user.pk}/change/", fields | more).status_code == 302


def decide(web: Client, what: str) -> str:
    chosen = list(RoleGrant.objects.filter(state="waiting").values_list("pk", flat=True))
    fields = {"action": what, "_selected_action": chosen}
    return web.post("/admin/inbox/rolegrant/", fields, follow=True).content.decode()


def held(user: User) -> list[str]:
    return sorted(user.groups.values_list("name", flat=True))


def test_one_administrator_asks_and_another_approves(
    ann: Client, ben: Client, kim: User, django_capture_on_commit_callbacks: Any
) -> None:
    ask(ann, kim, "agents")
    assert held(kim) == []
    assert "Another administrator has to approve" in decide(ann, "approve")
    assert held(kim) == []
    session = log_in("kim").client
    with django_capture_on_commit_callbacks(execute=True):
        assert "done" in decide(ben, "approve")
    assert held(kim) == ["agents"]
    assert mail.outbox[-1].to == ["kim@shop.example"]
    assert session.get("/account/").status_code == 302, "the role begins with a new login"
    said = [
        (entry.actor, entry.detail["change"])
        for entry in AuditEntry.objects.filter(kind=AuditKind.PERMISSIONS).order_by("pk")
        if "role" in entry.detail
    ]
    assert said == [("ann", "role asked"), ("ben", "role approved")]


def test_nobody_approves_their_own_role(ann: Client, ben: Client) -> None:
    user = User.objects.get(username="ben")
    Group.objects.get_or_create(name="supervisors")
    ask(ann, user, "supervisors", is_staff="on")
    assert "approve a role for yourself" in decide(ben, "approve")
    assert held(user) == []


def test_roles_that_one_person_may_not_combine_stay_apart(
    ann: Client, ben: Client, kim: User
) -> None:
    ask(ann, kim, "agents")
    kim.groups.add(Group.objects.get_or_create(name="admins")[0])
    assert "never enough" in decide(ben, "approve")
    assert held(kim) == ["admins"]


def test_declining_and_asking_twice(ann: Client, ben: Client, kim: User) -> None:
    ask(ann, kim, "agents")
    ask(ann, kim, "agents")
    assert RoleGrant.objects.count() == 1
    decide(ann, "decline")
    assert held(kim) == []
    assert RoleGrant.objects.get().state == "declined"


def test_an_auditor_and_taking_a_role_away_need_no_second(ann: Client, kim: User) -> None:
    kim.groups.add(Group.objects.get_or_create(name="agents")[0])
    ask(ann, kim, "auditors")
    assert held(kim) == ["auditors"]


def test_deactivating_is_immediate_and_coming_back_takes_two(
    ann: Client, ben: Client, kim: User
) -> None:
    kim.groups.add(Group.objects.get_or_create(name="agents")[0])
    session = log_in("kim").client
    assert session.get("/inbox/").status_code == 200
    ask(ann, kim, "agents", is_active="")
    assert session.get("/inbox/").status_code == 302
    assert "Please enter a correct" in log_in("kim").content.decode()
    ask(ann, kim, "agents")
    assert held(kim) == []
    decide(ben, "approve")
    assert held(kim) == ["agents"]


@pytest.mark.parametrize("has_factor", [False, True])
def test_one_administrator_cannot_take_an_account_over_by_its_address(
    ann: Client, kim: User, has_factor: bool
) -> None:
    """The links go to the address. With a second factor they open nothing by themselves."""
    kim.groups.add(Group.objects.get_or_create(name="agents")[0])
    if has_factor:
        give_app(kim)
    ask(ann, kim, "agents", email="mallory@shop.example")
    assert held(kim) == (["agents"] if has_factor else [])


def test_what_waits_for_a_person_ends_with_their_address(
    ann: Client, ben: Client, kim: User
) -> None:
    """Or Ben alone could read Kim's links, set a password, and approve what Ann had asked."""
    ask(ann, kim, "agents")
    ask(ben, kim, email="ben2@shop.example")
    decide(ben, "approve")
    assert held(kim) == []
    assert RoleGrant.objects.get().state == "declined"
    last = AuditEntry.objects.filter(detail__change="role declined").get()
    assert (last.actor, last.detail["user"]) == ("ben", kim.pk)
    # What the same administrator asks for with the new address waits for another one.
    kim.email = "ben2@shop.example"
    ask(ben, kim, "agents", email="ben3@shop.example")
    assert "Another administrator has to approve" in decide(ben, "approve")
    assert held(kim) == []


def test_what_waits_for_a_person_ends_when_they_come_back(
    ann: Client, ben: Client, kim: User
) -> None:
    ask(ann, kim, "agents")
    ask(ben, kim, is_active="")
    ask(ben, kim)
    decide(ben, "approve")
    assert held(kim) == []
    assert RoleGrant.objects.get().state == "declined"


def test_another_change_leaves_what_waits(ann: Client, ben: Client, kim: User) -> None:
    ask(ann, kim, "agents")
    ask(ben, kim, first_name="Kim")
    assert "done" in decide(ben, "approve")
    assert held(kim) == ["agents"]


@pytest.mark.parametrize("gone", [{"is_active": False}, {"is_superuser": False}])
def test_whoever_asked_must_still_be_an_administrator(
    ann: Client, ben: Client, kim: User, gone: dict[str, bool]
) -> None:
    ask(ann, kim, "agents")
    User.objects.filter(username="ann").update(**gone)
    assert "no longer an administrator" in decide(ben, "approve")
    assert held(kim) == []


def test_an_agent_decides_no_requests(ann: Client, kim: User, alice: User) -> None:
    grant = grants.request(
        user=kim,
        group=Group.objects.get_or_create(name="agents")[0],
        by=User.objects.get(username="ann"),
        now=timezone.now(),
    )
    why = grants.approve(grant_id=grant.pk, by=alice, now=timezone.now())
    assert why is not None
    assert logged_in(alice).post("/admin/inbox/rolegrant/").status_code == 403


# --- Sessions -------------------------------------------------------------------------------------


def test_a_person_sees_and_ends_their_sessions(kim: User) -> None:
    here, there = log_in("kim").client, log_in("kim").client
    page = here.get("/account/sessions/").content.decode()
    assert page.count("127.0.0.1") == 2
    assert page.count("This browser") == 1
    assert here.post("/account/sessions/").status_code == 302
    assert there.get("/account/").status_code == 302
    assert here.get("/account/").status_code == 200


def test_ending_them_asks_again(kim: User, settings: Any, time_machine: Any) -> None:
    settings.REAUTHENTICATION_MINUTES = 15
    here, there = log_in("kim").client, log_in("kim").client
    time_machine.move_to(timezone.now() + timedelta(minutes=16), tick=False)
    assert here.get("/account/sessions/").status_code == 200, "looking is free"
    answer = here.post("/account/sessions/")
    assert answer["Location"] == "/account/confirm/?next=%2Faccount%2Fsessions%2F"
    assert there.get("/account/").status_code == 200
    assert here.post(answer["Location"], {"password": "demo"})["Location"] == "/account/sessions/"
    here.post("/account/sessions/")
    assert there.get("/account/").status_code == 302


def test_an_administrator_ends_a_persons_sessions(kim: User, settings: Any) -> None:
    here, there = log_in("kim").client, log_in("kim").client
    root = User.objects.create_superuser("root", password="demo")
    ann = logged_in(root)
    chosen = {"action": "end_sessions", "_selected_action": [kim.pk, root.pk]}
    settings.REAUTHENTICATION_MINUTES = 15
    assert ann.post("/admin/auth/user/", chosen)["Location"].startswith("/account/confirm/")
    assert here.get("/account/").status_code == 200
    settings.REAUTHENTICATION_MINUTES = 0
    assert "Logged out: 2." in ann.post("/admin/auth/user/", chosen, follow=True).content.decode()
    assert [web.get("/account/").status_code for web in (here, there)] == [302, 302]
    assert log_in("kim").client.get("/account/").status_code == 200, "nothing else changed"
    said = AuditEntry.objects.filter(detail__change="sessions ended")
    assert [(one.actor, one.detail["user"]) for one in said.order_by("detail__user")] == [
        ("root", pk) for pk in sorted((kim.pk, root.pk))
    ]


def test_no_administrator_ends_a_superusers_sessions(ann: Client, kim: User) -> None:
    there = log_in("kim").client
    User.objects.filter(pk=kim.pk).update(is_superuser=True)
    admin = User.objects.create_user("eve", is_staff=True)
    admin.groups.add(Group.objects.get(name="admins"))
    chosen = {"action": "end_sessions", "_selected_action": [kim.pk]}
    page = logged_in(admin).post("/admin/auth/user/", chosen, follow=True).content.decode()
    assert "Not logged out: 1." in page
    assert there.get("/account/").status_code == 200


def test_the_terminal_ends_the_sessions_of_some_or_of_everyone(kim: User) -> None:
    User.objects.create_user("lee", password="demo")
    first, second = log_in("kim").client, log_in("lee").client
    unlisted = logged_in(kim)
    call_command("end_sessions", "kim")
    assert [web.get("/account/").status_code for web in (first, second)] == [302, 200]
    call_command("end_sessions", "--everyone")
    assert [web.get("/account/").status_code for web in (second, unlisted)] == [302, 302]
    said = AuditEntry.objects.filter(detail__change__endswith="sessions ended").order_by("pk")
    assert [one.detail["change"] for one in said] == ["sessions ended", "all sessions ended"]
    for wrong in ([], ["kim", "--everyone"], ["nobody"]):
        with pytest.raises(CommandError):
            call_command("end_sessions", *wrong)


def test_sensitive_admin_pages_ask_again(kim: User, settings: Any) -> None:
    settings.REAUTHENTICATION_MINUTES = 15
    root = User.objects.create_superuser("root", password="demo")
    stale = logged_in(root)
    for path in ("/admin/auth/user/add/", "/admin/orders/policy/add/"):
        answer = stale.get(path)
        assert answer["Location"] == f"/account/confirm/?next={path.replace('/', '%2F')}"
    ask_again = stale.post(f"/admin/auth/user/{kim.pk}/change/", {"username": "kim"})
    assert ask_again["Location"].startswith("/account/confirm/")
    assert stale.get("/admin/auth/user/").status_code == 200, "looking is free"
    back = stale.post("/account/confirm/?next=/admin/orders/policy/add/", {"password": "demo"})
    assert back["Location"] == "/admin/orders/policy/add/"
    assert stale.get("/admin/orders/policy/add/").status_code == 200


def test_approving_by_rest_asks_a_session_again(sara: User, alice: User, settings: Any) -> None:
    store = Store.objects.create(domain="demo.myshopify.com", currency="EUR")
    waiting = act(order(store, 1), alice, state=ActionState.AWAITING_APPROVAL)
    settings.REAUTHENTICATION_MINUTES = 15
    # An action that doesn't exist, or isn't theirs to see, is not worth a proof.
    missing = logged_in(sara).post(f"/api/v1/actions/{waiting.pk + 1}/approve/")
    assert missing.status_code == 404
    answer = logged_in(sara).post(f"/api/v1/actions/{waiting.pk}/approve/")
    assert (answer.status_code, answer["Content-Type"]) == (403, "application/problem+json")
    assert answer.json()["type"] == "urn:agent-inbox:reauthentication-required"
    assert "/account/confirm/" in answer.json()["detail"]


def test_approving_asks_again(sara: User, alice: User, settings: Any) -> None:
    store = Store.objects.create(domain="demo.myshopify.com", currency="EUR")
    waiting = act(order(store, 1), alice, state=ActionState.AWAITING_APPROVAL)
    path = f"/inbox/decisions/{waiting.pk}/approve/"
    settings.REAUTHENTICATION_MINUTES = 15
    answer = logged_in(sara).post(path)
    back = f"%2Finbox%2Fdecisions%2F%3Frequest%3D{waiting.pk}"
    assert answer["Location"] == f"/account/confirm/?next={back}"
    waiting.refresh_from_db()
    assert waiting.state == ActionState.AWAITING_APPROVAL
