"""The order panel, rendered from our own tables alone; the same on every page that shows it."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone

from inbox import access
from inbox.panel.contexts import PersonsOrders
from orders import panels, services
from orders.models import Order
from orders.panels.filters import (
    Selection,
    number,
)
from orders.shopify_port import get_gateway

logger = logging.getLogger(__name__)


def context(
    request: HttpRequest, place: PersonsOrders, *, problem: str = "", shows_all: bool = False
) -> dict[str, Any]:
    """Return the context of orders/_panel.html.

    `shows_all` includes the details of closed cards, for pages without JavaScript. The parameter
    "open" lists the IDs of cards that the agent has opened. The query string says which orders are
    shown, and every refresh keeps it.
    """
    now = timezone.now()
    keys = place.keys
    asked = request.POST if request.method == "POST" else request.GET
    unreachable = get_gateway().unreachable_stores()
    selection = Selection.read(request.GET)
    found = panels.find_orders(**keys.as_kwargs(), stores=keys.stores, selection=selection)
    person = place.person(found, agent=access.agent_of(request), now=now)
    refusals = {order.pk: person.matching.refusal(order) for order in found.orders}
    shown = panels.orders_panel(
        found,
        acting=place.acting_refusal(request.user),
        refused={pk: refusal for pk, refusal in refusals.items() if refusal},
        unreachable=unreachable,
        seen=keys.stores,
        selection=selection,
        now=now,
        mentioned=place.mentioned,
        opened={pk for pk in map(number, asked.get("open", "").split(",")) if pk},
    )
    if partial := [card.id for card in shown.cards if card.is_partial]:
        orders = Order.objects.filter(pk__in=partial)
        get_gateway().wake_reading(services.mark_partial_dirty(orders))
    return place.page_context(request.user) | {
        "panel": replace(shown, cards=place.with_changes(shown.cards)),
        "person": person,
        "place": place,
        "is_arriving": get_gateway().wake_search(emails=keys.emails, phones=keys.phones),
        "searched": [*keys.emails, *keys.phones],
        "problem": problem,
        "is_unreachable": any(store.pk in unreachable for store in shown.stores),
        "may_connect": request.user.is_staff and not place.is_frame,
        "shows_all": shows_all,
    }


def html(request: HttpRequest, place: PersonsOrders) -> str:
    """Render the panel, or a sentence in its place: an error here must not break the thread."""
    try:
        return render_to_string("orders/_panel.html", context(request, place), request)
    except Exception:
        # Half of the page may have been sent already, so the error can't become a status code.
        logger.exception("the order panel of %s failed", place.origin)
        return render_to_string("orders/_panel_failed.html", {"place": place}, request)
