"""Turn orderCreate's input into an order."""

from __future__ import annotations

from decimal import Decimal

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.derived import order_sums
from practice_store.errors import UserError
from practice_store.sales.payments import MANUAL_GATEWAYS
from practice_store.state import ZERO, Address, Customer, LineItem, Order, ShippingLine, Transaction

Data = JsonObject


def from_input(context: Context, data: Data) -> Order:
    """Return an order, not yet placed. Raises UserError with Shopify's message."""
    shop, now = context.shop, context.now()
    if not data.get("lineItems"):
        raise UserError(
            "Line items must have at least one line item", ["order", "lineItems"], "INVALID"
        )
    currency = data.get("currency") or shop.currency
    presentment = data.get("presentmentCurrency") or currency
    rate = _rate(data, currency, presentment)
    ordinal = shop.next_order
    shop.next_order += 1
    order = Order(
        number_id=shop.new_id(),
        number=ordinal - 1000,
        name=data.get("name") or f"{shop.order_prefix}{ordinal}{shop.order_suffix}",
        created_at=now,
        processed_at=data.get("processedAt") or now,
        updated_at=now,
        closed_at=data.get("closedAt"),
        email=data.get("email"),
        phone=data.get("phone"),
        note=data.get("note"),
        tags=sorted(data.get("tags") or []),
        attributes={a["key"]: a["value"] for a in data.get("customAttributes") or ()},
        currency=currency,
        presentment_currency=presentment,
        rate=rate,
        taxes_included=bool(data.get("taxesIncluded")),
        test=bool(data.get("test")),
        shipping_address=address(data.get("shippingAddress")),
        billing_address=address(data.get("billingAddress")),
        customer_number=customer(context, data),
    )
    for item in data["lineItems"]:
        order.lines.append(_line(context, order, item))
    for item in data.get("shippingLines") or ():
        order.shipping_lines.append(_shipping_line(context, order, item))
    _discount(order, data.get("discountCode") or {})
    order.pending = data.get("financialStatus") == "PENDING" and not data.get("transactions")
    _transactions(context, order, data)
    return order


def address(data: Data | None) -> Address | None:
    """Return the Address of a MailingAddressInput; None if it is empty."""
    if not data:
        return None
    return Address(
        first_name=data.get("firstName"),
        last_name=data.get("lastName"),
        address1=data.get("address1"),
        address2=data.get("address2"),
        city=data.get("city"),
        province=data.get("province") or data.get("provinceCode"),
        province_code=data.get("provinceCode"),
        zip=data.get("zip"),
        country=data.get("country") or data.get("countryCode"),
        country_code=data.get("countryCode"),
        phone=data.get("phone"),
        company=data.get("company"),
    )


def _rate(data: Data, currency: str, presentment: str) -> Decimal:
    """Return the exchange rate implied by the first price that names both currencies; else 1."""
    if currency == presentment:
        return Decimal(1)
    for item in data["lineItems"]:
        both = item.get("priceSet") or {}
        shop, theirs = both.get("shopMoney"), both.get("presentmentMoney")
        if shop and theirs and Decimal(str(theirs["amount"])):
            return Decimal(str(shop["amount"])) / Decimal(str(theirs["amount"]))
    return Decimal(1)


def _amount(order: Order, both: Data | None) -> Decimal:
    """Return the presentment amount of a MoneyBagInput."""
    if not both:
        return ZERO
    if both.get("presentmentMoney"):
        return Decimal(str(both["presentmentMoney"]["amount"]))
    amount = Decimal(str(both["shopMoney"]["amount"]))
    if order.currency == order.presentment_currency:
        return amount
    return order_sums.rounded(amount / order.rate, order.presentment_currency)


def _line(context: Context, order: Order, data: Data) -> LineItem:
    taxes = data.get("taxLines") or []
    return LineItem(
        number_id=context.shop.new_id(),
        title=data.get("title") or "",
        variant_title=data.get("variantTitle"),
        sku=data.get("sku"),
        quantity=data["quantity"],
        unit_price=_amount(order, data.get("priceSet")),
        tax=sum((_amount(order, t.get("priceSet")) for t in taxes), ZERO),
        tax_rate=Decimal(str(taxes[0].get("rate") or 0)) if taxes else ZERO,
        tax_title=taxes[0]["title"] if taxes else "VAT",
        requires_shipping=data.get("requiresShipping") is True,
        taxable=data.get("taxable") is not False,
        is_gift_card=bool(data.get("giftCard")),
        vendor=data.get("vendor"),
        product_id=data.get("productId"),
        properties={p["name"]: p["value"] for p in data.get("properties") or ()},
    )


