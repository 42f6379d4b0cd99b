"""Fields of transactions."""

from __future__ import annotations

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
    },
)


def gateway_label(gateway: str) -> str:
    """Return the gateway's name as Shopify shows it."""
    if gateway == payments.STORE_CREDIT_GATEWAY:
        return "Store credit"
    return gateway if " " in gateway else gateway.replace("_", " ").title()


def _transaction(order: Order, number_id: int | None) -> Part[Transaction] | None:
    found = next((t for t in order.transactions if t.number_id == number_id), None)
    return Part(order, found) if found else None
