"""An order on a page of its own. Its dialogs are those of inbox.views.orders."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_GET, require_POST

from inbox import fragment_requests
from inbox.panel import order_page
from inbox.panel.order_page import OnOrderPage
from orders.errors import ShopUnreachable
from orders.shopify_port import get_gateway


@require_GET
def page(request: HttpRequest, place: OnOrderPage, order_id: int) -> HttpResponse:
    """Show the order, its customer and their conversations, from our own tables."""
    return order_page.render_page(request, place)


@require_POST
def refresh(request: HttpRequest, place: OnOrderPage, order_id: int) -> HttpResponse:
    """Read the order from Shopify now."""
    problem = ""
    try:
        get_gateway().refresh(place.order)
    except ShopUnreachable as error:
        problem = f"{error} {error.hint}"
    if not fragment_requests.is_fragment(request):
        return HttpResponseRedirect(place.home_url)
    fresh = OnOrderPage(place.get_order(order_id), place.scope)
    return order_page.render_page(request, fresh, problem=problem)
