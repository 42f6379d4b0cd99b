"""Every registered admin page: help texts, permissions, no secrets, no errors."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import models
from django.test import Client
from django.urls import reverse

from inbox.accounts.models import RoleGrant
from inbox.accounts.roles import EXPLAINED
from inbox.channels import keys
from inbox.models import (
    ApiToken,
    Campaign,
    CampaignTranslation,
    Channel,
    Contact,
    Conversation,
    HelpDeskFrame,
    Identity,
    WebhookDelivery,
    WebhookEndpoint,
)
from orders.models import ActionKind, AuditEntry, Order, OrderAction, OrderEvent, Policy, Store
from shopify_sync.models import Backfill, Drift, ShopConnection, SyncCursor, WebhookEvent
from tests.conftest import logged_in
from tests.support.people.tokens import api_token
from tests.support.servers.webhooks import endpoint

pytestmark = pytest.mark.django_db
TOKEN, SECRET = "shpat_c4n4ryc4n4ry", "shpss_c4n4ryc4n4ry"
# What people configure. Everything else is a projection or a log: looked at, never changed.
EDITED = {
    "auth.Group",
    "auth.User",
    "orders.Store",
    "orders.Policy",
    "shopify_sync.ShopConnection",
    "inbox.Channel",
    "inbox.Contact",
    "inbox.Conversation",
    "inbox.Campaign",
    "inbox.HelpDeskFrame",
    "inbox.Team",
    "inbox.WebhookEndpoint",
}
# Deleting these would take what was done, or what customers wrote, with them.
KEPT = {"orders.Store", "auth.User"}


@pytest.fixture
def root(db: None) -> Client:
    return logged_in(User.objects.create_superuser("root"))


@pytest.fixture
def filled(alice: User, channel: Channel) -> None:
    """At least one row of what operations people look at most."""
    from django.utils import timezone

    now = timezone.now()
    store = Store.objects.create(domain="demo.myshopify.com", currency="EUR")
    order = Order.objects.create(
        store=store,
        gid="gid://shopify/Order/1",
        legacy_id=1,
        name="#1001",
        currency="EUR",
        total="48.6000",
    )
    action = OrderAction.objects.create(
        order=order,
        kind=ActionKind.REFUND,
        amount="12.5",
        currency="EUR",
        requested_by=alice,
        proposal={},
        steps=[],
        origin="conversation:1",
    )
    OrderEvent.objects.create(
        order=order,
        kind="refunded",
        key="refunded:1",
        occurred_at=now,
        source="agent",
        actor=alice,
        action=action,
        amount="12.5",
        currency="EUR",
    )
    Policy.objects.create(role=Group.objects.get(name="agents"), refund_up_to="150.0000")
    ShopConnection.objects.create(store=store, access_token=TOKEN, api_secret=SECRET)
    WebhookEvent.objects.create(store=store, webhook_id="w1", topic="orders/updated", body=b"{}")
    Backfill.objects.create(store=store, since=now, next_step_at=now)
    Drift.objects.create(store=store, order_gid=order.gid, found_at=now, shop_updated_at=now)
    SyncCursor.objects.create(store=store)
    contact = Contact.objects.create(name="Jane")
    Identity.objects.create(contact=contact, kind="email", value="jane@example.com")
    Conversation.objects.create(contact=contact, channel=channel, external_id="c1")
    campaign = Campaign.objects.create(name="C", event_kind="refunded", subject="S", body="B")
    CampaignTranslation.objects.create(campaign=campaign, language="de", subject="S", body="B")
    HelpDeskFrame.objects.create(name="Z", kind="generic", origins="https://desk.example.com")
    api_token(alice)
    program, _secret = endpoint(alice)
    WebhookDelivery.objects.create(
        endpoint=program, message_id="m-1", event_type="order.paid", payload="{}", queued_at=now
    )


def registered() -> list[tuple[str, type[models.Model], Any]]:
    return [(m._meta.label, m, page) for m, page in admin.site._registry.items()]


def address(model: type[models.Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.mark.slow
@pytest.mark.parametrize(("label", "model", "page"), registered(), ids=[r[0] for r in registered()])
def test_not_even_a_superuser_can_change_projections_and_logs(
    root: Client, filled: None, label: str, model: type[models.Model], page: Any
) -> None:
    row = model._default_manager.first()
    if label in EDITED:
        assert root.get(address(model, "changelist")).status_code == 200
        if label in KEPT and row is not None:
            assert root.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403
        return
    assert root.get(address(model, "changelist")).status_code == 200
    assert root.get(address(model, "add")).status_code == 403
    assert root.post(address(model, "add")).status_code == 403
    actions = page.get_actions(_request(root))
    assert "delete_selected" not in actions
    if row is not None:
        before = model._default_manager.filter(pk=row.pk).values().get()
        assert root.get(address(model, "change", row.pk)).status_code == 200
        assert root.post(address(model, "change", row.pk), {"state": "done"}).status_code == 403
        assert root.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403
        assert model._default_manager.filter(pk=row.pk).values().get() == before


def _request(client: Client) -> Any:
    from django.test import RequestFactory

    request = RequestFactory().get("/admin/")
    request.user = User.objects.get(username="root")
    return request


@pytest.mark.parametrize(("label", "model", "page"), registered(), ids=[r[0] for r in registered()])
def test_every_page_has_words_for_its_list_and_its_fields(
    root: Client, filled: None, label: str, model: type[models.Model], page: Any
) -> None:
    listed = root.get(address(model, "changelist"))
    if label != "shopify_sync.WebhookTally":  # the balance, a page of its own
        assert page.list_title
        assert page.list_title in listed.content.decode()
        assert page.list_empty
    row = model._default_manager.first()
    pages = [address(model, "change", row.pk)] if row is not None else []
    if page.has_add_permission(_request(root)):
        pages.append(address(model, "add"))
    silent = []
    for path in pages:
        answer = root.get(path)
        assert answer.status_code == 200
        form = answer.context["adminform"]
        for fieldset in form:
            for line in fieldset:
                for field in line:
                    # A check box beside its label, or a read-only value: both carry help.
                    words = (
                        field.field.get("help_text", "")
                        if field.is_readonly
                        else field.field.help_text
                    )
                    name = field.field["name"] if field.is_readonly else field.field.name
                    if not words:
                        silent.append(str(name))
    known = {"password", "password1", "password2", "usable_password", "contents", "progress"}
    assert set(silent) - known == set(), sorted(set(silent))


@pytest.mark.slow
def test_no_secret_is_on_any_page(root: Client, filled: None) -> None:
    channel = Channel.objects.get()
    key, secret = keys.new_key(channel), keys.signing_secret(channel)
    signing = WebhookEndpoint.objects.get().secret.reveal()
    canaries = (
        TOKEN,
        SECRET,
        key,
        secret,
        signing,
        ApiToken.objects.get().digest,
        channel.key_hash,
    )
    looked = 0
    for _label, model, _page in registered():
        row = model._default_manager.first()
        paths = [address(model, "changelist")]
        if row is not None:
            paths += [address(model, name, row.pk) for name in ("change", "history", "delete")]
        for path in paths:
            answer = root.get(path)
            assert answer.status_code in {200, 403}, path
            text = answer.content.decode()
            looked += 1
            assert [c for c in canaries if c in text] == [], path
    assert looked > 50


def test_an_administrator_revokes_tokens_and_makes_none(root: Client, filled: None) -> None:
    page, token = "/admin/inbox/apitoken/", ApiToken.objects.get()
    assert root.get(f"{page}add/").status_code == 403
    answer = root.post(page, {"action": "revoke_tokens", "_selected_action": [token.pk, 987654]})
    assert answer.status_code == 302
    token.refresh_from_db()
    assert token.revoked_at is not None
    entry = AuditEntry.objects.get(detail__change="revoked")
    assert (entry.actor, entry.detail["api_token"]) == ("root", token.pk)


def test_a_new_channel_key_is_shown_once_and_ends_the_old_one(root: Client, filled: None) -> None:
    channel = Channel.objects.get()
    old = keys.new_key(channel)
    assert root.get(f"/admin/inbox/channel/{channel.pk}/key/").status_code == 405
    answer = root.post(f"/admin/inbox/channel/{channel.pk}/key/", follow=True)
    assert "axk_" in answer.content.decode()
    assert keys.channel_of(old) is None
    assert "axk_" not in root.get(
        f"/admin/inbox/channel/{channel.pk}/change/"
    ).content.decode().replace("(axk_…)", "")


def test_sums_have_no_idle_zeros(root: Client, filled: None) -> None:
    page = root.get(f"/admin/orders/policy/{Policy.objects.get().pk}/change/").content.decode()
    assert 'value="150.00"' in page
    assert "150.0000" not in page
    assert "48.6000" not in root.get("/admin/orders/order/").content.decode()
    assert "€48.60" in root.get("/admin/orders/order/").content.decode()


def test_no_one_can_both_set_limits_and_move_money(root: Client, alice: User) -> None:
    call_command("migrate", verbosity=0)
    groups = {group.name: group.pk for group in Group.objects.all()}
    assert set(EXPLAINED) <= set(groups)
    words = {"username": "alice", "is_active": "on"}
    both = {**words, "groups": [groups["agents"], groups["admins"]]}
    answer = root.post(f"/admin/auth/user/{alice.pk}/change/", both)
    assert "so a single stolen account is never enough" in answer.content.decode()
    assert [g.name for g in alice.groups.all()] == ["agents"]
    root.post(f"/admin/auth/user/{alice.pk}/change/", {**words, "groups": [groups["admins"]]})
    # The new role waits for a second administrator; the old one is gone at once.
    assert not alice.groups.exists()
    assert RoleGrant.objects.get().group.name == "admins"


def test_an_administrator_cannot_make_themselves_a_superuser(root: Client) -> None:
    call_command("migrate", verbosity=0)
    ann = User.objects.create_user("ann", password="demo", is_staff=True)
    ann.groups.add(Group.objects.get(name="admins"))
    client, above = logged_in(ann), User.objects.get(username="root")
    words = {
        "username": "ann",
        "is_active": "on",
        "is_staff": "on",
        "is_superuser": "on",
        "user_permissions": ["1"],
        "groups": [Group.objects.get(name="admins").pk],
    }
    assert client.post(f"/admin/auth/user/{ann.pk}/change/", words).status_code == 302
    ann.refresh_from_db()
    assert not ann.is_superuser
    assert not ann.user_permissions.exists()
    fields = {"password1": "x" * 14, "password2": "x" * 14}
    client.post(f"/admin/auth/user/{above.pk}/password/", fields)
    assert not User.objects.get(pk=above.pk).check_password("x" * 14)
    assert client.post(f"/admin/auth/user/{above.pk}/change/", words).status_code == 403
    assert client.get("/admin/orders/policy/").status_code == 200
    assert client.get("/admin/inbox/apitoken/add/").status_code == 403


@pytest.mark.slow
def test_an_auditor_looks_and_changes_nothing(root: Client, filled: None) -> None:
    call_command("migrate", verbosity=0)
    otto = User.objects.create_user("otto", is_staff=True)
    otto.groups.add(Group.objects.get(name="auditors"))
    client = logged_in(otto)
    for path in ("/admin/", "/admin/orders/auditentry/", "/admin/orders/policy/", "/admin/money/"):
        assert client.get(path).status_code == 200
    for path in (
        "/admin/orders/order/",
        "/admin/inbox/contact/",
        "/admin/orders/policy/add/",
        "/admin/shopify_sync/shopconnection/",
    ):
        assert client.get(path).status_code == 403
    assert AuditEntry.objects.exists()
