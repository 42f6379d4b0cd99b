"""The order panel and its cards.

`place` is where orders are shown: beside a conversation, in a help desk's frame, in a window, or
on a page of their own (inbox.panel.contexts).
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from inbox import fragment_requests
from inbox.panel import (
    order_page,
    rendering,
)
from inbox.panel.contexts import PersonsOrders, Place
from inbox.panel.order_page import OnOrderPage
from inbox.views.orders import summary
from orders.errors import ShopUnreachable
from orders.panels import filters
from orders.shopify_port import (
    get_gateway,
)


@require_GET
def panel(request: HttpRequest, place: PersonsOrders) -> HttpResponse:
    """Show the customer's orders from our own tables, without asking Shopify."""
    return render_panel(request, place)


@require_GET
def card(request: HttpRequest, place: Place, order_id: int) -> HttpResponse:
    """Return the body of an order card, loaded once it is opened."""
    order = place.get_order(order_id)
    context = summary.dialog_context(request, place, order, timezone.now())
    context["card"] = place.with_changes([context["card"]])[0]
    return render(request, "orders/_card_body.html", context)


@require_POST
def refresh(request: HttpRequest, place: PersonsOrders) -> HttpResponse:
    """Read the orders on the first page from Shopify now, and search for new ones."""
    problem = ""
    keys = place.keys
    get_gateway().find_orders(emails=keys.emails, phones=keys.phones)
    for order in place.orders().select_related("store")[: filters.ORDERS_A_PAGE]:
        try:
            get_gateway().refresh(order)
        except ShopUnreachable as error:
            problem = f"{error} {error.hint}"
    if not fragment_requests.is_fragment(request):
        return HttpResponseRedirect(place.home_url)
    return render_panel(request, place, problem=problem)


def render_panel(request: HttpRequest, place: Place, *, problem: str = "") -> HttpResponse:
    """Show this place's orders, under `problem` if something just failed."""
    if isinstance(place, OnOrderPage):
        return order_page.render_page(request, place, problem=problem)
    if not isinstance(place, PersonsOrders):
        raise TypeError(place)
    is_part = fragment_requests.is_fragment(request)
    template = "orders/_panel.html" if is_part else "orders/panel.html"
    context = rendering.context(request, place, problem=problem, shows_all=not is_part)
    return render(request, template, context)
