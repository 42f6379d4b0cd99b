"""What an order looked like before: after each change and when the customer wrote."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from inbox.panel.order_then import order_then
from inbox.panel.contexts import BesideConversation, Place
from orders.panels.filters import number
from orders.versions import time_travel


@require_GET
def order_history(request: HttpRequest, place: Place, order_id: int) -> HttpResponse:
    """Show what the order looked like after each change."""
    order = place.get_order(order_id)
    context = {
        "place": place,
        "name": order.name,
        "states": time_travel.states(order),
    }
    return render(request, "orders/history.html", context)


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
