"""Whether what happened is still news for the customer. One rule, whichever way we heard of it.

An event may be old for many reasons: a shop that was installed again, an outage, a campaign or
store that was off meanwhile, a refund that its bank refused, a webhook that was replayed. It is
asked here before a message is written, and again before each try to send it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.utils.translation import gettext as _

from inbox.models import Campaign, CampaignMessage
from inbox.suppression import lateness
from inbox.suppression.refunds import (
    Stage,
    news_of,
)
from orders.models import Checkout, EventKind, OrderEvent, Store
from orders.snapshot import Fulfillment
from orders.statuses.badges import live_fulfillments

# How late Shopify's own repeats of a webhook may come: what was on its way while a store or a
# campaign was being switched on is told of.
_ON_ITS_WAY: Final = timedelta(hours=4)
_OF_PARCELS: Final = frozenset({EventKind.FULFILLED, EventKind.DELIVERED})


def refusal(row: CampaignMessage, *, now: datetime, by_hand: bool = False) -> str:
    """Why what a message speaks of is no news any more; "" while it is. `by_hand`: an agent tells
    of it all the same, though it is old or the campaign was off; what is not so is not told."""
    if row.event and by_hand:
        return _store_refusal(row.event.order.store) or _untrue(row.campaign, row.event)
    if row.event:
        return event_refusal(row.campaign, row.event, now=now)
    if row.checkout and by_hand:
        return _store_refusal(row.checkout.store)
    return checkout_refusal(row.campaign, row.checkout, now=now) if row.checkout else ""


def event_refusal(campaign: Campaign, event: OrderEvent, *, now: datetime) -> str:
    """Why a campaign does not tell of an event, for its log; "" while it is news."""
    return (
        lateness.refusal(event, now=now)
        or _switched_on_since(campaign, event.order.store, lateness.news_since(event))
        or _untrue(campaign, event)
    )


def checkout_refusal(campaign: Campaign, checkout: Checkout, *, now: datetime) -> str:
    """The same of a checkout, whose news is that it has lain still."""
    silent_at = checkout.active_at + campaign.silence
    return lateness.refusal_since(silent_at, now=now) or _switched_on_since(
        campaign, checkout.store, silent_at
    )


def small_refund_refusal(campaign: Campaign, event: OrderEvent) -> str:
    """Why a refund that staff made in Shopify's admin is not told of: it is a trifle."""
    if event.kind != EventKind.REFUNDED or event.action_id is not None:
        return ""
    sum_ = news_of(event).in_shop or event.money
    if sum_ is None or sum_.amount >= campaign.staff_refund_minimum:
        return ""
    return _("Staff made it in Shopify, and it is below the campaign’s minimum.")


def parcel_of(event: OrderEvent) -> Fulfillment | None:
    """The shipment an event tells of, as it is now; None: it is of none, or that was canceled."""
    if event.kind not in _OF_PARCELS or not event.order.document:
        return None
    gid = event.key.partition(":")[2]
    return next((p for p in live_fulfillments(event.order.snapshot) if p.gid == gid), None)


def _switched_on_since(campaign: Campaign, store: Store, at: datetime) -> str:
    """What happened while a store or a campaign was off is history, also where it is heard of
    only when it is on again."""
    if reason := _store_refusal(store):
        return reason
    if at < store.connected_at - _ON_ITS_WAY:
        return _("It happened before the store was connected or switched on.")
    if at < campaign.on_since - _ON_ITS_WAY:
        return _("It happened before the campaign was switched on.")
    return ""


def _store_refusal(store: Store) -> str:
    return "" if store.is_active else _("The store is switched off.")


def _untrue(campaign: Campaign, event: OrderEvent) -> str:
    """What was to be told has come to nothing since."""
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
