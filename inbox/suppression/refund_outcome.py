"""How a refund turned out, checked before the customer hears: banks answer later than Shopify."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from inbox.texts import refunds
from inbox.texts.refunds import (
    Share,
    Way,
)
from orders.models import REFUNDED_KEY, OrderEvent, RefundMethod
from orders.money import Money
from orders.snapshot import Refund
from orders.statuses.money_moved import bank_references, parts


class Stage(StrEnum):
    """How far a refund has come."""

    MOVED = "moved"
    # The bank hasn't answered; it may still fail.
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What can be said about a refund.

    `amount` is what has moved, in the customer's currency; `in_shop` is the same in the shop's
    currency, None if unknown.
    """

    stage: Stage
    amount: Money | None = None
    in_shop: Money | None = None
    shares: tuple[Share, ...] = ()
    # Under which the customer's banks find it, if Shopify says so yet.
    references: tuple[str, ...] = ()


def news_of(event: OrderEvent) -> News:
    """Return how a refund event's refund stands, as the order shows it now.

    If Shopify no longer lists the refund, the event's own amount counts as moved.
    """
    refund = _refund(event)
    if refund is None:
        return News(stage=Stage.MOVED, amount=event.money)
    divided = parts(refund)
    if event.order.is_partial and not refund.transactions:
        # A back-fill brings refunds without their transactions; those haven't been read yet.
        return News(stage=Stage.WAITING)
    if divided.waiting.presentment:
        return News(stage=Stage.WAITING)
    moved = divided.moved.presentment
    if not moved:
        return News(stage=Stage.FAILED)
    return News(
        stage=Stage.MOVED,
        amount=moved,
        in_shop=divided.moved.shop,
        shares=_shares(event, refund, moved),
        references=bank_references(refund, event.order.snapshot),
    )


def _refund(event: OrderEvent) -> Refund | None:
    if not event.order.document:
        return None
    gid = event.key.removeprefix(REFUNDED_KEY)
    return next((r for r in event.order.snapshot.refunds if r.gid == gid), None)


def _shares(event: OrderEvent, refund: Refund, moved: Money) -> tuple[Share, ...]:
    found = refunds.of_refund(refund, event.order.snapshot)
    action = event.action
    if not found and action and action.proposal.get("method") == RefundMethod.STORE_CREDIT:
        # Shopify may issue store credit without a refund transaction.
        return ((Way.STORE_CREDIT, moved),)
    return found
