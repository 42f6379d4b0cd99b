"""The status labels agents read."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from orders.snapshot import OrderSnapshot
from orders.statuses import badges
from orders.statuses.badges import (
    Pip,
    Tone,
)
from tests.support.orders.snapshots import NOW, order, parcel, shipped

BERLIN = ZoneInfo("Europe/Berlin")


def fulfillment(snapshot: OrderSnapshot) -> badges.Badge:
    return badges.fulfillment_badge(snapshot, now=NOW, zone=BERLIN)


@pytest.mark.parametrize(
    ("changes", "labels"),
    [
        ({}, ["Open"]),
        ({"closed_at": NOW}, ["Archived"]),
        ({"closed_at": NOW, "cancelled_at": NOW}, ["Canceled"]),
        ({"closed_at": NOW, "cancelled_at": NOW - timedelta(days=1)}, ["Canceled", "Archived"]),
        ({"closed_at": NOW - timedelta(days=1), "cancelled_at": NOW}, ["Canceled", "Archived"]),
        # Shopify's own closing of what it cancels, a second off.
        ({"closed_at": NOW + timedelta(seconds=1), "cancelled_at": NOW}, ["Canceled"]),
    ],
)
def test_the_order_has_one_primary_badge(changes: dict[str, Any], labels: list[str]) -> None:
    assert [b.label for b in badges.order_badges(order(**changes))] == labels


@pytest.mark.parametrize(
    ("raw", "label", "pip"),
    [
        ("PAID", "Paid", Pip.FULL),
        ("PENDING", "Unpaid", Pip.EMPTY),
        ("AUTHORIZED", "Authorized", Pip.EMPTY),
        ("EXPIRED", "Expired", Pip.EMPTY),
        ("PARTIALLY_PAID", "Partially paid", Pip.HALF),
        ("PARTIALLY_REFUNDED", "Partially refunded", Pip.HALF),
        ("REFUNDED", "Refunded", Pip.FULL),
        ("VOIDED", "Voided", Pip.NONE),
    ],
)
def test_every_payment_status_has_its_word_and_pip(raw: str, label: str, pip: Pip) -> None:
    badge = badges.payment_badge(order(financial_status=raw))
    assert (badge.label, badge.pip, badge.axis) == (label, pip, "Payment")


def test_an_order_without_a_payment_status_follows_the_sum_owed() -> None:
    assert badges.payment_badge(order(financial_status=None)).label == "Paid"
    assert badges.payment_badge(order(financial_status=None, paid="0")).label == "Unpaid"


def test_an_unknown_word_is_shown_raw_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        badge = badges.payment_badge(order(financial_status="ON_ICE"))
    assert badge.label == "Unknown (ON_ICE)"
    assert "ON_ICE" in caplog.text


@pytest.mark.parametrize(
    ("raw", "label", "detail"),
    [
        (None, "Unfulfilled", ""),
        ("UNFULFILLED", "Unfulfilled", ""),
        ("ON_HOLD", "Unfulfilled", "On hold"),
        ("SCHEDULED", "Unfulfilled", "Scheduled"),
        ("IN_PROGRESS", "Unfulfilled", "In progress"),
        ("PARTIALLY_FULFILLED", "Partially fulfilled", ""),
        ("FULFILLED", "Fulfilled", ""),
        ("FULFILLMENT_NOT_REQUIRED", "Not required", ""),
        ("SOMETHING_NEW", "Unknown (SOMETHING_NEW)", ""),
    ],
)
def test_every_fulfillment_status_has_its_word(raw: str | None, label: str, detail: str) -> None:
    snapshot = order(fulfillment_status=raw)
    assert fulfillment(snapshot).label == label
    assert [b.label for b in badges.fulfillment_details(snapshot, zone=BERLIN)] == (
        [detail] if detail else []
    )


@pytest.mark.parametrize(
    ("word", "label", "tone"),
    [
        ("OUT_FOR_DELIVERY", "Out for delivery", Tone.INFO),
        ("READY_FOR_PICKUP", "Ready for pickup", Tone.ATTENTION),
        ("DELIVERED", "Delivered", Tone.SUCCESS),
        ("PICKED_UP", "Picked up", Tone.SUCCESS),
        ("ATTEMPTED_DELIVERY", "Attempted delivery", Tone.WARNING),
        ("FAILURE", "Delivery failed", Tone.CRITICAL),
        ("IN_TRANSIT", "In transit", Tone.INFO),
        ("FULFILLED", "Fulfilled", Tone.DEFAULT),
        ("BUYER_ACTION_REQUIRED", "Unknown (BUYER_ACTION_REQUIRED)", Tone.ATTENTION),
    ],
)
def test_a_shipped_order_carries_its_parcels_news(word: str, label: str, tone: Tone) -> None:
    badge = fulfillment(shipped(parcel(display_status=word)))
    assert (badge.label, badge.tone) == (label, tone)


def test_arriving_is_said_with_the_month_in_words_and_the_store_s_day() -> None:
    late_evening = NOW.replace(hour=23, minute=30)  # the 25th in Berlin
    arriving = shipped(parcel(display_status="IN_TRANSIT", estimated_delivery_at=late_evening))
    assert fulfillment(arriving).label == "Arriving on 25 November 2026"


def test_a_past_date_says_was_due_as_a_warning() -> None:
    due = NOW - timedelta(days=2)
    badge = fulfillment(shipped(parcel(display_status="IN_TRANSIT", estimated_delivery_at=due)))
    assert (badge.label, badge.tone) == ("Was due 22 November 2026", Tone.WARNING)


def test_the_worst_news_of_several_parcels_is_the_orders() -> None:
    parcels = [
        parcel(gid="a", display_status="DELIVERED", delivered_at=NOW),
        parcel(gid="b", display_status="IN_TRANSIT"),
        parcel(gid="c", display_status="OUT_FOR_DELIVERY"),
    ]
    assert fulfillment(shipped(*parcels)).label == "Out for delivery"
    failed = parcel(gid="d", display_status="FAILURE")
    assert fulfillment(shipped(*parcels, failed)).label == "Delivery failed"


def test_a_canceled_shipment_record_counts_nowhere() -> None:
    gone = parcel(status="CANCELLED", display_status="DELIVERED", delivered_at=NOW)
    assert badges.live_fulfillments(shipped(gone)) == ()
    assert badges.parcel_badge(gone, now=NOW, zone=BERLIN).label == "Shipment canceled"
