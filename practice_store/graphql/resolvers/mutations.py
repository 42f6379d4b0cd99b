"""Mutations of orders, refunds, fulfillments and customers."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import Decimal

from core.json_types import JsonObject
from practice_store import (
    order_sums,
    payloads,
)
from practice_store.changes import (
    crediting,
    refunding,
)
from practice_store.context import Context
from practice_store.errors import (
    ShopError,
    UserError,
)
from practice_store.graphql.idempotency import remember
from practice_store.graphql.resolvers.base import (
    Args,
    Part,
    Resolver,
    find_order,
    must_order,
    number,
    payload,
    resolves,
)
from practice_store.graphql.resolvers.queries import (
    cancel_job_result,
    find_node,
)
from practice_store.sales import (
    cancellation,
    lifecycle,
    order_input,
    payments,
    shipping,
)
from practice_store.state import (
    Customer,
    Fulfillment,
    FulfillmentOrder,
    Order,
    Transaction,
    gid,
)


@resolves("Mutation", "orderCreate")
def _order_create(_parent: object, context: Context, args: Args) -> JsonObject:
    def work() -> Args:
        order = order_input.from_input(context, args["order"])
        lifecycle.place(context, order)
        return {"order": order}

    return payload(work, {"order": None})


@resolves("Mutation", "orderUpdate")
def _order_update(_parent: object, context: Context, args: Args) -> JsonObject:
    data = args["input"]

    def work() -> Args:
        order = must_order(context, data["id"])
        for name in ("note", "email", "phone", "tags"):
            if name in data:
                setattr(order, name, data[name])
        if "customAttributes" in data:
            order.attributes = {a["key"]: a["value"] for a in data["customAttributes"] or ()}
        if data.get("shippingAddress"):
            order.shipping_address = order_input.address(data["shippingAddress"])
        lifecycle.touch(context, order)
        return {"order": order}

    return payload(work, {"order": None})


def _change(name: str, change: Callable[[Context, Order], None]) -> None:
    @resolves("Mutation", name)
    def resolve(_parent: object, context: Context, args: Args) -> JsonObject:
        def work() -> Args:
            order = must_order(context, args["input"]["id"])
            change(context, order)
            return {"order": order}

        # The payload of a refused change still has the order.
        return payload(work, {"order": find_order(context, args["input"]["id"])})


_change("orderMarkAsPaid", payments.mark_as_paid)
_change("orderClose", lifecycle.close)
_change("orderOpen", lifecycle.reopen)


@resolves("Mutation", "orderDelete")
def _order_delete(_parent: object, context: Context, args: Args) -> JsonObject:
    def work() -> Args:
        lifecycle.delete(context, must_order(context, args["orderId"], "orderId"))
        return {"deletedId": args["orderId"]}

    return payload(work, {"deletedId": None})


@resolves("Mutation", "orderCapture")
def _order_capture(_parent: object, context: Context, args: Args) -> JsonObject:
    data = args["input"]

    def work() -> Args:
        order = must_order(context, data["id"])
        parent = number(data["parentTransactionId"])
        taken = payments.capture(context, order, parent, Decimal(str(data["amount"])))
        return {"transaction": Part(order, taken)}

    return payload(work, {"transaction": None})


@resolves("Mutation", "transactionVoid")
def _transaction_void(_parent: object, context: Context, args: Args) -> JsonObject:
    def work() -> Args:
        held = find_node(context, args["parentTransactionId"])
        if not isinstance(held, Part) or not isinstance(held.row, Transaction):
            message = "Transaction does not exist"
            raise UserError(message, ["parentTransactionId"], "TRANSACTION_NOT_FOUND")
        where = ["parentTransactionId"]
        if held.row.kind != "AUTHORIZATION" or held.row.status != "SUCCESS":
            message = "Parent transaction must be a successful authorization"
            raise UserError(message, where, "AUTH_NOT_SUCCESSFUL")
        if held.row not in order_sums.voidable(held.order):
            message = "Parent transaction require a parent_id referring to a voidable transaction"
            raise UserError(message, where, "AUTH_NOT_VOIDABLE")
        return {"transaction": Part(held.order, payments.void(context, held.order, held.row))}

    return payload(work, {"transaction": None})


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


def _fulfillment_create(_parent: object, context: Context, args: Args) -> JsonObject:
    data = args["fulfillment"]

    def work() -> Args:
        tracking = shipping.tracking_of(data.get("trackingInfo"))
        parcel = None
        for group in data["lineItemsByFulfillmentOrder"]:
            order, row = _work_order(context, group["fulfillmentOrderId"])
            chosen = group.get("fulfillmentOrderLineItems")
            quantities = {number(i["id"]): i["quantity"] for i in chosen} if chosen else None
            made = shipping.ship(context, order, row, quantities, tracking)
            parcel = Part(order, made)
        return {"fulfillment": parcel}

    return payload(work, {"fulfillment": None})


resolves("Mutation", "fulfillmentCreate", "fulfillmentCreateV2")(_fulfillment_create)


def _work_order(context: Context, value: str) -> tuple[Order, FulfillmentOrder]:
    found = find_node(context, value)
    if not isinstance(found, Part) or not isinstance(found.row, FulfillmentOrder):
        raise UserError("Fulfillment order does not exist.", ["fulfillment"])
    return found.order, found.row


def _parcel(context: Context, value: str, field: str) -> tuple[Order, Fulfillment]:
    found = find_node(context, value)
    if not isinstance(found, Part) or not isinstance(found.row, Fulfillment):
        raise UserError("Fulfillment not found.", [field])
    return found.order, found.row


@resolves("Mutation", "fulfillmentCancel")
def _fulfillment_cancel(_parent: object, context: Context, args: Args) -> JsonObject:
    def work() -> Args:
        order, parcel = _parcel(context, args["id"], "id")
        shipping.cancel(context, order, parcel)
        return {"fulfillment": Part(order, parcel)}

    return payload(work, {"fulfillment": None})


def _tracking_update(_parent: object, context: Context, args: Args) -> JsonObject:
    def work() -> Args:
        order, parcel = _parcel(context, args["fulfillmentId"], "fulfillmentId")
        data = args.get("trackingInfoInput") or args.get("trackingInfoUpdateInput")
        shipping.set_tracking(context, order, parcel, shipping.tracking_of(data))
        return {"fulfillment": Part(order, parcel)}

    return payload(work, {"fulfillment": None})


resolves("Mutation", "fulfillmentTrackingInfoUpdate", "fulfillmentTrackingInfoUpdateV2")(
    _tracking_update
)


@resolves("Mutation", "fulfillmentEventCreate")
def _event_create(_parent: object, context: Context, args: Args) -> JsonObject:
    data = args["fulfillmentEvent"]

    def work() -> Args:
        order, parcel = _parcel(context, data["fulfillmentId"], "fulfillmentEvent")
        names = (
            "message",
            "city",
            "province",
            "country",
            "zip",
            "address1",
            "latitude",
            "longitude",
        )
        event = shipping.add_event(
            context,
            order,
            parcel,
            status=data["status"],
            happened_at=data.get("happenedAt"),
            estimated_delivery_at=data.get("estimatedDeliveryAt"),
            **{name: data.get(name) for name in names},
        )
        return {"fulfillmentEvent": Part(order, event)}

    return payload(work, {"fulfillmentEvent": None})


@resolves("Mutation", "customerCreate")
def _customer_create(_parent: object, context: Context, args: Args) -> JsonObject:
    data = args["input"]

    def work() -> Args:
        if not any(data.get(k) for k in ("firstName", "lastName", "email", "phone")):
            raise UserError("A name, phone number, or email address must be present")
        _unique(context, data, None)
        now = context.now()
        row = Customer(number_id=context.shop.new_id(), created_at=now, updated_at=now)
        _fill(row, data)
        context.shop.customers[row.number_id] = row
        context.emit("customers/create", payloads.customer(row))
        return {"customer": row}

    return payload(work, {"customer": None})


@resolves("Mutation", "customerUpdate")
def _customer_update(_parent: object, context: Context, args: Args) -> JsonObject:
    data = args["input"]

    def work() -> Args:
        row = context.shop.customers.get(number(data["id"]))
        if row is None:
            raise UserError("Customer does not exist", ["id"])
        _unique(context, data, row)
        _fill(row, data)
        row.updated_at = context.now()
        context.emit("customers/update", payloads.customer(row))
        return {"customer": row}

    return payload(work, {"customer": None})


@resolves("Mutation", "customerDelete")
def _customer_delete(_parent: object, context: Context, args: Args) -> JsonObject:
    def work() -> Args:
        row = context.shop.customers.pop(number(args["input"]["id"]), None)
        if row is None:
            raise UserError("Customer can't be found", ["id"])
        context.emit("customers/delete", payloads.deleted_customer(row))
        return {"deletedCustomerId": row.id, "shop": {"id": gid("Shop", 1)}}

    return payload(work, {"deletedCustomerId": None, "shop": {"id": gid("Shop", 1)}})


def _fill(row: Customer, data: Args) -> None:
    names = {
        "firstName": "first_name",
        "lastName": "last_name",
        "email": "email",
        "phone": "phone",
        "note": "note",
        "locale": "locale",
        "tags": "tags",
        "taxExempt": "tax_exempt",
    }
    for name, attribute in names.items():
        if data.get(name) is not None:
            setattr(row, attribute, data[name])
    for name, attribute in (
        ("emailMarketingConsent", "email_consent"),
        ("smsMarketingConsent", "sms_consent"),
    ):
        if consent := data.get(name):
            setattr(row, attribute, consent["marketingState"])


def _unique(context: Context, data: Args, own: Customer | None) -> None:
    for other in context.shop.customers.values():
        if other is own:
            continue
        if data.get("email") and other.email == data["email"]:
            raise UserError("Email has already been taken", ["email"])
        if data.get("phone") and other.phone == data["phone"]:
            raise UserError("Phone has already been taken", ["phone"])


@resolves("Mutation", "orderCustomerSet")
def _customer_set(_parent: object, context: Context, args: Args) -> JsonObject:
    def work() -> Args:
        order = must_order(context, args["orderId"], "orderId")
        customer = context.shop.customers.get(number(args["customerId"]))
        if customer is None:
            raise UserError("Customer does not exist", ["customerId"], "NOT_FOUND")
        if order.cancelled_at:
            message = "Cannot set a customer on a cancelled order"
            raise UserError(message, ["orderId"], "NOT_PERMITTED")
        order.customer_number = customer.number_id
        lifecycle.touch(context, order)
        return {"order": order}

    return payload(work, {"order": None})


@resolves("Mutation", "orderCustomerRemove")
def _customer_remove(_parent: object, context: Context, args: Args) -> JsonObject:
    def work() -> Args:
        order = must_order(context, args["orderId"], "orderId")
        order.customer_number = None
        lifecycle.touch(context, order)
        return {"order": order}

    return payload(work, {"order": None})


def _tags(add: bool) -> Resolver:
    def resolve(_parent: object, context: Context, args: Args) -> JsonObject:
        def work() -> Args:
            row = find_node(context, args["id"])
            if not isinstance(row, Order | Customer):
                raise UserError("Node does not exist", ["id"])
            wanted = args["tags"]
            kept = [t for t in row.tags if t not in wanted]
            row.tags = sorted({*row.tags, *wanted}) if add else kept
            if isinstance(row, Order):
                lifecycle.touch(context, row)
            return {"node": row}

        return payload(work, {"node": None})

    return resolve


resolves("Mutation", "tagsAdd")(_tags(add=True))
resolves("Mutation", "tagsRemove")(_tags(add=False))
