"""Fields that aren't plain attributes, by the kind of object."""

from practice_store.graphql.resolvers.objects import (
    customers,
    fulfillments,
    line_items,
    orders,
    payments,
    refunds,
)

__all__ = ["customers", "fulfillments", "line_items", "orders", "payments", "refunds"]
