"""Place an order as a customer would, ship and cancel it, and move it into the past."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from core.json_types import JsonObject
from practice_store.changes import staff_actions
from practice_store.context import Context
from practice_store.derived import order_sums
from practice_store.sales import cancellation
from practice_store.seed.products import Product
from practice_store.state import Fulfillment, FulfillmentOrder, Order, Resource, Tracking

_CARRIERS: Final = (
    ("DHL", "https://www.dhl.de/en/tracking?piececode={}"),
    ("UPS", "https://www.ups.com/track?tracknum={}"),
    ("DPD", "https://tracking.dpd.de/status/en_US/parcel/{}"),
    ("Local courier", ""),
)


def _money(amount: str, currency: str) -> JsonObject:
    return {"amount": amount, "currencyCode": currency}


def _price(context: Context, amount: str, presentment: str) -> JsonObject:
    """Return a price in the shop's currency and, if it differs, in the customer's."""
    own = context.shop.currency
    if presentment == own:
        return {"shopMoney": _money(amount, own)}
    rates = {"JPY": "160", "KWD": "0.34", "USD": "1.1", "EUR": "0.91"}
    theirs = order_sums.rounded(Decimal(amount) * Decimal(rates[presentment]), presentment)
    return {"shopMoney": _money(amount, own), "presentmentMoney": _money(str(theirs), presentment)}


def place_order(
    context: Context,
    items: list[tuple[Product, int]],
    *,
    name: str,
    email: str,
    phone: str = "",
    country: str = "DE",
    presentment: str = "",
    taxed: bool = True,
    note: str | None = None,
    tags: list[str] | None = None,
) -> Order:
    """Place an order of a customer, with standard shipping; `presentment` is their currency if it
    isn't the shop's.
    """
    presentment = presentment or context.shop.currency
    first, _, last = name.partition(" ")
    lines = []
    for (title, variant, sku, price), quantity in items:
        tax = order_sums.rounded(Decimal(price) * quantity * Decimal("0.19"), context.shop.currency)
        line: JsonObject = {
            "title": title,
            "variantTitle": variant,
            "sku": sku,
            "quantity": quantity,
            "requiresShipping": True,
            "priceSet": _price(context, price, presentment),
        }
        if taxed:
            line["taxLines"] = [
                {
                    "title": "VAT",
                    "rate": Decimal("0.19"),
                    "priceSet": _price(context, str(tax), presentment),
                }
            ]
        lines.append(line)
    customer = (
        {"toUpsert": {"email": email, "firstName": first, "lastName": last, "phone": phone or None}}
        if email
        else {}
    )
    place = {
        "firstName": first,
        "lastName": last,
        "address1": "Hauptstraße 12",
        "city": "Berlin",
        "zip": "10115",
        "countryCode": country,
        "country": country,
        "phone": phone or None,
    }
    return staff_actions.place(
        context,
        email=email or None,
        phone=phone or None,
        customer=customer,
        lineItems=lines,
        presentmentCurrency=presentment,
        currency=context.shop.currency,
        shippingAddress=place,
        shippingLines=[{"title": "Standard", "priceSet": _price(context, "4.90", presentment)}],
        note=note,
        tags=tags,
    )


def random_tracking(rng: random.Random) -> list[Tracking]:
    """Return a tracking number of a random carrier, with its link if the carrier has one."""
    company, pattern = rng.choice(_CARRIERS)
    number = f"{company[:2].upper()}{rng.randrange(10**9, 10**10)}"
    return [Tracking(number=number, company=company, url=pattern.format(number) or None)]


def cancel(context: Context, order: Order, *, refund: bool) -> None:
    """Cancel the order as the shop's staff, at once."""
    key = f"seed-{order.number_id}"
    cancellation.start_cancel(
        context, order, reason="CUSTOMER", refund=refund, staff_note=None, key=key, made_by="staff"
    )
    cancellation.run_job(context, key)


def backdate(order: Order, at: datetime, context: Context) -> None:
    """Shift everything that happened to an order, so that it was placed at `at`."""
    shift = order.created_at - at
    rows: list[Resource] = [
        order,
        *order.transactions,
        *order.refunds,
        *order.fulfillments,
        *order.fulfillment_orders,
        *order.returns,
        *(e for f in order.fulfillments for e in f.events),
    ]
    hours = 0
    for row in rows:
        for name in (
            "created_at",
            "processed_at",
            "updated_at",
            "closed_at",
            "cancelled_at",
            "happened_at",
            "in_transit_at",
            "delivered_at",
            "approved_at",
        ):
            if getattr(row, name, None) is not None:
                moment = getattr(row, name) - shift + timedelta(hours=hours)
                setattr(row, name, min(moment, context.now()))
        hours += 5
    dated = (row for row in rows if isinstance(row, Order | Fulfillment | FulfillmentOrder))
    order.updated_at = max(row.updated_at for row in dated)
