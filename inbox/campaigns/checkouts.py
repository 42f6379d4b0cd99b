"""Match inactive checkouts to the campaigns that are about them.

A sweep looks for them, because nothing happens at the moment a checkout is abandoned.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction
from django.db.models import Q

from core.database import sweeps
from core.database.leases import is_due
from inbox.campaigns import marketing
from inbox.models import CHECKOUT_TRIGGERS, Campaign
from inbox.suppression import lateness
from orders.errors import ShopUnreachable
from orders.models import Checkout
from orders.services import record_checkout
from orders.shopify_port import get_gateway

_AGAIN: Final = timedelta(minutes=10)
_LEASE: Final = timedelta(seconds=60)
_ROWS: Final = 50
Row = TypeVar("Row")


def are_of_interest() -> bool:
    """Return whether any active campaign is about checkouts or counts them.

    Until one does, Shopify is not asked who started them.
    """
    about = Q(event_kind__in=CHECKOUT_TRIGGERS) | Q(conditions__event_kind__in=CHECKOUT_TRIGGERS)
    return Campaign.objects.active().filter(about).exists()


def read_unread(*, now: datetime) -> int:
    """Read a few checkouts that were never read, for their customers; return how many were."""
    ready = is_due("next_read_at", now=now)
    rows = Checkout.objects.filter(ready, read_at=None, deleted_at=None, store__is_active=True)
    rows = rows.filter(started_at__gt=now - timedelta(days=7)).order_by("-pk")
    return _each(lambda pk: _read(pk, now), list(rows.values_list("pk", flat=True)[:_ROWS]))


def _read(checkout_id: int, now: datetime) -> bool:
    ready = is_due("next_read_at", now=now)
    mine = Checkout.objects.filter(ready, pk=checkout_id, read_at=None)
    # The update is the claim: of several workers, one changes the row.
    if not mine.update(next_read_at=now + _LEASE):
        return False
    checkout = Checkout.objects.select_related("store").get(pk=checkout_id)
    try:
        snapshot = get_gateway().read_checkout(checkout)
    except ShopUnreachable:
        Checkout.objects.filter(pk=checkout_id).update(next_read_at=now + _AGAIN)
        return False
    record_checkout(checkout=checkout, snapshot=snapshot, now=now)
    return True


def ask_due(*, now: datetime) -> int:
    """Write waiting rows for each campaign's inactive checkouts; return how many checkouts."""
    asked = 0
    for campaign in Campaign.objects.active().filter(event_kind__in=CHECKOUT_TRIGGERS):
        asked += _each(partial(_ask, campaign), _due(campaign, now))
    return asked


def _ask(campaign: Campaign, checkout: Checkout) -> bool:
    with transaction.atomic(durable=True):
        marketing.ask(campaign, checkout)
    return True


def _each(work: Callable[[Row], bool], rows: list[Row]) -> int:
    """Return for how many rows the work succeeded. One that fails doesn't stop the others."""
    done = 0

    def count(row: Row) -> None:
        nonlocal done
        done += work(row)

    sweeps.each(rows, count, stops=(SoftTimeLimitExceeded,))
    return done


def _due(campaign: Campaign, now: datetime) -> list[Checkout]:
    still = Checkout.objects.open().calm_since(now - campaign.silence)
    recent = still.filter(
        store__is_active=True,
        active_at__gt=now - campaign.silence - lateness.REMINDED_WITHIN,
        started_at__gte=campaign.on_since - campaign.silence,
    )
    return list(recent.exclude(campaign_messages__campaign=campaign).order_by("pk")[:_ROWS])
