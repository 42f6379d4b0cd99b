from orders.models.actions import (
    ACTIVE_STATES,
    MARKER_BEGINS,
    NOTHING_DONE_STATES,
    SENDABLE_STATES,
    SETTLED_STATES,
    TRANSITIONS,
    UNSENT_STATES,
    WITHDRAWABLE_STATES,
    ActionKind,
    ActionState,
    OrderAction,
    Outcome,
    RefundMethod,
    Returned,
    has_marker,
)
from orders.models.audit import AuditEntry, AuditKind, AuditScan, AuditSeal
from orders.models.checkouts import Checkout
from orders.models.customers import Customer
from orders.models.events import REFUNDED_KEY, EventKind, EventSource, OrderEvent
from orders.models.orders import (
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
from orders.models.versions import OrderVersion

__all__ = [
    "ACTIVE_STATES",
    "MARKER_BEGINS",
    "NOTHING_DONE_STATES",
    "REFUNDED_KEY",
    "SENDABLE_STATES",
    "SETTLED_STATES",
    "TRANSITIONS",
    "UNSENT_STATES",
    "WITHDRAWABLE_STATES",
    "ActionKind",
    "ActionState",
    "AuditEntry",
    "AuditKind",
    "AuditScan",
    "AuditSeal",
    "CancelRule",
    "Checkout",
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
    "OrderVersion",
    "Outcome",
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
    "has_marker",
]
