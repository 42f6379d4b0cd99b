"""A believable shop to practice on: every status, several currencies, awkward names.

Deterministic except for the time it runs at. STORIES lists the customers and orders that the demo's
conversations ask about.
"""

from practice_store.seed.customers import PEOPLES_ORDERS
from practice_store.seed.shops import ORDERS, many, seed
from practice_store.seed.stories import STORIES, Story

__all__ = ["ORDERS", "PEOPLES_ORDERS", "STORIES", "Story", "many", "seed"]
