"""What only the app that talks to people knows of an action: whether its order is certainly the
order of whom it was asked for. It adds its rule when it is ready; the machine asks it before the
first byte, and when an action is approved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from orders.errors import Refusal
from orders.models import Order, OrderAction

Rule = Callable[[OrderAction, Order], Refusal | None]
RULES: Final[list[Rule]] = []


def refusal(action: OrderAction, order: Order) -> Refusal | None:
    """The first rule's that speaks against it; None: none does."""
    found = (rule(action, order) for rule in RULES)
    return next((each for each in found if each), None)
