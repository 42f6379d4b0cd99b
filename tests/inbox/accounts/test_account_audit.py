"""The audit log names who changed a role, a password or a key, by whichever door."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.test import Client

import manage
from core import change_origin
from inbox.models import Channel
from orders.models import AuditEntry, AuditKind

pytestmark = pytest.mark.django_db


@pytest.fixture
def as_admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("admin", password="x"))
    return client


def newest(kind: AuditKind = AuditKind.PERMISSIONS) -> AuditEntry:
    return AuditEntry.objects.filter(kind=kind).latest("pk")


def test_a_role_changed_in_the_admin_names_the_administrator(as_admin: Client) -> None:
    role = Group.objects.create(name="helpers")
    permission = Permission.objects.order_by("pk")[0]
    data = {"name": "helpers", "permissions": [permission.pk]}
    as_admin.post(f"/admin/auth/group/{role.pk}/change/", data)
    entry = newest()
    assert (entry.actor, entry.detail["ids"]) == ("admin", [permission.pk])
    assert (entry.detail["group"], entry.detail["name"]) == (role.pk, "helpers")
    # The control: the same change by no one we know names no one.
    role.permissions.clear()
    assert newest().pk == entry.pk


@pytest.mark.parametrize("side", ["user", "role"])
def test_a_role_given_from_either_side_is_written(alice: User, side: str) -> None:
    role = Group.objects.create(name="helpers")
    before = newest().pk
    if side == "user":
        alice.groups.add(role)
    else:
        role.user_set.add(alice)
    entry = newest()
    assert entry.pk != before
    assert entry.detail["ids"] == [role.pk if side == "user" else alice.pk]


def test_a_password_changed_at_a_terminal_names_who_sits_there(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "ops")
    alice.set_password("a new one")
    with change_origin.terminal():
        alice.save()
    entry = newest()
    assert (entry.actor, entry.detail["password_changed"]) == ("terminal: ops", True)
    # The control: a change of something else isn't called one of the password.
    alice.is_staff = True
    alice.save()
    assert newest().detail["password_changed"] is False


def test_commands_run_as_the_terminals_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ops")
    seen: list[str] = []

    def execute(_argv: list[str]) -> None:
        call_command("rotate_keys", verbosity=0)
        seen.append(newest(AuditKind.STORE).actor)

    monkeypatch.setattr("django.core.management.execute_from_command_line", execute)
    manage.main()
    assert seen == ["terminal: ops"]
    call_command("rotate_keys", verbosity=0)
    assert newest(AuditKind.STORE).actor == ""


def test_a_new_channel_key_names_who_made_it(as_admin: Client, channel: Channel) -> None:
    as_admin.post(f"/admin/inbox/channel/{channel.pk}/key/")
    entry = newest()
    assert (entry.actor, entry.detail["change"]) == ("admin", "new key")


def test_a_deleted_account_is_written(as_admin: Client, alice: User) -> None:
    number = alice.pk
    alice.delete()
    assert newest().detail == {"change": "deleted", "user": number}


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)

    def unnamed() -> Any:
        raise KeyError

    monkeypatch.setattr("getpass.getuser", unnamed)
    with change_origin.terminal():
        assert change_origin.current_origin().terminal.startswith("uid ")
