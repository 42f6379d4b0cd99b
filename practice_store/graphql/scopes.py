"""The access scope each root field requires; a field not listed here requires none."""

from __future__ import annotations

from typing import Final

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.errors import ShopError

_NEEDS: Final[dict[str, frozenset[str]]] = {
    scope: frozenset(fields.split())
    for scope, fields in {
        "read_orders": "order orders ordersCount refund abandonedCheckouts",
        "write_orders": "orderCreate orderUpdate orderMarkAsPaid orderCapture transactionVoid "
        "orderClose orderOpen orderCancel orderDelete refundCreate orderCustomerSet "
        "orderCustomerRemove",
        "read_customers": "customer customers customersCount customerByIdentifier",
        "write_customers": "customerCreate customerUpdate customerDelete",
        "write_merchant_managed_fulfillment_orders": "fulfillmentCreate fulfillmentCreateV2 "
        "fulfillmentCancel fulfillmentTrackingInfoUpdate fulfillmentTrackingInfoUpdateV2",
        "read_returns": "return returnableFulfillments reverseFulfillmentOrder",
        "write_returns": "returnCreate returnRequest returnApproveRequest returnDeclineRequest "
        "returnCancel returnClose returnReopen returnProcess reverseFulfillmentOrderDispose "
        "reverseDeliveryCreateWithShipping reverseDeliveryShippingUpdate",
    }.items()
}


def needs_customer_pages(context: Context, field: str) -> None:
    """Raise Shopify's refusal unless the app may see protected customer data, level 2."""
    if context.shop.sees_customer_pages:
        return
    raise ShopError(
        f"This app is not approved to access the {field} field. See "
        "https://shopify.dev/docs/apps/launch/protected-customer-data for more details.",
        "ACCESS_DENIED",
    )


def denied(fields: tuple[str, ...], granted: frozenset[str]) -> JsonObject | None:
    """Return Shopify's answer to a request beyond the app's scopes; None if all are granted.

    A write scope includes the read scope.
    """
    have = granted | {scope.replace("write_", "read_", 1) for scope in granted}
    for field in fields:
        for scope, covered in _NEEDS.items():
            if field in covered and scope not in have:
                message = (
                    f"Access denied for {field} field. Required access: `{scope}` access scope."
                )
                code = {
                    "code": "ACCESS_DENIED",
                    "documentation": "https://shopify.dev/api/usage/access-scopes",
                    "requiredAccess": f"`{scope}` access scope.",
                }
                return {
                    "data": None,
                    "errors": [{"message": message, "path": [field], "extensions": code}],
                }
    return None
