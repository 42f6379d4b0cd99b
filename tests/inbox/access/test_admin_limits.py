"""Agents with admin permissions see their teams' rows there, and nothing of any other model."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Model
from django.forms import ModelChoiceField
from django.test import Client, RequestFactory
from django.utils import timezone

from inbox.accounts.models import FailedLogIn, RoleGrant
from inbox.admin import limits as admin_limits
from inbox.admin.limits import LIMITS, TeamLimit
from inbox.models import ApiToken, Campaign, CustomerView
from orders.models import Policy
from orders.shopify_port import get_gateway
from shopify_sync.models import EventState, WebhookEvent
from tests.conftest import logged_in
from tests.support.people.two_teams import GATEWAY, TwoTeams, two_teams


@pytest.fixture
def world(settings: Any, db: None) -> Iterator[TwoTeams]:
    settings.ORDERS_GATEWAY = GATEWAY
    get_gateway.cache_clear()
    yield two_teams()
    get_gateway.cache_clear()


@pytest.fixture
def limited(world: TwoTeams) -> Client:
    """An agent of North with every permission there is, but no administrator's role."""
    agent = world.people["agent"]
    agent.is_staff = True
    agent.save()
    agent.user_permissions.set(Permission.objects.all())
    return logged_in(agent)


def page_of(row: Model, part: str) -> str:
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/{part}/"


def list_of(row: Model) -> str:
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/"


def of_everyone(world: TwoTeams) -> list[Model]:
    """A row of each model that belongs to no team."""
    other, now = world.people["other"], timezone.now()
    group = Group.objects.get(name="admins")
    return [
        other,
        group,
        world.south.frame,
        ApiToken.objects.create(
            owner=other,
            name="Theirs",
            scope="read",
            digest="h",
            hint="h",
            expires_at=now + timedelta(days=1),
        ),
        Campaign.objects.create(name="News", event_kind="canceled"),
        CustomerView.objects.create(viewer=other, kind="contact", number=1, hour=now),
        FailedLogIn.objects.create(user=other, hour=now, last_at=now),
        RoleGrant.objects.create(user=other, group=group, requested_by=other, requested_at=now),
    ]


def test_every_model_with_an_admin_page_has_an_entry() -> None:
    assert set(LIMITS) == {model._meta.label for model in admin.site._registry}
    closed = [limit for limit in LIMITS.values() if limit.rows is admin_limits._none]
    assert all(limit.why for limit in closed)


