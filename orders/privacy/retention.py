"""Retention: personal data is erased once it is old enough, in batches, one rule per kind of data.

Each app registers its own rules; a setting of 0 keeps the data forever.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from core import sweeps
from orders.models import SENDABLE_STATES, Checkout, Customer, Order, OrderAction
from orders.privacy.own_columns import (
    CHECKOUT_HOLDING,
    CUSTOMER_HOLDING,
    ORDER_HOLDINGS,
)
from orders.privacy.registry import (
    Rows,
    Scope,
)

logger = logging.getLogger(__name__)

_BATCH: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How one kind of data expires.

    `due` finds rows older than a given time. `apply` masks or deletes locked rows and returns how
    many. `spared` returns the IDs of those rows that must stay after all.
    """

    name: str
    setting: str
    due: Callable[[datetime], Rows]
    apply: Callable[[Sequence[Any]], int]
    spared: Callable[[Sequence[Any], datetime], Set[object]] | None = None

    def cutoff(self, now: datetime) -> datetime | None:
        """Return the time before which data is due; None if it is kept forever."""
        kept: int = getattr(settings, self.setting)
        days = kept * 365 / 12 if self.setting.endswith("_MONTHS") else kept
        return now - timedelta(days=days) if kept else None


# Returns the IDs of those orders whose customers we have been in contact with since that time.
InContact = Callable[[Sequence[Order], datetime], set[int]]
RULES: Final[list[Rule]] = []
CONTACT_CHECKS: Final[list[InContact]] = []


def register(*rules: Rule) -> None:
    """Add retention rules; each app calls this when it loads."""
    RULES.extend(rules)


def apply(*, now: datetime, seconds: float = float("inf")) -> dict[str, int]:
    """Run every rule, for about `seconds` in total; return rows handled by rule name.

    The next run picks up what is left.
    """
    until = time.monotonic() + seconds
    done = dict.fromkeys((rule.name for rule in RULES), 0)

    def run(rule: Rule) -> None:
        done[rule.name] = _run(rule, now, until, _apply_batch_or_rows)

    # A rule that fails must not stop the others from running.
    sweeps.each(RULES, run)
    return done


def preview(*, now: datetime) -> dict[str, int]:
    """Return how many rows `apply` would change, by rule name. Changes nothing."""
    return {rule.name: _run(rule, now, float("inf"), _count_batch) for rule in RULES}


def _run(
    rule: Rule, now: datetime, until: float, work: Callable[[Rule, datetime, list[object]], int]
) -> int:
    cutoff = rule.cutoff(now)
    if cutoff is None:
        return 0
    done, last = 0, None
    while time.monotonic() < until:
        rows = rule.due(cutoff).order_by("pk")
        if last is not None:
            rows = rows.filter(pk__gt=last)
        keys = list(rows.values_list("pk", flat=True)[:_BATCH])
        if not keys:
            break
        done += work(rule, cutoff, keys)
        last = keys[-1]
    return done


def _apply_batch(rule: Rule, cutoff: datetime, keys: list[object]) -> int:
    with transaction.atomic(durable=True):
        model = rule.due(cutoff).model
        # The global lock order: store by store, each by ID.
        by = ("store_id", "pk") if hasattr(model, "store_id") else ("pk",)
        rows_of = model._base_manager.select_for_update().filter(pk__in=keys)
        locked = list(rows_of.order_by(*by))
        # Checked again under the lock, since something may have happened to them by now.
        rows = _still_due(rule, cutoff, [row.pk for row in locked])
        return rule.apply(rows) if rows else 0


def _apply_batch_or_rows(rule: Rule, cutoff: datetime, keys: list[object]) -> int:
    """Apply the batch; if it fails, apply its rows one by one, so one can't block the others.

    A row that fails is tried again on the next run.
    """
    try:
        return _apply_batch(rule, cutoff, keys)
    except Exception:
        logger.exception("retention: a batch of %s failed; retrying its rows one by one", rule.name)
    done: list[int] = []
    sweeps.each(keys, lambda key: done.append(_apply_batch(rule, cutoff, [key])))
    return sum(done)


def _count_batch(rule: Rule, cutoff: datetime, keys: list[object]) -> int:
    return len(_still_due(rule, cutoff, keys))


def _still_due(rule: Rule, cutoff: datetime, keys: list[object]) -> list[object]:
    rows = list(rule.due(cutoff).filter(pk__in=keys))
    spared = rule.spared(rows, cutoff) if rule.spared else set()
    return [row for row in rows if row.pk not in spared]


def _old_orders(cutoff: datetime) -> Rows:
    active = OrderAction.objects.filter(order=OuterRef("pk"), state__in=SENDABLE_STATES)
    read = Order.objects.filter(masked_at=None, shop_updated_at__lt=cutoff).exclude(document="")
    return read.filter(~Exists(active))


def _in_contact(orders: Sequence[Order], cutoff: datetime) -> set[int]:
    return set[int]().union(*(check(orders, cutoff) for check in CONTACT_CHECKS))


def _mask_orders(orders: Sequence[Order]) -> int:
    for store_id in {order.store_id for order in orders}:
        ids = tuple(order.pk for order in orders if order.store_id == store_id)
        scope = Scope(store_id=store_id, order_ids=ids)
        for holding in ORDER_HOLDINGS:
            for rows in holding.rows(scope):
                holding.mask(list(rows))
    return len(orders)


def _inactive_customers(cutoff: datetime) -> Rows:
    """Customers with no unmasked orders and no change since the cutoff."""
    known = Order.objects.filter(
        store=OuterRef("store"), customer_gid=OuterRef("gid"), masked_at=None
    )
    named = Customer.objects.exclude(name="", email="", phone="", locale="", tags=[], note="")
    quiet = Q(shop_updated_at=None) | Q(shop_updated_at__lt=cutoff)
    return named.filter(quiet, ~Exists(known))


def _old_checkouts(cutoff: datetime) -> Rows:
    named = Checkout.objects.exclude(name="", email="", phone="")
    return named.filter(active_at__lt=cutoff)


def _delete(rows: Sequence[models.Model]) -> int:
    type(rows[0])._base_manager.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)


register(
    Rule(
        name="orders",
        setting="RETENTION_ORDER_PERSONAL_DAYS",
        due=_old_orders,
        apply=_mask_orders,
        spared=_in_contact,
    ),
    Rule(
        name="customers",
        setting="RETENTION_ORDER_PERSONAL_DAYS",
        due=_inactive_customers,
        apply=CUSTOMER_HOLDING.mask,
    ),
    Rule(
        name="checkouts",
        setting="RETENTION_ORDER_PERSONAL_DAYS",
        due=_old_checkouts,
        apply=CHECKOUT_HOLDING.mask,
    ),
    Rule(
        name="sessions",
        setting="RETENTION_SESSION_DAYS",
        # An expired session is useless, however long the log is kept.
        due=lambda cutoff: Session.objects.filter(expire_date__lt=timezone.now()),
        apply=_delete,
    ),
    Rule(
        name="admin log",
        setting="RETENTION_SESSION_DAYS",
        due=lambda cutoff: LogEntry.objects.filter(action_time__lt=cutoff),
        apply=_delete,
    ),
)
