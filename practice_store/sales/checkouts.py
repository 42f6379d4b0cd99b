"""A customer's checkout: started, resumed, abandoned, or turned into an order."""

from __future__ import annotations

from decimal import Decimal

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.derived import payloads
from practice_store.errors import UserError
from practice_store.sales import lifecycle, order_input
from practice_store.state import Checkout, CheckoutLine, Customer, Order


def begin(
    context: Context,
    *,
    email: str,
    items: list[tuple[str, str, int]],
    accepts_marketing: bool = False,
) -> Checkout:
    """Start a checkout with the customer's address; Shopify reports it from then on."""
    now = context.now()
    data = {"customer": {"toUpsert": {"email": email}}}
    customer = context.shop.customers[order_input.customer(context, data) or 0]
    if accepts_marketing:
        customer.email_consent = "SUBSCRIBED"
    number = context.shop.new_id()
    checkout = Checkout(
        number_id=number,
        token=f"{number:x}",
        created_at=now,
        updated_at=now,
        customer_number=customer.number_id,
        email=email,
        phone=customer.phone,
        currency=context.shop.currency,
        lines=[
            CheckoutLine(
                number_id=context.shop.new_id(),
                title=title,
                unit_price=Decimal(price),
                quantity=count,
            )
            for title, price, count in items
        ],
    )
    context.shop.checkouts[number] = checkout
    _emit(context, checkout, "checkouts/create")
    return checkout


def come_back(context: Context, checkout: Checkout) -> None:
    """Let the customer resume the checkout."""
    checkout.updated_at = context.now()
    _emit(context, checkout, "checkouts/update")


def complete(context: Context, checkout: Checkout) -> Order:
    """Place the order, paid; the checkout stays, marked as completed. Raises UserError if it
    already was.
    """
    if checkout.completed_at:
        raise UserError("This checkout is completed.")
    data: JsonObject = {
        "email": checkout.email,
        "customerId": f"gid://shopify/Customer/{checkout.customer_number}",
        "lineItems": [
            {
                "title": line.title,
                "quantity": line.quantity,
                "requiresShipping": True,
                "priceSet": {
                    "shopMoney": {"amount": str(line.unit_price), "currencyCode": checkout.currency}
                },
            }
            for line in checkout.lines
        ],
        "financialStatus": "PAID",
    }
    order = order_input.from_input(context, data)
    lifecycle.place(context, order)
    checkout.completed_at = checkout.updated_at = context.now()
    _emit(context, checkout, "checkouts/update")
    return order


def remove(context: Context, checkout: Checkout) -> None:
    """Delete a checkout."""
    del context.shop.checkouts[checkout.number_id]
    context.emit(
        "checkouts/delete", {"id": checkout.number_id, "presentment_currency": checkout.currency}
    )


def by_number(context: Context, number: str) -> Checkout:
    """Return the checkout with this ID. Raises UserError."""
    found = context.shop.checkouts.get(int(number)) if number.isdecimal() else None
    if found is None:
        raise UserError(f"There is no checkout {number}.")
    return found


def customer_of(context: Context, checkout: Checkout) -> Customer | None:
    """Return who the checkout belongs to; None for a guest."""
    return context.shop.customers.get(checkout.customer_number or 0)


def _emit(context: Context, checkout: Checkout, topic: str) -> None:
    context.emit(topic, payloads.checkout(context.shop, checkout))