def test_a_model_without_an_entry_is_closed(
    world: TwoTeams, limited: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = world.north.store
    assert limited.get(page_of(store, "change")).status_code == 200
    assert limited.get("/admin/inbox/channel/add/").status_code == 200
    for label in ("orders.Store", "inbox.Channel"):
        monkeypatch.delitem(LIMITS, label)
    assert limited.get(page_of(store, "change")).status_code == 404
    assert limited.get("/admin/inbox/channel/add/").status_code == 403


def test_what_belongs_to_no_team_is_closed(world: TwoTeams, limited: Client) -> None:
    for row in of_everyone(world):
        for part in ("change", "history"):
            assert limited.get(page_of(row, part)).status_code == 404, row
        assert f"/{row.pk}/change/" not in limited.get(list_of(row)).content.decode()
        assert limited.get(f"{list_of(row)}add/").status_code == 403, row


def test_administrators_are_not_limited(world: TwoTeams) -> None:
    """Negative control: the same rows, and the same addresses."""
    root = logged_in(User.objects.create_superuser("root"))
    for row in of_everyone(world):
        assert root.get(page_of(row, "change")).status_code == 200, row


def test_no_form_offers_anything_of_another_team(world: TwoTeams, limited: Client) -> None:
    request = RequestFactory().get("/")
    request.user = world.people["agent"]
    south = world.south
    foreign: list[Model] = [south.team, south.channel, south.store, south.conversation]
    foreign += [south.conversation.contact, world.people["other"], world.people["admin"]]
    seen = 0
    for model, page in admin.site._registry.items():
        if not page.has_add_permission(request) and not page.has_change_permission(request):
            continue
        for name, field in page.get_form(request)().fields.items():
            if isinstance(field, ModelChoiceField):
                seen += 1
                assert field.queryset is not None
                offered = set(field.queryset)
                assert offered.isdisjoint(foreign), (model, name)
    assert seen >= 5


def tries(world: TwoTeams) -> dict[str, tuple[str, dict[str, Any]]]:
    """What a limited person might send: an address and values, by name."""
    north, south = world.north, world.south
    limits = {"role": Group.objects.get(name="agents").pk, "cancel": "allow"}
    return {
        "take another team's channel": (
            page_of(north.team, "change"),
            {
                "name": "North",
                "members": [world.people["agent"].pk],
                "channels": [north.channel.pk, south.channel.pk],
                "stores": [north.store.pk],
            },
        ),
        "take another team's store": (
            "/admin/inbox/team/add/",
            {"name": "More", "members": [world.people["agent"].pk], "stores": [south.store.pk]},
        ),
        "assign to another team": (
            page_of(north.conversation, "change"),
            {"contact": north.conversation.contact_id, "assignee": world.people["other"].pk}
            | {"state": "open"},
        ),
        "limit another team's store": (
            "/admin/orders/policy/add/",
            limits | {"store": south.store.pk},
        ),
        "limit every store": ("/admin/orders/policy/add/", limits),
        # Last, because without the limit its conversations leave the team with it.
        "give a channel away": (
            page_of(north.channel, "change"),
            {"name": "North chat", "kind": "api", "team": south.team.pk, "is_active": "on"},
        ),
    }


def test_nothing_of_another_team_can_be_sent_either(world: TwoTeams, limited: Client) -> None:
    for what, (address, values) in tries(world).items():
        answer = limited.post(address, values)
        assert answer.status_code == 200, what
        assert answer.context["errors"], what
    general = Policy.objects.create(role=Group.objects.get(name="agents"))
    assert limited.post(page_of(general, "change"), {}).status_code == 403
    assert limited.post(page_of(general, "delete"), {"post": "yes"}).status_code == 403


def test_without_limited_choices_all_of_it_could_be_sent(
    world: TwoTeams, limited: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control."""
    monkeypatch.setattr(TeamLimit, "choices", lambda _self, _user, rows: rows)
    sendable = tries(world)
    del sendable["limit every store"]
    for what, (address, values) in sendable.items():
        assert limited.post(address, values).status_code == 302, what


def test_a_button_for_all_rows_means_those_of_the_own_stores(
    world: TwoTeams, limited: Client
) -> None:
    events = [
        WebhookEvent.objects.create(
            store=side.store,
            topic="orders/updated",
            webhook_id=f"w{side.store.pk}",
            state=EventState.DEAD,
            body=b"{}",
        )
        for side in (world.north, world.south)
    ]
    page = limited.get("/admin/shopify_sync/webhookevent/?topic=orders/updated")
    assert page.context["dead_count"] == 1
    limited.post("/admin/shopify_sync/webhookevent/replay-dead/", {"topic": "orders/updated"})
    for event in events:
        event.refresh_from_db()
    assert [event.state == EventState.DEAD for event in events] == [False, True]
    for address in ("shopify_sync/webhooktally/", "shopify_sync/shopconnection/add/"):
        assert limited.get(f"/admin/{address}").status_code == 403, address


def test_no_list_names_anything_of_another_team(world: TwoTeams, limited: Client) -> None:
    """Neither its rows nor its filters do."""
    of_everyone(world)
    root = logged_in(User.objects.create_superuser("root"))
    for model in admin.site._registry:
        address = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        assert "South" not in limited.get(address).content.decode(), model
        if model._meta.label in ("inbox.Conversation", "orders.Order", "orders.Policy"):
            assert "South" in root.get(address).content.decode(), "the filters name it"
