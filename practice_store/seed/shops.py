"""Fill whole shops."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Final

from practice_store.context import Context
from practice_store.seed.customers import add_earlier_orders, add_people
from practice_store.seed.orders import backdate
from practice_store.seed.products import PRODUCTS
from practice_store.seed.random_orders import make_history, random_order
from practice_store.seed.stories import STORIES, STORY_ORDERS, story_order
from practice_store.store import Store

ORDERS: Final = 320


def seed(store: Store) -> None:
    """Fill the first shop with everything and the others with a little. Takes a few seconds."""
    domains = list(store.world.shops)
    for domain in domains:
        shop = store.world.shops[domain]
        context = store.context(shop)
        rng = random.Random(domain)  # noqa: S311  the same shop every time
        if domain == domains[0]:
            _fill(context, rng, ORDERS, stories=True)
            add_people(context)
            add_earlier_orders(context)
        else:
            _fill(context, rng, 24, stories=False)
            _twins(context)


def many(store: Store, count: int) -> None:
    """Give the first shop this many ordinary orders, for a store worth a backfill."""
    domain = next(iter(store.world.shops))
    _fill(store.context(store.world.shops[domain]), random.Random(7), count, stories=False)  # noqa: S311


def _twins(context: Context) -> None:
    """Repeat a customer and an order number of the first shop, to prove that stores never get mixed
    up.
    """
    context.shop.next_order = 1043
    order = story_order(context, STORIES[1], [PRODUCTS[4]], paid=True)
    backdate(order, context.now() - timedelta(days=58), context)
    context.emitted.clear()


def _fill(context: Context, rng: random.Random, count: int, *, stories: bool) -> None:
    by_number = {int(s.order.lstrip("#")): s for s in STORIES} if stories else {}
    for index in range(count):
        number = context.shop.next_order
        at = context.now() - timedelta(
            days=60 * (count - index) / count, minutes=rng.randrange(600)
        )
        start = len(context.emitted)
        if number in by_number:
            order = STORY_ORDERS[by_number[number].key](context, by_number[number])
        else:
            order = random_order(context, rng)
            make_history(context, rng, order, index)
        backdate(order, at, context)
        del context.emitted[start:]
        context.delayed.clear()
