"""Personal data on customers: once redacted it doesn't return, and old data is deleted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from inbox.contacts import address_edits
from inbox.models import Contact, IdentityKind
from orders.models import Customer, RedactedKind, Store
from orders.privacy import (
    ledger,
    retention,
)
from orders.privacy.registry import (
    REGISTRY,
    Scope,
    resolve,
)
from orders.services import mark_customer_dirty
from tests.support.shop.in_process import DOMAIN, Shop, fetch_dirty, read_customers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def jane(shop: Shop, store: Store) -> Customer:
    shop.place()
    shop.deliver(Client())
    fetch_dirty()
    row = next(iter(shop.store.world.shops[DOMAIN].customers.values()))
    row.tags, row.note = ["VIP"], "calls at night"
    Customer.objects.update(dirty_seq=2, clean_seq=0)
    read_customers()
    return Customer.objects.get()


def read_again(jane: Customer) -> None:
    mark_customer_dirty(store=jane.store, gid=jane.gid, now=timezone.now())
    read_customers()
    jane.refresh_from_db()


@pytest.mark.parametrize(
    ("kind", "field"), [(RedactedKind.CUSTOMER, "gid"), (RedactedKind.EMAIL, "email")]
)
def test_a_read_after_a_redaction_brings_nothing_back(
    shop: Shop, jane: Customer, kind: RedactedKind, field: str
) -> None:
    assert (jane.note, jane.tags) == ("calls at night", ["VIP"])
    text = str(getattr(jane, field))
    later = timezone.now() + timedelta(minutes=1)
    ledger.remember(jane.store, [(kind, text)], at=later)
    read_again(jane)
    assert (jane.name, jane.email, jane.note, jane.tags, jane.locale) == ("", "", "", [], "")
    assert (jane.spent, jane.account_state) == (None, "")
    # Negative control: redacted before they became a customer, they are a new beginning.
    jane.store.redacted_identities.all().delete()
    ledger.remember(jane.store, [(kind, text)], at=timezone.now() - timedelta(days=1))
    read_again(jane)
    assert jane.note == "calls at night"


def test_a_customer_without_orders_goes_by_their_own_age(shop: Shop, jane: Customer) -> None:
    jane.store.orders.all().delete()
    retention.apply(now=timezone.now())
    jane.refresh_from_db()
    assert jane.note == "calls at night"
    retention.apply(now=timezone.now() + timedelta(days=5000))
    jane.refresh_from_db()
    assert (jane.name, jane.email, jane.note, jane.tags) == ("", "", "", [])


def test_redacting_a_wrong_suggestion_keeps_the_contact(
    shop: Shop, jane: Customer, sara: User
) -> None:
    tom = Contact.objects.create(name="Tom")
    address_edits.add_address(contact=tom, text="tom@example.com", by=sara)
    address_edits.set_aside(
        contact=tom, kind=IdentityKind.EMAIL, value=jane.email, evidence="order #1", by=sara
    )
    scope = resolve(Scope(store_id=jane.store_id, customer_gids=(jane.gid,)))
    assert tom.pk not in scope.ids("inbox.Contact")
    for holding in REGISTRY.of_customers():
        for rows in holding.rows(scope):
            holding.mask(list(rows))
    tom.refresh_from_db()
    assert tom.name == "Tom"
    assert [i.value for i in tom.identities.all()] == ["tom@example.com"]


def test_customers_merged_into_the_customer_are_redacted_too(shop: Shop, jane: Customer) -> None:
    now = timezone.now()
    gone = {"deleted_at": now, "email": "jane.old@example.com", "name": "Jane Old"}
    for number, into in ((71, jane.gid), (72, "gid://shopify/Customer/71")):
        Customer.objects.create(
            store=jane.store, gid=f"gid://shopify/Customer/{number}", merged_into=into, **gone
        )
    stays = Customer.objects.create(
        store=jane.store, gid="gid://shopify/Customer/73", name="Tom", deleted_at=now
    )
    scope = resolve(Scope(store_id=jane.store_id, customer_gids=(jane.gid,)))
    assert "jane.old@example.com" in scope.emails
    for holding in REGISTRY.of_customers():
        for rows in holding.rows(scope):
            holding.mask(list(rows))
    assert list(Customer.objects.exclude(name="", email="")) == [stays]
