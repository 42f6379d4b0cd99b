"""Request actions and carry them out step by step, without pages or wake-ups."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from orders import perform as actions
from orders import previews, services
from orders.actions import worker_steps
from orders.models import Order, OrderAction
from orders.money import Money
from shopify_sync.api.client import AdminClient


def refund(amount: str, currency: str = "EUR", **more: Any) -> previews.RefundChoice:
    money = Money(Decimal(amount), currency)
    return previews.RefundChoice(reason="other", amount=money, **more)


def cancel(amount: str | None = None, currency: str = "EUR", **more: Any) -> previews.CancelChoice:
    money = Money(Decimal(amount), currency) if amount else None
    return previews.CancelChoice(reason="CUSTOMER", amount=money, **more)


def ask(order: Order, choice: previews.Choice, by: User) -> OrderAction:
    """Preview and confirm."""
    order = Order.objects.select_related("store").get(pk=order.pk)
    if isinstance(choice, previews.RefundChoice):
        shown = previews.preview_refund(order, choice, by=by, now=timezone.now())
    else:
        shown = previews.preview_cancel(order, choice, by=by, now=timezone.now())
    assert shown.blocked is None, shown.blocked
    return services.request_action(
        token=shown.token, order_id=order.pk, by=by, now=timezone.now(), guard=lambda _order: None
    )


def perform(action: OrderAction) -> OrderAction:
    """What a worker does with it now, due or not; the row after it."""
    OrderAction.objects.filter(pk=action.pk).active().update(next_attempt_at=None)
    actions.perform(action.pk)
    return OrderAction.objects.get(pk=action.pk)


def without_wake_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every message is lost: only what the test performs is performed."""
    monkeypatch.setattr(worker_steps, "wake", lambda *_, **__: None)


Answer = Callable[[Any], Any]


@contextmanager
def answering(document: str, answer: Answer) -> Iterator[list[bytes]]:
    """Shopify carries the named document out and answers otherwise: `answer` makes the body of
    what it said. Yields what was sent."""
    real = AdminClient._post
    sent: list[bytes] = []

    def post(self: AdminClient, name: str, body: bytes) -> Any:
        found = real(self, name, body)
        if name != document:
            return found
        sent.append(body)
        if found.status != 200:
            return found
        said = answer(json.loads(found.data))
        return SimpleNamespace(status=200, headers=found.headers, data=json.dumps(said).encode())

    AdminClient._post = post  # type: ignore[method-assign]
    try:
        yield sent
    finally:
        AdminClient._post = real  # type: ignore[method-assign]
