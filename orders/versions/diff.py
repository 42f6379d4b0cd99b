"""What changed between two states of an order, in sentences. Pure.

Only what an agent sees counts. What a back-fill can't read (which items are in which parcel, refund
or return) is left out, so that reading it later doesn't count as a change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from orders.money import Money
from orders.snapshot import Address, Fulfillment, LineItem, OrderMoney, OrderSnapshot, Refund
from orders.statuses import badges
from orders.statuses.badges import is_archived
from orders.statuses.money_moved import parts

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise as _StrPromise


@dataclass(frozen=True, slots=True)
class Change:
    """One sentence: "Payment: Paid → Partially refunded"."""

    text: str


# The sums on the card, in the same order and with the same labels.
SUMS: Final[dict[str, _StrPromise]] = {
    "subtotal": gettext_lazy("Subtotal"),
    "discounts": gettext_lazy("Discounts"),
    "shipping": gettext_lazy("Shipping"),
    "tax": gettext_lazy("Tax"),
    "duties": gettext_lazy("Duties"),
    "tips": gettext_lazy("Tip"),
    "total": gettext_lazy("Total"),
    "received": gettext_lazy("Paid"),
    "refunded": gettext_lazy("Refunded"),
    "outstanding": gettext_lazy("Outstanding"),
}
_RETURN: Final[dict[str, _StrPromise]] = {
    "REQUESTED": gettext_lazy("Requested"),
    "OPEN": gettext_lazy("Open"),
    "CLOSED": gettext_lazy("Closed"),
    "CANCELED": gettext_lazy("Canceled"),
    "DECLINED": gettext_lazy("Declined"),
    "RECEIVED": gettext_lazy("Received"),
}


def differences(
    before: OrderSnapshot, after: OrderSnapshot, *, zone: tzinfo = UTC
) -> tuple[Change, ...]:
    """Return the changes, most important first; empty if an agent would see no difference.

    `zone` is the store's, for arrival dates. Both states are rendered as of the same moment, since
    the mere passing of time doesn't change an order.
    """
    return tuple(Change(text) for text in _sentences(before, after, zone))


def differ(before: OrderSnapshot, after: OrderSnapshot, *, zone: tzinfo = UTC) -> bool:
    """Whether there are any differences. Stops at the first one."""
    return next(_sentences(before, after, zone), None) is not None


def _sentences(before: OrderSnapshot, after: OrderSnapshot, zone: tzinfo) -> Iterator[str]:
    at = after.updated_at
    yield from _order(before, after)
    yield from _statuses(before, after, at, zone)
    yield from _sums(before.money, after.money)
    yield from _lines(before, after)
    yield from _parcels(before, after, at, zone)
    yield from _refunds_and_returns(before, after)
    yield from _contact_and_notes(before, after)


def _order(before: OrderSnapshot, after: OrderSnapshot) -> Iterator[str]:
    if after.cancelled_at and not before.cancelled_at:
        yield _("Canceled")
    elif before.cancelled_at and not after.cancelled_at:
        yield _("No longer canceled")
    elif is_archived(after) and not is_archived(before):
        yield _("Archived")
    elif is_archived(before) and not is_archived(after):
        yield _("Reopened")


def _statuses(
    before: OrderSnapshot, after: OrderSnapshot, at: datetime, zone: tzinfo
) -> Iterator[str]:
    yield from _moved(
        _("Payment"), badges.payment_badge(before).label, badges.payment_badge(after).label
    )
    yield from _moved(
        _("Fulfillment"), fulfillment_text(before, at, zone), fulfillment_text(after, at, zone)
    )


def fulfillment_text(order: OrderSnapshot, at: datetime, zone: tzinfo) -> str:
    """Return the fulfillment status at a moment, with its details in brackets."""
    label = badges.fulfillment_badge(order, now=at, zone=zone).label
    details = [badge.label for badge in badges.fulfillment_details(order, zone=zone)]
    return f"{label} ({', '.join(details)})" if details else label


def _moved(what: str, before: str | Money, after: str | Money) -> Iterator[str]:
    if before != after:
        yield _("%(what)s: %(before)s → %(after)s") % {
            "what": what,
            "before": before,
            "after": after,
        }


def _sums(before: OrderMoney, after: OrderMoney) -> Iterator[str]:
    for name, label in SUMS.items():
        old, new = getattr(before, name), getattr(after, name)
        # None means an earlier release didn't read it.
        if old is not None and new is not None:
            yield from _moved(str(label), old.presentment, new.presentment)


def _lines(before: OrderSnapshot, after: OrderSnapshot) -> Iterator[str]:
    old = {line.gid: line for line in before.lines}
    new = {line.gid: line for line in after.lines}
    for gid, line in new.items():
        known = old.get(gid)
        if known is None:
            yield _("Added: %(item)s × %(count)s") % {
                "item": item_name(line),
                "count": line.current_quantity,
            }
            continue
        yield from _moved(item_name(line), str(known.current_quantity), str(line.current_quantity))
        yield from _moved(_("%s, price") % item_name(line), known.total, line.total)
    for gid in old.keys() - new.keys():
        yield _("Removed: %s") % item_name(old[gid])


def item_name(line: LineItem) -> str:
    """Return an item's title and variant."""
    return f"{line.title} ({line.variant_title})" if line.variant_title else line.title


