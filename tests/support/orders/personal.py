"""Orders with a chosen word in every text field."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from orders import snapshot as snapshots
from tests.support.orders import snapshots as samples

# Text of a snapshot that masking keeps: ids, numbers, Shopify's words, and what was sold.
KEPT: dict[str, set[str]] = {
    "OrderSnapshot": {
        "gid",
        "name",
        "cancel_reason",
        "financial_status",
        "fulfillment_status",
        "return_status",
        "currency",
        "shop_currency",
        "shipping_title",
        "risk_level",
        "channel",
        "unread",
    },
    "Attribute": set(),
    "PaymentTerms": {"name"},
    "CustomerSnapshot": {"gid"},
    "Address": {"country_code"},
    "Duty": {"gid"},
    "Fee": {"name"},
    "ExchangeItem": {"title", "line_gids"},
    "LineItem": {"gid", "title", "variant_title", "sku", "image_url"},
    "LineQuantity": {"line_gid"},
    "Fulfillment": {"gid", "name", "status", "display_status"},
    "FulfillmentEvent": {"gid", "status"},
    "FulfillmentOrder": {
        "gid",
        "status",
        "request_status",
        "method_type",
        "hold_reasons",
        "location",
    },
    "Transaction": {
        "gid",
        "kind",
        "status",
        "gateway",
        "gateway_label",
        "error_code",
        "parent_gid",
        "settlement_currency",
    },
    "RefundTransaction": {"gid", "status", "gateway", "error_code"},
    "Refund": {"gid", "return_gid"},
    "Return": {"gid", "name", "status"},
    # Shopify's own list of reasons; the customer's words beside it go.
    "ReturnLine": {"gid", "part_gid", "line_gid", "reason"},
    "ReverseLine": {"gid", "part_gid"},
    "Tracking": set(),
    "Dispute": {"gid", "status"},
}


def filled(kind: Any, word: Callable[[str], str], name: str = "") -> Any:
    """A value of a snapshot's type; each text is word("Class.field")."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return (filled(args[0], word, name),)
    if type(None) in args:
        return filled(next(a for a in args if a is not type(None)), word, name)
    if kind is str:
        return word(name)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__name__ in KEPT:
        hints = typing.get_type_hints(kind)
        names = [f.name for f in dataclasses.fields(kind)]
        return kind(**{n: filled(hints[n], word, f"{kind.__name__}.{n}") for n in names})
    if kind is snapshots.OrderMoney:
        return samples.order().money
    plain = {
        int: 1,
        bool: True,
        Decimal: Decimal("1.25"),
        datetime: samples.NOW,
        snapshots.MoneyBag: samples.bag("1.00"),
    }
    return plain.get(kind, samples.bag("1.00").shop)
