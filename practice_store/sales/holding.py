"""Unfinished fulfillment work: held, scheduled, in progress, or ready for pickup."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from practice_store.context import Context
from practice_store.errors import UserError
from practice_store.sales import lifecycle, shipping
from practice_store.state import FulfillmentOrder, Order, PaymentTerms, Tracking

_DONE: Final = frozenset({"CLOSED", "CANCELLED"})


def open_work(order: Order) -> FulfillmentOrder:
    """Return the open fulfillment order. Raises UserError if nothing is left to do."""
    for work in order.fulfillment_orders:
        if work.status not in _DONE:
            return work
    raise UserError("Nothing is left to ship.")


def hold(context: Context, order: Order, reason: str, note: str | None = None) -> None:
    """Ship nothing until it is released. `reason` is Shopify's displayReason."""
    work = open_work(order)
    work.status, work.hold_reason, work.hold_note = "ON_HOLD", reason, note
    _changed(context, order, work)


def release(context: Context, order: Order) -> None:
    """End a hold."""
    work = open_work(order)
    work.status, work.hold_reason, work.hold_note = "OPEN", None, None
    _changed(context, order, work)


def schedule(context: Context, order: Order, at: datetime) -> None:
    """Ship nothing before `at`: a pre-order or a subscription."""
    work = open_work(order)
    work.status, work.fulfill_at = "SCHEDULED", at
    _changed(context, order, work)


def begin(context: Context, order: Order) -> None:
    """Mark the work as started, by the shop or a fulfillment service."""
    work = open_work(order)
    work.status = "IN_PROGRESS"
    _changed(context, order, work)


def collect_at(context: Context, order: Order, location: str) -> None:
    """Change the delivery method to pickup at this location."""
    work = open_work(order)
    work.method_type, work.location = "PICK_UP", location
    _changed(context, order, work)


def ready_for_pickup(context: Context, order: Order) -> None:
    """Make the goods ready at the counter; Shopify reports that as an event of a parcel."""
    parcel = shipping.ship(context, order, open_work(order), None, list[Tracking]())
    shipping.add_event(context, order, parcel, status="READY_FOR_PICKUP")


def agree_on_terms(
    context: Context, order: Order, name: str, due_at: datetime | None, *, kind: str = "NET"
) -> None:
    """Let the customer pay later: "Net 30"."""
    order.terms = PaymentTerms(name=name, kind=kind, due_at=due_at, issued_at=context.now())
    lifecycle.touch(context, order)


def _changed(context: Context, order: Order, work: FulfillmentOrder) -> None:
    work.updated_at = context.now()
    lifecycle.touch(context, order)
