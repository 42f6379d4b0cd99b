"""The customers and orders that the demo's conversations ask about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from practice_store.changes import staff_actions
from practice_store.context import Context
from practice_store.seed.orders import cancel, place_order
from practice_store.seed.products import PRODUCTS, Product
from practice_store.state import Order, Tracking


@dataclass(frozen=True)
class Story:
    """A customer and the order they ask about; tests find it by its `key`."""

    key: str
    order: str
    name: str
    email: str
    phone: str = ""


STORIES: Final = (
    Story("unpaid", "#1031", "Jane Doe", "jane@example.com", "+4915112345678"),
    Story("paid_unshipped", "#1043", "Jane Doe", "jane@example.com", "+4915112345678"),
    Story("delivered", "#1050", "Amir Haddad", "amir@example.com", "+96522212345"),
    Story("partly_paid_shipped", "#1055", "Greta Lindholm", "greta@example.com"),
    Story("two_parcels", "#1060", "Tom Becker", "tom.becker@example.com"),
    Story("yen", "#1065", "花子 山田", "hanako@example.jp"),
    Story("dinar", "#1070", "عائشة الهاشمي", "aisha@example.com"),
    Story("canceled_not_refunded", "#1075", "Liam Murphy", "liam@example.ie"),
    Story("cash_on_delivery", "#1080", "Sofia Rossi", "sofia@example.it"),
    Story("shipped", "#1085", "Noah Andersson", "noah@example.se"),
    Story("return_open", "#1090", "Emma de Vries", "emma@example.nl"),
    Story("authorized", "#1095", "Oliver Smith", "oliver@example.co.uk"),
)


def story_order(
    context: Context,
    story: Story,
    products: list[Product],
    *,
    paid: bool,
    quantity: int = 1,
    presentment: str = "",
    country: str = "DE",
) -> Order:
    """Place the order of a story, paid or with its payment pending."""
    items = [(product, quantity) for product in products]
    order = place_order(
        context,
        items,
        name=story.name,
        email=story.email,
        phone=story.phone,
        country=country,
        presentment=presentment,
    )
    if paid:
        staff_actions.pay(context, order)
    else:
        order.pending = True
    return order


def _unpaid(context: Context, story: Story) -> Order:
    return story_order(context, story, [PRODUCTS[2]], paid=False)


def _paid_unshipped(context: Context, story: Story) -> Order:
    order = story_order(context, story, [PRODUCTS[0], PRODUCTS[4]], paid=True)
    order.tags = ["VIP"]
    order.attributes = {"Gift wrapping": "yes", "Delivery day": "any"}
    order.lines[0].properties = {"Engraving": "For Jane"}
    return order


def _delivered(context: Context, story: Story) -> Order:
    order = story_order(context, story, [PRODUCTS[6], PRODUCTS[5]], paid=True)
    tracking = [
        Tracking(
            number="JD014600003",
            company="DHL",
            url="https://www.dhl.de/en/tracking?piececode=JD014600003",
        )
    ]
    staff_actions.ship(context, order, tracking=tracking)
    staff_actions.carrier_says(context, order, "DELIVERED", city="Berlin", country="DE")
    return order


def _partly_paid_shipped(context: Context, story: Story) -> Order:
    """Five units at 10.00: 30.00 paid, three shipped."""
    order = place_order(
        context,
        [(("Ceramic tile", None, "TILE", "10.00"), 5)],
        name=story.name,
        email=story.email,
        taxed=False,
    )
    order.shipping_lines.clear()
    staff_actions.pay(context, order, Decimal("30.00"))
    tracking = [
        Tracking(
            number="1Z999AA10123456784",
            company="UPS",
            url="https://www.ups.com/track?tracknum=1Z999AA10123456784",
        )
    ]
    staff_actions.ship(context, order, quantities={order.lines[0].number_id: 3}, tracking=tracking)
    return order


def _two_parcels(context: Context, story: Story) -> Order:
    """One line over two parcels, and a tracking number that no link leads to."""
    order = story_order(context, story, [PRODUCTS[0], PRODUCTS[3]], paid=True, quantity=5)
    mug = order.lines[0].number_id
    staff_actions.ship(
        context,
        order,
        quantities={mug: 2},
        tracking=[
            Tracking(number="LC-77-0001", company="Local courier"),
        ],
    )
    staff_actions.carrier_says(context, order, "OUT_FOR_DELIVERY", city="Hamburg", country="DE")
    staff_actions.ship(
        context,
        order,
        quantities={mug: 3},
        tracking=[
            Tracking(
                number="JD014600004",
                company="DHL",
                url="https://www.dhl.de/en/tracking?piececode=JD014600004",
            )
        ],
    )
    staff_actions.carrier_says(context, order, "IN_TRANSIT", arrives_in_days=3)
    return order


def _yen(context: Context, story: Story) -> Order:
    return story_order(context, story, [PRODUCTS[7]], paid=True, presentment="JPY", country="JP")


def _dinar(context: Context, story: Story) -> Order:
    return story_order(context, story, [PRODUCTS[1]], paid=True, presentment="KWD", country="KW")


def _canceled_not_refunded(context: Context, story: Story) -> Order:
    order = story_order(context, story, [PRODUCTS[8]], paid=True)
    cancel(context, order, refund=False)
    return order


def _cash_on_delivery(context: Context, story: Story) -> Order:
    order = story_order(context, story, [PRODUCTS[3]], paid=False)
    staff_actions.pay(context, order, gateway="Cash on Delivery (COD)", account_number=None)
    return order


def _shipped(context: Context, story: Story) -> Order:
    order = story_order(context, story, [PRODUCTS[4]], paid=True)
    tracking = [
        Tracking(
            number="JD014600005",
            company="DHL",
            url="https://www.dhl.de/en/tracking?piececode=JD014600005",
        )
    ]
    staff_actions.ship(context, order, tracking=tracking)
    staff_actions.carrier_says(
        context, order, "IN_TRANSIT", arrives_in_days=2, city="Malmö", country="SE"
    )
    return order


def _return_open(context: Context, story: Story) -> Order:
    order = _delivered(context, story)
    staff_actions.open_return(context, order)
    staff_actions.receive_return(context, order)
    return order


def _authorized(context: Context, story: Story) -> Order:
    order = story_order(context, story, [PRODUCTS[6]], paid=False)
    staff_actions.authorize(context, order)
    return order


STORY_ORDERS: Final[dict[str, Callable[[Context, Story], Order]]] = {
    "unpaid": _unpaid,
    "paid_unshipped": _paid_unshipped,
    "delivered": _delivered,
    "partly_paid_shipped": _partly_paid_shipped,
    "two_parcels": _two_parcels,
    "yen": _yen,
    "dinar": _dinar,
    "canceled_not_refunded": _canceled_not_refunded,
    "cash_on_delivery": _cash_on_delivery,
    "shipped": _shipped,
    "return_open": _return_open,
    "authorized": _authorized,
}
