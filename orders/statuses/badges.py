"""The status labels agents see on an order, with their tone and pip.

Pure: an OrderSnapshot in, badges out. Shopify's enums grow every quarter, so a value that's missing
from these tables is shown as is and logged, never guessed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from babel.dates import format_date
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from orders.snapshot import Address, Fulfillment, FulfillmentOrder, OrderSnapshot
from orders.statuses.arrival_days import arrival

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise as _StrPromise

logger = logging.getLogger(__name__)


class Tone(StrEnum):
    """How urgent a badge is; decides its color and icon."""

    DEFAULT = "default"
    INFO = "info"
    SUCCESS = "success"
    ATTENTION = "attention"
    WARNING = "warning"
    CRITICAL = "critical"


class Pip(StrEnum):
    """How far along something is, so that color alone never carries the status."""

    NONE = ""
    EMPTY = "empty"
    HALF = "half"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Badge:
    """A status label; `raw` is Shopify's value.

    `axis` says what the badge is about, for screen readers.
    """

    label: str
    tone: Tone
    pip: Pip = Pip.NONE
    axis: str = ""
    raw: str = ""


Label = tuple["_StrPromise", Tone, Pip]

# Raw status -> label, tone, pip. AUTHORIZED and EXPIRED keep the labels of Shopify's admin.
_FINANCIAL: Final[dict[str, Label]] = {
    "PAID": (gettext_lazy("Paid"), Tone.DEFAULT, Pip.FULL),
    "PENDING": (gettext_lazy("Unpaid"), Tone.WARNING, Pip.EMPTY),
    "AUTHORIZED": (gettext_lazy("Authorized"), Tone.ATTENTION, Pip.EMPTY),
    "EXPIRED": (gettext_lazy("Expired"), Tone.WARNING, Pip.EMPTY),
    "PARTIALLY_PAID": (gettext_lazy("Partially paid"), Tone.WARNING, Pip.HALF),
    "PARTIALLY_REFUNDED": (gettext_lazy("Partially refunded"), Tone.DEFAULT, Pip.HALF),
    "REFUNDED": (gettext_lazy("Refunded"), Tone.DEFAULT, Pip.FULL),
    "VOIDED": (gettext_lazy("Voided"), Tone.DEFAULT, Pip.NONE),
}

_FULFILLMENT: Final[dict[str, Label]] = {
    "FULFILLED": (gettext_lazy("Fulfilled"), Tone.DEFAULT, Pip.FULL),
    "FULFILLMENT_NOT_REQUIRED": (gettext_lazy("Not required"), Tone.DEFAULT, Pip.NONE),
    "PARTIALLY_FULFILLED": (gettext_lazy("Partially fulfilled"), Tone.WARNING, Pip.HALF),
    "UNFULFILLED": (gettext_lazy("Unfulfilled"), Tone.ATTENTION, Pip.EMPTY),
    "OPEN": (gettext_lazy("Unfulfilled"), Tone.ATTENTION, Pip.EMPTY),
    "RESTOCKED": (gettext_lazy("Unfulfilled"), Tone.DEFAULT, Pip.EMPTY),
    "IN_PROGRESS": (gettext_lazy("Unfulfilled"), Tone.INFO, Pip.HALF),
    "PENDING_FULFILLMENT": (gettext_lazy("Unfulfilled"), Tone.INFO, Pip.HALF),
    "SCHEDULED": (gettext_lazy("Unfulfilled"), Tone.INFO, Pip.EMPTY),
    "ON_HOLD": (gettext_lazy("Unfulfilled"), Tone.WARNING, Pip.EMPTY),
    "REQUEST_DECLINED": (gettext_lazy("Unfulfilled"), Tone.WARNING, Pip.EMPTY),
}
# Shown next to "Unfulfilled" if Shopify knows more.
_FULFILLMENT_DETAIL: Final[dict[str, _StrPromise]] = {
    "IN_PROGRESS": gettext_lazy("In progress"),
    "PENDING_FULFILLMENT": gettext_lazy("In progress"),
    "SCHEDULED": gettext_lazy("Scheduled"),
    "ON_HOLD": gettext_lazy("On hold"),
    "REQUEST_DECLINED": gettext_lazy("Request declined"),
}
# Statuses of a fulfillment order worth showing: part of an order may wait after the rest shipped.
_WORK_DETAIL: Final = frozenset({"ON_HOLD", "SCHEDULED", "IN_PROGRESS"})
_UNDER_WAY: Final = frozenset({"IN_PROGRESS", "PENDING_FULFILLMENT"})
# OrderReturnStatus, except NO_RETURN, which needs no badge.
_RETURN: Final[dict[str, Label]] = {
    "RETURN_REQUESTED": (gettext_lazy("Return requested"), Tone.ATTENTION, Pip.EMPTY),
    "IN_PROGRESS": (gettext_lazy("Return in progress"), Tone.ATTENTION, Pip.HALF),
    "INSPECTION_COMPLETE": (gettext_lazy("Return inspected"), Tone.ATTENTION, Pip.HALF),
    "RETURNED": (gettext_lazy("Returned"), Tone.DEFAULT, Pip.FULL),
    "RETURN_FAILED": (gettext_lazy("Return failed"), Tone.WARNING, Pip.HALF),
}
_DONE_WORK: Final = frozenset({"CLOSED", "CANCELLED", "INCOMPLETE"})
_NO_RETURN: Final = frozenset({"", "NO_RETURN"})
# Shopify closes an order it cancels, within a second or two.
_CLOSED_BY_CANCELING: Final = timedelta(seconds=2)

# Worst news first: a parcel's position in this table is its urgency.
_PARCEL: Final[dict[str, Label]] = {
    "FAILURE": (gettext_lazy("Delivery failed"), Tone.CRITICAL, Pip.EMPTY),
    "NOT_DELIVERED": (gettext_lazy("Not delivered"), Tone.CRITICAL, Pip.EMPTY),
    "ATTEMPTED_DELIVERY": (gettext_lazy("Attempted delivery"), Tone.WARNING, Pip.HALF),
    "DELAYED": (gettext_lazy("Delayed"), Tone.WARNING, Pip.HALF),
    "OUT_FOR_DELIVERY": (gettext_lazy("Out for delivery"), Tone.INFO, Pip.HALF),
    "READY_FOR_PICKUP": (gettext_lazy("Ready for pickup"), Tone.ATTENTION, Pip.HALF),
    "IN_TRANSIT": (gettext_lazy("In transit"), Tone.INFO, Pip.HALF),
    "CARRIER_PICKED_UP": (gettext_lazy("Picked up by carrier"), Tone.INFO, Pip.HALF),
    "SUBMITTED": (gettext_lazy("Submitted"), Tone.INFO, Pip.HALF),
    "CONFIRMED": (gettext_lazy("Confirmed"), Tone.INFO, Pip.HALF),
    "LABEL_PRINTED": (gettext_lazy("Label printed"), Tone.INFO, Pip.HALF),
    "LABEL_PURCHASED": (gettext_lazy("Label purchased"), Tone.INFO, Pip.HALF),
    "LABEL_VOIDED": (gettext_lazy("Label voided"), Tone.WARNING, Pip.HALF),
    "FULFILLED": (gettext_lazy("Shipped"), Tone.DEFAULT, Pip.FULL),
    "MARKED_AS_FULFILLED": (gettext_lazy("Shipped"), Tone.DEFAULT, Pip.FULL),
    "DELIVERED": (gettext_lazy("Delivered"), Tone.SUCCESS, Pip.FULL),
    "PICKED_UP": (gettext_lazy("Picked up"), Tone.SUCCESS, Pip.FULL),
    "CANCELED": (gettext_lazy("Shipment canceled"), Tone.DEFAULT, Pip.NONE),
}
# All of Shopify's values that have a badge.
PAYMENT_WORDS: Final = tuple(_FINANCIAL)
FULFILLMENT_WORDS: Final = tuple(_FULFILLMENT)
PARCEL_WORDS: Final = tuple(_PARCEL)
_URGENCY: Final = {raw: rank for rank, raw in enumerate(_PARCEL)}
DELIVERED_WORDS: Final = frozenset({"DELIVERED", "PICKED_UP"})
DEAD_FULFILLMENTS: Final = frozenset({"CANCELLED", "ERROR", "FAILURE"})
# Statuses that outrank an expected delivery date, which no longer says what matters.
_OUTRANKS_DATE: Final = frozenset(
    {
        "FAILURE",
        "NOT_DELIVERED",
        "ATTEMPTED_DELIVERY",
        "DELAYED",
        "OUT_FOR_DELIVERY",
        "READY_FOR_PICKUP",
        "DELIVERED",
        "PICKED_UP",
        "CANCELED",
    }
)
# Statuses that only say "handed to the carrier": the order's own status says more.
_HANDED_OVER: Final = frozenset({"FULFILLED", "MARKED_AS_FULFILLED", ""})
# Statuses by which the carrier says that the parcel hasn't arrived yet.
UNDELIVERED_WORDS: Final = frozenset(_PARCEL) - DELIVERED_WORDS - _HANDED_OVER - {"CANCELED"}


def live_fulfillments(order: OrderSnapshot) -> tuple[Fulfillment, ...]:
    """Return parcels that exist; canceled and failed shipment records never count."""
    return tuple(f for f in order.fulfillments if f.status not in DEAD_FULFILLMENTS)


def is_parcel_delivered(parcel: Fulfillment) -> bool:
    """Whether the parcel was delivered or picked up."""
    return parcel.delivered_at is not None or parcel.display_status in DELIVERED_WORDS


def is_archived(order: OrderSnapshot) -> bool:
    """Whether the order was archived, which a cancellation alone doesn't mean.

    Shopify closes canceled orders, too; a closing time of its own tells archiving apart.
    """
    if order.closed_at is None or order.cancelled_at is None:
        return order.closed_at is not None
    return abs(order.closed_at - order.cancelled_at) > _CLOSED_BY_CANCELING


def order_badges(order: OrderSnapshot) -> tuple[Badge, ...]:
    """Return the primary badge, with Archived next to Canceled if both apply."""
    axis = _("Order")
    archived = Badge(_("Archived"), Tone.DEFAULT, axis=axis)
    if order.cancelled_at:
        canceled = Badge(_("Canceled"), Tone.CRITICAL, axis=axis)
        return (canceled, archived) if is_archived(order) else (canceled,)
    if is_archived(order):
        return (archived,)
    return (Badge(_("Open"), Tone.ATTENTION, axis=axis),)


def payment_badge(order: OrderSnapshot) -> Badge:
    """Return the payment badge.

    An order without transactions has no status, so the amount owed decides.
    """
    raw = order.financial_status
    if not raw:
        raw = "PENDING" if order.money.outstanding.presentment.amount > 0 else "PAID"
    return _badge(_FINANCIAL, raw, _("Payment"))


def payment_word(raw: str) -> str:
    """Return the badge label of a payment status."""
    return _badge(_FINANCIAL, raw, _("Payment")).label if raw else ""


def fulfillment_word(raw: str) -> str:
    """Return the badge label of a fulfillment status, with its detail: "Unfulfilled · On hold"."""
    if not raw:
        return ""
    label = _badge(_FULFILLMENT, raw, _("Fulfillment")).label
    return f"{label} · {_FULFILLMENT_DETAIL[raw]}" if raw in _FULFILLMENT_DETAIL else label


def return_word(raw: str) -> str:
    """Return the badge label of an order's return status; "" if it has no status."""
    if raw in _NO_RETURN:
        return _("No return") if raw else ""
    return _badge(_RETURN, raw, _("Return")).label


