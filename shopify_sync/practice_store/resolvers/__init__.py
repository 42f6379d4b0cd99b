"""Type name -> field name -> how to answer it. Anything else is an attribute of the parent."""

from shopify_sync.practice_store.resolvers import (
    bulk,
    checkouts,
    mutations,
    objects,
    queries,
    returns,
    reverse_deliveries,
    webhooks,
)
from shopify_sync.practice_store.resolvers.base import RESOLVERS, resolve_field, resolve_type

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
