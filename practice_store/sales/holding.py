"""Work that is not done yet: held, scheduled, begun, ready at the counter."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from practice_store.context import Context
from practice_store.errors import UserError
from practice_store.sales import (
    selling,
    shipping,
)
from practice_store.state import (
    FulfillmentOrder,
    Order,
    PaymentTerms,
    Tracking,
)

_DONE: Final = frozenset({"CLOSED", "CANCELLED"})


def open_work(order: Order) -> FulfillmentOrder:
    """The fulfillment order that waits. Raises UserError where nothing is left to do."""
    for work in order.fulfillment_orders:
        if work.status not in _DONE:
            return work
    raise UserError("Nothing is left to ship.")


def hold(context: Context, order: Order, reason: str, note: str | None = None) -> None:
    """Nothing is shipped until it is released. `reason`: in Shopify's words for the screen."""
    work = open_work(order)
    work.status, work.hold_reason, work.hold_note = "ON_HOLD", reason, note
    _changed(context, order, work)


def release(context: Context, order: Order) -> None:
    work = open_work(order)
    work.status, work.hold_reason, work.hold_note = "OPEN", None, None
    _changed(context, order, work)


def schedule(context: Context, order: Order, at: datetime) -> None:
    """A pre-order or a subscription: not to be shipped before that day."""
    work = open_work(order)
    work.status, work.fulfill_at = "SCHEDULED", at
    _changed(context, order, work)


def begin(context: Context, order: Order) -> None:
    """The shop, or whom it asked to, is at it."""
    work = open_work(order)
    work.status = "IN_PROGRESS"
    _changed(context, order, work)


def collect_at(context: Context, order: Order, location: str) -> None:
    """The customer comes for it."""
    work = open_work(order)
    work.method_type, work.location = "PICK_UP", location
    _changed(context, order, work)


def ready_for_pickup(context: Context, order: Order) -> None:
    """The goods are at the counter."""
    parcel = shipping.ship(context, order, open_work(order), None, list[Tracking]())
    shipping.add_event(context, order, parcel, status="READY_FOR_PICKUP")


def agree_on_terms(
    context: Context, order: Order, name: str, due_at: datetime | None, *, kind: str = "NET"
) -> None:
    """To be paid later: "Net 30"."""
    order.terms = PaymentTerms(name=name, kind=kind, due_at=due_at, issued_at=context.now())
    selling.touch(context, order)


def _changed(context: Context, order: Order, work: FulfillmentOrder) -> None:
    work.updated_at = context.now()
    selling.touch(context, order)
