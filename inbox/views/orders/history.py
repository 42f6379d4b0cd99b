"""What an order looked like before: after each change, when the customer wrote, and when an agent
confirmed an action."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from inbox.panel.contexts import BesideConversation, Place
from inbox.panel.order_then import order_then
from inbox.views.orders.actions import get_action
from orders.actions import status_texts
from orders.models import Order, OrderAction
from orders.panels.filters import number
from orders.panels.replay import replay_of
from orders.versions import time_travel

ACTIONS_SHOWN: Final = 20


@require_GET
def order_history(request: HttpRequest, place: Place, order_id: int) -> HttpResponse:
    """Show what the order looked like after each change."""
    order = place.get_order(order_id)
    context = {
        "place": place,
        "name": order.name,
        "states": time_travel.states(order),
        "actions": [(found.pk, status_texts.words(found)) for found in _actions(order)],
    }
    return render(request, "orders/history.html", context)


def _actions(order: Order) -> list[OrderAction]:
    """Return the order's newest actions."""
    rows = order.actions.select_related("requested_by").defer("steps")
    found = list(rows.order_by("-requested_at", "-pk")[:ACTIONS_SHOWN])
    for action in found:
        # Spares a query each.
        action.order = order
    return found


@require_GET
def order_at_message(
    request: HttpRequest, place: BesideConversation, message_id: int
) -> HttpResponse:
    """Show an order as it was when a message was written, beside what it is now.

    ?order= chooses another one of their orders.
    """
    message = get_object_or_404(place.conversation.messages.all(), pk=message_id)
    asked = number(request.GET.get("order", ""))
    context = {"place": place, "found": order_then(place, message, order_id=asked)}
    return render(request, "orders/then.html", context)


@require_GET
def action_replay(request: HttpRequest, place: Place, action_id: int) -> HttpResponse:
    """Show what the agent saw at the click, what followed, and what Shopify said when."""
    found = get_action(place, action_id)
    context = {"place": place, "replay": replay_of(found)}
    return render(request, "orders/replay.html", context)
