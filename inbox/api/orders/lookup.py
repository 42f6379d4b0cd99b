"""The order or action that a request names, if its person and its token may see it."""

from __future__ import annotations

from django.http import Http404
from rest_framework.request import Request

from inbox import access
from inbox.api import authentication
from orders.models import Order, OrderAction


def get_order(request: Request, order_id: int) -> Order:
    """Return the order, or raise Http404 if this person or this token may not see it."""
    order = access.get_order(request.user, order_id)
    check_store(request, order.store_id)
    return order


def get_action(request: Request, action_id: int) -> OrderAction:
    """Return the action, or raise Http404 if this person or this token may not see it."""
    action = access.get_action(request.user, action_id)
    check_store(request, action.order.store_id)
    return action


def check_store(request: Request, store_id: int) -> None:
    """Raise Http404 if the request's token is for other stores."""
    stores = authentication.stores_of(request)
    if stores is not None and store_id not in stores:
        raise Http404
