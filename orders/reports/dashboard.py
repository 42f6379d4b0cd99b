"""This app's tiles on the admin's front page and its metrics in /metrics (core.dashboard)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final

from django.contrib.auth.models import User
from django.db.models import Count, F, Min, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, Greatest
from django.urls import reverse

from core.dashboard import (
    DESK,
    Metric,
    Sample,
    Tile,
    seconds_since,
)
from orders import policies
from orders.models import (
    ACTIVE_STATES,
    ActionState,
    EventKind,
    Order,
    OrderAction,
    OrderEvent,
    Policy,
    Store,
)
from orders.money import Money

# From this share of the daily limit on, the tile warns.
_WARNING_SHARE: Final = Decimal("0.8")


def tiles(now: datetime) -> Iterator[Tile]:
    """Yield tiles about money and limits, store by store. Six queries."""
    stores = list(Store.objects.active())
    blocked = _counts(OrderAction.objects.filter(state=ActionState.BLOCKED))
    refunded = _refunded(now)
    spending = _spending(stores, now)
    actions = reverse("admin:orders_orderaction_changelist")
    for store in stores:
        sums = refunded.get(store.pk, [])
        people = spending.get(store.pk, [])
        worst = max(people, key=lambda person: person[1] / person[2], default=None)
        yield Tile(
            title="Refunded in 24 hours",
            value="\n".join(_refunded_text(*pair) for pair in sums) or "None",
            hint="By anyone, including staff in Shopify. Test orders are excluded.",
            url=reverse("admin:orders_money"),
            permission="orders.view_orderaction",
            store_id=store.pk,
        )
        if worst:
            name, spent, limit = worst
            share = spent / limit
            yield Tile(
                title="Closest to the daily limit",
                value=f"{name}: {int(share * 100)} %",
                hint=f"{Money(spent, store.currency).format('en')} of "
                f"{Money(limit, store.currency).format('en')} in 24 hours.",
                url=reverse("admin:orders_policy_changelist"),
                permission="orders.view_policy",
                tone="critical"
                if share >= 1
                else "warning"
                if share >= _WARNING_SHARE
                else "default",
                store_id=store.pk,
            )
        if count := blocked.get(store.pk, 0):
            yield Tile(
                title="Waiting for an administrator",
                value=str(count),
                hint="Shopify denied access. Fix the connection; these then continue "
                "automatically.",
                url=f"{actions}?state__exact=blocked&order__store__id__exact={store.pk}",
                permission="orders.view_orderaction",
                tone="critical",
                store_id=store.pk,
            )
        if store.is_frozen:
            yield Tile(
                title="Frozen",
                value="Nothing is sent",
                hint="Cancellations and refunds wait until the store is unfrozen.",
                url=reverse("admin:orders_store_change", args=[store.pk]),
                permission="orders.view_store",
                tone="warning",
                store_id=store.pk,
            )


def metrics(now: datetime) -> Iterator[Metric]:
    """Yield metrics about actions and unread orders. Three queries."""
    states = dict.fromkeys(ACTIVE_STATES, 0)
    rows = OrderAction.objects.active().values("state").annotate(n=Count("pk")).order_by()
    states |= {ActionState(row["state"]): row["n"] for row in rows}
    yield Metric(
        name="agent_inbox_actions",
        help="Unfinished cancellations and refunds, by state.",
        samples=tuple(Sample(n, {"state": state.value}) for state, n in states.items()),
    )
    # An action is due from its request on, or from its next attempt if it was postponed.
    due_at = Greatest(F("requested_at"), Coalesce(F("next_attempt_at"), F("requested_at")))
    oldest = OrderAction.objects.due(now=now).aggregate(at=Min(due_at))["at"]
    yield Metric(
        name="agent_inbox_oldest_due_action_seconds",
        help="How long the oldest due action has waited for a worker; 0 if none is due.",
        samples=(Sample(seconds_since(oldest, now)),),
    )
    dirty = Order.objects.dirty().aggregate(n=Count("pk"))["n"]
    yield Metric(
        name="agent_inbox_orders_unread",
        help="Orders known to have changed in Shopify and not reread yet.",
        samples=(Sample(dirty),),
    )


def _counts(actions: QuerySet[OrderAction]) -> dict[int, int]:
    rows = actions.values("order__store_id").annotate(n=Count("pk")).order_by()
    return {row["order__store_id"]: row["n"] for row in rows}


def _refunded(now: datetime) -> dict[int, list[tuple[Money, Money]]]:
    """Sum up the last 24 hours' refunds by store: (moved, not confirmed) per currency."""
    events = OrderEvent.objects.with_moved().filter(
        Q(moved__gt=0) | Q(waiting__gt=0),
        kind=EventKind.REFUNDED,
        order__is_test=False,
        occurred_at__gt=now - policies.DAY,
    )
    rows = events.values("order__store_id", "currency").annotate(
        moved_sum=Sum("moved"), waiting_sum=Sum("waiting")
    )
    sums: dict[int, list[tuple[Money, Money]]] = defaultdict(list)
    for row in rows.order_by("order__store_id", "currency"):
        moved = Money(row["moved_sum"] or Decimal(0), row["currency"])
        waiting = Money(row["waiting_sum"] or Decimal(0), row["currency"])
        sums[row["order__store_id"]].append((moved, waiting))
    return sums


def _refunded_text(moved: Money, waiting: Money) -> str:
    text = moved.format("en")
    return f"{text} (+ {waiting.format('en')} not confirmed)" if waiting else text


def _spending(stores: list[Store], now: datetime) -> dict[int, list[tuple[str, Decimal, Decimal]]]:
    """Return (person, spent, daily limit) by store.

    Only people who spent something and have a daily limit.
    """
    spent: dict[tuple[int, int], Decimal] = defaultdict(Decimal)
    for action in policies.spending(now=now).select_related("order"):
        spent[action.order.store_id, action.requested_by_id] += policies.spent_by(action)
    people = User.objects.filter(pk__in={user_id for _store_id, user_id in spent})
    known = {user.pk: user for user in people.prefetch_related("groups")}
    all_policies = list(Policy.objects.all())
    found: dict[int, list[tuple[str, Decimal, Decimal]]] = defaultdict(list)
    for (store_id, user_id), sum_ in sorted(spent.items()):
        user = known[user_id]
        roles = {group.pk for group in user.groups.all()}
        policy = policies.effective(all_policies, roles=roles, store_id=store_id)
        if policy and policy.refund_per_day:
            found[store_id].append((user.get_username(), sum_, policy.refund_per_day))
    return found


DESK.tiles.append(tiles)
DESK.metrics.append(metrics)
