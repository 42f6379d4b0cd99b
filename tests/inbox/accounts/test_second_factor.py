"""Who can move money proves two things: a password, and a code or a passkey."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from cryptography.fernet import Fernet
from django.contrib.auth.models import Group, User
from django.core import mail, signing
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from core import encryption
from core.change_origin import terminal
from inbox.accounts import roles
from inbox.accounts.login import factors
from inbox.accounts.models import FailedLogIn
from inbox.live import access
from orders.models import AuditEntry, AuditKind
from tests.conftest import logged_in
from tests.support.people.signing_in import SECRET, code, enter_code, give_app, log_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _outside_the_demo(settings: Any) -> None:
    settings.SECOND_FACTOR_REQUIRED = True
    settings.REAUTHENTICATION_MINUTES = 15
    cache.clear()


@pytest.fixture
def auditor(db: None) -> User:
    user = User.objects.create_user("otto", password="demo", is_staff=True)
    user.groups.add(Group.objects.get(name="auditors"))
    return user


def read(answer: Any) -> str:
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return str(body.decode())


# --- Logging in -----------------------------------------------------------------------------------


def test_the_password_alone_logs_nobody_in_who_has_a_second_factor(alice: User) -> None:
    give_app(alice)
    answer = log_in("alice")
    web = answer.client
    assert answer["Location"] == "/account/step/"
    assert web.get("/inbox/")["Location"].startswith("/login/")
    assert "Incorrect code" in read(enter_code(web, "000000"))
    assert web.get("/inbox/")["Location"].startswith("/login/")
    assert enter_code(web, code())["Location"] == "/"
    assert web.get("/inbox/").status_code == 200


def test_the_log_says_what_a_login_proved(alice: User) -> None:
    give_app(alice)
    enter_code(log_in("alice").client, code())
    entry = AuditEntry.objects.get(kind=AuditKind.LOG_IN)
    assert entry.detail == {"proofs": ["password", "totp"]}


def test_a_code_works_once(alice: User) -> None:
    give_app(alice)
    shown = code()
    assert enter_code(log_in("alice").client, shown).status_code == 302
    assert "Incorrect code" in read(enter_code(log_in("alice").client, shown))


def test_wrong_codes_are_counted_and_their_owner_is_warned(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(email="alice@shop.example")
    give_app(alice)
    web = log_in("alice").client
    for number in range(2):
        enter_code(web, f"00000{number}")
    assert mail.outbox == []
    enter_code(web, "000002")
    assert [letter.subject for letter in mail.outbox] == [
        "Wrong codes for your account in Agent Inbox"
    ]
    assert FailedLogIn.objects.get().count == 3


def test_a_recovery_code_stands_in_for_the_phone_once(alice: User) -> None:
    give_app(alice)
    web = log_in("alice").client
    enter_code(web, code())
    web.post("/account/codes/new/")
    shown = re.findall(r"<li>(\d{8})</li>", read(web.get("/account/codes/")))
    assert len(shown) == 10
    assert not re.findall(r"\d{8}", read(web.get("/account/codes/"))), "shown only once"
    assert enter_code(log_in("alice").client, shown[0]).status_code == 302
    assert "Incorrect code" in read(enter_code(log_in("alice").client, shown[0]))


@pytest.mark.parametrize("name", ["alice", "ALICE", "alice@shop.example", "Alice@Shop.Example"])
def test_people_log_in_by_name_or_address(alice: User, name: str) -> None:
    User.objects.filter(pk=alice.pk).update(email="alice@shop.example")
    assert log_in(name)["Location"] == "/"


def test_an_address_that_two_people_have_logs_neither_in(alice: User, bob: User) -> None:
    User.objects.update(email="team@shop.example")
    assert "Please enter a correct" in read(log_in("team@shop.example"))


def test_the_dialog_on_an_open_page_asks_for_the_code_too(alice: User) -> None:
    give_app(alice)
    part = {"X-Fragment": "log-in"}
    web = Client()
    fields = {"username": "alice", "password": "demo"}
    step = web.post("/login/", fields, headers=part, follow=True)
    assert read(step).lstrip().startswith('<div class="log-in"')
    assert 'action="/account/step/"' in read(step)
    answer = web.post("/account/step/", {"code": code()}, headers=part)
    assert (answer.status_code, answer["X-Agent"]) == (204, str(alice.pk))


def test_the_admin_has_no_log_in_of_its_own(admin_user: User) -> None:
    give_app(admin_user)
    web = Client()
    fields = {"username": "admin", "password": "password"}
    assert web.post("/admin/login/?next=/admin/", fields)["Location"].startswith("/login/?next=")
    assert log_in("admin", "password", web=web)["Location"] == "/account/step/"
    assert web.get("/admin/").status_code == 302


# --- Whoever needs a factor and has none ----------------------------------------------------------


@pytest.mark.parametrize("required", [True, False])
def test_without_a_factor_every_door_is_closed(alice: User, settings: Any, required: bool) -> None:
    """With the rule switched off, the same doors are open: the negative control."""
    settings.SECOND_FACTOR_REQUIRED = required
    web = log_in("alice").client
    page = web.get("/inbox/")
    fragment = web.get("/inbox/rows/", headers={"HX-Request": "true"})
    rest = web.get("/api/v1/orders/?q=1043")
    assert (page.status_code, fragment.status_code, rest.status_code) == (
        (302, 401, 403) if required else (200, 200, 200)
    )
    if required:
        assert page["Location"] == "/account/"
        assert rest["Content-Type"] == "application/problem+json"
        assert rest.json()["type"] == "urn:agent-inbox:second-factor-required"


@pytest.mark.django_db(transaction=True)
def test_nor_does_the_event_stream_open(alice: User, settings: Any) -> None:
    settings.SECOND_FACTOR_REQUIRED = False
    cookies = f"sessionid={logged_in(alice).cookies['sessionid'].value}"
    asyncio.run(access.listener(token="", cookies=cookies))
    settings.SECOND_FACTOR_REQUIRED = True
    with pytest.raises(signing.BadSignature):
        asyncio.run(access.listener(token="", cookies=cookies))


@pytest.mark.django_db(transaction=True)
def test_setting_up_an_app_opens_them(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(email="alice@shop.example")
    web = log_in("alice").client
    other = log_in("alice").client
    assert "a password alone isn’t enough" in read(web.get("/account/"))
    page = read(web.get("/account/app/"))
    secret = re.search(r'id="secret"[^>]*value="(\w+)"', page)
    assert secret
    mail.outbox.clear()
    answer = web.post("/account/app/", {"code": code(secret[1])})
    assert answer["Location"] == "/account/codes/"
    # The code was the proof that the codes ask for.
    assert len(re.findall(r"<li>(\d{8})</li>", read(web.get("/account/codes/")))) == 10
    assert web.get("/inbox/").status_code == 200
    # It is kept encrypted, its owner hears of it, and older sessions didn't prove it.
    assert secret[1] not in str(Authenticator.objects.get(type="totp").data)
    assert [letter.to for letter in mail.outbox] == [["alice@shop.example"]]
    assert other.get("/inbox/")["Location"].startswith("/login/")


def test_an_auditor_is_led_there_too(auditor: User) -> None:
    answer = log_in("otto").client.get("/admin/")
    assert (answer.status_code, answer["Location"]) == (302, "/account/")
    give_app(auditor)
    web = log_in("otto").client
    enter_code(web, code())
    assert web.get("/admin/").status_code == 200


def test_someone_without_a_role_needs_none() -> None:
    assert not factors.needs_one(User.objects.create_user("kim", is_staff=True))


def test_it_costs_no_query_besides_that_for_the_roles(
    sara: User, django_assert_num_queries: Any
) -> None:
    give_app(sara)
    for name, expected in (("sara", False), ("kim", False), ("root", True)):
        if name != "sara":
            User.objects.create_user(name, is_superuser=name == "root")
        user = User.objects.get(username=name)
        with django_assert_num_queries(1):
            assert factors.is_missing(user) is expected
            assert roles.may_work(user) is (name == "sara")


@pytest.mark.parametrize(
    ("path", "is_looked_at"),
    [("/sidebar/?frame=1", False), ("/login/sso/failed/", False), ("/api/schema/", True)],
)
def test_where_no_session_counts_the_cookie_is_not_looked_at(
    alice: User, path: str, is_looked_at: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    real = factors.is_missing

    def is_missing(user: Any) -> bool:
        asked.append(user)
        return real(user)

    monkeypatch.setattr(factors, "is_missing", is_missing)
    logged_in(alice).get(path)
    assert bool(asked) is is_looked_at


@pytest.mark.parametrize("role", ["agents", "supervisors", "admins", "auditors", "superuser"])
def test_every_role_needs_one(role: str) -> None:
    user = User.objects.create_user("kim", is_superuser=role == "superuser")
    if role != "superuser":
        user.groups.add(Group.objects.get_or_create(name=role)[0])
    assert factors.is_missing(user)


def test_the_last_factor_stays_while_the_role_needs_one(alice: User) -> None:
    give_app(alice)
    web = log_in("alice").client
    enter_code(web, code())
    assert "You cannot deactivate" in read(web.post("/account/app/remove/"))
    assert factors.has_one(alice)


def test_secrets_follow_the_field_keys(alice: User) -> None:
    give_app(alice)
    stored = Authenticator.objects.get().data["secret"]
    assert stored != SECRET
    assert encryption.unseal(stored) == SECRET


def test_rotating_the_keys_takes_them_along(alice: User, settings: Any) -> None:
    give_app(alice)
    [old] = settings.FIELD_ENCRYPTION_KEYS
    new = Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    call_command("rotate_keys", verbosity=0)
    settings.FIELD_ENCRYPTION_KEYS = [new]
    assert enter_code(log_in("alice").client, code()).status_code == 302
    # With the key lost, no code is right: neither does an empty secret take its place.
    settings.FIELD_ENCRYPTION_KEYS = [old]
    assert enter_code(log_in("alice").client, code()).status_code == 403


def test_an_operator_removes_the_factors_of_someone_who_lost_them(
    alice: User, django_capture_on_commit_callbacks: Any
) -> None:
    User.objects.filter(pk=alice.pk).update(email="alice@shop.example")
    give_app(alice)
    web = log_in("alice").client
    enter_code(web, code())
    assert web.get("/inbox/").status_code == 200
    with django_capture_on_commit_callbacks(execute=True), terminal():
        call_command("remove_second_factors", "alice")
    assert not Authenticator.objects.exists()
    assert web.get("/inbox/").status_code == 302, "her sessions are over"
    # The password alone opens nothing but the set-up of a new one.
    again = log_in("alice").client
    assert again.get("/inbox/")["Location"] == "/account/"
    entry = AuditEntry.objects.filter(detail__change="second factors removed").get()
    assert entry.detail["user"] == alice.pk
    assert entry.actor.startswith("terminal: ")
    assert mail.outbox[-1].to == ["alice@shop.example"]
    with pytest.raises(CommandError, match="no account"):
        call_command("remove_second_factors", "nobody")


# --- Asking again ---------------------------------------------------------------------------------


def test_a_new_passkey_takes_a_fresh_proof(alice: User, time_machine: Any) -> None:
    give_app(alice)
    web = log_in("alice").client
    enter_code(web, code())
    assert web.get("/account/passkeys/add/").status_code == 200
    time_machine.move_to(timezone.now() + timedelta(minutes=16), tick=False)
    answer = web.get("/account/passkeys/add/")
    assert answer["Location"].startswith("/account/confirm/code/?next=")
    # The password is no proof for someone who has a second factor.
    assert web.get("/account/confirm/").status_code == 302
    back = web.post(answer["Location"], {"code": code()})
    assert back["Location"] == "/account/passkeys/add/"
    assert web.get("/account/passkeys/add/").status_code == 200


def test_a_fresh_proof_replaces_the_sessions_key(alice: User, time_machine: Any) -> None:
    """Someone who read the cookie before can't use what was proven after."""
    web = log_in("alice").client
    earlier = Client()
    earlier.cookies["sessionid"] = web.cookies["sessionid"].value
    assert earlier.get("/account/").status_code == 200
    time_machine.move_to(timezone.now() + timedelta(minutes=16), tick=False)
    where = web.get("/account/passkeys/add/")["Location"]
    assert web.post(where, {"password": "no"}).status_code == 200
    assert web.cookies["sessionid"].value == earlier.cookies["sessionid"].value
    assert web.post(where, {"password": "demo"})["Location"] == "/account/passkeys/add/"
    assert web.get("/account/passkeys/add/").status_code == 200
    assert earlier.get("/account/")["Location"].startswith("/login/")
    # Still one session for its owner to see and end.
    assert UserSession.objects.get().session_key == web.cookies["sessionid"].value


def test_a_session_without_any_proof_is_asked(alice: User) -> None:
    answer = logged_in(alice).get("/account/passkeys/add/")
    assert answer["Location"].startswith("/account/confirm/")
