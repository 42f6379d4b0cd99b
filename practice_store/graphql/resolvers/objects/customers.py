"""Fields of customers and addresses."""

from __future__ import annotations

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.derived import order_sums
from practice_store.graphql.resolvers.base import Args, connection, resolves
from practice_store.graphql.resolvers.objects.fields import add_fields
from practice_store.state import ZERO, Customer, Order, gid


@resolves("Customer", "orders")
def _customer_orders(customer: Customer, context: Context, args: Args) -> JsonObject:
    return connection(customer_orders(context, customer), args)


def customer_orders(context: Context, customer: Customer) -> list[Order]:
    """Return the customer's orders, in the order they were added to the shop."""
    return [o for o in context.shop.orders.values() if o.customer_number == customer.number_id]


def _email_address(context: Context, customer: Customer) -> JsonObject:
    url = f"https://{context.shop.domain}/account/unsubscribe?id={customer.number_id}"
    return {
        "emailAddress": customer.email,
        "marketingState": customer.email_consent,
        "marketingUnsubscribeUrl": url,
        "validFormat": True,
        "openTrackingLevel": "UNKNOWN",
        "openTrackingUrl": f"https://{context.shop.domain}/tools/emails/open",
    }


def _phone_number(customer: Customer) -> JsonObject:
    # The newer type has a different name for the same state.
    state = customer.sms_consent.replace("NOT_SUBSCRIBED", "NEVER_SUBSCRIBED")
    consent = {"state": state, "optInLevel": None, "updatedAt": None}
    return {
        "phoneNumber": customer.phone,
        "marketingState": customer.sms_consent,
        "smsMarketingConsent": consent,
    }


add_fields(
    "Customer",
    {
        "defaultEmailAddress": lambda cu, c, a: _email_address(c, cu) if cu.email else None,
        "defaultPhoneNumber": lambda cu, c, a: _phone_number(cu) if cu.phone else None,
        "numberOfOrders": lambda cu, c, a: str(len(customer_orders(c, cu))),
        "amountSpent": lambda cu, c, a: {
            "amount": sum(
                (
                    order_sums.rounded(order_sums.net(o) * o.rate, o.currency)
                    for o in customer_orders(c, cu)
                ),
                ZERO,
            ),
            "currencyCode": c.shop.currency,
        },
        "lastOrder": lambda cu, c, a: next(reversed(customer_orders(c, cu)), None),
        "lifetimeDuration": lambda cu, c, a: "less than a minute",
        "verifiedEmail": lambda cu, c, a: True,
        "canDelete": lambda cu, c, a: not customer_orders(c, cu),
        "addresses": lambda cu, c, a: [],
        "defaultAddress": lambda cu, c, a: None,
    },
)
add_fields(
    "MailingAddress",
    {
        "countryCodeV2": lambda p, c, a: p.country_code,
        "id": lambda p, c, a: gid("MailingAddress", 1),
    },
)
