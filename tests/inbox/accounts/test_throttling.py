"""Guessing is slow, tells nothing, and locks nobody out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.utils import timezone

from inbox.accounts.login import throttling
from inbox.accounts.models import FailedLogIn
from orders.models import AuditEntry, AuditKind
from tests.support.people.signing_in import log_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _the_clock_stands_still(time_machine: Any) -> None:
    time_machine.move_to(timezone.now().replace(minute=10), tick=False)


def guess(name: str, times: int, *, address: str = "203.0.113.7", web: Client | None = None) -> Any:
    web = web or Client()
    for number in range(times):
        answer = web.post(
            "/login/", {"username": name, "password": f"no {number}"}, REMOTE_ADDR=address
        )
    return answer


def fail(name: str, *, address: str) -> None:
    """Count a wrong password without the page around it, where many are needed."""
    request = RequestFactory().post("/login/", REMOTE_ADDR=address)
    throttling.failed(throttling.attempt(request, name), now=timezone.now())


def test_the_sixth_wrong_password_has_to_wait_and_is_not_looked_at(
    alice: User, time_machine: Any
) -> None:
    assert guess("alice", 5).status_code == 200
    right = {"username": "alice", "password": "demo"}
    late = Client().post("/login/", right, REMOTE_ADDR="203.0.113.7")
    assert (late.status_code, late["Retry-After"]) == (429, "10")
    assert "Too many wrong passwords" in late.content.decode()
    # From elsewhere the right password works at once: nobody is locked out.
    assert Client().post("/login/", right, REMOTE_ADDR="198.51.100.1").status_code == 302
    time_machine.shift(timedelta(seconds=11))
    assert Client().post("/login/", right, REMOTE_ADDR="203.0.113.7").status_code == 302


@pytest.mark.parametrize(
    "spelling", ["ａlice", "ＡＬＩＣＥ", " alice\u3000", "ALICE", "alice@shop.example"]
)
def test_every_spelling_of_a_name_is_counted_as_that_account(alice: User, spelling: str) -> None:
    User.objects.filter(pk=alice.pk).update(email="alice@shop.example")
    right = {"username": spelling, "password": "demo"}
    assert Client().post("/login/", right).status_code == 302, "it opens her account"
    guess("alice", 4)
    guess(spelling, 1)
    assert FailedLogIn.objects.get().user == alice
    assert AuditEntry.objects.get(kind=AuditKind.LOG_IN_FAILED).detail["user"] == alice.pk
    assert guess(spelling, 1).status_code == 429


def test_a_name_is_that_of_the_account_whose_password_it_opens(alice: User) -> None:
    """Case folding makes “strauß” look like “strauss”, who is someone else."""
    strauss = User.objects.create_user("strauss", password="demo")
    strausz = User.objects.create_user("strauß", password="demo")
    guess("strauß", 1)
    assert FailedLogIn.objects.get().user == strausz
    guess("strauss", 1)
    assert FailedLogIn.objects.get(user=strauss).count == 1


def test_a_name_with_a_null_is_no_name(alice: User) -> None:
    assert guess("ali\x00ce", 6).status_code == 200
    assert not FailedLogIn.objects.exists()


def test_each_one_waits_longer(alice: User, time_machine: Any) -> None:
    guess("alice", 5)
    waits = []
    for _ in range(9):
        waits.append(int(guess("alice", 1)["Retry-After"]))
        time_machine.shift(timedelta(seconds=waits[-1] + 1))
        assert guess("alice", 1).status_code == 200
    assert waits[:3] == [10, 20, 40]
    assert waits[-1] == 15 * 60


def test_a_known_device_is_not_slowed_down_by_strangers(alice: User, monkeypatch: Any) -> None:
    monkeypatch.setattr(throttling, "PER_NAME", 12)
    own = log_in("alice").client
    own.post("/inbox/logout/")
    for number in range(throttling.PER_NAME // 5 + 1):
        guess("alice", 5, address=f"198.51.100.{number}")
    right = {"username": "alice", "password": "demo"}
    assert Client().post("/login/", right, REMOTE_ADDR="192.0.2.1").status_code == 429
    assert own.post("/login/", right, REMOTE_ADDR="192.0.2.1").status_code == 302
    # The cookie of one person is none of another's, and a made-up one is no cookie.
    forged = Client()
    forged.cookies["device"] = "x" * 40
    assert forged.post("/login/", right, REMOTE_ADDR="192.0.2.1").status_code == 429


def test_one_address_that_fails_for_many_names_is_slowed_down(
    alice: User, monkeypatch: Any
) -> None:
    monkeypatch.setattr(throttling, "PER_PLACE", 12)
    for number in range(throttling.PER_PLACE // 4):
        guess(f"name{number}", 4)
    assert guess("alice", 1).status_code == 429
    assert guess("alice", 1, address="198.51.100.1").status_code == 200


def test_a_name_without_an_account_is_answered_alike(alice: User) -> None:
    pages = {}
    for name in ("alice", "nobody"):
        first, last = guess(name, 1).content.decode(), guess(name, 5)
        pages[name] = (
            first.replace(name, "").partition("<form")[2].partition("csrf")[0],
            "Please enter a correct" in first,
            last.status_code,
            last["Retry-After"],
        )
    assert pages["alice"] == pages["nobody"]


def test_an_unknown_name_costs_a_hash_as_well(alice: User, monkeypatch: Any) -> None:
    """The time of an answer is that of its hashes."""
    from django.contrib.auth.hashers import MD5PasswordHasher

    hashed: list[str] = []
    real = MD5PasswordHasher.encode

    def encode(self: MD5PasswordHasher, password: str, salt: str) -> str:
        hashed.append(password)
        return real(self, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", encode)
    guess("alice", 1)
    known = len(hashed)
    guess("nobody", 1)
    assert (known, len(hashed)) == (1, 2)


def test_failures_grow_a_counter_and_not_the_log(alice: User) -> None:
    before = AuditEntry.objects.count()
    for _ in range(3):
        guess("alice", 10)
    row = FailedLogIn.objects.get()
    assert (row.user, row.place, row.count) == (alice, "203.0.113.7", 5)
    entry = AuditEntry.objects.get(kind=AuditKind.LOG_IN_FAILED)
    assert entry.detail == {"user": alice.pk, "within_hour": 5}
    assert AuditEntry.objects.count() == before + 1


def test_the_table_is_bounded(alice: User, monkeypatch: Any) -> None:
    monkeypatch.setattr(throttling, "ROWS_PER_HOUR", 3)
    monkeypatch.setattr(throttling, "_SHARED_DIGITS", 1)
    for number in range(60):
        fail(f"name{number}", address=f"198.51.100.{number}")
    for number in range(10):
        fail("alice", address=f"192.0.2.{number}")
    others = FailedLogIn.objects.filter(place="others")
    assert FailedLogIn.objects.count() == 3 + others.count()
    assert others.filter(user=None).count() <= 16
    assert sum(row.count for row in others.filter(user=None)) == 57
    assert others.get(user=alice).count == 10
    throttling.prune(now=timezone.now() + timedelta(days=31))
    assert not FailedLogIn.objects.exists()


@pytest.fixture
def _full(monkeypatch: Any) -> None:
    """Others have filled this hour's table."""
    monkeypatch.setattr(throttling, "ROWS_PER_HOUR", 3)
    for number in range(3):
        fail(f"name{number}", address=f"198.51.100.{number}")