def _parcels(
    before: OrderSnapshot, after: OrderSnapshot, at: datetime, zone: tzinfo
) -> Iterator[str]:
    old = {parcel.gid: parcel for parcel in before.fulfillments}
    single = len(old) == len(after.fulfillments) == 1
    for number, parcel in enumerate(after.fulfillments, start=1):
        name = _("Parcel %d") % number
        known = old.get(parcel.gid)
        if known is None:
            yield _("%s added") % name
        # The order's own status already covers a single parcel, unless its shipment was canceled.
        elif not single or parcel.status != known.status:
            to = after.shipping_address
            yield from _moved(
                name, parcel_text(known, at, zone, to), parcel_text(parcel, at, zone, to)
            )
    for _gid in old.keys() - {parcel.gid for parcel in after.fulfillments}:
        yield _("A parcel was removed")
    earlier, later = tracking_numbers(before), tracking_numbers(after)
    for tracking in later:
        if tracking not in earlier:
            yield _("Tracking %s added") % tracking
    for tracking in earlier:
        if tracking not in later:
            yield _("Tracking %s removed") % tracking


def parcel_text(parcel: Fulfillment, at: datetime, zone: tzinfo, to: Address | None) -> str:
    """Return where a parcel is at a moment."""
    return badges.parcel_badge(parcel, now=at, zone=zone, to=to).label


def tracking_numbers(order: OrderSnapshot) -> list[str]:
    """Return the tracking numbers an agent sees, in order and without duplicates."""
    live = badges.live_fulfillments(order)
    found = (tracking.number for parcel in live for tracking in parcel.tracking if tracking.number)
    return list(dict.fromkeys(found))


def _refunds_and_returns(before: OrderSnapshot, after: OrderSnapshot) -> Iterator[str]:
    refunds = {refund.gid: refund for refund in before.refunds}
    for refund in after.refunds:
        known = refunds.get(refund.gid)
        # A back-fill has refunds without transactions, so there is nothing to compare with.
        is_known_well = known is None or bool(known.transactions)
        failed = _failed(refund) - (_failed(known) if known else Decimal(0))
        if is_known_well and failed > 0:
            sum_ = Money(failed, refund.total.presentment.currency)
            yield _("A refund of %s failed at the payment provider") % sum_
    returns = {found.gid: found for found in before.returns}
    for found in after.returns:
        name = _("Return %s") % found.name
        if found.gid not in returns:
            yield f"{name}: {return_word(found.status)}"
        else:
            earlier = returns[found.gid].status
            yield from _moved(name, return_word(earlier), return_word(found.status))
    disputes = {dispute.gid: dispute.status for dispute in before.disputes}
    for dispute in after.disputes:
        if dispute.gid not in disputes:
            yield _("The customer’s bank disputed a payment")
        elif disputes[dispute.gid] != dispute.status:
            yield _("A payment dispute changed")


def _failed(refund: Refund) -> Decimal:
    return parts(refund).failed.presentment.amount


def return_word(raw: str) -> str:
    """Return the label of a return's status, or of the goods' arrival in the timeline."""
    return str(_RETURN[raw]) if raw in _RETURN else badges.unknown_label(raw)


def _place(address: Address | None) -> Address | None:
    """Blank the fields earlier releases didn't read: reading them later isn't a change."""
    return address and replace(address, company="", province_code="", time_zone="")


def _contact_and_notes(before: OrderSnapshot, after: OrderSnapshot) -> Iterator[str]:
    """Say that these changed, but not how: the card shows the current values."""
    gids = (before.customer and before.customer.gid, after.customer and after.customer.gid)
    pairs = (
        (
            _("Shipping address changed"),
            _place(before.shipping_address),
            _place(after.shipping_address),
        ),
        (_("Email address changed"), before.email, after.email),
        (_("Phone number changed"), before.phone, after.phone),
        (_("Customer changed"), *gids),
        (_("Note changed"), before.note.strip(), after.note.strip()),
    )
    yield from (sentence for sentence, old, new in pairs if old != new)
    for tag in after.tags:
        if tag not in before.tags:
            yield _("Tag %s added") % tag
    for tag in before.tags:
        if tag not in after.tags:
            yield _("Tag %s removed") % tag
