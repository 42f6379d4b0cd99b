"""What a practice shop holds; serialized with msgspec, so that shops survive a restart.

Amounts are Decimals in the order's presentment currency; `rate` gives the shop's currency
(presentment x rate = shop). Times are aware UTC without fractions, as Shopify returns them.
"""

from practice_store.state.checkouts import Checkout, CheckoutLine
from practice_store.state.fulfillments import (
    Fulfillment,
    FulfillmentEvent,
    FulfillmentLine,
    FulfillmentOrder,
    FulfillmentOrderLine,
    Tracking,
)
from practice_store.state.orders import Edit, Fee, LineItem, Order, PaymentTerms, ShippingLine
from practice_store.state.payments import Adjustment, Refund, RefundDuty, RefundLine, Transaction
from practice_store.state.people import Address, Customer
from practice_store.state.resources import ZERO, Resource, gid
from practice_store.state.returns import (
    Disposition,
    ExchangeLine,
    Return,
    ReturnLine,
    ReverseDelivery,
    ReverseDeliveryLine,
)
from practice_store.state.shops import IdempotencyRecord, Job, Shop, StockMove, Subscription, World

__all__ = [
    "ZERO",
    "Address",
    "Adjustment",
    "Checkout",
    "CheckoutLine",
    "Customer",
    "Disposition",
    "Edit",
    "ExchangeLine",
    "Fee",
    "Fulfillment",
    "FulfillmentEvent",
    "FulfillmentLine",
    "FulfillmentOrder",
    "FulfillmentOrderLine",
    "IdempotencyRecord",
    "Job",
    "LineItem",
    "Order",
    "PaymentTerms",
    "Refund",
    "RefundDuty",
    "RefundLine",
    "Resource",
    "Return",
    "ReturnLine",
    "ReverseDelivery",
    "ReverseDeliveryLine",
    "ShippingLine",
    "Shop",
    "StockMove",
    "Subscription",
    "Tracking",
    "Transaction",
    "World",
    "gid",
]
