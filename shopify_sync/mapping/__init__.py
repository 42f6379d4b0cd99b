"""Map GraphQL JSON to snapshots: the one place that knows Shopify's field names. Pure.

Shopify omits fields, nulls them and adds enum values; a nullable field never causes a failure
here. If something indispensable is missing (an ID, time or amount), MalformedAnswer is raised and
nothing is stored.
"""

from shopify_sync.mapping.orders import UNREAD, order_snapshot
from shopify_sync.mapping.payments import refund_snapshot, suggested_refund, suggested_return
from shopify_sync.mapping.people import checkout_snapshot, consents, customer_details
from shopify_sync.mapping.values import MalformedAnswer, dig, nodes, to_text, to_url, well_formed

__all__ = [
    "UNREAD",
    "MalformedAnswer",
    "checkout_snapshot",
    "consents",
    "customer_details",
    "dig",
    "nodes",
    "order_snapshot",
    "refund_snapshot",
    "suggested_refund",
    "suggested_return",
    "to_text",
    "to_url",
    "well_formed",
]
