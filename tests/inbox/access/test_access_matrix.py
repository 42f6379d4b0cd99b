"""Every address × method × identity, against the table in tests/inbox/access/access_table.py.

The addresses come from the URL configuration. One without a row in the table fails the build.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any, Final

import pytest
from django.contrib import admin

from inbox import visibility
from inbox.accounts import page_access, roles
from inbox.middleware import RoleCheck
from inbox.visibility import EVERYTHING
from orders.shopify_port import get_gateway
from shopify_sync.models import ShopConnection
from shopify_sync.setup import doctor
from tests.inbox.access import access_table
from tests.inbox.access.access_table import IDENTITIES
from tests.support.pages.every_address import ALL, Address, Visitors, letter, model_row
from tests.support.people.two_teams import GATEWAY, TwoTeams, two_teams

pytestmark = pytest.mark.django_db
# The plain run takes every so-many-th request, and the slow one takes all of them.
SAMPLE: Final = 31


# --- The table is complete -----------------------------------------------------------------------
def test_every_address_has_a_row() -> None:
    rows = access_table.ROWS
    missing = sorted({address.name for address in ALL} - set(rows) - _of_models())
    assert missing == [], "Say in tests/inbox/access/access_table.py who may do what there."
    gone = sorted(set(rows) - {address.name for address in ALL})
    assert gone == [], "These rows have no address."


def test_every_address_has_a_door() -> None:
    for address in ALL:
        namespace, _sep, _name = address.name.rpartition(":")
        if address.name.startswith("/"):
            namespace = "admin" if address.route.startswith("/admin/") else "api"
        assert page_access.door_of(address.name, [namespace]), address


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
        address.name, method, identity, has_row=model_row(address) is not None
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
        answered = letter(visitors.ask(identity, method, address, side, inner))
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
    monkeypatch.setattr(visibility, "_look_up", lambda _user: EVERYTHING)
    found = troubles(world, asked)
    assert any("inbox:conversation as agent, foreign IDs: +, not 0" in line for line in found)
