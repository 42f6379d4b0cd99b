"""How long a session lasts, and that nothing on a page is lost when it ends."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from allauth.mfa.webauthn.forms import LoginWebAuthnForm
from allauth.mfa.webauthn.internal.auth import WebAuthn
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from inbox.models import Conversation, Draft, Message, MessageKind
from tests.conftest import logged_in
from tests.support.people.passkeys import Passkey
from tests.support.people.signing_in import give_app, log_in

HTMX = {"HX-Request": "true"}


class Browser:
    """Cookies and the CSRF check as in a browser."""

    def __init__(self) -> None:
        self.web = Client(enforce_csrf_checks=True)

    def log_in(self, name: str, at: str = "/login/", **more: str) -> Any:
        page = self.web.get(at).content.decode()
        token = re.search(r'csrfmiddlewaretoken" value="([^"]+)', page)
        assert token
        fields = {"username": name, "password": "demo", "csrfmiddlewaretoken": token[1]}
        return self.web.post(at, fields | more)

    def log_out(self) -> None:
        self.web.post("/inbox/logout/", {"csrfmiddlewaretoken": self.token("/inbox/")})

    def token(self, at: str) -> str:
        """What a page that is open at this address posts with."""
        answer = self.web.get(at)
        page = (b"".join(answer) if answer.streaming else answer.content).decode()
        found = re.search(r'X-CSRFToken": "([^"]+)', page)
        assert found
        return found[1]


@pytest.fixture
def at(conversation: Conversation) -> str:
    return f"/inbox/conversations/{conversation.pk}/"


def is_in(client: Client, **headers: str) -> bool:
    return client.get("/inbox/rows/", headers=headers).status_code == 200


# --- Sliding, with an end -----------------------------------------------------------------------


def test_a_session_lasts_as_long_as_its_agent_works(as_alice: Client, time_machine: Any) -> None:
    began = timezone.now()
    for hours in range(0, 14, 7):
        time_machine.move_to(began + timedelta(hours=hours), tick=False)
        assert is_in(as_alice), hours
    time_machine.move_to(began + timedelta(hours=7 + 8, minutes=1), tick=False)
    assert not is_in(as_alice)


def test_what_pages_do_by_themselves_does_not_prolong_it(
    as_alice: Client, time_machine: Any
) -> None:
    began = timezone.now()
    for hours in range(8):
        time_machine.move_to(began + timedelta(hours=hours), tick=False)
        assert is_in(as_alice, **HTMX, **{"X-Background": "1"}), hours
    time_machine.move_to(began + timedelta(hours=8, minutes=1), tick=False)
    assert not is_in(as_alice, **HTMX, **{"X-Background": "1"})


def test_it_ends_after_a_day_whatever_its_agent_does(as_alice: Client, time_machine: Any) -> None:
    began = timezone.now()
    for hours in range(0, 24, 6):
        time_machine.move_to(began + timedelta(hours=hours), tick=False)
        assert is_in(as_alice), hours
    time_machine.move_to(began + timedelta(days=1, minutes=1), tick=False)
    assert not is_in(as_alice)


def test_the_limits_are_settings(alice: User, settings: Any, time_machine: Any) -> None:
    settings.SESSION_COOKIE_AGE, settings.SESSION_LONGEST_S = 3600, 2 * 3600
    began = timezone.now()
    as_alice = logged_in(alice)
    for minutes in (50, 100, 119):
        time_machine.move_to(began + timedelta(minutes=minutes), tick=False)
        assert is_in(as_alice)
    time_machine.move_to(began + timedelta(minutes=121), tick=False)
    assert not is_in(as_alice)


def test_not_every_request_writes_the_session(
    as_alice: Client, django_assert_num_queries: Any, time_machine: Any
) -> None:
    began = timezone.now()
    is_in(as_alice)
    end = Session.objects.get().expire_date
    time_machine.move_to(began + timedelta(minutes=4), tick=False)
    is_in(as_alice)
    assert Session.objects.get().expire_date == end
    time_machine.move_to(began + timedelta(minutes=6), tick=False)
    is_in(as_alice)
    assert Session.objects.get().expire_date > end


def test_a_log_in_at_the_admin_counts_too(admin_user: User, time_machine: Any) -> None:
    browser = Browser()
    admin_user.set_password("demo")
    admin_user.save()
    answer = browser.web.get("/admin/")
    answer = browser.web.get(answer["Location"])
    assert answer["Location"] == "/login/?next=%2Fadmin%2F"
    assert browser.log_in("admin", answer["Location"])["Location"] == "/admin/"
    began = timezone.now()
    time_machine.move_to(began + timedelta(hours=7), tick=False)
    assert browser.web.get("/admin/").status_code == 200
    time_machine.move_to(began + timedelta(hours=14), tick=False)
    assert browser.web.get("/admin/").status_code == 200


def test_pages_and_exports_have_a_limit_per_person(
    alice: User, bob: User, settings: Any, time_machine: Any
) -> None:
    settings.SESSION_REQUESTS_PER_MINUTE = 4
    cache.clear()
    time_machine.move_to("2026-11-02T10:00:10Z", tick=False)
    first, second, other = (logged_in(one) for one in (alice, alice, bob))
    for web, path in ((first, "/inbox/"), (second, "/inbox/rows/"), (first, "/inbox/orders/")):
        assert web.get(path).status_code == 200
    assert second.get("/inbox/").status_code == 200
    refused = first.get("/inbox/")
    assert (refused.status_code, refused["Retry-After"]) == (429, "50")
    assert other.get("/inbox/").status_code == 200
    assert Client().get("/login/").status_code == 200
    time_machine.move_to("2026-11-02T10:01:00Z", tick=False)
    assert first.get("/inbox/").status_code == 200


# --- The end of it does not take the page away --------------------------------------------------


@pytest.mark.parametrize("headers", [HTMX, {"X-Fragment": "view"}, {"X-Fragment": "draft"}])
@pytest.mark.parametrize("verb", ["get", "post"])
def test_a_script_is_told_that_the_session_has_ended(
    as_alice: Client, at: str, headers: dict[str, str], verb: str
) -> None:
    Session.objects.all().delete()
    address = f"{at}reply/" if verb == "post" else at
    answer = getattr(as_alice, verb)(address, {"text": "Hello"}, headers=headers)
    assert (answer.status_code, answer["X-Session"]) == (401, "ended")
    assert "HX-Redirect" not in answer
    assert not answer.content


def test_a_page_is_sent_to_the_log_in_and_back(as_alice: Client, at: str) -> None:
    Session.objects.all().delete()
    answer = as_alice.get(at)
    assert (answer.status_code, answer["Location"]) == (302, f"/login/?next={at}")


def test_the_log_in_of_a_page_answers_with_its_form_and_then_with_who_it_is(
    as_alice: Client, alice: User
) -> None:
    part = {"X-Fragment": "log-in"}
    assert as_alice.get("/login/", headers=part)["X-Agent"] == str(alice.pk)
    as_alice.logout()
    form = as_alice.get("/login/", headers=part)
    assert form.status_code == 200
    assert form.content.lstrip().startswith(b'<div class="log-in">')
    wrong = as_alice.post("/login/", {"username": "alice", "password": "no"}, headers=part)
    assert wrong.status_code == 200
    assert b"Please enter a correct username" in wrong.content
    right = as_alice.post("/login/", {"username": "alice", "password": "demo"}, headers=part)
    assert (right.status_code, right["X-Agent"]) == (204, str(alice.pk))


# --- Another tab of the same agent, and another agent in the same browser ------------------------


def reply(browser: Browser, at: str, token: str, **headers: str) -> Any:
    return browser.web.post(
        f"{at}reply/",
        {"text": "Hello", "mode": "reply", "csrfmiddlewaretoken": token},
        headers=HTMX | {"X-CSRFToken": token} | headers,
    )


def test_a_tab_from_before_the_log_in_still_writes(at: str, alice: User) -> None:
    browser = Browser()
    browser.log_in("alice")
    old = browser.token(at)
    Session.objects.all().delete()
    browser.log_in("alice")
    assert reply(browser, at, old).status_code == 200
    # And once more: the second login renewed the proof.
    Session.objects.all().delete()
    browser.log_in("alice")
    assert reply(browser, at, old).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("between", ["another agent", "log-out", "password", "forged", "planted"])
def test_logging_in_replaces_a_csrf_token_that_others_may_know(
    at: str, alice: User, bob: User, between: str
) -> None:
    browser = Browser()
    cookies = browser.web.cookies
    if between == "planted":
        # A secret that someone else knows, before she logs in here for the first time.
        cookies["csrftoken"] = "a" * 32
        cookies["agent"] = f"{alice.pk}.{'0' * 64}"
        browser.log_in("alice")
        assert cookies["csrftoken"].value != "a" * 32
        return
    browser.log_in("alice")
    old = browser.token(at)
    if between == "another agent":
        Session.objects.all().delete()
        browser.log_in("bob")
        Session.objects.all().delete()
    elif between == "log-out":
        browser.log_out()
    elif between == "password":
        alice.set_password("demo")
        alice.save()
    else:
        Session.objects.all().delete()
        cookies["agent"] = f"{alice.pk}.{'0' * 64}"
    browser.log_in("alice")
    assert reply(browser, at, old).status_code == 403
    assert reply(browser, at, browser.token(at)).status_code == 200


def test_a_page_of_one_agent_does_nothing_in_the_name_of_the_next(
    at: str, alice: User, bob: User
) -> None:
    browser = Browser()
    browser.log_in("bob")
    token = browser.token(at)
    answer = reply(browser, at, token, **{"X-Agent": str(alice.pk)})
    assert (answer.status_code, answer["X-Session"]) == (401, "other")
    assert not Message.objects.filter(kind=MessageKind.REPLY).exists()
    answer = browser.web.get(at, headers={"X-Fragment": "view", "X-Agent": str(alice.pk)})
    assert (answer.status_code, answer["X-Session"], answer.content) == (401, "other", b"")
    assert reply(browser, at, token, **{"X-Agent": str(bob.pk)}).status_code == 200


def test_the_browser_knows_which_agent_is_logged_in(at: str, alice: User) -> None:
    browser = Browser()
    cookies = browser.web.cookies
    browser.log_in("alice")
    assert cookies["agent"].value.startswith(f"{alice.pk}.")
    assert not cookies["agent"]["httponly"]
    browser.log_out()
    assert cookies["agent"].value == "0"
    # A session from before there was this cookie.
    del cookies["agent"]
    browser.web.force_login(alice)
    browser.web.get("/inbox/")
    assert cookies["agent"].value == f"{alice.pk}."


# --- Without JavaScript -------------------------------------------------------------------------


def kept_in(page: str) -> str:
    found = re.search(r'name="kept" value="([^"]+)"', page)
    return unescape(found[1]) if found else ""


@pytest.mark.parametrize("mode", ["reply", "note"])
def test_what_was_written_comes_back_after_the_log_in(
    at: str, alice: User, conversation: Conversation, mode: str
) -> None:
    browser = Browser()
    browser.log_in("alice")
    token = browser.token(at)
    Session.objects.all().delete()
    fields = {"text": "A long answer", "mode": mode, "csrfmiddlewaretoken": token}
    answer = browser.web.post(f"{at}{mode}/", fields)
    page = answer.content.decode()
    assert answer.status_code == 401
    assert "so nothing was sent" in page
    assert not Draft.objects.exists(), "no one is logged in, so nothing is stored"
    assert "A long answer" not in page
    wrong = browser.web.post(
        "/login/",
        {
            "username": "alice",
            "password": "no",
            "kept": kept_in(page),
            "csrfmiddlewaretoken": token,
        },
    )
    back = browser.log_in("alice", kept=kept_in(wrong.content.decode()))
    assert back["Location"] == at
    draft = Draft.objects.get()
    assert (draft.user, draft.mode, draft.text) == (alice, mode, "A long answer")
    assert not Message.objects.exclude(kind=MessageKind.INBOUND).exists()


def test_a_kept_text_comes_back_to_no_other_agent(at: str, alice: User, bob: User) -> None:
    browser = Browser()
    browser.log_in("alice")
    fields = {"text": "Only hers", "csrfmiddlewaretoken": browser.token(at)}
    Session.objects.all().delete()
    kept = kept_in(browser.web.post(f"{at}reply/", fields).content.decode())
    assert kept
    browser.log_in("bob", kept=kept)
    assert not Draft.objects.exists()


def test_whose_words_they_are_must_be_proven(at: str, alice: User) -> None:
    browser = Browser()
    page = browser.web.get("/login/").content.decode()
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)', page)
    assert token
    fields = {"text": "Whose?", "csrfmiddlewaretoken": token[1]}
    answer = browser.web.post(f"{at}reply/", fields).content.decode()
    assert "couldn’t be kept" in answer
    assert not kept_in(answer)
    browser.log_in("alice", kept="made:up")
    assert not Draft.objects.exists()


def test_a_session_takes_no_text_before_the_login(at: str, alice: User) -> None:
    browser = Browser()
    browser.log_in("alice")
    fields = {"text": "A long answer", "csrfmiddlewaretoken": browser.token(at)}
    Session.objects.all().delete()
    kept = kept_in(browser.web.post(f"{at}reply/", fields).content.decode())
    stranger = Client()
    stranger.post("/login/passkey/", {"credential": "{}", "kept": kept})
    stranger.post("/login/", {"username": "alice", "password": "no", "kept": kept})
    assert "kept_text" not in stranger.session


def test_only_sealed_text_waits_for_the_second_step(alice: User) -> None:
    give_app(alice)
    answer = log_in("alice", kept="x" * 10_000)
    assert answer["Location"] == "/account/step/"
    assert "kept_text" not in answer.client.session


def test_a_passkey_brings_back_what_was_written(at: str, alice: User, monkeypatch: Any) -> None:
    browser = Browser()
    browser.log_in("alice")
    fields = {"text": "A long answer", "csrfmiddlewaretoken": browser.token(at)}
    Session.objects.all().delete()
    kept = kept_in(browser.web.post(f"{at}reply/", fields).content.decode())
    # What a browser's passkey proves is tested in Chromium; here it is what comes after.
    passkey = WebAuthn.add(alice, "Phone", Passkey().registration()).instance
    monkeypatch.setattr(LoginWebAuthnForm, "clean_credential", lambda _form: passkey)
    back = Client().post("/login/passkey/", {"credential": '{"id": "x"}', "kept": kept})
    assert back["Location"] == at
    assert Draft.objects.get().text == "A long answer"


def test_another_form_leads_back_to_its_page(at: str, alice: User) -> None:
    web = logged_in(alice)
    Session.objects.all().delete()
    answer = web.post(f"{at}resolve/", headers={"Referer": f"http://testserver{at}?before=7"})
    assert answer["Location"] == f"/login/?next={at.replace('/', '%2F')}%3Fbefore%3D7"
    elsewhere = web.post(f"{at}resolve/", headers={"Referer": "https://evil.example/x"})
    assert elsewhere["Location"] == "/login/?next=%2F"