def fulfillment_badge(order: OrderSnapshot, *, now: datetime, zone: tzinfo) -> Badge:
    """Return all fulfillment badges as one: "Partially fulfilled · Out for delivery"."""
    first, *rest = fulfillment_badges(order, now=now, zone=zone)
    return replace(first, label=" · ".join([first.label, *(badge.label for badge in rest)]))


def fulfillment_badges(order: OrderSnapshot, *, now: datetime, zone: tzinfo) -> tuple[Badge, ...]:
    """Return the most specific status that is true.

    That is the status of the least advanced open parcel, else Shopify's own. If something still has
    to ship, Shopify's status comes first, followed by the parcel's. `zone` is the store's time
    zone, used for arrivals without a known destination.
    """
    axis = _("Fulfillment")
    raw = order.fulfillment_status or "UNFULFILLED"
    parcels = live_fulfillments(order)
    if order.cancelled_at or "fulfillments" in order.unread:
        # The parcels missing from an incomplete list could have any status, so use Shopify's own.
        parcels = ()
    if parcels and raw in _FULFILLMENT_DETAIL:
        # Then only the rest is on hold, scheduled or in progress.
        raw = "PARTIALLY_FULFILLED"
    whole = _badge(_FULFILLMENT, raw, axis)
    news = _parcels_badge(order, parcels, now=now, zone=zone, axis=axis)
    if news is None or raw not in {"FULFILLED", "PARTIALLY_FULFILLED"}:
        return (whole,)
    return (news,) if raw == "FULFILLED" else (whole, news)


