"""Everything the order sidebar shows, precomputed: templates only choose.

`find_orders` and `orders_panel` query four tables no matter how many orders there are. Nothing here
calls Shopify.
"""

from orders.panels.action_notices import action_notice
from orders.panels.cards import action_states, order_card, order_cards
from orders.panels.panel import (
    Choice,
    CustomerSummary,
    FoundOrders,
    OrdersPanel,
    find_orders,
    orders_panel,
)
from orders.panels.returns import return_rows
from orders.panels.totals import (
    beside_items,
    suggestion_rows,
)
from orders.panels.types import (
    ActionNotice,
    Button,
    EventRow,
    LineParcel,
    LineRow,
    MoneyRow,
    OrderCard,
    ParcelRow,
    ReturnItem,
    ReturnRow,
)

__all__ = [
    "ActionNotice",
    "Button",
    "Choice",
    "CustomerSummary",
    "EventRow",
    "FoundOrders",
    "LineParcel",
    "LineRow",
    "MoneyRow",
    "OrderCard",
    "OrdersPanel",
    "ParcelRow",
    "ReturnItem",
    "ReturnRow",
    "action_notice",
    "action_states",
    "beside_items",
    "find_orders",
    "order_card",
    "order_cards",
    "orders_panel",
    "return_rows",
    "suggestion_rows",
]
