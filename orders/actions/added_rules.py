"""Rules that other apps add to the checks before an action is sent.

Only the inbox knows whether an order certainly belongs to the contact the action was asked for.
It appends its rule when its app is ready; the rules run when an action is approved and before
anything of it is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from orders.errors import Refusal
from orders.models import Order, OrderAction

Rule = Callable[[OrderAction, Order], Refusal | None]
RULES: Final[list[Rule]] = []


def refusal(action: OrderAction, order: Order) -> Refusal | None:
    """The first refusal any rule returns; None if every rule allows the action."""
    found = (rule(action, order) for rule in RULES)
    return next((each for each in found if each), None)
