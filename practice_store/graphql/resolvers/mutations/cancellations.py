"""orderCancel."""

from __future__ import annotations

import uuid

from core.json_types import JsonObject
from practice_store.changes import crediting
from practice_store.context import Context
from practice_store.errors import UserError
from practice_store.graphql.resolvers.base import Args, find_order, payload, resolves
from practice_store.graphql.resolvers.queries import cancel_job_result
from practice_store.sales import cancellation


@resolves("Mutation", "orderCancel")
def _order_cancel(_parent: object, context: Context, args: Args) -> JsonObject:
    def work() -> Args:
        if args.get("refund") is not None and args.get("refundMethod") is not None:
            message = "Only one of the arguments `refund` or `refund_method` is allowed."
            raise UserError(message, ["refund"], "INVALID")
        order = find_order(context, args["orderId"])
        if order is None:
            raise UserError("Order does not exist", ["orderId"], "NOT_FOUND")
        cancellation.check_cancelable(context, order, args.get("staffNote"))
        method = args.get("refundMethod") or {}
        # An empty storeCreditRefund counts too: its only field, the expiry date, is optional.
        credit = method.get("storeCreditRefund")
        if credit is not None:
            crediting.check_cancel(context, order, credit)
        key = str(uuid.uuid4())
        cancellation.start_cancel(
            context,
            order,
            reason=args["reason"],
            refund=bool(
                method.get("originalPaymentMethodsRefund")
                or args.get("refund")
                or credit is not None
            ),
            store_credit=credit is not None,
            credit_expires_at=(credit or {}).get("expiresAt"),
            staff_note=args.get("staffNote"),
            key=key,
        )
        job = {"id": f"gid://shopify/Job/{key}", "done": False}
        return {"job": job, "jobResult": cancel_job_result(context, key), "userErrors": []}

    result = payload(work, {"job": None, "jobResult": None}, "orderCancelUserErrors")
    result["userErrors"] = result["orderCancelUserErrors"]
    return result