def _parcels_badge(
    order: OrderSnapshot,
    parcels: tuple[Fulfillment, ...],
    *,
    now: datetime,
    zone: tzinfo,
    axis: str,
) -> Badge | None:
    """Return what the parcels say beyond Shopify's status for the order; None if nothing."""
    if not parcels:
        return None
    under_way = [parcel for parcel in parcels if not is_parcel_delivered(parcel)]
    if not under_way:
        collected = all(parcel.display_status == "PICKED_UP" for parcel in parcels)
        return _badge(_PARCEL, "PICKED_UP" if collected else "DELIVERED", axis)
    worst = min(under_way, key=lambda parcel: _urgency(parcel, now=now))
    if worst.estimated_delivery_at or worst.display_status not in {None, *_HANDED_OVER}:
        return parcel_badge(worst, now=now, zone=zone, to=order.shipping_address, axis=axis)
    return None


def fulfillment_details(order: OrderSnapshot, *, zone: tzinfo) -> tuple[Badge, ...]:
    """Return badges that supplement Shopify's fulfillment status.

    For example "On hold: High risk of fraud", "Scheduled for 1 February 2027", "In progress" or
    "Pickup at Main Street". `zone` is the store's.
    """
    if order.cancelled_at:
        return ()
    found = [badge for work in order.fulfillment_orders for badge in _work_details(work, zone)]
    raw = order.fulfillment_status or ""
    if raw in _FULFILLMENT_DETAIL and not any(badge.raw == raw for badge in found):
        # Shopify's status for the order, if no fulfillment order explains it.
        found.insert(0, Badge(str(_FULFILLMENT_DETAIL[raw]), _detail_tone(raw), raw=raw))
    if live_fulfillments(order):
        # Once some of it has shipped, the rest is always "in progress"; the parcels say more.
        found = [badge for badge in found if badge.raw not in _UNDER_WAY]
    return tuple(dict.fromkeys(found))


