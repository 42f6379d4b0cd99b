"""Teams and stores are boundaries: what is outside doesn't exist, whatever the door."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inbox import access, dashboard, tasks, visibility
from inbox.conversations import receiving, services
from inbox.live import audience
from inbox.live.access import Listener
from inbox.live.events import Event, Reading
from inbox.models import Channel, Conversation, Identity, Team
from inbox.visibility import EVERYTHING, Scope, scope_of
from orders.models import AuditEntry, Store
from orders.shopify_port import get_gateway
from tests.conftest import logged_in
from tests.support.people.two_teams import GATEWAY, TwoTeams, two_teams

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(settings: Any) -> Iterator[TwoTeams]:
    settings.ORDERS_GATEWAY = GATEWAY
    get_gateway.cache_clear()
    yield two_teams()
    get_gateway.cache_clear()


def page_of(world: TwoTeams, name: str, address: str) -> str:
    answer = logged_in(world.people[name]).get(address)
    assert answer.status_code == 200, (name, address)
    return answer.content.decode()


# --- Without teams -------------------------------------------------------------------------------
def test_without_a_team_everyone_sees_everything(
    conversation: Conversation, alice: User, bob: User, sara: User
) -> None:
    assert conversation.team is None
    for person in (alice, bob, sara):
        assert scope_of(person) == EVERYTHING
        assert list(scope_of(person).conversations()) == [conversation]


def test_and_the_first_team_ends_that(conversation: Conversation, alice: User, bob: User) -> None:
    team = Team.objects.create(name="First")
    team.members.add(alice)
    for person in (alice, bob):
        fresh = User.objects.get(pk=person.pk)
        assert not scope_of(fresh).conversations().exists()
        assert logged_in(fresh).get(f"/inbox/conversations/{conversation.pk}/").status_code == 404


# --- The inbox -----------------------------------------------------------------------------------
def test_lists_and_searches_find_only_what_is_theirs(world: TwoTeams) -> None:
    north, south = (
        f"/inbox/conversations/{side.conversation.pk}/" for side in (world.north, world.south)
    )
    for name, mine, foreign, wanted in (
        ("agent", (north, "#1001"), (south, "#2001"), ("Tom Becker", "2001", "example.com")),
        ("other", (south, "#2001"), (north, "#1001"), ("Jane Doe", "1001", "example.com")),
    ):
        rows = page_of(world, name, "/inbox/?scope=all")
        assert mine[0] in rows
        assert foreign[0] not in rows
        for query in wanted:
            assert foreign[0] not in page_of(world, name, f"/inbox/rows/?q={query}")
        for number, is_found in ((mine[1], True), (foreign[1], False)):
            found = page_of(world, name, f"/inbox/orders/?q={number.strip('#')}")
            assert (f">{number}<" in found or f"{number}\n" in found) is is_found, number
            api = logged_in(world.people[name]).get(f"/api/v1/orders/?q={number.strip('#')}")
            assert bool(api.json()["results"]) is is_found
    assert "Jane" not in page_of(world, "homeless", "/inbox/?scope=all")


def test_a_conversation_shows_only_orders_of_the_teams_stores(world: TwoTeams) -> None:
    found = world.north.conversation
    assert world.north.abroad is not None
    panel = page_of(world, "agent", f"/inbox/conversations/{found.pk}/orders/")
    assert "#1001" in panel
    assert "#21001" not in panel
    address = f"/inbox/conversations/{found.pk}/orders/{world.north.abroad.pk}/"
    client = logged_in(world.people["agent"])
    for part in ("", "cancel/", "refund/", "history/"):
        assert client.get(address + part).status_code == 404
    assert client.post(f"{address}confirm/", {"token": "x"}).status_code == 404
    # With the store it is there, so nothing else has hidden it.
    world.north.team.stores.add(world.south.store)
    assert client.get(address).status_code == 200
    assert "#21001" in page_of(world, "agent", f"/inbox/conversations/{found.pk}/orders/")


def test_a_contacts_page_shows_nothing_of_other_stores(world: TwoTeams) -> None:
    contact = world.north.conversation.contact
    link = Identity.objects.create(
        contact=contact,
        kind="shopify_customer",
        value=f"{world.south.store.pk}:gid://shopify/Customer/77",
        added_by=world.people["other"],
    )
    page = page_of(world, "agent", f"/inbox/contacts/{contact.pk}/")
    assert "jane@example.com" in page
    assert "Customer/77" not in page
    assert f"/identities/{link.pk}/" not in page
    assert "#21001" not in page
    client = logged_in(world.people["agent"])
    for verb in ("remove", "restore"):
        address = f"/inbox/contacts/{contact.pk}/identities/{link.pk}/{verb}/"
        assert client.post(address).status_code == 404
    link.refresh_from_db()
    assert link.removed_at is None


def test_decisions_are_those_of_the_teams_stores(world: TwoTeams) -> None:
    approve = f"/inbox/decisions/{world.south.action.pk}/approve/"
    assert "#1001" in page_of(world, "supervisor", "/inbox/decisions/")
    assert "#2001" not in page_of(world, "supervisor", "/inbox/decisions/")
    client = logged_in(world.people["supervisor"])
    for verb in ("approve", "decline", "settle"):
        assert client.post(approve.replace("approve", verb)).status_code == 404
    assert client.post(f"/api/v1/actions/{world.south.action.pk}/decline/").status_code == 404
    world.south.action.refresh_from_db()
    assert world.south.action.state == "awaiting_approval"


def test_only_people_who_see_a_conversation_can_have_it(world: TwoTeams) -> None:
    found = world.north.conversation
    client = logged_in(world.people["agent"])
    header = client.get(f"/inbox/conversations/{found.pk}/header/").content.decode()
    assert f'value="{world.people["supervisor"].pk}"' in header
    assert f'value="{world.people["other"].pk}"' not in header
    assign = f"/inbox/conversations/{found.pk}/assign/"
    assert client.post(assign, {"assignee": world.people["other"].pk}).status_code == 400
    assert client.post(assign, {"assignee": world.people["supervisor"].pk}).status_code == 302


def test_who_left_the_team_acts_no_longer(world: TwoTeams) -> None:
    order, client = world.north.order, logged_in(world.people["agent"])
    preview = f"/api/v1/orders/{order.pk}/previews/"
    wanted = {"kind": "refund", "reason": "goodwill", "amount": "1.00"}
    assert access.acting_refusal_for_order(world.people["agent"], order) is None
    # The store is still theirs through another team, the conversation is not.
    world.south.team.stores.add(world.north.store)
    world.people["agent"].teams.set([world.south.team])
    answer = client.post(preview, wanted, content_type="application/json")
    assert (answer.status_code, answer.json()["reason_code"]) == (403, "not_assigned")


# --- Moving --------------------------------------------------------------------------------------
def test_a_conversation_moves_to_another_team(world: TwoTeams) -> None:
    found = world.north.conversation
    client = logged_in(world.people["agent"])
    move = f"/inbox/conversations/{found.pk}/move/"
    assert client.post(move, {"team": 999}).status_code == 400
    answer = client.post(move, {"team": world.south.team.pk})
    assert (answer.status_code, answer["Location"]) == (302, "/inbox/")
    assert client.get(f"/inbox/conversations/{found.pk}/").status_code == 404
    page_of(world, "other", f"/inbox/conversations/{found.pk}/")
    found.refresh_from_db()
    assert found.assignee is None, "its assignee no longer sees it"
    entry = AuditEntry.objects.get(after="moved")
    assert entry.detail["team"] == world.south.team.pk
    # The channel's next conversation is north's as before, and so is what it moved along.
    services.move(conversation=found, to=world.north.team, by=world.people["other"])
    page_of(world, "agent", f"/inbox/conversations/{found.pk}/")


def test_a_message_lands_with_the_team_of_its_channel(world: TwoTeams) -> None:
    Channel.objects.filter(pk=world.north.channel.pk).update(team=world.south.team)
    message, _is_new = receiving.receive(
        channel=world.north.channel,  # as it was when the request began
        external_id="late",
        conversation_id="c-late",
        sender=services.Sender(external_id="u-late"),
        text="Hello",
        sent_at=world.north.message.created_at,
    )
    assert message.conversation.team == world.south.team


def test_conversations_without_a_team_are_counted(world: TwoTeams) -> None:
    Conversation.objects.filter(pk=world.north.conversation.pk).update(team=None)
    root = logged_in(User.objects.create_superuser("root"))
    listed = root.get("/admin/inbox/team/").content.decode()
    assert "Conversations without a team, which no one sees: 1." in listed
    tile = next(tile for tile in dashboard.tiles(timezone.now()) if tile.title == "Without a team")
    assert tile.value == "1"


# --- Live updates --------------------------------------------------------------------------------
def test_streams_carry_nothing_of_other_teams(world: TwoTeams) -> None:
    north, south = world.north, world.south
    announced = (
        ("inbox", f"conversation:{north.conversation.pk}"),
        ("inbox", f"conversation:{south.conversation.pk}"),
        (f"contact:{south.conversation.contact_id}",),
        ("decisions", f"order:{south.order.pk}", "person:abc"),
        ("inbox",),
    )
    events = tuple(Event(number, 1, topics) for number, topics in enumerate(announced))
    read = audience.with_owners(Reading("1", events)).events
    mine = scope_of(world.people["agent"])
    listener = Listener(None, lambda: mine)
    assert listener.may_listen()
    assert [listener.hears(event) for event in read] == [list(announced[0]), [], [], [], ["inbox"]]
    # Without owners, as before there were teams, everything would be heard.
    assert [listener.hears(event) for event in events] == [list(topics) for topics in announced]
    frame = Listener(frozenset({"person:abc"}), lambda: mine)
    assert frame.may_listen()
    assert frame.hears(read[3]) == []
    other = Listener(frozenset({"person:abc"}), lambda: scope_of(world.people["other"]))
    assert other.may_listen()
    assert other.hears(read[3]) == [f"order:{south.order.pk}", "person:abc"]


# --- The admin -----------------------------------------------------------------------------------
def test_admin_permissions_do_not_widen_what_an_agent_sees(world: TwoTeams) -> None:
    agent = world.people["agent"]
    agent.is_staff = True
    agent.save()
    names = ("order", "orderaction", "conversation", "contact", "store", "auditentry", "orderevent")
    agent.user_permissions.set(
        Permission.objects.filter(codename__in=[f"view_{name}" for name in names])
    )
    client = logged_in(agent)
    for model, mine, foreign in (
        ("orders/order", world.north.order, world.south.order),
        ("orders/orderaction", world.north.action, world.south.action),
        ("orders/store", world.north.store, world.south.store),
        ("inbox/conversation", world.north.conversation, world.south.conversation),
        ("inbox/contact", world.north.conversation.contact, world.south.conversation.contact),
    ):
        assert client.get(f"/admin/{model}/{mine.pk}/change/").status_code == 200, model
        for part in ("change", "history"):
            assert client.get(f"/admin/{model}/{foreign.pk}/{part}/").status_code == 404, model
        listed = client.get(f"/admin/{model}/").content.decode()
        assert f"/{mine.pk}/change/" in listed
        assert f"/{foreign.pk}/change/" not in listed
    overview = client.get("/admin/").content.decode()
    assert "North Store" in overview
    assert "South Store" not in overview
    period = {"since": "2026-01-01", "until": "2026-01-31"}
    money = client.post("/admin/money/csv/", period)
    assert money.status_code == 400, "the sums of every store are not theirs"
    assert (
        client.post("/admin/money/csv/", period | {"store": world.south.store.pk}).status_code
        == 400
    )
    assert (
        client.post("/admin/money/csv/", period | {"store": world.north.store.pk}).status_code
        == 200
    )
    # An auditor sees all of it.
    audits = logged_in(world.people["auditor"])
    assert audits.post("/admin/money/csv/", period).status_code == 200


def test_an_administrator_makes_the_first_team(
    conversation: Conversation, channel: Channel, alice: User, bob: User
) -> None:
    store = Store.objects.create(domain="demo.myshopify.com", name="Demo")
    root = logged_in(User.objects.create_superuser("root"))
    form = root.get("/admin/inbox/team/add/").content.decode()
    # Everyone and everything is inside until someone decides otherwise.
    assert form.count("checked") == 4
    root.post(
        "/admin/inbox/team/add/",
        {"name": "Support", "members": [alice.pk], "channels": [channel.pk], "stores": [store.pk]},
    )
    team = Team.objects.get()
    tasks.sweep_moves()
    conversation.refresh_from_db()
    assert (conversation.team, conversation.assignee) == (team, alice)
    assert AuditEntry.objects.filter(kind="permissions", after="team added").exists()
    assert logged_in(bob).get(f"/inbox/conversations/{conversation.pk}/").status_code == 404
    listed = root.get("/admin/inbox/team/").content.decode()
    assert "in no team and see nothing: bob" in listed
    change = f"/admin/inbox/team/{team.pk}/change/"
    # Alice leaves: her conversation waits for someone else.
    root.post(
        change,
        {"name": "Support", "members": [bob.pk], "channels": [channel.pk], "stores": [store.pk]},
    )
    tasks.sweep_moves()
    conversation.refresh_from_db()
    assert conversation.assignee is None
    assert logged_in(bob).get(f"/inbox/conversations/{conversation.pk}/").status_code == 200
    # A channel can't be left without a team, nor a team deleted that has one.
    refused = root.post(change, {"name": "Support", "members": [bob.pk]})
    assert "would have no team" in refused.content.decode()
    root.post(f"/admin/inbox/team/{team.pk}/delete/", {"post": "yes"})
    assert Team.objects.exists()
    more = {"name": "Mail", "kind": "email", "is_active": "on"}
    assert "Choose a team" in root.post("/admin/inbox/channel/add/", more).content.decode()


def test_a_channel_takes_its_conversations_along(world: TwoTeams) -> None:
    root = logged_in(User.objects.create_superuser("root"))
    moved = world.north.conversation
    services.move(conversation=moved, to=world.south.team, by=world.people["agent"])
    stays = Conversation.objects.create(
        contact=moved.contact, channel=world.north.channel, external_id="x", team=world.north.team
    )
    third = Team.objects.create(name="Third")
    change = f"/admin/inbox/channel/{world.north.channel.pk}/change/"
    values = {"name": "North chat", "kind": "api", "team": third.pk, "is_active": "on"}
    page = root.post(change, values, follow=True).content.decode()
    assert "follow to Third within a minute" in page
    tasks.sweep_moves()
    for row in (moved, stays, world.north.channel):
        row.refresh_from_db()
    assert world.north.channel.team == third
    assert (stays.team, moved.team) == (third, world.south.team)


# --- Cost ----------------------------------------------------------------------------------------
def test_a_scope_costs_two_queries_and_only_once(world: TwoTeams) -> None:
    fresh = User.objects.get(pk=world.people["agent"].pk)
    with CaptureQueriesContext(connection) as asked:
        assert scope_of(fresh) == scope_of(fresh)
    assert len(asked) == 3  # and the roles
    assert scope_of(fresh) == Scope(
        frozenset({world.north.team.pk}), frozenset({world.north.store.pk})
    )


# --- Control -------------------------------------------------------------------------------------
def test_without_the_boundary_all_of_it_would_be_seen(
    world: TwoTeams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visibility, "_look_up", lambda _agent: EVERYTHING)
    client: Client = logged_in(world.people["agent"])
    assert client.get(f"/inbox/conversations/{world.south.conversation.pk}/").status_code == 200
    assert client.get(f"/api/v1/orders/{world.south.order.pk}/").status_code == 200
    assert "#2001" in page_of(world, "supervisor", "/inbox/decisions/")
