"""A deletion's walk through the registry, one batch at a time."""

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
    """The result of one batch.

    `place` is where the next batch starts: an index into the holding's query sets, and the last key
    handled there. None means the holding is finished.
    """

    looked_at: int
    masked: int
    place: list[int] | None


def step(request: PrivacyRequest, scope: Scope, now: datetime) -> bool:
    """Run one batch in its own transaction. False if the walk is over or has to wait."""
    with transaction.atomic(durable=True):
        locked = PrivacyRequest.objects.select_for_update(of=("self",)).get(pk=request.pk)
        if locked.state != PrivacyState.WORKING:
            return False
        # One transaction per batch: the next batch may contain rows that come before these in
        # the global lock order.
        looked_at = _advance(locked, scope, now)
        locked.save(update_fields=["progress", "evidence", "next_attempt_at", "note"])
        if locked.progress.get("is_over"):
            end(locked, PrivacyState.DONE, now=now, note="")
    return looked_at is not None


def _advance(request: PrivacyRequest, scope: Scope, now: datetime) -> int | None:
    """Run the walk's next batch and record it on the given row, which the caller saves.

    Return how many rows were looked at; None if the walk is over or has to wait.
    """
    progress, rows = request.progress, request.evidence["rows"]
    holdings = REGISTRY.of_customers()
    at = progress.get("holding", 0)
    if at < len(holdings):
        holding = holdings[at]
        batch = mask_batch(holding, scope, progress.get("place", [0, 0]))
        if batch.place is None and _is_waiting(holding, scope):
            # Start over from the beginning: rows that finish in the meantime may have any key.
            request.progress = {"holding": at}
            request.next_attempt_at = now + TRY_AGAIN
            request.note = "Waiting for actions or webhooks for these orders to finish."
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
    """Mask or delete one batch of a holding's rows, starting at `place`.

    Expects a transaction; locks the rows, and the orders they belong to, until its end.
    """
    part, after = place
    found = list(holding.rows(scope))
    if part >= len(found):
        return Batch(0, 0, None)
    # Collect keys first: the rows are then read under their lock, in their current state.
    keys = list(
        found[part].order_by("pk").filter(pk__gt=after).values_list("pk", flat=True)[:_BATCH]
    )
    if not keys:
        return Batch(0, 0, [part + 1, 0])
    _lock_orders(holding.model, keys)
    locked = holding.model._base_manager.select_for_update().filter(pk__in=keys)
    rows = [row for row in locked.order_by("pk") if not holding.holds or holding.holds(row, scope)]
    masked = holding.mask(rows) if rows else 0
    # A batch that wasn't full was the last of its query set.
    following = [part, keys[-1]] if len(keys) == _BATCH else [part + 1, 0]
    return Batch(len(keys), masked, following)


def _lock_orders(model: type[Model], keys: list[int]) -> None:
    """For rows that belong to orders, lock the orders first, by ID, as all other code does."""
    if not hasattr(model, "order_id"):
        return
    parts: Manager[Any] = model._base_manager
    orders = Order.objects.filter(pk__in=parts.filter(pk__in=keys).values("order_id"))
    list(orders.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))


def _is_waiting(holding: Holding, scope: Scope) -> bool:
    """Whether rows that must not be masked yet still have to finish."""
    if holding.waits_for is None:
        return False
    rows = holding.waits_for(scope)
    return any(holding.holds is None or holding.holds(row, scope) for row in rows.iterator())


def _wipe_batch(scope: Scope) -> tuple[str, int] | None:
    """Delete a batch of a wiped store's rows; (label, count), or None when none are left."""
    for label, wipe in REGISTRY.wipers.items():
        if count := wipe(scope, _BATCH):
            return label, count
    return None