def _work_details(work: FulfillmentOrder, zone: tzinfo) -> Iterator[Badge]:
    if work.status not in _DONE_WORK:
        raw = work.status
        if raw == "ON_HOLD" and work.hold_reasons:
            label = _("On hold: %(reason)s") % {"reason": ", ".join(work.hold_reasons)}
            yield Badge(label, _detail_tone(raw), raw=raw)
        elif raw == "SCHEDULED" and work.fulfill_at:
            day = long_date(work.fulfill_at.astimezone(zone).date())
            yield Badge(_("Scheduled for %(date)s") % {"date": day}, _detail_tone(raw), raw=raw)
        elif raw in _WORK_DETAIL:
            yield Badge(str(_FULFILLMENT_DETAIL[raw]), _detail_tone(raw), raw=raw)
    if work.method_type == "PICK_UP" and work.status not in _DONE_WORK:
        label = (
            _("Pickup at %(place)s") % {"place": work.location} if work.location else _("Pickup")
        )
        yield Badge(label, Tone.INFO, raw=work.method_type)


def _detail_tone(raw: str) -> Tone:
    return Tone.WARNING if raw in {"ON_HOLD", "REQUEST_DECLINED"} else Tone.INFO


def return_badge(order: OrderSnapshot) -> Badge | None:
    """Return how far returned goods are on their way; None if nothing comes back."""
    raw = order.return_status or ""
    if raw in _NO_RETURN:
        return None
    return _badge(_RETURN, raw, _("Return"))


