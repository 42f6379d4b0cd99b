"""The inbox's ears for orders.signals. A lost signal is found by the sweeps in tasks."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from inbox import identities, live
from orders.models import Order
from orders.signals import event_recorded, order_changed, orders_imported


@receiver(order_changed)
def tell_browsers(sender: Any, *, order_id: int, **_: Any) -> None:
    order = Order.objects.filter(pk=order_id).first()
    if order is not None:
        contacts = [f"contact:{pk}" for pk in identities.contacts_of(order)]
        live.publish(["decisions", f"order:{order_id}", *contacts])


@receiver(orders_imported)
def tell_browsers_of_many(sender: Any, *, order_ids: list[int], **_: Any) -> None:
    contacts = identities.contacts_of_many(order_ids)
    if contacts:
        live.publish(["decisions", *(f"contact:{pk}" for pk in contacts)])


@receiver(event_recorded)
def write_messages(sender: Any, *, event_id: int, **_: Any) -> None:
    from inbox.tasks import handle_event, ring

    ring(handle_event, event_id)
