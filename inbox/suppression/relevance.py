"""Whether an event is still news for the customer: one rule, however we learned of it.

An event can be stale for many reasons: a reinstalled shop, an outage, a campaign or store that
was off, a refund its bank refused, a replayed webhook. The rule is applied before a message is
written and again before each attempt to send it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.utils.translation import gettext as _

from inbox.models import Campaign, CampaignMessage
from inbox.suppression import lateness
from inbox.suppression.refund_outcome import (
    Stage,
    news_of,
)
from orders.models import Checkout, EventKind, OrderEvent, Store
from orders.snapshot import Fulfillment
from orders.statuses.badges import live_fulfillments

# How late Shopify may retry a webhook. Events that were on their way when a store or campaign was
# switched on still get their message.
_ON_ITS_WAY: Final = timedelta(hours=4)
_OF_PARCELS: Final = frozenset({EventKind.FULFILLED, EventKind.DELIVERED})


def refusal(row: CampaignMessage, *, now: datetime, by_hand: bool = False) -> str:
    """Return why a message is no longer news; "" while it is.

    `by_hand`: an agent sends it anyway, although it is old or the campaign was off. What is no
    longer true is refused even then.
    """
    if row.event and by_hand:
        return _store_refusal(row.event.order.store) or _untrue(row.campaign, row.event)
    if row.event:
        return event_refusal(row.campaign, row.event, now=now)
    if row.checkout and by_hand:
        return _store_refusal(row.checkout.store)
    return checkout_refusal(row.campaign, row.checkout, now=now) if row.checkout else ""


def event_refusal(campaign: Campaign, event: OrderEvent, *, now: datetime) -> str:
    """Return why a campaign skips an event, for its log; "" while it is news."""
    return (
        lateness.refusal(event, now=now)
        or _switched_on_since(campaign, event.order.store, lateness.news_since(event))
        or _untrue(campaign, event)
    )


def checkout_refusal(campaign: Campaign, checkout: Checkout, *, now: datetime) -> str:
    """Return the same for a checkout, whose news is its inactivity."""
    silent_at = checkout.active_at + campaign.silence
    return lateness.refusal_since(silent_at, now=now) or _switched_on_since(
        campaign, checkout.store, silent_at
    )


def small_refund_refusal(campaign: Campaign, event: OrderEvent) -> str:
    """Return why a refund that staff made in Shopify's admin is too small to announce.

    "" if it isn't, or if it was made through this app.
    """
    if event.kind != EventKind.REFUNDED or event.action_id is not None:
        return ""
    sum_ = news_of(event).in_shop or event.money
    if sum_ is None or sum_.amount >= campaign.staff_refund_minimum:
        return ""
    return _("Staff made this refund in Shopify, and it’s below the campaign’s minimum.")


def parcel_of(event: OrderEvent) -> Fulfillment | None:
    """Return the event's shipment as it is now; None if it has none or it was canceled."""
    if event.kind not in _OF_PARCELS or not event.order.document:
        return None
    gid = event.key.partition(":")[2]
    return next((p for p in live_fulfillments(event.order.snapshot) if p.gid == gid), None)


def _switched_on_since(campaign: Campaign, store: Store, at: datetime) -> str:
    """Refuse what happened while a store or campaign was off, even if we learn of it later."""
    if reason := _store_refusal(store):
        return reason
    if at < store.connected_at - _ON_ITS_WAY:
        return _("It happened before the store was connected or turned on.")
    if at < campaign.on_since - _ON_ITS_WAY:
        return _("It happened before the campaign was turned on.")
    return ""


def _store_refusal(store: Store) -> str:
    return "" if store.is_active else _("The store is turned off.")


def _untrue(campaign: Campaign, event: OrderEvent) -> str:
    """Refuse what is no longer true: a failed or trivial refund, or a canceled shipment."""
    return _refund_refusal(campaign, event) or _parcel_refusal(event)


def _refund_refusal(campaign: Campaign, event: OrderEvent) -> str:
    if event.kind == EventKind.REFUNDED and news_of(event).stage == Stage.FAILED:
        return _("The refund failed at the payment provider.")
    return small_refund_refusal(campaign, event)


def _parcel_refusal(event: OrderEvent) -> str:
    is_of_parcel = event.kind in _OF_PARCELS and ":" in event.key and event.order.document
    if not is_of_parcel or parcel_of(event) is not None:
        return ""
    return _("The shipment was canceled.")
