"""Every URL of the inbox, requested by every kind of user."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

import pytest
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import URLPattern, URLResolver, get_resolver, path

from inbox.frames import tokens
from inbox.frames.tokens import (
    Customer,
    Pass,
)
from inbox.middleware import RoleCheck
from inbox.models import Conversation, Message
from orders.models import Store
from tests.conftest import logged_in
from tests.support.browser.listening import cookie_of, stream
from tests.support.people.tokens import api_token, bearing
from tests.support.shop.doors import native_door
from tests.support.shop.in_process import Shop

ROLES: Final = {
    "no_role": (),
    "agent": ("agents",),
    "supervisor": ("supervisors",),
    "auditor": ("auditors",),
    "admin": ("admins",),
    "auditing agent": ("auditors", "agents"),
}
WORKS: Final = {"agent", "supervisor", "auditing agent"}


def addresses() -> Iterator[tuple[str, str]]:
    """(namespace, route) of every address of ours below it, from the resolver itself."""

    def walk(patterns: Any, prefix: str, namespace: str) -> Iterator[tuple[str, str]]:
        for found in patterns:
            route = prefix + str(found.pattern)
            if isinstance(found, URLResolver):
                yield from walk(found.url_patterns, route, found.namespace or namespace)
            elif isinstance(found, URLPattern):
                yield namespace, route

    for namespace, route in walk(get_resolver().url_patterns, "", ""):
        if namespace in {"inbox", "order", "sidebar_window", "api"}:
            yield namespace, "/" + route


ALL: Final = tuple(addresses())
# Channels have keys instead of roles; everyone may log out. Policies and reports ask for the
# permission of the admin's page (tests/inbox/api/test_reading.py).
OWN_DOOR: Final = (
    "/api/v1/channels/",
    "/api/v1/policies/",
    "/api/v1/reports/",
    "/inbox/logout/",
)


def filled(route: str, conversation: Conversation, window: str) -> str:
    route = re.sub(r"<str:window>", window, route)
    return re.sub(r"<\w+:\w+>", str(conversation.pk), route)


@pytest.fixture
def people(db: None) -> dict[str, Client]:
    found = {}
    for name, groups in ROLES.items():
        user = User.objects.create_user(name.replace(" ", "-"), password="demo")
        user.groups.set([Group.objects.get_or_create(name=group)[0] for group in groups])
        found[name] = logged_in(user)
    return found


def test_there_are_many_addresses() -> None:
    assert len([a for a in ALL if a[0] == "inbox"]) > 30
    assert len([a for a in ALL if a[0] == "api"]) >= 8


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize(("namespace", "route"), [a for a in ALL if not a[1].startswith(OWN_DOOR)])
def test_roles_decide_at_every_address(
    namespace: str, route: str, people: dict[str, Client], conversation: Conversation
) -> None:
    strict = [Client(), *people.values()]
    for client in strict:
        client.raise_request_exception = False
    url = filled(route, conversation, "sealed")
    for method in ("get", "post"):
        anonymous = getattr(Client(), method)(url)
        assert anonymous.status_code in {302, 401, 403}, (method, url)
        if anonymous.status_code == 302:
            assert "/login/" in anonymous["Location"]
        for name, client in people.items():
            code = getattr(client, method)(url).status_code
            if name not in WORKS:
                assert code == 403, (name, method, url)
            elif namespace != "sidebar_window":  # there the seal decides next
                # What follows may be refused for a reason of its own (not assigned).
                assert code != 403 or method == "post", (name, method, url)
    assert Message.objects.filter(kind="reply").count() == 0


@pytest.mark.django_db
def test_only_who_works_here_answers(people: dict[str, Client], conversation: Conversation) -> None:
    url = f"/inbox/conversations/{conversation.pk}/reply/"
    for number, (name, client) in enumerate(people.items()):
        code = client.post(url, {"text": f"Hello {number}"}).status_code
        was_written = Message.objects.filter(text=f"Hello {number}").exists()
        assert was_written is (name in WORKS), (name, code)


@pytest.mark.django_db
def test_a_superuser_without_a_role_cannot_answer_customers(conversation: Conversation) -> None:
    root = logged_in(User.objects.create_superuser("root"))
    page = f"/inbox/conversations/{conversation.pk}/"
    Conversation.objects.update(is_unread=True)
    assert root.get(page).status_code == 403
    assert Conversation.objects.get().is_unread
    assert root.post(f"{page}reply/", {"text": "Hello"}).status_code == 403


@pytest.mark.django_db
def test_a_token_of_an_account_without_a_role_opens_nothing(store: Store, shop: Shop) -> None:
    user = User.objects.create_user("bot")
    asked: dict[str, Any] = {"headers": bearing(api_token(user))}
    assert Client().get("/api/v1/orders/?q=1001", **asked).status_code == 401
    user.groups.add(Group.objects.get_or_create(name="agents")[0])
    assert Client().get("/api/v1/orders/?q=1001", **asked).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["auditor", "admin"])
def test_people_of_the_admin_land_there(people: dict[str, Client], name: str) -> None:
    User.objects.filter(username=name).update(is_staff=True)
    answer = people[name].get("/inbox/")
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


@pytest.mark.django_db
def test_staff_status_alone_opens_no_page_of_the_admin() -> None:
    ann = logged_in(User.objects.create_user("ann", is_staff=True))
    assert ann.get("/admin/").status_code == 403
    root = logged_in(User.objects.create_superuser("root"))
    assert root.get("/admin/").status_code == 200
    agent = User.objects.create_user("agent")
    agent.groups.add(Group.objects.get_or_create(name="agents")[0])
    assert logged_in(agent).get("/admin/").status_code == 403


@pytest.mark.django_db
def test_nothing_in_the_admin_leads_administrators_into_the_inbox(
    people: dict[str, Client], conversation: Conversation
) -> None:
    Store.objects.create(domain="demo.myshopify.com")
    root = logged_in(User.objects.create_superuser("root"))
    pages = ("/admin/", f"/admin/inbox/conversation/{conversation.pk}/change/")
    for page in pages:
        assert 'href="/inbox/' not in root.get(page).content.decode()
    User.objects.filter(username="root").get().groups.add(Group.objects.get(name="agents"))
    for page in pages:
        assert 'href="/inbox/' in root.get(page).content.decode()


# --- A new address ------------------------------------------------------------------------------
def forgotten(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("everything")


@login_not_required
def forgotten_and_open(request: HttpRequest) -> HttpResponse:
    return forgotten(request)


class Extended:
    """The product's addresses and one that nobody has declared."""

    urlpatterns: Final = [
        *import_module("settings.urls").urlpatterns,
        path("forgotten/", forgotten, name="forgotten"),
        path("forgotten/open/", forgotten_and_open, name="forgotten-open"),
    ]


