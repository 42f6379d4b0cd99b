"""Fields of transactions."""

from __future__ import annotations

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.derived import order_sums
from practice_store.graphql.resolvers.base import Part
from practice_store.graphql.resolvers.objects.fields import add_fields, add_sums
from practice_store.sales import payments
from practice_store.state import ZERO, Order, Transaction

add_sums("OrderTransaction", {"amount": lambda p: p.amount})
add_fields(
    "OrderTransaction",
    {
        "manualPaymentGateway": lambda p, c, a: p.manual,
        "manuallyCapturable": lambda p, c, a: False,
        "multiCapturable": lambda p, c, a: False,
        "formattedGateway": lambda p, c, a: gateway_label(p.gateway),
        "parentTransaction": lambda p, c, a: _transaction(p.order, p.parent_number),
        "order": lambda p, c, a: p.order,
        "paymentId": lambda p, c, a: f"{p.order.name}.{p.number_id}",
        "totalUnsettledSet": lambda p, c, a: order_sums.bag(p.order, ZERO),
        "settlementCurrency": lambda p, c, a: p.order.currency if _is_settled(p) else None,
        "settlementCurrencyRate": lambda p, c, a: str(p.order.rate) if _is_settled(p) else None,
        "shopifyPaymentsSet": lambda p, c, a: _shopify_payments(p, c),
    },
)


def _is_settled(payment: Part[Transaction]) -> bool:
    """Only Shopify Payments says in which currency it settles."""
    return payment.gateway == payments.SHOPIFY_PAYMENTS and payment.status == "SUCCESS"


def _shopify_payments(payment: Part[Transaction], context: Context) -> JsonObject | None:
    """Return what only Shopify Payments tells: of a refund to a card, the bank's reference."""
    if payment.gateway != payments.SHOPIFY_PAYMENTS:
        return None
    is_refund = payment.kind == "REFUND"
    number = payments.acquirer_reference(context, payment.row) if is_refund else None
    return {"refundSet": {"acquirerReferenceNumber": number} if is_refund else None}


def gateway_label(gateway: str) -> str:
    """Return the gateway's name as Shopify shows it."""
    if gateway == payments.STORE_CREDIT_GATEWAY:
        return "Store credit"
    return gateway if " " in gateway else gateway.replace("_", " ").title()


def _transaction(order: Order, number_id: int | None) -> Part[Transaction] | None:
    found = next((t for t in order.transactions if t.number_id == number_id), None)
    return Part(order, found) if found else None
