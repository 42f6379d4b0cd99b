"""The same rows written with the plain ORM, with no thought of speed: baselines of project_*."""

from __future__ import annotations

from collections.abc import Callable

from django.db import models, transaction
from django.utils import timezone

from core.json_types import JsonObject
from orders.models import (
    Customer,
    Order,
    OrderEvent,
    OrderFulfillment,
    OrderLine,
    OrderRefund,
    OrderTracking,
    OrderTransaction,
    Store,
)
from orders.models.orders import OrderPart
from orders.projection import (
    columns as rows,
)
from orders.projection import (
    events as history,
)
from orders.snapshot import OrderSnapshot, encode

PARTS: dict[type[OrderPart], Callable[[int, OrderSnapshot], list[JsonObject]]] = {
    OrderLine: rows.lines,
    OrderFulfillment: rows.fulfillments,
    OrderTransaction: rows.transactions,
    OrderRefund: rows.refunds,
}


def save_each(store: Store, snapshot: OrderSnapshot) -> None:
    """Fetch, change and save every row; one transaction per order."""
    with transaction.atomic():
        order = Order.objects.select_for_update().filter(store=store, gid=snapshot.gid).first()
        order = order or Order(store=store, gid=snapshot.gid)
        _save(order, rows.order_columns(snapshot, encode(snapshot)))
        for model, columns in PARTS.items():
            held = {row.gid: row for row in model._default_manager.filter(order=order)}
            for row in columns(order.pk, snapshot):
                gid = str(row["gid"])
                _save(held.pop(gid) if gid in held else model(), row)
            for gone in held.values():
                gone.delete()
        sent = {(row.fulfillment_gid, row.number): row for row in order.trackings.all()}
        for row in rows.trackings(order.pk, snapshot):
            _save(
                sent.get((str(row["fulfillment_gid"]), str(row["number"]))) or OrderTracking(), row
            )
        assert snapshot.customer
        person = rows.customer(store.pk, snapshot.customer)
        _save(Customer.objects.filter(store=store, gid=person["gid"]).first() or Customer(), person)
        known = set(order.events.values_list("key", flat=True))
        for row in history.first_events(order.pk, snapshot, connected_at=store.connected_at):
            if row["key"] not in known:
                _save(OrderEvent(), row)


def update_or_create_each(store: Store, snapshot: OrderSnapshot) -> None:
    """Write row by row with update_or_create; one transaction per order."""
    with transaction.atomic():
        order, _ = Order.objects.update_or_create(
            store=store, gid=snapshot.gid, defaults=rows.order_columns(snapshot, encode(snapshot))
        )
        for model, columns in PARTS.items():
            for row in columns(order.pk, snapshot):
                model._default_manager.update_or_create(
                    order_id=row.pop("order_id"), gid=row.pop("gid"), defaults=row
                )
        for row in rows.trackings(order.pk, snapshot):
            OrderTracking.objects.update_or_create(
                order=order,
                fulfillment_gid=row["fulfillment_gid"],
                number=row["number"],
                defaults=row,
            )
        assert snapshot.customer
        person = rows.customer(store.pk, snapshot.customer)
        Customer.objects.update_or_create(store=store, gid=person["gid"], defaults=person)
        for row in history.first_events(order.pk, snapshot, connected_at=store.connected_at):
            OrderEvent.objects.update_or_create(order=order, key=row["key"], defaults=row)


def bulk_create(store: Store, snapshots: list[OrderSnapshot]) -> None:
    """Write table by table with bulk_create(update_conflicts), all orders of the list at once."""
    with transaction.atomic():
        _upsert(
            Order,
            [
                {"store_id": store.pk, "gid": one.gid} | rows.order_columns(one, encode(one))
                for one in snapshots
            ],
            ["store_id", "gid"],
        )
        gids = [one.gid for one in snapshots]
        ids = dict(Order.objects.filter(store=store, gid__in=gids).values_list("gid", "pk"))
        pairs = [(ids[one.gid], one) for one in snapshots]
        for model, columns in PARTS.items():
            _upsert(model, [row for pair in pairs for row in columns(*pair)], ["order_id", "gid"])
        OrderTracking.objects.filter(order__in=ids.values()).delete()
        OrderTracking.objects.bulk_create(
            OrderTracking(**row) for pair in pairs for row in rows.trackings(*pair)
        )
        people = {
            one.customer.gid: rows.customer(store.pk, one.customer)
            for one in snapshots
            if one.customer
        }
        _upsert(Customer, list(people.values()), ["store_id", "gid"])
        now = timezone.now()
        events = [
            row | {"recorded_at": now}
            for pair in pairs
            for row in history.first_events(*pair, connected_at=store.connected_at)
        ]
        OrderEvent.objects.bulk_create([OrderEvent(**row) for row in events], ignore_conflicts=True)


def _save(row: models.Model, columns: JsonObject) -> None:
    for name, value in columns.items():
        setattr(row, name, value)
    row.save()


def _upsert(model: type[models.Model], found: list[JsonObject], unique: list[str]) -> None:
    if not found:
        return
    model._default_manager.bulk_create(
        [model(**row) for row in found],
        update_conflicts=True,
        unique_fields=unique,
        update_fields=[name for name in found[0] if name not in unique],
    )
