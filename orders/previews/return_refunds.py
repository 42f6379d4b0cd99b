"""A refund through a return: the units to process, and the ones to book in with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from orders.errors import ActionRefused, Refusal
from orders.models import Returned
from orders.previews.restocking import no_place
from orders.shopify_port import Place
from orders.snapshot import LineQuantity, OrderSnapshot, Return
from orders.statuses import return_units


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """Units to book in with the refund, since the shop has not yet. `kind` is Shopify's term."""

    reverse_gid: str
    quantity: int
    kind: str
    location_gid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnUnits:
    """Units of a return line to process with the refund."""

    gid: str
    quantity: int
    bookings: tuple[Booking, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughReturn:
    """The return a refund goes through.

    `units` is empty if all chosen units were processed before. `refunds_before` holds the order's
    refunds at that time, to tell the new one from them. The other counts are shown to people:
    `booked_before` and `restocked_before` for the chosen units, `left` for the return's units that
    remain unprocessed out of `total`.
    """

    gid: str
    name: str
    units: tuple[ReturnUnits, ...]
    refunds_before: tuple[str, ...] = ()
    booked_before: int = 0
    restocked_before: int = 0
    left: int = 0
    total: int = 0
    location: str = ""

    @property
    def bookings(self) -> tuple[Booking, ...]:
        """What has to be booked in before the refund, across all chosen units."""
        return tuple(booking for unit in self.units for booking in unit.bookings)


def return_for(
    order: OrderSnapshot, lines: tuple[LineQuantity, ...], asked: str | None
) -> Return | None:
    """The open return that the chosen items have to be refunded through; None if there is none.

    `asked` is the agent's choice: a return's ID, "" for items in no return, None if they did not
    say. Raises ActionRefused if one refund cannot cover the choice, or if the return has to be
    processed in Shopify.
    """
    if not lines:
        return None
    found = return_units.by_gid(order, asked) if asked else None
    if asked and (found is None or not return_units.fits(lines, return_units.refundable(found))):
        raise ActionRefused(
            Refusal(
                "quantity",
                _("You can’t refund more items than are left in the return."),
                _("Reload the order."),
            )
        )
    if asked is None:
        found = return_units.meant(order, lines)
    if found is None and return_units.touches_open(order, lines):
        names = ", ".join(r.name for r in return_units.open_returns(order))
        raise ActionRefused(
            Refusal(
                "return_mixed",
                _("Some of these items are in an open return (%(returns)s); others aren’t.")
                % {"returns": names},
                _("Refund the items in each return separately, then the others."),
            )
        )
    if found is not None and (refusal := _needs_shopify(found)):
        raise ActionRefused(refusal)
    return found


def through(
    found: Return,
    order: OrderSnapshot,
    lines: tuple[LineQuantity, ...],
    *,
    returned: str,
    restock: bool,
    places: Mapping[str, Place] | None,
) -> ThroughReturn:
    """Plan a refund through a return: which of its units to process, and which to book in.

    Only goods that have come back and are not booked in yet are booked in. `places` None: just
    describe the outcome, without locations. Expects a choice that fits the return. Raises
    ActionRefused if Shopify suggests no location for units to restock.
    """
    restockable = {line.gid for line in order.lines if line.restockable}
    titles = {line.gid: line.title for line in order.lines}
    free = Counter({line.gid: line.quantity - line.booked for line in found.reverse_lines})
    units, chosen = [], return_units.take(found, lines)
    for each in chosen:
        processed = return_units.to_process(each)
        # Shopify books in units as it processes them; the shop books in those processed earlier.
        count = min(return_units.to_book(each), processed) if returned == Returned.RECEIVED else 0
        put_back = restock and each.line.line_gid in restockable
        place = (places or {}).get(each.line.line_gid)
        bookings = []
        for reverse in found.reverse_lines:
            part = min(count, free[reverse.gid]) if reverse.part_gid == each.line.part_gid else 0
            if part > 0:
                kind = "RESTOCKED" if put_back else "NOT_RESTOCKED"
                where = place.gid if place else ""
                if put_back and not where and places is not None:
                    raise ActionRefused(no_place(titles[each.line.line_gid]))
                bookings.append(
                    Booking(reverse_gid=reverse.gid, quantity=part, kind=kind, location_gid=where)
                )
                free[reverse.gid] -= part
                count -= part
        if processed:
            units.append(
                ReturnUnits(gid=each.line.gid, quantity=processed, bookings=tuple(bookings))
            )
    now = sum(unit.quantity for unit in units)
    names = {place.name for place in (places or {}).values() if place.name}
    return ThroughReturn(
        gid=found.gid,
        name=found.name,
        units=tuple(units),
        refunds_before=tuple(refund.gid for refund in order.refunds),
        booked_before=sum(each.quantity - return_units.to_book(each) for each in chosen),
        restocked_before=sum(
            min(each.quantity, max(0, each.line.restocked - each.line.refunded)) for each in chosen
        ),
        left=sum(line.quantity - line.processed for line in found.lines) - now,
        total=found.total_quantity,
        location=names.pop() if len(names) == 1 else "",
    )


def return_rows(found: ThroughReturn) -> list[tuple[str, str]]:
    """Summary rows about the return and the stock, as (label, text)."""
    return [(_("Return"), _return_text(found)), (_("Stock"), _stock_text(found))]


def untouched_rows(order: OrderSnapshot) -> list[tuple[str, str]]:
    """Summary rows about the open returns that a refund of only an amount leaves open."""
    names = [found.name for found in return_units.open_returns(order)]
    text = ngettext("%(names)s stays open", "%(names)s stay open", len(names))
    return [(_("Return"), text % {"names": ", ".join(names)})] if names else []


def _needs_shopify(found: Return) -> Refusal | None:
    # Exchange items that were processed are on the order already, and have line_gids.
    if any(not item.line_gids for item in found.exchanges):
        return Refusal(
            "return_exchange",
            _("Return %s is an exchange: processing it also sends the new items.") % found.name,
            _("Process it in Shopify, or refund an amount without items."),
        )
    return None


def _return_text(found: ThroughReturn) -> str:
    if found.left > 0:
        text = ngettext(
            "Refunded through %(name)s. %(left)s of its %(all)s units still has to be "
            "processed, so it stays open.",
            "Refunded through %(name)s. %(left)s of its %(all)s units still have to be "
            "processed, so it stays open.",
            found.left,
        )
        return text % {"name": found.name, "left": found.left, "all": found.total}
    return _(
        "Refunded through %(name)s. All of its units will then be processed; Shopify keeps "
        "it open until it’s closed there."
    ) % {"name": found.name}


def _stock_text(found: ThroughReturn) -> str:
    put_back = sum(b.quantity for b in found.bookings if b.kind == "RESTOCKED")
    kept_out = sum(b.quantity for b in found.bookings if b.kind != "RESTOCKED")
    said = []
    if put_back:
        text = ngettext(
            "%(count)s unit will be restocked", "%(count)s units will be restocked", put_back
        ) % {"count": put_back}
        where = _(" (%s)") % found.location if found.location else ""
        said.append(text + where)
    if kept_out:
        text = ngettext(
            "%(count)s unit will be marked as received but not restocked",
            "%(count)s units will be marked as received but not restocked",
            kept_out,
        )
        said.append(text % {"count": kept_out})
    if found.booked_before:
        said.append(
            ngettext(
                "%(count)s unit was already marked as received (%(restocked)s restocked): "
                "no change",
                "%(count)s units were already marked as received (%(restocked)s "
                "restocked): no change",
                found.booked_before,
            )
            % {"count": found.booked_before, "restocked": found.restocked_before}
        )
    return "; ".join(said) + "." if said else _("No change: nothing will be marked as received.")
