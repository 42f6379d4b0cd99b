"""From a customer's message to their order as it was when they wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from inbox.models import Message
from inbox.panel.contexts import BesideConversation
from orders.models import Order
from orders.panels.panel import mentioned_order
from orders.versions.comparison import Comparison, compare

_ORDERS_OFFERED: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderThen:
    """The order that is shown, and the others that can be; `order` is None if there is none.

    `is_later`: it was placed only after the message.
    """

    message: Message
    order: Order | None
    others: tuple[Order, ...]
    comparison: Comparison | None
    is_later: bool


def order_then(
    place: BesideConversation, message: Message, *, order_id: int | None = None
) -> OrderThen:
    """Compare an order with what it was when the message was written.

    Without `order_id`, the order that the message names, else the newest one placed before it, else
    the newest. Raises Http404 for an order that isn't this customer's.
    """
    rows = place.orders().select_related("store").defer("document")
    offered = list(rows[:_ORDERS_OFFERED])
    order = place.get_order(order_id) if order_id is not None else _about(offered, message)
    if order is None:
        return OrderThen(message=message, order=None, others=(), comparison=None, is_later=False)
    return OrderThen(
        message=message,
        order=order,
        others=tuple(other for other in offered if other.pk != order.pk),
        comparison=compare(order, message.created_at),
        is_later=bool(order.placed_at and order.placed_at > message.created_at),
    )


def _about(offered: list[Order], message: Message) -> Order | None:
    if named := mentioned_order(offered, message.text):
        return named
    before = (o for o in offered if o.placed_at and o.placed_at <= message.created_at)
    return next(before, offered[0] if offered else None)
