"""Whatever ID an admin page or action is given: a 404 or a message, never a server error."""

from __future__ import annotations

import re
from typing import Final

import pytest
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.urls import reverse

from inbox.models import ApiToken
from orders.admin.base import DeskAdmin
from tests.conftest import logged_in
from tests.support.pages.addresses import addresses

pytestmark = pytest.mark.django_db
ODD: Final = ("987654321", "0", "-1", "x", "9" * 30, "1e3", "\u0663" * 9, "1 OR 1=1", "None", "%00")


@pytest.fixture
def root(db: None) -> Client:
    client = logged_in(User.objects.create_superuser("root"))
    client.raise_request_exception = False
    return client


def of_one_row() -> list[str]:
    """Routes of the admin that name a row."""
    found = [r for _namespace, r in addresses() if r.startswith("/admin/") and "<" in r]
    return [r for r in found if "r/<int:content_type_id>" not in r]


@pytest.mark.slow
def test_pages_of_rows_that_do_not_exist(root: Client) -> None:
    routes = of_one_row()
    assert len(routes) > 40
    failed = []
    for number, route in enumerate(routes):
        for odd in (ODD[0], ODD[1 + number % (len(ODD) - 1)]):
            path = re.sub(r"<[^>]+>", odd, route.replace("(?P<url>.*)$", "x"))
            for method in (root.get, root.post):
                code = method(path).status_code
                if code >= 500 or code == 200:
                    failed.append(f"{method.__name__} {path}: {code}")
    assert "\n".join(failed) == ""


def actions() -> list[tuple[str, str]]:
    """The address of each list, and the name of each action it offers."""
    request = RequestFactory().get("/admin/")
    request.user = User(is_superuser=True, is_staff=True, is_active=True)
    return [
        (
            reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"),
            name,
        )
        for model, page in admin.site._registry.items()
        for name in page.get_actions(request)
    ]


def test_actions_on_rows_that_do_not_exist(root: Client) -> None:
    assert len(actions()) > 5
    failed = []
    for path, name in actions():
        for chosen in ([ODD[0]], list(ODD)):
            code = root.post(path, {"action": name, "_selected_action": chosen}).status_code
            if code >= 500:
                failed.append(f"{path} {name} {chosen}: {code}")
    assert "\n".join(failed) == ""


def test_without_the_check_they_fail(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control."""
    monkeypatch.setattr(DeskAdmin, "response_action", ModelAdmin.response_action)
    path = reverse(f"admin:inbox_{ApiToken._meta.model_name}_changelist")
    asked = {"action": "revoke_tokens", "_selected_action": ["x"]}
    assert root.post(path, asked).status_code == 500
