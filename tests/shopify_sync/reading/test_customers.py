"""Customer fields: a webhook triggers a fresh read, and each store has one row per customer."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from django.test import Client
from django.utils import timezone

from inbox.models import Conversation
from orders import services
from orders.models import Customer, Order, Store
from orders.snapshot import CustomerDetails
from practice_store.changes import staff_actions
from shopify_sync.api import client as shopify_client
from shopify_sync.models import EventState, ShopConnection, WebhookEvent
from shopify_sync.reading import customers
from shopify_sync.setup import (
    connect,
    doctor,
)
from shopify_sync.stores import subscriptions
from tests.support.shop.in_process import DOMAIN, SECOND, Shop, fetch_dirty, read_customers

pytestmark = pytest.mark.django_db(transaction=True)
UPDATE = """mutation($input: CustomerInput!) {
  customerUpdate(input: $input) { userErrors { message } } }"""
DELETE = """mutation($input: CustomerDeleteInput!) {
  customerDelete(input: $input) { userErrors { message } } }"""


def arrive(shop: Shop) -> None:
    shop.deliver(Client())
    fetch_dirty()
    read_customers()


def update(shop: Shop, gid: str, **changes: Any) -> None:
    answer = shop.graphql(UPDATE, {"input": {"id": gid, **changes}})
    assert answer["data"]["customerUpdate"]["userErrors"] == []


@pytest.fixture
def jane(shop: Shop, store: Store) -> Customer:
    shop.place()
    arrive(shop)
    return Customer.objects.get()


def test_every_customer_field_from_shopify_is_stored(
    shop: Shop, store: Store, jane: Customer
) -> None:
    assert (jane.order_count, jane.amount_spent and jane.amount_spent.plain()) == (1, "40.00")
    update(
        shop,
        jane.gid,
        tags=["VIP", "B2B"],
        note="Pays late",
        taxExempt=True,
        locale="de",
        emailMarketingConsent={"marketingState": "SUBSCRIBED"},
    )
    arrive(shop)
    jane.refresh_from_db()
    assert (jane.tags, jane.note, jane.tax_exempt) == (["VIP", "B2B"], "Pays late", True)
    assert (jane.email_consent, jane.sms_consent) == ("SUBSCRIBED", "")
    assert (jane.account_state, jane.locale) == ("DISABLED", "de")
    assert jane.customer_since is not None


def test_a_refund_changes_what_the_customer_spent(shop: Shop, store: Store, jane: Customer) -> None:
    order = next(iter(shop.store.world.shops[DOMAIN].orders.values()))
    shop.act(lambda context: staff_actions.refund(context, order, Decimal("15.00")))
    arrive(shop)
    jane.refresh_from_db()
    assert jane.spent == Decimal("25.00")


def test_a_webhook_is_a_hint_and_never_data(shop: Shop, store: Store, jane: Customer) -> None:
    update(shop, jane.gid, note="true")
    _shop, _topic, body, headers = shop.held[-1]
    shop.held.clear()
    update(shop, jane.gid, note="newer")
    shop.held.clear()
    Client().post("/webhooks/shopify/", body, content_type="application/json", headers=headers)
    read_customers()
    jane.refresh_from_db()
    assert jane.note == "newer"


def test_the_read_that_began_later_wins(store: Store, jane: Customer) -> None:
    now = timezone.now()

    def record(note: str, began: Any) -> bool:
        told = CustomerDetails(gid=jane.gid, note=note)
        return services.record_customer(
            customer_id=jane.pk, details=told, seq=jane.dirty_seq, read_started_at=began
        )

    assert record("late", now)
    assert not record("early", now - timedelta(seconds=3))
    jane.refresh_from_db()
    assert jane.note == "late"
    # Negative control: with the times swapped it is the other one's word that stands.
    assert record("early", now + timedelta(seconds=3))
    jane.refresh_from_db()
    assert jane.note == "early"


def test_an_order_mentions_a_customer_only_until_it_was_read(
    shop: Shop, store: Store, jane: Customer
) -> None:
    Customer.objects.filter(pk=jane.pk).update(name="Read")
    shop.place()
    shop.deliver(Client())
    fetch_dirty()
    jane.refresh_from_db()
    assert jane.name == "Read"
    assert jane.dirty_seq > jane.clean_seq
    read_customers()
    jane.refresh_from_db()
    assert (jane.name, jane.order_count) == ("Jane", 2)


def test_the_same_customer_at_two_stores_is_two(shop: Shop, store: Store) -> None:
    connect.connect(domain=SECOND, token="shpat_practice_second", secret="shpss_practice_second")
    shop.place()
    shop.place(domain=SECOND, currency="USD")
    arrive(shop)
    one, other = Customer.objects.order_by("pk")
    assert (one.gid, one.email) == (other.gid, other.email)
    assert (one.spent_currency, other.spent_currency) == ("EUR", "USD")
    update(shop, one.gid, note="of the first")
    arrive(shop)
    other.refresh_from_db()
    assert other.note == ""


def test_a_deleted_customer_is_a_tombstone_and_comes_back_when_found(
    shop: Shop, store: Store, jane: Customer
) -> None:
    row = shop.store.world.shops[DOMAIN].customers.copy()
    shop.graphql(DELETE, {"input": {"id": jane.gid}})
    arrive(shop)
    jane.refresh_from_db()
    assert jane.deleted_at is not None
    shop.store.world.shops[DOMAIN].customers.update(row)
    services.mark_customer_dirty(store=store, gid=jane.gid, now=timezone.now())
    read_customers()
    jane.refresh_from_db()
    assert jane.deleted_at is None


def test_a_merge_is_followed_once_shopify_no_longer_has_the_one_that_went(
    shop: Shop, store: Store, jane: Customer
) -> None:
    shop.place(email="janine@example.com")
    arrive(shop)
    gone = Customer.objects.get(email="janine@example.com")
    kept = int(jane.legacy_id)
    shop.act(lambda c: staff_actions.merge_customers(c, kept=kept, gone=int(gone.legacy_id)))
    shop.deliver(Client())
    gone.refresh_from_db()
    # Only a hint so far.
    assert (gone.merged_into, gone.deleted_at) == (jane.gid, None)
    fetch_dirty()
    read_customers()
    gone.refresh_from_db()
    assert gone.deleted_at is not None
    assert set(Order.objects.values_list("customer_gid", flat=True)) == {jane.gid}
    jane.refresh_from_db()
    assert jane.order_count == 2


def test_a_read_that_was_under_way_does_not_forget_a_merge(
    shop: Shop, store: Store, jane: Customer
) -> None:
    began, seq = timezone.now(), jane.dirty_seq
    kept = "gid://shopify/Customer/9"
    services.note_merge(store=store, kept_gid=kept, gone_gid=jane.gid, now=began)
    services.record_customer(
        customer_id=jane.pk, details=CustomerDetails(gid=jane.gid), seq=seq, read_started_at=began
    )
    jane.refresh_from_db()
    assert jane.merged_into == kept
    services.record_customer(
        customer_id=jane.pk, details=None, seq=jane.dirty_seq, read_started_at=timezone.now()
    )
    jane.refresh_from_db()
    assert (jane.merged_into, jane.deleted_at is None) == (kept, False)


def test_a_merge_that_did_not_happen_is_forgotten(shop: Shop, store: Store, jane: Customer) -> None:
    """A lying hint: both are still there."""
    shop.place(email="janine@example.com")
    arrive(shop)
    other = Customer.objects.get(email="janine@example.com")
    services.note_merge(store=store, kept_gid=jane.gid, gone_gid=other.gid, now=timezone.now())
    read_customers()
    other.refresh_from_db()
    assert (other.merged_into, other.deleted_at) == ("", None)


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("customers/update", {}),
        ("customers/update", {"id": "x"}),
        ("customers/update", {"id": -1}),
        ("customers/merge", {"id": 5}),
        ("customers/merge", {"admin_graphql_api_customer_kept_id": 5, "status": "completed"}),
        (
            "customers/merge",
            {
                "admin_graphql_api_customer_kept_id": 5,
                "admin_graphql_api_customer_deleted_id": 5,
                "status": "completed",
            },
        ),
        (
            "customers/merge",
            {
                "admin_graphql_api_customer_kept_id": 5,
                "admin_graphql_api_customer_deleted_id": 6,
                "status": "failed",
            },
        ),
    ],
)
def test_a_webhook_body_without_a_customer_marks_no_one(
    store: Store, topic: str, body: dict[str, Any]
) -> None:
    assert not customers.take_hint(store, topic, body, timezone.now())
    assert not Customer.objects.exists()


def test_a_missing_scope_is_reported_and_never_breaks_the_orders(shop: Shop, store: Store) -> None:
    scopes = shop.store.world.shops[DOMAIN].scopes
    scopes.remove("read_customers")
    scopes.remove("write_customers")
    shop.place()
    arrive(shop)
    assert Order.objects.visible().count() == 1
    customer = Customer.objects.get()
    assert (customer.read_started_at, customer.fetch_failures) == (None, 1)
    # What orders say of it is there; the doctor says what is missing.
    assert customer.email == "jane@example.com"
    assert (
        "read_customers" in {t.name: t.todo for t in doctor.examine(store, repair=False)}["Scopes"]
    )
    assert ShopConnection.objects.get().last_error == ""
    scopes.append("read_customers")
    read_customers()
    customer.refresh_from_db()
    assert customer.read_started_at is not None


def test_protected_data_that_was_not_approved_is_told_apart(shop: Shop, store: Store) -> None:
    from shopify_sync.api.errors import NeedsAdmin

    real = shopify_client.AdminClient.read

    def read(self: Any, name: str, variables: dict[str, Any]) -> Any:
        if name == "CustomerAccess":
            raise NeedsAdmin("This app is not approved to access the Customer object.")
        return real(self, name, variables)

    with patch.object(shopify_client.AdminClient, "read", read):
        ticks = {t.name: t for t in doctor.examine(store, repair=True)}
    assert ticks["Customer data"].level == "warning"
    assert "not approved" in ticks["Customer data"].todo


def test_customers_are_read_from_the_rate_limit_not_reserved_for_agents(
    shop: Shop, store: Store, jane: Customer
) -> None:
    services.mark_customer_dirty(store=store, gid=jane.gid, now=timezone.now())
    budget = shopify_client._budgets[DOMAIN]
    budget.available, budget.restore_rate = budget.maximum / 4, 0.001
    read_customers()
    jane.refresh_from_db()
    assert jane.dirty_seq > jane.clean_seq
    # Negative control: the very same with a full bucket.
    budget.available = budget.maximum
    read_customers()
    jane.refresh_from_db()
    assert jane.dirty_seq == jane.clean_seq


def test_a_merge_is_subscribed_to_where_its_scope_is_granted(shop: Shop, store: Store) -> None:
    doctor.examine(store, repair=True)
    assert subscriptions.missing(store) == []
    shop.store.world.shops[DOMAIN].scopes.append("read_customer_merge")
    doctor.examine(store, repair=False)
    assert subscriptions.missing(store) == ["CUSTOMERS_MERGE"]
    ticks = {t.name: t for t in doctor.examine(store, repair=False)}
    assert (ticks["Webhooks"].level, ticks["Merges"].level) == ("ok", "warning")
    with patch.object(subscriptions, "ensure", lambda store: ["customers/merge: no."]):
        ticks = {t.name: t for t in doctor.examine(store, repair=True)}
    assert "customers/merge: no." in ticks["Merges"].todo
    assert "Checkouts" not in ticks
    doctor.examine(store, repair=True)
    assert subscriptions.missing(store) == []


def test_unknown_words_and_nulls_survive(shop: Shop, store: Store, jane: Customer) -> None:
    row = next(iter(shop.store.world.shops[DOMAIN].customers.values()))
    row.email = None
    services.mark_customer_dirty(store=store, gid=jane.gid, now=timezone.now())
    read_customers()
    jane.refresh_from_db()
    assert (jane.email, jane.email_consent) == ("", "")
    assert not WebhookEvent.objects.filter(state=EventState.DEAD).exists()


def test_searching_shopify_finds_a_customer_who_never_ordered(
    shop: Shop, store: Store, as_alice: Client, conversation: Conversation
) -> None:
    create = (
        "mutation($input: CustomerInput!) { customerCreate(input: $input) { customer { id } } }"
    )
    shop.graphql(
        create, {"input": {"email": "jane@example.com", "firstName": "Jane", "note": "new"}}
    )
    shop.held.clear()
    as_alice.post(f"/inbox/conversations/{conversation.pk}/orders/refresh/")
    read_customers()
    assert Customer.objects.get().note == "new"
    page = as_alice.get(f"/inbox/contacts/{conversation.contact_id}/").content.decode()
    assert "Customer at Demo" in page


def test_opening_a_page_reads_a_customer_known_only_from_an_import(
    shop: Shop, store: Store, jane: Customer, as_alice: Client, conversation: Conversation
) -> None:
    Customer.objects.update(read_started_at=None, spent=None, dirty_seq=0, clean_seq=0)
    as_alice.get(f"/inbox/conversations/{conversation.pk}/orders/")
    read_customers()
    jane.refresh_from_db()
    assert jane.spent == Decimal("40.00")
