"""refundCreate."""

from __future__ import annotations

from core.json_types import JsonObject
from practice_store.changes import refunding
from practice_store.context import Context
from practice_store.errors import ShopError
from practice_store.graphql.idempotency import remember
from practice_store.graphql.resolvers.base import (
    Args,
    Part,
    find_order,
    must_order,
    payload,
    resolves,
)


@resolves("Mutation", "refundCreate")
def _refund_create(_parent: object, context: Context, args: Args) -> JsonObject:
    key = context.idempotency_key
    if key is None and context.api_version >= "2026-04":
        raise ShopError(
            "The @idempotent directive is required for this mutation but was not provided.",
            "BAD_REQUEST",
        )

    def work() -> Args:
        data = args["input"]
        must_order(context, data["orderId"], "orderId")
        order, refund = (
            remember(context, key, data, lambda: refunding.create(context, data, key))
            if key
            else refunding.create(context, data, None)
        )
        return {"order": order, "refund": Part(order, refund) if refund else None}

    return payload(work, {"order": find_order(context, args["input"]["orderId"]), "refund": None})
