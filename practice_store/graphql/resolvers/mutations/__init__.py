"""Mutations, by what they change."""

from practice_store.graphql.resolvers.mutations import (
    cancellations,
    customers,
    fulfillments,
    orders,
    payments,
    refunds,
)

__all__ = ["cancellations", "customers", "fulfillments", "orders", "payments", "refunds"]
