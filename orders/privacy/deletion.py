"""The walk of a deletion through the registry, a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import Manager, Model

from orders.models import Order, PrivacyRequest, PrivacyState
from orders.privacy.registry import (
    REGISTRY,
    Holding,
    Scope,
)
from orders.privacy.requests import TRY_AGAIN, end

_BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class Batch:
    """`place`: where the next one begins (which query set, after which key); None: there is
    none."""

    looked_at: int
    masked: int
    place: list[int] | None


def step(request: PrivacyRequest, scope: Scope, now: datetime) -> bool:
    """One batch. False: the walk is over, or has to wait."""
    with transaction.atomic(durable=True):
        locked = PrivacyRequest.objects.select_for_update(of=("self",)).get(pk=request.pk)
        if locked.state != PrivacyState.WORKING:
            return False
        # A transaction each: the rows of the next one may stand before these in the one order
        # in which rows are locked.
        looked_at = _advance(locked, scope, now)
        locked.save(update_fields=["progress", "evidence", "next_attempt_at", "note"])
        if locked.progress.get("is_over"):
            end(locked, PrivacyState.DONE, now=now, note="")
    return looked_at is not None


def _advance(request: PrivacyRequest, scope: Scope, now: datetime) -> int | None:
    """The next batch of the walk, noted in the row in hand: how many rows were looked at.
    None: it is over, or has to wait."""
    progress, rows = request.progress, request.evidence["rows"]
    holdings = REGISTRY.of_customers()
    at = progress.get("holding", 0)
    if at < len(holdings):
        holding = holdings[at]
        batch = mask_batch(holding, scope, progress.get("place", [0, 0]))
        if batch.place is None and _is_waiting(holding, scope):
            # From its beginning: what ends meanwhile may have any key.
            request.progress = {"holding": at}
            request.next_attempt_at = now + TRY_AGAIN
            request.note = "Waits until actions or webhooks of these orders have ended."
            return None
        rows[holding.label] = rows.get(holding.label, 0) + batch.masked
        request.progress = (
            {"holding": at + 1} if batch.place is None else {"holding": at, "place": batch.place}
        )
        return batch.looked_at
    if scope.is_whole_store and (left := _wipe_batch(scope)):
        label, count = left
        rows[f"{label} deleted"] = rows.get(f"{label} deleted", 0) + count
        return count
    request.progress = {"is_over": True}
    return None


def mask_batch(holding: Holding, scope: Scope, place: list[int]) -> Batch:
    part, after = place
    found = list(holding.rows(scope))
    if part >= len(found):
        return Batch(0, 0, None)
    # Keys first: the rows are read again under their lock, as they are then.
    keys = list(
        found[part].order_by("pk").filter(pk__gt=after).values_list("pk", flat=True)[:_BATCH]
    )
    if not keys:
        return Batch(0, 0, [part + 1, 0])
    _lock_orders(holding.model, keys)
    locked = holding.model._base_manager.select_for_update().filter(pk__in=keys)
    rows = [row for row in locked.order_by("pk") if not holding.holds or holding.holds(row, scope)]
    masked = holding.mask(rows) if rows else 0
    # A batch that was not full was the last of its query set.
    following = [part, keys[-1]] if len(keys) == _BATCH else [part + 1, 0]
    return Batch(len(keys), masked, following)


def _lock_orders(model: type[Model], keys: list[int]) -> None:
    """Of parts of orders, the orders first, by their ids: as whoever reads or acts on them."""
    if not hasattr(model, "order_id"):
        return
    parts: Manager[Any] = model._base_manager
    orders = Order.objects.filter(pk__in=parts.filter(pk__in=keys).values("order_id"))
    list(orders.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))


def _is_waiting(holding: Holding, scope: Scope) -> bool:
    if holding.waits_for is None:
        return False
    rows = holding.waits_for(scope)
    return any(holding.holds is None or holding.holds(row, scope) for row in rows.iterator())


def _wipe_batch(scope: Scope) -> tuple[str, int] | None:
    for label, wipe in REGISTRY.wipers.items():
        if count := wipe(scope, _BATCH):
            return label, count
    return None
