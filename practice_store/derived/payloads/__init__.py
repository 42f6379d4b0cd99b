"""Webhook bodies, in the REST format that Shopify still sends; less detailed than GraphQL."""

from practice_store.derived.payloads.goods import (
    a_return,
    fulfillment,
    fulfillment_event,
)
from practice_store.derived.payloads.orders import order
from practice_store.derived.payloads.payments import (
    refund,
    transaction,
)
from practice_store.derived.payloads.people import (
    checkout,
    customer,
    deleted_customer,
    merged_customers,
    recovery_url,
)

__all__ = [
    "a_return",
    "checkout",
    "customer",
    "deleted_customer",
    "fulfillment",
    "fulfillment_event",
    "merged_customers",
    "order",
    "recovery_url",
    "refund",
    "transaction",
]