def _shipping_line(context: Context, order: Order, data: Data) -> ShippingLine:
    taxes = data.get("taxLines") or []
    return ShippingLine(
        number_id=context.shop.new_id(),
        title=data["title"],
        code=data.get("code") or data["title"],
        source=data.get("source"),
        price=_amount(order, data.get("priceSet")),
        tax=sum((_amount(order, t.get("priceSet")) for t in taxes), ZERO),
        tax_rate=Decimal(str(taxes[0].get("rate") or 0)) if taxes else ZERO,
        tax_title=taxes[0]["title"] if taxes else "VAT",
    )


def _discount(order: Order, data: Data) -> None:
    """Apply a fixed or percentage code, spread over the lines so that the shares add up."""
    fixed, percent = data.get("itemFixedDiscountCode"), data.get("itemPercentageDiscountCode")
    code = fixed or percent
    if not code:
        return
    order.discount_code = code["code"]
    whole = order_sums.subtotal(order)
    if fixed:
        cut = _amount(order, fixed["amountSet"])
    else:
        cut = whole * Decimal(str(code["percentage"])) / 100
    cut = min(order_sums.rounded(cut, order.presentment_currency), whole)
    seen = given = ZERO
    for line in order.lines:
        seen += order_sums.line_total(line)
        share = (
            order_sums.rounded(cut * seen / whole, order.presentment_currency) if whole else ZERO
        )
        line.discount = share - given
        given = share


def customer(context: Context, data: Data) -> int | None:
    """Return the ID of the customer that an input names, created if it asks for that; or None."""
    wanted = data.get("customer") or {}
    if gid := (wanted.get("toAssociate") or {}).get("id") or data.get("customerId"):
        found = int(gid.rsplit("/", 1)[-1])
        return found if found in context.shop.customers else None
    upsert = wanted.get("toUpsert")
    email = (upsert or {}).get("email") or (data.get("email") if not wanted else None)
    if not email:
        return None
    for row in context.shop.customers.values():
        if (row.email or "").lower() == email.lower():
            return row.number_id
    if upsert is None:
        return None
    now = context.now()
    row = Customer(
        number_id=context.shop.new_id(),
        created_at=now,
        updated_at=now,
        email=email,
        first_name=upsert.get("firstName"),
        last_name=upsert.get("lastName"),
        phone=upsert.get("phone"),
    )
    context.shop.customers[row.number_id] = row
    return row.number_id


def _transactions(context: Context, order: Order, data: Data) -> None:
    """Add the given transactions, or the one that a financialStatus such as PAID implies."""
    given = list(data.get("transactions") or ())
    for item in given:
        amount = _amount(order, item.get("amountSet"))
        _add(
            context,
            order,
            item.get("kind") or "SALE",
            item.get("status") or "SUCCESS",
            item.get("gateway") or "manual",
            amount,
        )
    if given:
        return
    status = data.get("financialStatus")
    if status in {"PAID", "PARTIALLY_REFUNDED", "REFUNDED"} and order_sums.total(order):
        _add(context, order, "SALE", "SUCCESS", "manual", order_sums.total(order))
    if status == "AUTHORIZED":
        _add(context, order, "AUTHORIZATION", "SUCCESS", "manual", order_sums.total(order))
    if status == "EXPIRED":
        order.expired = True


def _add(
    context: Context, order: Order, kind: str, status: str, gateway: str, amount: Decimal
) -> None:
    order.transactions.append(
        Transaction(
            number_id=context.shop.new_id(),
            kind=kind,
            status=status,
            gateway=gateway,
            amount=amount,
            created_at=order.processed_at,
            processed_at=order.processed_at,
            manual=gateway in MANUAL_GATEWAYS,
            test=order.test,
        )
    )
