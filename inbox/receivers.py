"""The inbox's ears for orders.signals, and for log-ins. What is lost of event_recorded is found by
the sweeps in tasks; the others are told in the transaction of the change, and committed with it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db import transaction
from django.dispatch import receiver
from django.utils import timezone

from core import queue
from inbox.accounts import sessions
from inbox.campaigns import (
    marketing,
    tracking,
)
from inbox.contacts import identities
from inbox.live import events
from inbox.suppression import opt_outs
from orders.models import Customer, Order
from orders.signals import (
    customer_changed,
    event_recorded,
    ledger_read,
    order_changed,
    orders_imported,
)


@receiver(order_changed)
def tell_browsers(sender: Any, *, order_id: int, **_: Any) -> None:
    # A savepoint: whatever fails here, the change itself goes on.
    with transaction.atomic():
        named = Order.objects.only("store_id", "customer_gid", "email", "phone")
        order = named.filter(pk=order_id).order_by().first()
        if order is not None:
            contacts = [f"contact:{pk}" for pk in identities.contacts_of(order)]
            people = [events.person_topic(value) for value in (order.email, order.phone) if value]
            events.announce("decisions", f"order:{order_id}", *contacts, *people)


@receiver(order_changed)
def hear_what_was_missing(sender: Any, *, order_id: int, **_: Any) -> None:
    """A bank's answer, or a parcel's tracking number: the change may be what a message waits
    for. Once it is committed."""
    transaction.on_commit(lambda: _look_again(order_id), robust=True)


def _look_again(order_id: int) -> None:
    waiting = tracking.events_to_look_at(order_id)
    queue.enqueue_each("inbox.tasks.handle_event", waiting.values_list("pk", flat=True))
    queue.enqueue_each("inbox.tasks.settle_marketing", marketing.look_again(order_id))


@receiver(customer_changed)
def tell_browsers_of_customer(sender: Any, *, customer_id: int, **_: Any) -> None:
    with transaction.atomic():
        customer = Customer.objects.filter(pk=customer_id).first()
        if customer is None:
            return
        if found := identities.contacts_of_customer(customer):
            events.announce(*(f"contact:{pk}" for pk in found))


@receiver(orders_imported)
def tell_browsers_of_many(sender: Any, *, order_ids: list[int], **_: Any) -> None:
    with transaction.atomic():
        topics = {f"contact:{pk}" for pk in identities.contacts_of_many(order_ids)}
        for pair in Order.objects.filter(pk__in=order_ids).values_list("email", "phone"):
            topics |= {events.person_topic(value) for value in pair if value}
        if topics:
            events.announce("decisions", *topics)


@receiver(event_recorded)
def write_messages(sender: Any, *, event_id: int, **_: Any) -> None:
    queue.enqueue("inbox.tasks.handle_event", event_id)


@receiver(ledger_read)
def enter_opt_outs(sender: Any, *, entries: list[dict[str, str]], **_: Any) -> None:
    opt_outs.enter_again(entries)


@receiver(user_logged_in)
def begin_session(sender: Any, *, request: Any, user: Any, **_: Any) -> None:
    """By whatever door: the inbox's own, or the admin's."""
    sessions.begin(request, user, now=timezone.now())


@receiver(user_logged_out)
def finish_session(sender: Any, *, request: Any, **_: Any) -> None:
    sessions.finish(request)
