"""How much of a refund has moved, by the status of each of its transactions. Pure.

A refund that Shopify booked isn't money returned yet: each of its transactions succeeds, waits or
fails by itself. Only these functions interpret a transaction's status, so that outcomes, limits and
reports can't disagree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from orders.money import Money
from orders.snapshot import MoneyBag, OrderSnapshot, Refund, RefundTransaction

_MOVED: Final = frozenset({"SUCCESS"})
_FAILED: Final = frozenset({"FAILURE", "ERROR"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundParts:
    """A refund's amount, split by status. `waiting` may still move, `failed` never will."""

    moved: MoneyBag
    waiting: MoneyBag
    failed: MoneyBag


def has_moved(status: str) -> bool:
    """Whether a transaction with this status moved its money."""
    return status in _MOVED


def has_failed(status: str) -> bool:
    """Whether a transaction with this status will never move its money."""
    return status in _FAILED


def is_waiting(status: str) -> bool:
    """Whether the status is neither moved nor failed.

    PENDING, AWAITING_RESPONSE, UNKNOWN, and any status that Shopify adds later: treating that as
    final could be wrong.
    """
    return not has_moved(status) and not has_failed(status)


def parts(refund: Refund) -> RefundParts:
    """Split the refund's amount by status.

    Shopify's total may exceed the transactions that were read: a back-fill has refunds without any,
    long lists are cut off, and store credit or cash may be booked without one. That rest counts as
    moved, since Shopify says it was refunded and nothing that was read contradicts it. A total
    below the transactions (Shopify leaves failed ones out) changes nothing.
    """
    shop = _divide(refund.total.shop, [(t, t.amount.shop) for t in refund.transactions])
    presentment = _divide(
        refund.total.presentment, [(t, t.amount.presentment) for t in refund.transactions]
    )
    moved, waiting, failed = (
        MoneyBag(shop=a, presentment=b) for a, b in zip(shop, presentment, strict=True)
    )
    return RefundParts(moved=moved, waiting=waiting, failed=failed)


def any_failed(refund: Refund) -> bool:
    """Whether any of the refund's transactions failed."""
    return any(has_failed(t.status) for t in refund.transactions)


def any_waiting(refund: Refund) -> bool:
    """Whether any of the refund's transactions may still move."""
    return any(is_waiting(t.status) for t in refund.transactions)


def bank_references(refund: Refund, snapshot: OrderSnapshot) -> tuple[str, ...]:
    """Return the numbers under which the customer's banks find a refund.

    Only of transactions that moved money. Empty until Shopify tells them, which is days later and
    only for Shopify Payments and some cards.
    """
    moved = {t.gid for t in refund.transactions if has_moved(t.status)}
    found = (t.acquirer_reference for t in snapshot.transactions if t.gid in moved)
    return tuple(dict.fromkeys(number for number in found if number))


def _divide(
    total: Money, amounts: list[tuple[RefundTransaction, Money]]
) -> tuple[Money, Money, Money]:
    """Return (moved, waiting, failed) in the total's currency."""
    currency = total.currency
    if any(amount.currency != currency for _t, amount in amounts):
        return _undivided(total, [t.status for t, _amount in amounts])
    moved = sum((a.amount for t, a in amounts if has_moved(t.status)), Decimal(0))
    waiting = sum((a.amount for t, a in amounts if is_waiting(t.status)), Decimal(0))
    failed = sum((a.amount for t, a in amounts if has_failed(t.status)), Decimal(0))
    rest = max(Decimal(0), total.amount - moved - waiting - failed)
    return Money(moved + rest, currency), Money(waiting, currency), Money(failed, currency)


def _undivided(total: Money, statuses: Iterable[str]) -> tuple[Money, Money, Money]:
    """Assign the whole total to one status, since sums in several currencies can't be added.

    It counts as moved, or failed, only if every transaction did; otherwise it may still move.
    """
    zero, found = Money.zero(total.currency), list(statuses)
    if all(map(has_moved, found)):
        return total, zero, zero
    if all(map(has_failed, found)):
        return zero, zero, total
    return zero, total, zero