def terms_badge(order: OrderSnapshot, *, now: datetime, zone: tzinfo) -> Badge | None:
    """Return when an order with payment terms is due; None without terms or once it is paid."""
    terms = order.payment_terms
    if terms is None or order.cancelled_at or order.money.outstanding.presentment.amount <= 0:
        return None
    if terms.due_at is None:
        return Badge(terms.name or _("Payment terms"), Tone.INFO)
    day = terms.due_at.astimezone(zone).date()
    is_late = terms.is_overdue or day < now.astimezone(zone).date()
    params = {"terms": terms.name or _("Payment terms"), "date": long_date(day)}
    if is_late:
        return Badge(_("%(terms)s · was due %(date)s") % params, Tone.WARNING, Pip.EMPTY)
    return Badge(_("%(terms)s · due %(date)s") % params, Tone.INFO, Pip.EMPTY)


def parcel_badge(
    parcel: Fulfillment,
    *,
    now: datetime,
    zone: tzinfo,
    to: Address | None = None,
    axis: str = "",
) -> Badge:
    """Return one parcel's badge: Delivered, Out for delivery, Arriving on 24 November 2026 …

    `to` is its destination, whose local day counts; `zone`, the store's, is the fallback.
    """
    axis = axis or _("Parcel")
    raw = "CANCELED" if parcel.status in DEAD_FULFILLMENTS else parcel.display_status or "FULFILLED"
    if is_parcel_delivered(parcel) and raw not in DELIVERED_WORDS and raw != "CANCELED":
        raw = "DELIVERED"
    if parcel.estimated_delivery_at and raw not in _OUTRANKS_DATE:
        due = arrival(parcel.estimated_delivery_at, now=now, to=to, shop=zone)
        params = {"date": long_date(due.day), "zone": due.zone}
        if due.is_past:
            text = _("Was due %(date)s (%(zone)s time)") if due.zone else _("Was due %(date)s")
            return Badge(text % params, Tone.WARNING, Pip.HALF, axis, raw)
        text = _("Arriving on %(date)s (%(zone)s time)") if due.zone else _("Arriving on %(date)s")
        return Badge(text % params, Tone.INFO, Pip.HALF, axis, raw)
    return _badge(_PARCEL, raw, axis)


def long_date(day: date) -> str:
    """Format a date with the month spelled out, in the active language: 24 November 2026."""
    language = translation.get_language() or "en"
    # CLDR's long English date puts the month first; we show day, month, year.
    pattern = "d MMMM y" if language.startswith("en") else "long"
    return format_date(day, pattern, locale=language.replace("-", "_"))


def unknown_label(raw: str) -> str:
    """Return the label for a raw value that has no translation."""
    return _("Unknown (%(word)s)") % {"word": raw}


def _badge(table: dict[str, Label], raw: str, axis: str) -> Badge:
    if raw not in table:
        logger.warning("unknown %s status from Shopify: %s", axis, raw)
        return Badge(unknown_label(raw), Tone.ATTENTION, Pip.NONE, axis, raw)
    label, tone, pip = table[raw]
    return Badge(str(label), tone, pip, axis, raw)


def _urgency(parcel: Fulfillment, *, now: datetime) -> tuple[int, float]:
    """Return a sort key; lower is worse news.

    An expected date in the future ranks as arriving: after pickup, before transit.
    """
    raw = parcel.display_status or "FULFILLED"
    rank = float(_URGENCY.get(raw, -1))
    due = parcel.estimated_delivery_at
    if due and raw not in _OUTRANKS_DATE:
        rank = _URGENCY["DELAYED"] + 0.5 if due < now else _URGENCY["READY_FOR_PICKUP"] + 0.5
    return (int(rank * 2), due.timestamp() if due else 0.0)
