"""The staff roles of an installation that is upgraded get what they need for what is new."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission

from inbox.accounts.default_roles import make_staff_roles

pytestmark = pytest.mark.django_db
TEAMS = {"view_team", "add_team", "change_team", "delete_team"}
TOKENS = {"view_apitoken", "change_apitoken"}
WEBHOOKS = {"view_webhookdelivery"} | {f"{v}_webhookendpoint" for v in ("view", "add", "change")}
ALL = TEAMS | TOKENS | WEBHOOKS
LATER = ("0021_teams", "0022_api_tokens", "0035_outgoing_webhooks")


def may(role: str) -> set[str]:
    return set(Group.objects.get(name=role).permissions.values_list("codename", flat=True))


def migrated(*names: str, backwards: bool = False) -> None:
    """As `migrate` tells it afterwards."""
    plan = [(SimpleNamespace(app_label="inbox", name=name), backwards) for name in names]
    make_staff_roles(apps.get_app_config("inbox"), plan=plan)


@pytest.fixture(autouse=True)
def _groups_from_before() -> None:
    """Without what was added later, and without something that administrators took away."""
    for role in ("admins", "auditors"):
        group = Group.objects.get(name=role)
        group.permissions.remove(*Permission.objects.filter(codename__in=ALL))
        group.permissions.remove(Permission.objects.get(codename="view_drift"))


def test_an_upgrade_gives_each_role_what_is_new() -> None:
    migrated(*LATER)
    assert may("admins") >= ALL
    assert may("auditors") & ALL == {"view_team"}
    assert "view_drift" not in may("admins") | may("auditors"), "what was taken away stays away"


def test_an_upgraded_role_has_what_a_new_one_gets() -> None:
    migrated(*LATER)
    upgraded = {role: may(role) for role in ("admins", "auditors")}
    Group.objects.all().delete()
    migrated()
    for role, permissions in upgraded.items():
        assert may(role) - permissions == {"view_drift"}


def test_other_migrations_leave_the_roles_alone() -> None:
    migrated("0020_customer_views")
    migrated(*LATER, backwards=True)
    assert not (may("admins") | may("auditors")) & ALL
