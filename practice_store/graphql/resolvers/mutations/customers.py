"""Mutations of customers."""

from __future__ import annotations

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.derived import payloads
from practice_store.errors import UserError
from practice_store.graphql.resolvers.base import Args, number, payload, resolves
from practice_store.state import Customer, gid


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
