"""Email about an account is sent if it can be, and nothing else depends on it."""

from __future__ import annotations

from smtplib import SMTPServerDisconnected
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.cache import cache
from django.test import Client

from core import queue
from tests.support.people.signing_in import log_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _her_address(alice: User) -> None:
    cache.clear()
    User.objects.filter(pk=alice.pk).update(email="alice@shop.example")


@pytest.fixture
def _no_broker(monkeypatch: Any) -> None:
    monkeypatch.setattr(queue, "enqueue", lambda *_args, **_more: False)


@pytest.fixture(params=[ConnectionRefusedError, SMTPServerDisconnected])
def _no_mail_server(request: Any, monkeypatch: Any) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise request.param("down, asked for alice@shop.example")

    monkeypatch.setattr("inbox.accounts.mail.send_mail", refuse)


@pytest.mark.usefixtures("_no_broker")
def test_without_a_broker_it_is_sent_at_once() -> None:
    assert log_in("alice").status_code == 302
    assert [letter.to for letter in mail.outbox] == [["alice@shop.example"]]


@pytest.mark.usefixtures("_no_broker", "_no_mail_server")
def test_a_login_works_though_its_notice_cant_be_sent(caplog: Any) -> None:
    answer = log_in("alice")
    assert answer.status_code == 302
    assert answer.client.get("/inbox/").status_code == 200
    assert "an email about an account is lost" in caplog.text
    assert "alice@" not in caplog.text


@pytest.mark.usefixtures("_no_broker", "_no_mail_server")
def test_an_administrator_hears_that_a_link_wasnt_sent(alice: User, monkeypatch: Any) -> None:
    # A test's transaction is never committed.
    monkeypatch.setattr("django.db.transaction.on_commit", lambda do: do())
    User.objects.create_superuser("ann", password="demo")
    web = log_in("ann").client
    fields = {"action": "send_link", "_selected_action": [alice.pk]}
    page = web.post("/admin/auth/user/", fields, follow=True).content.decode()
    assert "Links sent: 0." in page
    assert "Not sent: 1." in page
    person = {"username": "kim", "email": "kim@shop.example"}
    page = web.post("/admin/auth/user/add/", person, follow=True).content.decode()
    assert "The account kim is saved. The email server" in page
    assert User.objects.filter(username="kim").exists()


@pytest.mark.usefixtures("_no_broker", "_no_mail_server")
def test_an_outage_doesnt_tell_which_accounts_exist() -> None:
    answers = {
        (answer.status_code, answer["Location"])
        for email in ("alice@shop.example", "nobody@shop.example")
        for answer in [Client().post("/account/reset/", {"email": email})]
    }
    assert answers == {(302, "/account/reset/sent/")}
