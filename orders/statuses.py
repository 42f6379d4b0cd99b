"""The words agents read on an order, with their tone and pip: rows F06-F08 and F11-F25.

Pure: an OrderSnapshot in, badges out. Shopify's enums grow every quarter, so a word that is
not in a table here is shown as it came and logged, never guessed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from babel.dates import format_date
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from orders.snapshot import Fulfillment, OrderSnapshot

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise as _StrPromise

logger = logging.getLogger(__name__)


class Tone(StrEnum):
    DEFAULT = "default"
    INFO = "info"
    SUCCESS = "success"
    ATTENTION = "attention"
    WARNING = "warning"
    CRITICAL = "critical"


class Pip(StrEnum):
    """How far along: the status is never told by colour alone."""

    NONE = ""
    EMPTY = "empty"
    HALF = "half"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Badge:
    """`axis` names what the badge is about, for screen readers; `raw` is Shopify's word."""

    label: str
    tone: Tone
    pip: Pip = Pip.NONE
    axis: str = ""
    raw: str = ""


Label = tuple["_StrPromise", Tone, Pip]

# raw word -> label, tone, pip. AUTHORIZED and EXPIRED keep Shopify's words (row F15).
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
    "FULFILLMENT_NOT_REQUIRED": (gettext_lazy("Fulfilled"), Tone.DEFAULT, Pip.FULL),
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
# What "Unfulfilled" also says where Shopify knows more (row F22).
_FULFILLMENT_DETAIL: Final[dict[str, _StrPromise]] = {
    "IN_PROGRESS": gettext_lazy("In progress"),
    "PENDING_FULFILLMENT": gettext_lazy("In progress"),
    "SCHEDULED": gettext_lazy("Scheduled"),
    "ON_HOLD": gettext_lazy("On hold"),
    "REQUEST_DECLINED": gettext_lazy("Request declined"),
    "FULFILLMENT_NOT_REQUIRED": gettext_lazy("Not required"),
}

# Worst news first (row F20). A parcel's place in this order is its urgency.
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
# Every word of Shopify's that has a badge of its own.
PAYMENT_WORDS: Final = tuple(_FINANCIAL)
FULFILLMENT_WORDS: Final = tuple(_FULFILLMENT)
PARCEL_WORDS: Final = tuple(_PARCEL)
_URGENCY: Final = {word: rank for rank, word in enumerate(_PARCEL)}
DELIVERED_WORDS: Final = frozenset({"DELIVERED", "PICKED_UP"})
DEAD_FULFILLMENTS: Final = frozenset({"CANCELLED", "ERROR", "FAILURE"})
# News that outranks a date: the expected day no longer says what matters.
_BEFORE_A_DATE: Final = frozenset(
    {"FAILURE", "NOT_DELIVERED", "ATTEMPTED_DELIVERY", "DELAYED", "OUT_FOR_DELIVERY",
     "READY_FOR_PICKUP", "DELIVERED", "PICKED_UP", "CANCELED"}
)  # fmt: skip
# Words that say only "it was handed over": the order's own status is then the better word.
_NO_FINER_NEWS: Final = frozenset({"FULFILLED", "MARKED_AS_FULFILLED", ""})


def live_fulfillments(order: OrderSnapshot) -> tuple[Fulfillment, ...]:
    """Parcels that exist: canceled and failed shipment records do not count anywhere."""
    return tuple(f for f in order.fulfillments if f.status not in DEAD_FULFILLMENTS)


def is_parcel_delivered(parcel: Fulfillment) -> bool:
    return parcel.delivered_at is not None or parcel.display_status in DELIVERED_WORDS


def order_badges(order: OrderSnapshot) -> tuple[Badge, ...]:
    """The primary badge, and Archived beside Canceled where both hold (row F13)."""
    axis = _("Order")
    archived = Badge(_("Archived"), Tone.DEFAULT, axis=axis)
    if order.cancelled_at:
        canceled = Badge(_("Canceled"), Tone.CRITICAL, axis=axis)
        # Shopify closes what it cancels; only a later archiving is news of its own.
        closed_later = order.closed_at and order.closed_at > order.cancelled_at
        return (canceled, archived) if closed_later else (canceled,)
    if order.closed_at:
        return (archived,)
    return (Badge(_("Open"), Tone.ATTENTION, axis=axis),)


