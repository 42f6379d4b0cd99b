"""Map customers, addresses, marketing consents and abandoned checkouts."""

from __future__ import annotations

from orders.checkout_snapshot import (
    CheckoutSnapshot,
    Consent,
    Consents,
)
from orders.money import Money
from orders.snapshot import Address, CustomerDetails, CustomerSnapshot
from shopify_sync.mapping.values import (
    Json,
    dig,
    must_time,
    to_text,
    to_time,
    to_url,
    well_formed,
)


def customer_details(data: Json) -> CustomerDetails:
    """Map the `customer` of CustomerDetails. Raises MalformedAnswer."""
    with well_formed():
        return _details(data)


def checkout_snapshot(data: Json) -> CheckoutSnapshot:
    """Map the `node` of CheckoutForCampaign. Raises MalformedAnswer."""
    with well_formed():
        return _checkout(data)


def consents(customer: Json | None) -> Consents:
    """Map the marketing consents of a `customer` (fragment Shopper); missing means no consent."""
    email = dig(customer, "defaultEmailAddress") or {}
    phone = dig(customer, "defaultPhoneNumber") or {}
    return Consents(
        email=Consent(
            address=to_text(dig(email, "emailAddress")).strip().lower(),
            state=to_text(dig(email, "marketingState")),
            unsubscribe_url=to_url(dig(email, "marketingUnsubscribeUrl")),
        )
        if dig(email, "emailAddress")
        else None,
        phone=Consent(
            address=to_text(dig(phone, "phoneNumber")),
            state=to_text(dig(phone, "smsMarketingConsent", "state")),
        )
        if dig(phone, "phoneNumber")
        else None,
    )


def customer_snapshot(data: Json | None) -> CustomerSnapshot | None:
    """Map an order's customer; None for an order without one."""
    if not data:
        return None
    count = data.get("numberOfOrders")
    return CustomerSnapshot(
        gid=data["id"],
        legacy_id=int(data.get("legacyResourceId") or data["id"].rsplit("/", 1)[-1]),
        name=to_text(data.get("displayName")),
        email=to_text(dig(data, "defaultEmailAddress", "emailAddress")).strip().lower(),
        phone=to_text(dig(data, "defaultPhoneNumber", "phoneNumber")),
        order_count=int(count) if count is not None else None,
        locale=to_text(data.get("locale")),
    )


def address(data: Json | None) -> Address | None:
    """Map a shipping or billing address; None if the order has none."""
    if not data:
        return None
    return Address(
        name=to_text(data.get("name")),
        company=to_text(data.get("company")),
        address1=to_text(data.get("address1")),
        address2=to_text(data.get("address2")),
        city=to_text(data.get("city")),
        province=to_text(data.get("province")),
        province_code=to_text(data.get("provinceCode")),
        zip=to_text(data.get("zip")),
        country=to_text(data.get("country")),
        country_code=to_text(data.get("countryCodeV2")),
        phone=to_text(data.get("phone")),
        time_zone=to_text(data.get("timeZone")),
    )


def _details(data: Json) -> CustomerDetails:
    count, spent = data.get("numberOfOrders"), data.get("amountSpent")
    exempt = data.get("taxExempt")
    return CustomerDetails(
        gid=data["id"],
        name=to_text(data.get("displayName")),
        email=to_text(dig(data, "defaultEmailAddress", "emailAddress")).strip().lower(),
        phone=to_text(dig(data, "defaultPhoneNumber", "phoneNumber")),
        locale=to_text(data.get("locale")),
        order_count=int(count) if count is not None else None,
        spent=Money.from_wire(spent["amount"], spent["currencyCode"]) if spent else None,
        account_state=to_text(data.get("state")),
        tax_exempt=exempt if isinstance(exempt, bool) else None,
        email_consent=to_text(dig(data, "defaultEmailAddress", "marketingState")),
        sms_consent=to_text(dig(data, "defaultPhoneNumber", "smsMarketingConsent", "state")),
        tags=tuple(to_text(tag) for tag in data.get("tags") or ()),
        note=to_text(data.get("note")),
        customer_since=to_time(data.get("createdAt")),
        updated_at=to_time(data.get("updatedAt")),
    )


def _checkout(data: Json) -> CheckoutSnapshot:
    customer = data.get("customer") or {}
    total = dig(data, "totalPriceSet", "presentmentMoney") or dig(
        data, "totalPriceSet", "shopMoney"
    )
    return CheckoutSnapshot(
        gid=data["id"],
        started_at=must_time(data["createdAt"]),
        updated_at=must_time(data["updatedAt"]),
        completed_at=to_time(data.get("completedAt")),
        url=to_url(data.get("abandonedCheckoutUrl")),
        total=Money.from_wire(total["amount"], total["currencyCode"]) if total else None,
        customer_gid=to_text(customer.get("id")),
        name=to_text(customer.get("displayName")),
        email=to_text(dig(customer, "defaultEmailAddress", "emailAddress")).strip().lower(),
        phone=to_text(dig(customer, "defaultPhoneNumber", "phoneNumber")),
        locale=to_text(customer.get("locale")),
        last_order_at=to_time(dig(customer, "lastOrder", "createdAt")),
        consents=consents(customer),
    )
