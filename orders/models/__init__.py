from orders.models.actions import (
    ACTIVE_STATES,
    SETTLED_STATES,
    TRANSITIONS,
    UNSENT_STATES,
    ActionKind,
    ActionState,
    OrderAction,
    RefundMethod,
    Returned,
)
from orders.models.audit import AuditEntry, AuditKind, AuditSeal
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
from orders.models.policies import CancelRule, Policy, RefundBudget
from orders.models.privacy import (
    PrivacyKind,
    PrivacyRequest,
    PrivacyState,
    RedactedIdentity,
    RedactedKind,
)
from orders.models.stores import Store

__all__ = [
    "ACTIVE_STATES",
    "SETTLED_STATES",
    "TRANSITIONS",
    "UNSENT_STATES",
    "ActionKind",
    "ActionState",
    "AuditEntry",
    "AuditKind",
    "AuditSeal",
    "CancelRule",
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
    "Policy",
    "PrivacyKind",
    "PrivacyRequest",
    "PrivacyState",
    "RedactedIdentity",
    "RedactedKind",
    "RefundBudget",
    "RefundMethod",
    "Returned",
    "Store",
]