@pytest.mark.django_db
def test_an_address_without_a_door_is_closed_to_everyone(
    people: dict[str, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    everyone = [*people.values(), logged_in(User.objects.create_superuser("root"))]
    with override_settings(ROOT_URLCONF=Extended):
        assert Client().get("/forgotten/").status_code == 302
        for client in (Client(), *everyone):
            assert client.get("/forgotten/open/").status_code == 403
            assert client.post("/forgotten/open/").status_code == 403
        for client in everyone:
            assert client.get("/forgotten/").status_code == 403
        # The same address without the check.
        monkeypatch.setattr(RoleCheck, "process_view", lambda *_args: None)
        assert Client().get("/forgotten/open/").content == b"everything"


@pytest.mark.django_db
def test_a_window_needs_its_persons_role(people: dict[str, Client], conversation: Any) -> None:
    no_role = User.objects.get(username="no_role")
    window = tokens.seal_window(
        Pass(frame_id=1, agent_id=no_role.pk, session_key="", opened_at=0, customer=Customer())
    )
    assert people["no_role"].get(f"/sidebar/window/{window}/orders/").status_code == 403


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("groups", "code"), [((), 403), (("agents",), 200), (("auditors",), 403)])
def test_the_stream_asks_for_the_role_as_well(groups: tuple[str, ...], code: int) -> None:
    user = User.objects.create_user("ear")
    user.groups.set([Group.objects.get_or_create(name=group)[0] for group in groups])
    with native_door() as door, stream(door.port, cookie=cookie_of(logged_in(user))) as heard:
        assert heard.status == code


@pytest.mark.django_db
def test_a_role_that_was_taken_away_is_gone_at_the_next_request(
    people: dict[str, Client], conversation: Conversation
) -> None:
    page = f"/inbox/conversations/{conversation.pk}/"
    assert people["agent"].get(page).status_code == 200
    User.objects.get(username="agent").groups.clear()
    assert people["agent"].get(page).status_code == 403
