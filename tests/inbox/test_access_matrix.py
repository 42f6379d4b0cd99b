"""Every address × method × identity, against the table in tests/inbox/access_table.py.

The addresses come from the URL configuration. One without a row in the table fails the build.
"""

from __future__ import annotations

import copy
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from django.contrib import admin
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from inbox import scopes
from inbox.accounts import doors, roles
from inbox.channels import keys
from inbox.frames import tokens
from inbox.middleware import RoleCheck
from inbox.scopes import EVERYTHING
from orders.shopify_port import get_gateway
from shopify_sync.models import ShopConnection
from shopify_sync.setup import doctor
from tests.conftest import logged_in
from tests.inbox import access_table
from tests.inbox.access_table import IDENTITIES
from tests.support.two_teams import GATEWAY, Side, TwoTeams, two_teams

pytestmark = pytest.mark.django_db
# The plain run takes every so-many-th request, and the slow one takes all of them.
SAMPLE: Final = 31
# What a view needs to be asked, besides its IDs.
QUERIES: Final = {"sidebar:frame": "?frame={frame}", "sidebar:connect": "?frame={frame}"}


@dataclass(frozen=True)
class Address:
    """A URL of the product. `name` is the one in the table."""

    name: str
    route: str

    @property
    def ids(self) -> list[str]:
        """The IDs that the URL takes, the outermost first."""
        return re.findall(r"<(?:\w+:)?(\w+)>", self.route)

    @property
    def is_about_something(self) -> bool:
        """Whether someone else's ID can stand first."""
        # The two parts of a link by email name no row of a team.
        return bool(self.ids) and self.ids[0] != "window" and "key" not in self.ids

    @property
    def is_nested(self) -> bool:
        """Whether someone else's ID can stand inside one's own."""
        return self.is_about_something and len(self.ids) > 1


def addresses() -> Iterator[Address]:
    """Every address, from the resolver itself."""

    def walk(patterns: Any, prefix: str, namespace: str) -> Iterator[Address]:
        for found in patterns:
            route = prefix + str(found.pattern)
            if isinstance(found, URLResolver):
                yield from walk(found.url_patterns, route, found.namespace or namespace)
            elif isinstance(found, URLPattern):
                name = f"{namespace}:{found.name}" if namespace else str(found.name)
                name = name if found.name else f"/{route}"
                if re.fullmatch(r"/admin/\w+/\w+/<path:object_id>/", name):
                    name = "/admin/<model>/<id>/"
                yield Address(name, f"/{route}")

    yield from walk(get_resolver().url_patterns, "", "")


ALL: Final = tuple(addresses())


# --- The table is complete -----------------------------------------------------------------------
def test_every_address_has_a_row() -> None:
    rows = access_table.ROWS
    missing = sorted({address.name for address in ALL} - set(rows) - _of_models())
    assert missing == [], "Say in tests/inbox/access_table.py who may do what there."
    gone = sorted(set(rows) - {address.name for address in ALL})
    assert gone == [], "These rows have no address."


def test_every_address_has_a_door() -> None:
    for address in ALL:
        namespace, _sep, _name = address.name.rpartition(":")
        if address.name.startswith("/"):
            namespace = "admin" if address.route.startswith("/admin/") else "api"
        assert doors.door_of(address.name, [namespace]), address


def test_every_model_of_the_admin_has_a_row() -> None:
    registered = {model._meta.label_lower for model in admin.site._registry}
    assert registered == set(access_table.MODELS)


def test_an_address_without_a_row_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {name: row for name, row in access_table.ROWS.items() if name != "inbox:reply"}
    monkeypatch.setattr(access_table, "ROWS", rows)
    with pytest.raises(AssertionError, match="inbox:reply"):
        test_every_address_has_a_row()


def _of_models() -> set[str]:
    """The names of the pages that each model has in the admin."""
    pages = ("changelist", "add", "change", "delete", "history")
    return {
        f"admin:{label.replace('.', '_')}_{page}" for label in access_table.MODELS for page in pages
    }