@pytest.mark.usefixtures("_full")
@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_in_a_full_table_each_name_still_has_its_limit(
    alice: User, bob: User, monkeypatch: Any, name: str
) -> None:
    monkeypatch.setattr(throttling, "PER_NAME", 12)
    for number in range(12):
        assert guess(name, 1, address=f"192.0.2.{number}").status_code == 200
    late = guess(name, 1, address="203.0.113.1")
    assert (late.status_code, late["Retry-After"]) == (429, "60")
    assert guess("bob", 1, address="203.0.113.1").status_code == 200, "he isn't under attack"


@pytest.mark.usefixtures("_full")
def test_in_a_full_table_the_log_still_hears_of_an_account(alice: User) -> None:
    for number in range(5):
        guess("alice", 1, address=f"192.0.2.{number}")
    entry = AuditEntry.objects.get(kind=AuditKind.LOG_IN_FAILED)
    assert entry.detail == {"user": alice.pk, "within_hour": 5}


def test_in_a_full_table_a_known_device_still_has_its_own_count(
    alice: User, monkeypatch: Any
) -> None:
    own = log_in("alice").client
    own.post("/inbox/logout/")
    monkeypatch.setattr(throttling, "ROWS_PER_HOUR", 0)
    guess("alice", 5, web=own)
    assert guess("alice", 1, web=own).status_code == 429


def test_nothing_that_was_typed_is_stored(alice: User) -> None:
    guess("my secret password", 1)
    assert "secret" not in str(list(FailedLogIn.objects.values()))


def test_ipv6_counts_by_network(alice: User) -> None:
    for number in range(5):
        guess("alice", 1, address=f"2001:db8:1:2::{number + 1}")
    assert guess("alice", 1, address="2001:db8:1:2:ffff::9").status_code == 429
    assert guess("alice", 1, address="2001:db8:1:3::1").status_code == 200


def test_the_proxys_word_counts_only_if_it_is_trusted(alice: User, settings: Any) -> None:
    settings.TRUSTED_PROXY = True
    web = Client()
    for number in range(5):
        forwarded = {"X-Forwarded-For": f"10.0.0.{number}, 198.51.100.9"}
        fields = {"username": "alice", "password": "no"}
        web.post("/login/", fields, headers=forwarded)
    assert FailedLogIn.objects.get().place == "198.51.100.9"
