from orders.models.actions import (
    ACTIVE_STATES,
    SETTLED_STATES,
    ActionKind,
    ActionState,
    OrderAction,
    RefundMethod,
    Returned,
)
from orders.models.events import EventKind, EventSource, OrderEvent
from orders.models.orders import (
    Customer,
    Order,
    OrderFulfillment,
    OrderLine,
    OrderRefund,
    OrderTracking,
    OrderTransaction,
)
from orders.models.stores import Store

__all__ = [
    "ACTIVE_STATES",
    "SETTLED_STATES",
    "ActionKind",
    "ActionState",
    "Customer",
    "EventKind",
    "EventSource",
    "Order",
    "OrderAction",
    "OrderEvent",
    "OrderFulfillment",
    "OrderLine",
    "OrderRefund",
    "OrderTracking",
    "OrderTransaction",
    "RefundMethod",
    "Returned",
    "Store",
]
