"""How an order's items changed after it was placed: refunded, returned, removed or swapped. Pure.

Shopify keeps a line that an edit removed, with its original quantity; only `current_quantity` shows
the difference. Why units are gone follows from the order's refunds, returns and edits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _

from orders.snapshot import ExchangeItem, LineItem, OrderSnapshot, Return

# Returns whose goods are taken back, or will be.
_TAKEN_BACK = frozenset({"OPEN", "CLOSED"})


@dataclass(frozen=True, slots=True)
class Gone:
    """How many units of a line are no longer on the order, by reason."""

    refunded: int = 0
    returned: int = 0
    removed: int = 0


def was_altered(order: OrderSnapshot) -> bool:
    """Whether an edit or an exchange changed what was bought, and so what is owed."""
    return order.is_edited or any(back.exchanges for back in order.returns)


def gone(order: OrderSnapshot, line: LineItem) -> Gone:
    """Count the units of a line that are no longer on the order.

    `removed` is what neither a refund nor a return explains; on a canceled order, the cancellation
    removed those.
    """
    left = line.quantity - line.current_quantity
    if left <= 0:
        return Gone()
    lists = (refund.lines for refund in order.refunds)
    back_for_money = (part for found in lists for part in found if part.line_gid == line.gid)
    refunded = min(left, sum(part.quantity for part in back_for_money))
    taken = (back.lines for back in order.returns if back.status in _TAKEN_BACK)
    parts = (part for found in taken for part in found if part.line_gid == line.gid)
    returned = min(left - refunded, sum(max(0, part.processed - part.refunded) for part in parts))
    return Gone(refunded=refunded, returned=returned, removed=left - refunded - returned)


def describe(order: OrderSnapshot, line: LineItem, *, is_partial: bool) -> tuple[str, ...]:
    """Describe in short sentences which units of a line are gone or new.

    `is_partial` means the order comes from a back-fill, which doesn't list the items of refunds and
    returns.
    """
    return tuple(_sentences(order, line, is_partial))


def swaps(order: OrderSnapshot) -> tuple[str, ...]:
    """Describe what was exchanged for what: "Exchange: Boots instead of Shoes"."""
    found = [
        _("Exchange: %(new)s instead of %(old)s")
        % {"new": _join(map(_exchange_item, back.exchanges)), "old": _returned_items(order, back)}
        for back in order.returns
        if back.exchanges and back.status in _TAKEN_BACK
    ]
    exchanged = {gid for back in order.returns for item in back.exchanges for gid in item.line_gids}
    if order.cancelled_at:
        return tuple(found)
    removed = [(line, gone(order, line).removed) for line in order.lines]
    old = [_with_count(units, line.title) for line, units in removed if units]
    titles = {line.gid: line.title for line in order.lines}
    new = [
        _with_count(part.quantity, titles[part.line_gid])
        for part in order.added
        if part.line_gid in titles and part.line_gid not in exchanged
    ]
    if old and new:
        found.append(
            _("Swapped: %(new)s instead of %(old)s") % {"new": _join(new), "old": _join(old)}
        )
    return tuple(found)


def _sentences(order: OrderSnapshot, line: LineItem, is_partial: bool) -> Iterator[str]:
    if any(line.gid in item.line_gids for back in order.returns for item in back.exchanges):
        yield _("Exchange item")
    elif any(part.line_gid == line.gid for part in order.added):
        yield _("Added later")
    if is_partial and line.current_quantity < line.quantity:
        yield _("%(some)s of %(all)s left") % {
            "some": line.current_quantity,
            "all": line.quantity,
        }
        return
    found = gone(order, line)
    if found.refunded:
        yield _of_all(found.refunded, line, _("Refunded"), _("%(some)s of %(all)s refunded"))
    if found.returned:
        yield _of_all(found.returned, line, _("Returned"), _("%(some)s of %(all)s returned"))
    if found.removed and order.cancelled_at:
        yield _("Canceled")
    elif found.removed:
        yield _of_all(found.removed, line, _("Removed"), _("%(some)s of %(all)s removed"))


def _of_all(some: int, line: LineItem, whole: str, part: str) -> str:
    return whole if some == line.quantity else part % {"some": some, "all": line.quantity}


def _returned_items(order: OrderSnapshot, back: Return) -> str:
    titles = {line.gid: line.title for line in order.lines}
    return _join(_with_count(p.quantity, titles.get(p.line_gid, "–")) for p in back.lines) or "–"


def _exchange_item(item: ExchangeItem) -> str:
    return _with_count(item.quantity, item.title)


def _with_count(count: int, title: str) -> str:
    return title if count == 1 else f"{count} × {title}"


def _join(found: Iterable[str]) -> str:
    return ", ".join(found)
