"""A lock held too long by others is reported to the person who waits; nothing is written.

PostgreSQL: a colleague's transaction holds the order's row, and our own patience is short.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, connections, transaction
from django.test import Client
from django.utils import timezone

from inbox.models import Conversation
from orders import services
from orders.errors import ActionRefused, ShopUnreachable
from orders.lock_waits import refused_when_busy
from orders.models import Order, OrderAction
from orders.shopify_port import get_gateway
from tests.flows.test_main_job import Seen, confirm, review
from tests.support.orders.acting import ask, refund, without_wake_ups
from tests.support.shop.in_process import Shop

pytestmark = pytest.mark.django_db(transaction=True)
only_pg = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one lock")


@pytest.fixture(autouse=True)
def _only_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    without_wake_ups(monkeypatch)


@contextmanager
def held(order: Order) -> Iterator[None]:
    """Another connection holds the order's row, and this one waits a moment only."""
    is_held, over = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                Order.objects.select_for_update().get(pk=order.pk)
                is_held.set()
                over.wait(20)
        finally:
            connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_held.wait(20)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '100ms'")
    try:
        yield
    finally:
        over.set()
        thread.join(20)
        connection.close()


@only_pg
def test_every_service_reports_a_busy_order(
    shop: Shop, seen: Seen, alice: User, sara: User
) -> None:
    shop.place(paid=True)
    order = seen()
    action = ask(order, refund("5.00"), alice)
    now = timezone.now()
    verbs: list[Callable[[], object]] = [
        lambda: services.withdraw(action_id=action.pk, by=alice, now=now),
        lambda: services.decline(action_id=action.pk, by=sara, note="", now=now),
        lambda: services.keep_money(order_id=order.pk, by=sara, reason="Agreed by phone."),
    ]
    for verb in verbs:
        with held(order), pytest.raises(ActionRefused) as refused:
            verb()
        assert refused.value.refusal.code == "busy"
    # The control: with the row free, the same verb is carried out.
    services.withdraw(action_id=action.pk, by=alice, now=now)


@only_pg
def test_a_fresh_read_reports_a_busy_order(shop: Shop, seen: Seen) -> None:
    shop.place(paid=True)
    order = seen()
    with held(order), pytest.raises(ShopUnreachable, match="Someone else is working"):
        get_gateway().refresh(order)


@only_pg
def test_the_page_reports_a_busy_order(
    shop: Shop, seen: Seen, conversation: Conversation, as_alice: Client
) -> None:
    shop.place(paid=True)
    order = seen()
    token = review(as_alice, conversation, order, "refund", amount="5.00", reason="other")
    url = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/confirm/"
    with held(order):
        answer = as_alice.post(url, {"token": token}, headers={"HX-Request": "true"})
    assert answer.status_code == 409
    assert "Someone else is working on this order right now" in answer.content.decode()
    assert not OrderAction.objects.exists()
    assert confirm(as_alice, conversation, order, token) == 200
    assert OrderAction.objects.count() == 1


def test_an_error_other_than_a_lock_is_not_hidden() -> None:
    with pytest.raises(OperationalError), refused_when_busy():
        raise OperationalError("disk full")
    with pytest.raises(ActionRefused), refused_when_busy():
        raise OperationalError("database is locked")
