"""What programs can read besides orders and actions: the same as on the pages, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.utils import timezone

from inbox.api.reading import paging
from inbox.contacts import identities
from inbox.models import Contact, CustomerView
from orders.models import ActionState, OrderAction, OrderEvent, Policy
from orders.shopify_port import get_gateway
from tests.conftest import logged_in
from tests.support.people.tokens import api_token, bearing
from tests.support.people.two_teams import GATEWAY, TwoTeams, two_teams

pytestmark = pytest.mark.django_db
Get = Callable[..., Any]


@pytest.fixture
def world(settings: Any) -> Iterator[TwoTeams]:
    settings.ORDERS_GATEWAY = GATEWAY
    get_gateway.cache_clear()
    yield two_teams()
    get_gateway.cache_clear()


def get(user: User, path: str, *, scope: str = "read", stores: Any = (), **query: str) -> Any:
    """The answer to a token of this person."""
    name = f"{path}{scope}{len(stores)}{query}{user.api_tokens.count()}"[:100]
    text = api_token(user, scope, name=name, stores=stores)
    return Client(headers=bearing(text)).get(f"/api/v1/{path}", query)


def pages(user: User, path: str, **query: str) -> list[Any]:
    """All rows, page by page."""
    found: list[Any] = []
    more: dict[str, str] = {}
    while True:
        body = get(user, path, **query, **more).json()
        found += body["results"]
        if body["next"] is None:
            return found
        more = {"after": body["next"]}


# --- Contacts ---------------------------------------------------------------------------------------
def test_a_contact_is_found_and_shown_with_what_is_proven(world: TwoTeams) -> None:
    agent, contact = world.people["agent"], world.north.conversation.contact
    email = contact.identities.get(kind="email").value
    contact.claims.create(kind="email", value="other@example.com")
    contact.identities.create(kind="shopify_customer", value=f"{world.north.store.pk}:gid://x/C/7")
    contact.identities.create(kind="shopify_customer", value=f"{world.south.store.pk}:gid://x/C/8")
    for words in (email, contact.name, world.north.order.name):
        [row] = get(agent, "contacts/", q=words).json()["results"]
        assert (row["id"], row["name"]) == (contact.pk, contact.name)
        assert set(row) == {"id", "name", "created_at"}
    shown = get(agent, f"contacts/{contact.pk}/").json()
    assert {"kind": "email", "value": email, "store": None} in shown["identities"]
    customers = [one for one in shown["identities"] if one["kind"] == "shopify_customer"]
    # The other team's store doesn't exist for them.
    assert customers == [
        {"kind": "shopify_customer", "value": "7", "store": world.north.store.domain}
    ]
    assert shown["unproven"] == [{"kind": "email", "value": "other@example.com"}]
    assert CustomerView.objects.filter(viewer=agent, number=contact.pk).exists()


def test_another_teams_contact_does_not_exist(world: TwoTeams) -> None:
    agent, foreign = world.people["agent"], world.south.conversation.contact
    email = foreign.identities.get(kind="email").value
    assert get(agent, "contacts/", q=email).json() == {"results": [], "next": None}
    for path in (f"contacts/{foreign.pk}/", f"contacts/{foreign.pk}/timeline/"):
        assert get(agent, path).status_code == 404
        assert get(world.people["other"], path).status_code == 200


def test_a_contact_who_only_joined_a_teams_conversation_is_theirs(world: TwoTeams) -> None:
    agent, tom = world.people["agent"], world.south.conversation.contact
    email = tom.identities.get(kind="email").value
    world.north.conversation.participants.create(contact=tom, external_id="u-tom", name="Tom")
    assert [row["id"] for row in get(agent, "contacts/", q=email).json()["results"]] == [tom.pk]
    assert get(agent, f"contacts/{tom.pk}/").status_code == 200


def test_a_search_goes_on_where_the_page_before_ended(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE", 3)
    now = timezone.now()
    made = [Contact.objects.create(name=f"Namesake {number}") for number in range(8)]
    # Two at the same moment, in the middle of a page and between two.
    for number, contact in enumerate(made):
        at = now - timedelta(minutes=number // 2)
        Contact.objects.filter(pk=contact.pk).update(created_at=at)
    newest = Contact.objects.order_by("-created_at", "-pk").values_list("pk", flat=True)
    assert [row["id"] for row in pages(alice, "contacts/", q="Namesake")] == list(newest)


def test_the_timeline_has_each_event_of_the_contacts_orders_once(
    world: TwoTeams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE", 2)
    agent, side = world.people["agent"], world.north
    now = timezone.now()
    OrderAction.objects.filter(pk=side.action.pk).update(
        origin=f"conversation:{side.conversation.pk}"
    )
    for number in range(5):
        OrderEvent.objects.create(
            order=side.order,
            kind="refunded",
            key=f"refunded:{number}",
            occurred_at=now - timedelta(minutes=number // 2),
            source="agent",
            actor=agent,
            action=side.action,
            amount="5.5",
            currency="EUR",
        )
    assert world.north.abroad is not None
    OrderEvent.objects.create(
        order=world.north.abroad, kind="placed", key="placed:x", occurred_at=now, source="shopify"
    )
    rows = pages(agent, f"contacts/{side.conversation.contact_id}/timeline/")
    mine = OrderEvent.objects.filter(order=side.order).order_by("-occurred_at", "-pk")
    assert [row["id"] for row in rows] == list(mine.values_list("pk", flat=True))
    refunded = next(row for row in rows if row["kind"] == "refunded")
    assert refunded["amount"] == {"amount": "5.50", "currency": "EUR"}
    assert refunded["actor"] == agent.username
    assert refunded["order"]["store"] == side.store.domain
    assert (refunded["action"], refunded["conversation"]) == (side.action.pk, side.conversation.pk)


def test_a_timeline_of_more_orders_than_are_read_says_so(
    world: TwoTeams, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, contact = world.people["agent"], world.north.conversation.contact
    path = f"contacts/{contact.pk}/timeline/"
    assert get(agent, path).json()["is_complete"] is True
    monkeypatch.setattr(identities, "ORDERS_READ", 0)
    assert get(agent, path).json() == {"results": [], "next": None, "is_complete": False}


def test_a_token_of_some_stores_sees_their_part_of_a_contact(world: TwoTeams) -> None:
    world.people["agent"].teams.set([world.north.team, world.south.team])
    agent, contact = world.people["agent"], world.north.conversation.contact
    here, abroad = [world.north.store], [world.south.store]
    assert world.north.abroad is not None
    for order in (world.north.order, world.north.abroad):
        OrderEvent.objects.create(
            order=order, kind="placed", key="placed:x", occurred_at=timezone.now(), source="shopify"
        )
    for stores in (here, abroad):
        shown = get(agent, f"contacts/{contact.pk}/timeline/", stores=stores).json()["results"]
        assert shown
        assert {row["order"]["store"] for row in shown} == {stores[0].domain}
    # They never ordered there.
    tom = world.south.conversation.contact
    assert get(agent, f"contacts/{tom.pk}/", stores=abroad).status_code == 200
    assert get(agent, f"contacts/{tom.pk}/", stores=here).status_code == 404
    refused = get(agent, "contacts/", stores=here, q="Jane")
    assert refused.status_code == 403
    assert "limited to stores" in refused.json()["detail"]


# --- Decisions --------------------------------------------------------------------------------------
def test_decisions_are_those_of_the_page_and_say_who_may_decide(world: TwoTeams) -> None:
    boss, agent = world.people["supervisor"], world.people["agent"]
    Policy.objects.create(role=boss.groups.get(), may_approve_up_to=None)
    [row] = get(boss, "decisions/", scope="act").json()["results"]
    assert (row["id"], row["decision"], row["may_decide"]) == (
        world.north.action.pk,
        "approval",
        True,
    )
    assert row["amount"] == {"amount": "5.00", "currency": "EUR"}
    # Whoever asked for it can't approve it, nor can a token that may only read.
    [own] = get(agent, "decisions/", scope="act").json()["results"]
    assert (own["may_decide"], own["reason_code"]) == (False, "own_action")
    [reading] = get(boss, "decisions/").json()["results"]
    assert (reading["may_decide"], reading["reason_code"]) == (False, "token_scope")
    assert get(boss, "decisions/", stores=[world.south.store]).json()["results"] == []


def test_reviews_are_decisions_too(world: TwoTeams, monkeypatch: pytest.MonkeyPatch) -> None:
    boss, agent = world.people["supervisor"], world.people["agent"]
    for state in (ActionState.QUEUED, ActionState.SENDING, ActionState.NEEDS_HUMAN):
        OrderAction.objects.filter(pk=world.north.action.pk).update(state=state, approved_by=boss)
    for who, may in ((boss, True), (agent, False)):
        [row] = get(who, "decisions/", scope="act", decision="review").json()["results"]
        assert (row["decision"], row["may_decide"]) == ("review", may)
    assert get(boss, "decisions/", decision="approval").json()["results"] == []


# --- Policies and reports ---------------------------------------------------------------------------
@pytest.fixture
def manager(world: TwoTeams) -> User:
    """A supervisor of North who is also an auditor, and so sees every store in the admin."""
    boss = world.people["supervisor"]
    boss.groups.add(Group.objects.get(name="auditors"))
    boss.is_staff = True
    boss.save()
    return boss


def test_policies_are_for_those_who_may_open_their_page(world: TwoTeams, manager: User) -> None:
    store = world.north.store
    Policy.objects.create(
        role=Group.objects.get(name="agents"),
        store=store,
        refund_up_to=0,
        refund_per_day="150.5",
        approval_disputed=True,
        customer_refund_count=0,
        approval_products=["MUG-1"],
    )
    [row] = [
        one for one in get(manager, "policies/").json()["results"] if one["store"] == store.domain
    ]
    assert (row["role"], row["refund_up_to"], row["refund_per_day"]) == ("agents", "0.00", "150.50")
    assert row["note_above"] is None
    assert row["conditions"] == {
        "approval_disputed": True,
        "customer_refund_count": 0,
        "approval_products": ["MUG-1"],
    }
    assert get(world.people["agent"], "policies/").status_code == 403
    # Not those of stores that the token doesn't have.
    other = get(manager, "policies/", stores=[world.south.store]).json()["results"]
    assert store.domain not in {one["store"] for one in other}


def test_the_report_has_the_sums_of_the_money_page(world: TwoTeams, manager: User) -> None:
    side = world.north
    at = timezone.now().replace(year=2026, month=3, day=5)
    for key, amount in (("a", "5.00"), ("b", "2.50")):
        OrderEvent.objects.create(
            order=side.order,
            kind="refunded",
            key=f"refunded:{key}",
            occurred_at=at,
            source="agent",
            actor=world.people["agent"],
            amount=amount,
            currency="EUR",
            reason="damaged",
        )
    period = {"since": "2026-03-01", "until": "2026-03-31"}
    report = get(manager, "reports/money/", **period).json()
    [euros] = report["currencies"]
    assert (euros["currency"], euros["refunds"], euros["refunded"]) == ("EUR", 2, "7.50")
    assert len(euros["by_day"]) == 31
    assert [row["refunded"] for row in euros["by_day"] if row["label"] == "2026-03-05"] == ["7.50"]
    assert [row["label"] for row in euros["by_store"]] == [side.store.domain]
    assert len(euros["by_reason"]) == 1
    here = get(manager, "reports/money/", **period, store=side.store.domain).json()
    assert (here["store"], here["currencies"]) == (side.store.domain, report["currencies"])
    there = get(manager, "reports/money/", **period, store=world.south.store.domain).json()
    assert there["currencies"] == []
    assert get(world.people["agent"], "reports/money/", **period).status_code == 403


def test_a_token_of_some_stores_gets_no_sums_of_all(world: TwoTeams, manager: User) -> None:
    period = {"since": "2026-03-01", "until": "2026-03-31"}
    here = [world.north.store]
    for more, status in (
        ({}, 400),
        ({"store": world.south.store.domain}, 400),
        ({"store": world.north.store.domain}, 200),
    ):
        answer = get(manager, "reports/money/", stores=here, **period, **more)
        assert answer.status_code == status, more


def test_someone_limited_to_a_team_gets_the_sums_of_its_stores_only(world: TwoTeams) -> None:
    agent = world.people["agent"]
    agent.user_permissions.add(Permission.objects.get(codename="view_orderaction"))
    agent = User.objects.get(pk=agent.pk)
    period = {"since": "2026-03-01", "until": "2026-03-31"}
    for more, status in (
        ({}, 400),
        ({"store": world.south.store.domain}, 400),
        ({"store": world.north.store.domain}, 200),
    ):
        assert get(agent, "reports/money/", **period, **more).status_code == status, more


# --- What is refused --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("contacts/", {}),
        ("contacts/", {"q": " \x00"}),
        ("contacts/", {"q": "Jane", "page": "2"}),
        ("contacts/", {"q": "Jane", "after": "2"}),
        ("contacts/", {"q": "Jane", "after": "2026-03-05T00:00:00~x"}),
        ("decisions/", {"decision": "refund"}),
        ("decisions/", {"state": "queued"}),
        ("decisions/", {"after": ""}),
        ("policies/", {"after": "1"}),
        ("reports/money/", {}),
        ("reports/money/", {"since": "2026-03-05", "until": "2026-03-01"}),
        ("reports/money/", {"since": "2020-01-01", "until": "2026-03-01"}),
        ("reports/money/", {"since": "2026-03-01", "until": "2026-03-05", "store": "\x00"}),
    ],
)
def test_what_is_not_understood_is_refused(manager: User, path: str, query: dict[str, str]) -> None:
    answer = get(manager, path, **query)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"


def test_a_session_reads_the_same(world: TwoTeams) -> None:
    browser = logged_in(world.people["auditor"])
    assert browser.get("/api/v1/policies/").status_code == 200
    assert browser.get("/api/v1/decisions/").status_code == 403
