"""Customers worth a look, and the earlier orders of those who write in the demo."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from practice_store.changes import staff_actions
from practice_store.context import Context
from practice_store.derived import order_sums
from practice_store.sales import holding, lifecycle
from practice_store.seed.orders import backdate, cancel, place_order, random_tracking
from practice_store.seed.products import PRODUCTS
from practice_store.seed.stories import STORIES
from practice_store.state import Order

# The orders of add_people and add_earlier_orders, placed after all the others.
PEOPLES_ORDERS: Final = 12


def add_people(context: Context) -> None:
    """Add customers worth a look: one with every field, two who may be the same person, one with
    two addresses.

    Runs after all other orders were placed, so that those keep their numbers.
    """
    now = context.now()
    by_email = {c.email: c for c in context.shop.customers.values()}
    jane = by_email["jane@example.com"]
    jane.tags, jane.state, jane.locale = ["VIP", "Newsletter"], "ENABLED", "en"
    jane.note = "Prefers a call before anything is sent again."
    jane.email_consent, jane.sms_consent = "SUBSCRIBED", "UNSUBSCRIBED"
    jane.created_at = now - timedelta(days=912)
    orders = [
        place_order(
            context,
            [(PRODUCTS[0], 1)],
            name="Marie Laurent",
            email="marie@example.fr",
            phone="+33612345678",
        ),
        # Ordered with her work address; the confirmation goes to her private one.
        place_order(
            context, [(PRODUCTS[6], 1)], name="Marie Laurent-Petit", email="m.petit@example.fr"
        ),
        place_order(context, [(PRODUCTS[3], 2)], name="Paul Weber", email="paul@example.de"),
        place_order(context, [(PRODUCTS[4], 1)], name="Paul Weber", email="paul@example.de"),
    ]
    orders[1].email = "marie@example.fr"
    orders[3].email = "paul.weber@work.example"
    for days, order in zip((21, 4, 30, 6), orders, strict=True):
        staff_actions.pay(context, order)
        backdate(order, now - timedelta(days=days), context)
    context.emitted.clear()
    context.delayed.clear()


def add_earlier_orders(context: Context) -> None:
    """More orders of the customers who write in the demo, so that between them their panels show
    every status. After all others, so that those keep their numbers."""
    by_key = {story.key: story for story in STORIES}
    now = context.now()

    def earlier(days: int, key: str, product: int, *, paid: bool = True) -> Order:
        story = by_key[key]
        order = place_order(
            context,
            [(PRODUCTS[product], 1)],
            name=story.name,
            email=story.email,
            phone=story.phone,
        )
        if paid:
            staff_actions.pay(context, order)
        dates.append((order, now - timedelta(days=days)))
        return order

    dates: list[tuple[Order, datetime]] = []
    archived = earlier(41, "paid_unshipped", 3)
    staff_actions.ship(context, archived, tracking=random_tracking(random.Random(1)))  # noqa: S311
    staff_actions.carrier_says(context, archived, "DELIVERED", city="Berlin", country="DE")
    lifecycle.close(context, archived)
    arriving = earlier(3, "paid_unshipped", 8)
    staff_actions.ship(context, arriving, tracking=random_tracking(random.Random(2)))  # noqa: S311
    staff_actions.carrier_says(
        context, arriving, "IN_TRANSIT", arrives_in_days=2, city="Leipzig", country="DE"
    )
    part = earlier(24, "delivered", 6)
    staff_actions.ship(context, part)
    staff_actions.refund(context, part, Decimal("15.00"), "Damaged in transit")
    back = earlier(33, "partly_paid_shipped", 7)
    staff_actions.ship(context, back)
    staff_actions.refund(context, back, order_sums.net(back), "Refunded in full")
    pickup = earlier(2, "two_parcels", 9)
    holding.collect_at(context, pickup, "Shop on Main Street")
    holding.ready_for_pickup(context, pickup)
    voided = earlier(16, "paid_unshipped", 4, paid=False)
    staff_actions.authorize(context, voided)
    cancel(context, voided, refund=True)
    canceled = earlier(12, "shipped", 2)
    cancel(context, canceled, refund=True)
    earlier(1, "return_open", 5, paid=False).pending = True
    for order, at in dates:
        backdate(order, at, context)
    context.emitted.clear()
    context.delayed.clear()
