"""What the dialogs share: the summary to confirm, refusals, and the context of their templates."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from inbox.campaigns import order_events
from inbox.panel.contexts import Place
from orders import (
    panels,
    previews,
)
from orders.errors import ActionRefused, Refusal, ShopUnreachable
from orders.models import Order

Context = dict[str, Any]


def show(
    request: HttpRequest,
    place: Place,
    order: Order,
    preview: previews.Preview,
    back: str,
    status: int = 200,
    typed: list[tuple[str, str]] | None = None,
) -> HttpResponse:
    """Render a summary to confirm.

    `typed` are the fields of the dialog to go back to; None means those of this request.
    """
    fields = typed or [
        (name, value)
        for name, values in request.POST.lists()
        if name not in {"csrfmiddlewaretoken", "edit", "token"}
        for value in values
    ]
    context = dialog_context(request, place, order, timezone.now()) | {
        "preview": preview,
        "confirm_url": place.url("order_confirm", order.pk),
        "window_url": place.window_url(order, preview.proposal.amount, preview.token),
        "back_url": place.url(back, order.pk) if back else "",
        "back_fields": fields,
        "messages_preview": order_events.preview_messages(
            order=order, proposal=preview.proposal, origin=place.origin
        ),
    }
    return render(request, "orders/review.html", context, status=status)


def dialog_context(request: HttpRequest, place: Place, order: Order, now: datetime) -> Context:
    """Return what the template of every dialog needs: the place and the order's card."""
    acting = place.money_refusal(request.user, order)
    return place.page_context(request.user) | {
        "place": place,
        "card": panels.order_card(order, acting=acting, now=now),
    }


def as_refusal(error: Exception) -> Refusal:
    """Put why no summary could be built into words for the agent."""
    if isinstance(error, ActionRefused):
        return error.refusal
    hint = error.hint if isinstance(error, ShopUnreachable) else ""
    return Refusal("unavailable", str(error), hint)
