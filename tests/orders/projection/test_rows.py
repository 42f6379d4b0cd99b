"""Whatever Shopify sends, a snapshot's values fit the database columns."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import CharField, Model

from orders.models import Customer, Order, OrderFulfillment, OrderTracking, OrderTransaction, Store
from orders.projection import columns as rows
from orders.snapshot import CustomerSnapshot, Tracking, encode
from tests.support.orders import snapshots
from tests.support.orders.stored import stored

LONG = "ö" * 600


def too_long(model: type[Model], row: dict[str, Any]) -> list[str]:
    """SQLite keeps them all the same."""
    columns = [field for field in model._meta.concrete_fields if isinstance(field, CharField)]
    return [c.name for c in columns if len(row.get(c.attname) or "") > (c.max_length or 0)]


def test_texts_that_people_typed_fit_their_columns() -> None:
    person = CustomerSnapshot(gid="c", legacy_id=1, name=LONG, email=LONG, phone=LONG, locale=LONG)
    order = snapshots.order(
        name=LONG,
        email=LONG,
        phone=LONG,
        customer=person,
        fulfillments=(replace(snapshots.parcel(), name=LONG),),
    )
    assert too_long(Order, {"email": LONG}) == ["email"]
    assert too_long(Order, rows.order_columns(order, encode(order))) == []
    assert too_long(Customer, rows.customer(1, person)) == []
    for parcel in rows.fulfillments(1, order):
        assert too_long(OrderFulfillment, parcel) == []


def test_values_that_are_new_to_us_fit_their_columns() -> None:
    """PostgreSQL would refuse a longer one, and the order could never be read again."""
    paid = snapshots.order().transactions[0]
    order = snapshots.order(
        cancel_reason=LONG,
        financial_status=LONG,
        fulfillment_status=LONG,
        return_status=LONG,
        fulfillments=(replace(snapshots.parcel(), status=LONG, display_status=LONG),),
        transactions=(replace(paid, kind=LONG, status=LONG),),
    )
    assert too_long(Order, rows.order_columns(order, encode(order))) == []
    for parcel in rows.fulfillments(1, order):
        assert too_long(OrderFulfillment, parcel) == []
    for payment in rows.transactions(1, order):
        assert too_long(OrderTransaction, payment) == []


@pytest.mark.django_db
def test_a_tracking_number_that_was_corrected_finds_the_order_no_more() -> None:
    store = Store.objects.create(domain="demo.myshopify.com", currency="EUR")
    for minute, numbers in enumerate((("JD014", "JD015"), ("JD015",), ())):
        parcel = replace(snapshots.parcel(), tracking=tuple(Tracking(number=n) for n in numbers))
        at = snapshots.NOW + timedelta(minutes=minute)
        stored(snapshots.order(fulfillments=(parcel,), updated_at=at), store)
        assert tuple(OrderTracking.objects.values_list("number", flat=True)) == numbers


@pytest.mark.django_db
def test_payments_that_changed_or_came_after_a_read_are_written() -> None:
    """Alone: the order's lines, parcels and refunds stay as they were."""
    held = snapshots.payment(status="PENDING")
    shown = snapshots.order(transactions=(held,))
    stored(shown)
    second = snapshots.payment(gid="payment-2")
    now = (snapshots.payment(status="SUCCESS"), second)
    at = shown.updated_at + timedelta(minutes=1)
    stored(replace(shown, transactions=now, updated_at=at))
    payments = OrderTransaction.objects.order_by("gid").values_list("gid", "status")
    assert list(payments) == [("payment-1", "SUCCESS"), ("payment-2", "SUCCESS")]