def payment_badge(order: OrderSnapshot) -> Badge:
    """Row F07. No status at all (an order without transactions) follows the sum owed."""
    raw = order.financial_status
    if not raw:
        raw = "PENDING" if order.money.outstanding.presentment.amount > 0 else "PAID"
    return _badge(_FINANCIAL, raw, _("Payment"))


def fulfillment_badge(order: OrderSnapshot, *, now: datetime, zone: tzinfo) -> Badge:
    """Row F08: the finest true word: of the least advanced open parcel, else Shopify's own.

    `zone` is the store's time zone, in which "today" and the arrival date are read.
    """
    axis = _("Fulfillment")
    raw = order.fulfillment_status or "UNFULFILLED"
    # Of a list that was cut, the rest may be anything: then Shopify's own word is the finest.
    parcels = () if "fulfillments" in order.unread else live_fulfillments(order)
    if raw in {"FULFILLED", "PARTIALLY_FULFILLED"} and parcels and not order.cancelled_at:
        undelivered = [p for p in parcels if not is_parcel_delivered(p)]
        if undelivered:
            worst = min(undelivered, key=lambda parcel: _urgency(parcel, now=now))
            badge = parcel_badge(worst, now=now, zone=zone, axis=axis)
            has_news = worst.estimated_delivery_at or worst.display_status not in {
                None,
                *_NO_FINER_NEWS,
            }
            if has_news and (
                raw == "FULFILLED"
                or worst.display_status in _BEFORE_A_DATE
                or worst.estimated_delivery_at
            ):
                return badge
        elif raw == "FULFILLED":
            word = (
                "PICKED_UP"
                if all(p.display_status == "PICKED_UP" for p in parcels)
                else "DELIVERED"
            )
            return _badge(_PARCEL, word, axis)
    return _badge(_FULFILLMENT, raw, axis)


def fulfillment_detail(order: OrderSnapshot) -> str:
    """What stands beside Unfulfilled: On hold, Scheduled, In progress; else ""."""
    return str(_FULFILLMENT_DETAIL.get(order.fulfillment_status or "", ""))


def parcel_badge(parcel: Fulfillment, *, now: datetime, zone: tzinfo, axis: str = "") -> Badge:
    """One parcel's row: Delivered, Out for delivery, Arriving on 24 November 2026 …"""
    axis = axis or _("Parcel")
    raw = "CANCELED" if parcel.status in DEAD_FULFILLMENTS else parcel.display_status or "FULFILLED"
    if is_parcel_delivered(parcel) and raw not in DELIVERED_WORDS and raw != "CANCELED":
        raw = "DELIVERED"
    if parcel.estimated_delivery_at and raw not in _BEFORE_A_DATE:
        due = parcel.estimated_delivery_at.astimezone(zone).date()
        if due < now.astimezone(zone).date():
            label = _("Was due %(date)s") % {"date": long_date(due)}
            return Badge(label, Tone.WARNING, Pip.HALF, axis, raw)
        label = _("Arriving on %(date)s") % {"date": long_date(due)}
        return Badge(label, Tone.INFO, Pip.HALF, axis, raw)
    return _badge(_PARCEL, raw, axis)


def long_date(day: date) -> str:
    """A date with its month in words, by the active language: 24 November 2026."""
    language = translation.get_language() or "en"
    # Row F24 fixes the order day, month, year also for English.
    pattern = "d MMMM y" if language.startswith("en") else "long"
    return format_date(day, pattern, locale=language.replace("-", "_"))


def unknown_label(raw: str) -> str:
    return _("Unknown (%(word)s)") % {"word": raw}


def _badge(table: dict[str, Label], raw: str, axis: str) -> Badge:
    if raw not in table:
        logger.warning("unknown %s status from Shopify: %s", axis, raw)
        return Badge(unknown_label(raw), Tone.ATTENTION, Pip.NONE, axis, raw)
    label, tone, pip = table[raw]
    return Badge(str(label), tone, pip, axis, raw)


def _urgency(parcel: Fulfillment, *, now: datetime) -> tuple[int, float]:
    """Lower is worse news. A date to come ranks as arriving: after pickup, before transit."""
    word = parcel.display_status or "FULFILLED"
    rank = float(_URGENCY.get(word, -1))
    due = parcel.estimated_delivery_at
    if due and word not in _BEFORE_A_DATE:
        rank = _URGENCY["DELAYED"] + 0.5 if due < now else _URGENCY["READY_FOR_PICKUP"] + 0.5
    return (int(rank * 2), due.timestamp() if due else 0.0)
