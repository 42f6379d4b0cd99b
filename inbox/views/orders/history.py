"""The history of an order, shown beside a conversation."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from inbox.panel.contexts import Place
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
