"""Resolvers by type name and field name; any other field is an attribute of the parent."""

from practice_store.graphql.resolvers import (
    bulk,
    checkouts,
    mutations,
    objects,
    queries,
    returns,
    reverse_deliveries,
    webhooks,
)
from practice_store.graphql.resolvers.base import (
    RESOLVERS,
    resolve_field,
    resolve_type,
)

__all__ = [
    "RESOLVERS",
    "bulk",
    "checkouts",
    "mutations",
    "objects",
    "queries",
    "resolve_field",
    "resolve_type",
    "returns",
    "reverse_deliveries",
    "webhooks",
]
