"""Passwords: good ones only, set by their owners alone, through links that soon expire."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.core import mail
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from inbox.accounts.login import throttling
from inbox.accounts.login.passwords import ResetByEmail
from tests.conftest import logged_in
from tests.support.people.signing_in import log_in

pytestmark = pytest.mark.django_db
GOOD = "walnut ferry umbrella 12"


@pytest.fixture(autouse=True)
def _fresh(settings: Any) -> None:
    settings.PUBLIC_URL = "https://inbox.example"
    cache.clear()


@pytest.fixture
def kim(db: None) -> User:
    return User.objects.create_user("kim", email="kim@shop.example", password="demo")


def link() -> str:
    found = re.search(r"https://inbox\.example(/account/reset/\S+)", str(mail.outbox[-1].body))
    assert found, mail.outbox[-1].body
    return found[1]


def set_by(path: str, password: str = GOOD, *, web: Client | None = None) -> Any:
    web = web or Client()
    form = web.get(path, follow=True)
    where = form.redirect_chain[-1][0] if form.redirect_chain else path
    return web.post(where, {"password1": password, "password2": password})


@pytest.mark.parametrize(
    "password",
    [
        "short1!",
        "password1234",
        "Passw0rd2024!",
        "qwertyuiop123",
        "aaaaaaaaaaaaaaaa",
        "123456789012",
        "shopifyshopify",
        "kimkimkimkim1",
        "iloveyou1iloveyou1",
        "abcdefghijklmn",
    ],
)
def test_breached_and_guessable_passwords_are_refused(kim: User, password: str) -> None:
    with pytest.raises(ValidationError):
        validate_password(password, kim)


@pytest.mark.parametrize(
    "password", [GOOD, "Zp8#vqL2xW!r", "y" * 3 + "ö ü ж 漢字 walnut", "walnut ferry " * 9]
)
def test_long_and_unusual_ones_are_fine(kim: User, password: str) -> None:
    validate_password(password, kim)


def test_a_reset_link_works_once_and_ends_sessions(kim: User) -> None:
    elsewhere = log_in("kim").client
    Client().post("/account/reset/", {"email": "KIM@shop.example"})
    assert mail.outbox[-1].to == ["kim@shop.example"]
    path = link()
    assert set_by(path)["Location"] == "/account/reset/done/"
    assert mail.outbox[-1].to == ["kim@shop.example"], "told that it was changed"
    assert elsewhere.get("/account/")["Location"].startswith("/login/")
    assert log_in("kim", GOOD).status_code == 302
    assert "doesn’t work anymore" in Client().get(path).content.decode()


@pytest.mark.parametrize("is_known", [False, True])
def test_after_a_reset_the_new_password_works_at_once(
    kim: User, is_known: bool, monkeypatch: Any, time_machine: Any
) -> None:
    time_machine.move_to(timezone.now().replace(minute=10), tick=False)
    own = log_in("kim").client if is_known else Client()
    own.post("/inbox/logout/")
    for web in (own, Client(REMOTE_ADDR="198.51.100.1")):
        for _ in range(5):
            assert log_in("kim", "forgotten", web=web).status_code == 200
    monkeypatch.setattr(throttling, "PER_NAME", 5)
    assert log_in("kim", web=own).status_code == 429
    Client().post("/account/reset/", {"email": kim.email})
    path = link()
    set_by(path, "abcdefghijklmn", web=own)
    assert log_in("kim", web=own).status_code == 429, "nothing was set yet"
    assert set_by(path, web=own)["Location"] == "/account/reset/done/"
    assert log_in("kim", GOOD, web=own).status_code == 302
    assert log_in("kim", GOOD, web=Client(REMOTE_ADDR="192.0.2.1")).status_code == 429, "a stranger"


def test_a_guessable_new_password_is_refused(kim: User) -> None:
    Client().post("/account/reset/", {"email": kim.email})
    assert "too easy to guess" in set_by(link(), "abcdefghijklmn").content.decode()
    assert log_in("kim", "demo").status_code == 302


def test_it_expires_within_an_hour(kim: User, time_machine: Any) -> None:
    Client().post("/account/reset/", {"email": kim.email})
    path = link()
    time_machine.move_to(timezone.now() + timedelta(minutes=61), tick=False)
    assert "doesn’t work anymore" in Client().get(path).content.decode()


def test_unknown_addresses_are_answered_alike_and_get_nothing(kim: User) -> None:
    User.objects.create_user("left", email="left@shop.example", is_active=False)
    before = len(mail.outbox)
    answers = {
        (answer.status_code, answer["Location"])
        for email in ("kim@shop.example", "nobody@shop.example", "left@shop.example")
        for answer in [Client().post("/account/reset/", {"email": email})]
    }
    assert answers == {(302, "/account/reset/sent/")}
    assert [letter.to for letter in mail.outbox[before:]] == [["kim@shop.example"]]


def test_links_are_limited_by_account_and_not_by_spelling(kim: User) -> None:
    User.objects.filter(pk=kim.pk).update(email="Kim@Shop.example")
    form = ResetByEmail({"email": " KIM@shop.EXAMPLE "})
    assert form.is_valid()
    # The limit's key is the account's own address, whichever others the database equates with it.
    assert form.cleaned_data["email"] == "Kim@Shop.example"


def test_the_link_names_our_address_whatever_the_request_says(kim: User) -> None:
    Client().post("/account/reset/", {"email": kim.email}, headers={"host": "evil.example"})
    assert "evil.example" not in mail.outbox[-1].body


def test_changing_it_keeps_this_session_and_ends_the_others(kim: User) -> None:
    here, there = log_in("kim").client, log_in("kim").client
    fields = {"oldpassword": "demo", "password1": GOOD, "password2": GOOD}
    assert here.post("/account/password/", fields).status_code == 302
    assert here.get("/account/").status_code == 200
    assert there.get("/account/").status_code == 302


# --- Administrators -------------------------------------------------------------------------------


@pytest.fixture
def root(db: None) -> Client:
    return logged_in(User.objects.create_superuser("root"))


def test_a_new_person_is_invited_and_sets_their_own_password(
    root: Client, django_capture_on_commit_callbacks: Any, time_machine: Any
) -> None:
    page = root.get("/admin/auth/user/add/").content.decode()
    assert 'type="password"' not in page
    assert 'name="password' not in page
    with django_capture_on_commit_callbacks(execute=True):
        root.post("/admin/auth/user/add/", {"username": "new", "email": "new@shop.example"})
    user = User.objects.get(username="new")
    assert not user.has_usable_password()
    path = link()
    time_machine.move_to(timezone.now() + timedelta(days=2), tick=False)
    assert set_by(path).status_code == 302
    assert log_in("new", GOOD).status_code == 302


def test_an_invitation_takes_an_address(root: Client) -> None:
    root.post("/admin/auth/user/add/", {"username": "new"})
    assert not User.objects.filter(username="new").exists()


def test_the_admin_has_no_way_to_set_or_see_a_password(root: Client, kim: User) -> None:
    page = root.get(f"/admin/auth/user/{kim.pk}/change/").content.decode()
    assert 'name="password' not in page
    assert kim.password not in page
    before = kim.password
    fields = {"password1": GOOD, "password2": GOOD, "username": "kim", "password": GOOD}
    root.post(f"/admin/auth/user/{kim.pk}/password/", fields)
    root.post(f"/admin/auth/user/{kim.pk}/change/", fields | {"email": kim.email})
    kim.refresh_from_db()
    assert kim.password == before


def test_the_first_administrator_comes_from_the_terminal(capsys: Any) -> None:
    Group.objects.get_or_create(name="admins")
    call_command("grant_role", "ann", "admins", "--create", "ann@shop.example")
    path = re.search(r"https://inbox\.example(\S+)", capsys.readouterr().out)
    assert path
    set_by(path[1])
    web = log_in("ann", GOOD).client
    assert web.get("/admin/").status_code == 200