# --- The world -----------------------------------------------------------------------------------
@pytest.fixture
def world(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[TwoTeams]:
    settings.ORDERS_GATEWAY = GATEWAY
    get_gateway.cache_clear()
    made = two_teams()
    for side in (made.north, made.south):
        ShopConnection.objects.create(store=side.store, access_token="t", api_secret="s")
    monkeypatch.setattr(doctor, "examine", lambda *_args, **_kwargs: [])
    # A refusal is logged with its traceback, which takes longer than the request.
    logging.disable(logging.CRITICAL)
    yield made
    logging.disable(logging.NOTSET)
    get_gateway.cache_clear()


class Visitors:
    """A client for each identity, as it presents itself."""

    def __init__(self, world: TwoTeams) -> None:
        self._world = world
        people = world.people
        named = {
            "no role": "nobody",
            "agent": "agent",
            "other team": "other",
            "supervisor": "supervisor",
            "administrator": "admin",
            "auditor": "auditor",
        }
        self._clients = {name: logged_in(people[who]) for name, who in named.items()}
        self._clients["anonymous"] = Client()
        key = keys.new_key(world.north.channel)
        self._clients["channel key"] = Client(headers={"authorization": f"Bearer {key}"})
        self._clients["frame"] = Client()
        for client in self._clients.values():
            client.raise_request_exception = False
        self._named = named

    def answer(self, identity: str, method: str, address: Address, side: Side, inner: Side) -> str:
        """The letter of the answer. `inner` is whose IDs stand inside another ID's address."""
        who = self._named.get(identity, "agent")
        url = _filled(address, self._world, who, side, inner)
        client = self._clients[identity]
        sent: dict[str, Any] = {"headers": {"idempotency-key": "matrix"}}
        if identity == "frame":
            held = tokens.seal_pass(self._world.frame_pass("agent", self._world.north))
            sent["headers"]["authorization"] = f"Frame {held}"
        if method == "POST" and address.name.startswith("/api/"):
            # Complete enough for the view to look for the row.
            sent |= {"data": {"token": "x"}, "content_type": "application/json"}
        # Whatever it changes is undone, so that every request meets the same rows and sessions.
        point, cookies = transaction.savepoint(), copy.deepcopy(client.cookies)
        try:
            found = getattr(client, method.lower())(url, **sent)
        finally:
            transaction.savepoint_rollback(point)
            client.cookies = cookies
        return letter(found)


def letter(answer: Any) -> str:
    """What an answer means, as the table writes it."""
    code = answer.status_code
    if code == 302 and "/login/?next=" in answer["Location"]:
        return "L"
    return {401: "L", 403: "R", 404: "0", 405: "M"}.get(code, "+" if code < 500 else "!")


def _filled(address: Address, world: TwoTeams, who: str, side: Side, inner: Side) -> str:
    is_contact = address.route.startswith("/inbox/contacts/")
    contact = side.conversation.contact
    known: dict[str, Any] = {
        "pk": contact.pk if is_contact else side.conversation.pk,
        "order_id": inner.order.pk,
        "action_id": inner.action.pk,
        "message_id": inner.message.pk,
        "identity_id": inner.identity.pk,
        "channel_id": side.channel.pk,
        "window": world.window(who, side),
        "token": "x",
        "token_id": 1,
        "app_label": "orders",
        "content_type_id": 1,
        "object_id": 1,
        "url": "nothing/",
    }
    if address.name.startswith("admin:"):
        known |= {"pk": _of_admin(address, side), "object_id": _of_admin(address, side)}
        known["id"] = world.people["nobody"].pk
    known |= {"uidb36": "1", "key": "x"}
    route = re.sub(r"\(\?P<(\w+)>[^)]*\)", lambda m: str(known[m[1]]), address.route)
    route = re.sub(r"[\^$]", "", route)
    url = re.sub(r"<(?:\w+:)?(\w+)>", lambda m: str(known[m[1]]), route)
    return url + QUERIES.get(address.name, "").format(frame=world.north.frame.pk)


def _of_admin(address: Address, side: Side) -> int:
    """The ID of a row of the model that a page of the admin is about."""
    model = address.name.removeprefix("admin:").rpartition("_")[0]
    rows: dict[str, Any] = {
        "orders_store": side.store,
        "orders_order": side.order,
        "orders_orderaction": side.action,
        "inbox_channel": side.channel,
        "inbox_team": side.team,
        "inbox_contact": side.conversation.contact,
        "inbox_conversation": side.conversation,
        "inbox_helpdeskframe": side.frame,
    }
    model = {
        "shopify_sync_connection": "shopify_sync_shopconnection",
        "shopify_sync_app": "shopify_sync_shopconnection",
        "shopify_sync_read": "shopify_sync_webhookevent",
    }.get(model, model)
    if model in rows:
        return int(rows[model].pk)
    return _model_row(address) or 1


def _model_row(address: Address) -> int | None:
    """The first row of the model that a page of the admin is about; None if there is none."""
    label = address.name.removeprefix("admin:").rpartition("_")[0]
    for model in admin.site._registry:
        if model._meta.label_lower.replace(".", "_") == label:
            pk = model._default_manager.order_by("pk").values_list("pk", flat=True).first()
            return None if pk is None else int(pk)
    return None


# --- The matrix ----------------------------------------------------------------------------------
Request = tuple[Address, str, str, str]  # address, method, identity, whose IDs


def requests() -> Iterator[Request]:
    """Every request there is to make."""
    for address in ALL:
        for method in ("GET", "POST"):
            for identity in IDENTITIES:
                yield address, method, identity, "own"
                if address.is_about_something:
                    yield address, method, identity, "foreign"
                if address.is_nested:
                    yield address, method, identity, "nested"


def expected(address: Address, method: str, identity: str, whose: str) -> str:
    """The letter the table has for a request."""
    own = access_table.letter_of(
        address.name, method, identity, has_row=_model_row(address) is not None
    )
    # Administrators and auditors are responsible for both teams.
    if whose == "own" or "/admin/" in address.route:
        return own
    if whose == "foreign" and (address.name, identity) in access_table.FOREIGN:
        return access_table.FOREIGN[address.name, identity]
    if identity == "other team":
        # South's agent is at home where the others are strangers.
        home = access_table.letter_of(address.name, method, "agent")
        return home if whose == "foreign" else own
    return "0" if own == "+" else own


def troubles(world: TwoTeams, asked: list[Request]) -> list[str]:
    visitors = Visitors(world)
    found = []
    for address, method, identity, whose in asked:
        side = world.south if whose == "foreign" else world.north
        inner = world.north if whose == "own" else world.south
        answered = visitors.answer(identity, method, address, side, inner)
        wanted = expected(address, method, identity, whose)
        # With someone else's ID, a view may look for the row before it looks at the method.
        is_hidden = whose != "own" and (wanted, answered) == ("M", "0")
        if answered != wanted and not is_hidden:
            found.append(
                f"{method} {address.name} as {identity}, {whose} IDs: {answered}, not {wanted}"
            )
    return found


def test_a_sample_answers_as_declared(world: TwoTeams) -> None:
    sample = list(requests())[::SAMPLE]
    assert len(sample) > 100
    assert "\n".join(troubles(world, sample)) == ""


@pytest.mark.slow
def test_every_request_answers_as_declared(world: TwoTeams) -> None:
    """Every eighth in CI; all of them, in minutes, with ACCESS_MATRIX_STEP=1."""
    asked = list(requests())[:: int(os.environ.get("ACCESS_MATRIX_STEP", "8"))]
    assert "\n".join(troubles(world, asked)) == ""


# --- Controls ------------------------------------------------------------------------------------
def at(name: str, method: str, whose: str = "own") -> list[Request]:
    found = next(address for address in ALL if address.name == name)
    return [(found, method, identity, whose) for identity in IDENTITIES]


def test_a_missing_role_check_is_noticed(world: TwoTeams, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = at("inbox:order_search", "GET")
    assert troubles(world, asked) == []
    monkeypatch.setattr(RoleCheck, "process_view", lambda *_args: None)
    monkeypatch.setattr(roles, "may_work", lambda _user: True)
    assert any("as no role" in line for line in troubles(world, asked))


def test_a_missing_boundary_is_noticed(world: TwoTeams, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [*at("inbox:conversation", "GET", "foreign"), *at("inbox:order_card", "GET", "nested")]
    assert troubles(world, asked) == []
    monkeypatch.setattr(scopes, "_look_up", lambda _user: EVERYTHING)
    found = troubles(world, asked)
    assert any("inbox:conversation as agent, foreign IDs: +, not 0" in line for line in found)
