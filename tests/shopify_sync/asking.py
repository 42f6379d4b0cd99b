"""Asking for a refund without a browser."""

from __future__ import annotations

from decimal import Decimal

from django.contrib.auth.models import User
from django.utils import timezone

from orders import previews, services
from orders.models import Order, OrderAction
from orders.money import Money


def ask_refund(order: Order, amount: str, by: User) -> OrderAction:
    """A refund that the agent confirmed; it leaves with the next sweep."""
    choice = previews.RefundChoice(reason="other", amount=Money(Decimal(amount), order.currency))
    shown = previews.preview_refund(order, choice, by=by, now=timezone.now())
    assert shown.blocked is None, shown.blocked
    return services.request_action(
        token=shown.token, order_id=order.pk, by=by, now=timezone.now(), guard=lambda _order: None
    )
