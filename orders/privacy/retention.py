"""Retention: personal data is erased once it is old enough, in batches, one rule per kind of data.

Each app registers its own rules; a setting of 0 keeps the data forever. The hourly run looks only at
what is old and not erased yet, by an index, and at a limited number of rows: where it stopped is kept
in a row for the next run.
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

from core.database import sweeps
from core.database.keyset import rows_after
from orders.models import (
    IS_NAMED,
    SENDABLE_STATES,
    Checkout,
    Customer,
    Order,
    OrderAction,
    RetentionPosition,
)
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
# How many rows that turn out to be spared one hourly run passes over, for each rule.
_PASSED_OVER: Final = 10_000
# What the rows of a rule are sorted by: its column, if it has one, and the primary key.
Place = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How one kind of data expires.

    `due` finds rows older than a given time. It is read in the order of `by` and the primary key,
    and an index in that order should hold no row that is done with. `apply` masks or deletes locked
    rows and returns how many. `spared` returns the IDs of those rows that must stay after all; what
    takes other tables to decide belongs there, since it is asked for one batch at a time.
    """

    name: str
    setting: str
    due: Callable[[datetime], Rows]
    apply: Callable[[Sequence[Any]], int]
    spared: Callable[[Sequence[Any], datetime], Set[object]] | None = None
    by: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that say in which order rows are read."""
        return (self.by, "pk") if self.by else ("pk",)

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
    left = len(RULES)

    def run(rule: Rule) -> None:
        nonlocal left
        # Each gets its share of the time that is left, so that no rule keeps the others from running.
        started = time.monotonic()
        share, left = (until - started) / left, left - 1
        walk = _Walk(rule, until=started + share, is_limited=seconds != float("inf"))
        done[rule.name] = walk.go(now, _apply_batch_or_rows)

    # A rule that fails must not stop the others from running, either.
    sweeps.each(RULES, run)
    return done


def preview(*, now: datetime) -> dict[str, int]:
    """Return how many rows `apply` would change, by rule name. Changes nothing."""
    return {rule.name: _Walk(rule).go(now, _count_batch) for rule in RULES}


@dataclass(slots=True)
class _Walk:
    """One run over the rows of a rule.

    A limited one begins where the last one stopped, and stops after _PASSED_OVER rows in vain.
    """

    rule: Rule
    until: float = float("inf")
    is_limited: bool = False

    def go(self, now: datetime, work: Callable[[Rule, datetime, list[object]], int]) -> int:
        """Work on batch after batch; return how many rows were handled."""
        cutoff = self.rule.cutoff(now)
        if cutoff is None:
            return 0
        last = self._begin()
        done = vain = 0
        while time.monotonic() < self.until and vain < _PASSED_OVER:
            places = self._next(cutoff, last)
            if not places:
                last = None
                break
            handled = work(self.rule, cutoff, [place[-1] for place in places])
            done += handled
            vain += (len(places) - handled) * self.is_limited
            last = places[-1]
        self._end(last)
        return done

    def _next(self, cutoff: datetime, last: Place | None) -> list[Place]:
        rows = self.rule.due(cutoff).order_by(*self.rule.columns)
        if last is not None:
            rows = rows.filter(
                rows_after(self.rule.columns, last) if self.rule.by else Q(pk__gt=last[0])
            )
        return list(rows.values_list(*self.rule.columns)[:_BATCH])

    def _begin(self) -> Place | None:
        if not self._is_resumed:
            return None
        kept = RetentionPosition.objects.filter(rule=self.rule.name).first()
        if kept is None:
            return None
        return (kept.at, kept.key) if self.rule.by else (kept.key,)

    def _end(self, last: Place | None) -> None:
        """Keep the place; None, at the end, makes the next run begin again."""
        if not self._is_resumed:
            return
        if last is None:
            RetentionPosition.objects.filter(rule=self.rule.name).delete()
            return
        at = last[0] if self.rule.by else None
        RetentionPosition.objects.update_or_create(
            rule=self.rule.name, defaults={"at": at, "key": last[-1]}
        )

    @property
    def _is_resumed(self) -> bool:
        # Rows that aren't spared are gone from `due` once they are handled.
        return self.is_limited and self.rule.spared is not None


def _apply_batch(rule: Rule, cutoff: datetime, keys: list[object]) -> int:
    if rule.spared is not None:
        # Before locking anything: mostly, all of them stay.
        keys = [row.pk for row in _still_due(rule, cutoff, keys)]
    if not keys:
        return 0
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


def _still_due(rule: Rule, cutoff: datetime, keys: list[object]) -> list[Any]:
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
    return Customer.objects.filter(IS_NAMED, shop_updated_at__lt=cutoff)


def _unread_customers(cutoff: datetime) -> Rows:
    """Customers known only from orders. How old they are is how old their orders are."""
    return Customer.objects.filter(IS_NAMED, shop_updated_at=None)


def _with_orders(customers: Sequence[Customer], cutoff: datetime) -> set[object]:
    """Return the IDs of the customers with orders that aren't masked."""
    known = Order.objects.filter(
        store=OuterRef("store"), customer_gid=OuterRef("gid"), masked_at=None
    )
    rows = Customer.objects.filter(Exists(known), pk__in=[row.pk for row in customers])
    return set(rows.values_list("pk", flat=True))


def _old_checkouts(cutoff: datetime) -> Rows:
    named = Checkout.objects.exclude(name="", email="", phone="")
    return named.filter(active_at__lt=cutoff)


def _recent_log(rows: Sequence[LogEntry], cutoff: datetime) -> set[object]:
    return {row.pk for row in rows if row.action_time >= cutoff}


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
        by="shop_updated_at",
    ),
    Rule(
        name="customers",
        setting="RETENTION_ORDER_PERSONAL_DAYS",
        due=_inactive_customers,
        apply=CUSTOMER_HOLDING.mask,
        spared=_with_orders,
        by="shop_updated_at",
    ),
    Rule(
        name="customers known from orders",
        setting="RETENTION_ORDER_PERSONAL_DAYS",
        due=_unread_customers,
        apply=CUSTOMER_HOLDING.mask,
        spared=_with_orders,
    ),
    Rule(
        name="checkouts",
        setting="RETENTION_ORDER_PERSONAL_DAYS",
        due=_old_checkouts,
        apply=CHECKOUT_HOLDING.mask,
        by="active_at",
    ),
    Rule(
        name="sessions",
        setting="RETENTION_SESSION_DAYS",
        # An expired session is useless, however long the log is kept.
        due=lambda cutoff: Session.objects.filter(expire_date__lt=timezone.now()),
        apply=_delete,
        by="expire_date",
    ),
    Rule(
        name="admin log",
        setting="RETENTION_SESSION_DAYS",
        # Django's table, which has no index on the time.
        due=lambda cutoff: LogEntry.objects.all(),
        apply=_delete,
        spared=_recent_log,
    ),
)
