"""What this app shows on the admin's front page and in /metrics (orders.desk)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.contrib.auth.models import User
from django.db.models import Count, F, Min, Sum
from django.db.models.functions import Coalesce, Greatest
from django.urls import reverse

from orders import policies
from orders.desk import DESK, Metric, Sample, Tile, seconds_since
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

# From here on a person should know that their day is nearly used up.
_NEARLY: Final = Decimal("0.8")


def tiles(now: datetime) -> Iterator[Tile]:
    """Money and limits, a store at a time. Six queries."""
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
            value="\n".join(money.format("en") for money in sums) or "None",
            hint="By anybody, Shopify's own staff included.",
            url=reverse("admin:orders_money"),
            permission="orders.view_orderaction",
            store_id=store.pk,
        )
        if worst:
            name, spent, limit = worst
            share = spent / limit
            yield Tile(
                title="Closest to the day's limit",
                value=f"{name}: {int(share * 100)} %",
                hint=f"{Money(spent, store.currency).format('en')} of "
                f"{Money(limit, store.currency).format('en')} in 24 hours.",
                url=reverse("admin:orders_policy_changelist"),
                permission="orders.view_policy",
                tone="critical" if share >= 1 else "warning" if share >= _NEARLY else "default",
                store_id=store.pk,
            )
        if count := blocked.get(store.pk, 0):
            yield Tile(
                title="Wait for an administrator",
                value=str(count),
                hint="Shopify refused our access. Mend the connection; they go on by themselves.",
                url=f"{actions}?state__exact=blocked&order__store__id__exact={store.pk}",
                permission="orders.view_orderaction",
                tone="critical",
                store_id=store.pk,
            )
        if store.is_frozen:
            yield Tile(
                title="Frozen",
                value="Nothing is sent",
                hint="Cancelations and refunds wait until the store is unfrozen.",
                url=reverse("admin:orders_store_change", args=[store.pk]),
                permission="orders.view_store",
                tone="warning",
                store_id=store.pk,
            )


def metrics(now: datetime) -> Iterator[Metric]:
    """Three queries."""
    states = dict.fromkeys(ACTIVE_STATES, 0)
    rows = OrderAction.objects.active().values("state").annotate(n=Count("pk")).order_by()
    states |= {ActionState(row["state"]): row["n"] for row in rows}
    yield Metric(
        name="agent_inbox_actions",
        help="Cancelations and refunds that have not ended, by state.",
        samples=tuple(Sample(n, {"state": state.value}) for state, n in states.items()),
    )
    # When an action asked for now was due: when it was asked for; later when it was put off.
    due_at = Greatest(F("requested_at"), Coalesce(F("next_attempt_at"), F("requested_at")))
    oldest = OrderAction.objects.due(now=now).aggregate(at=Min(due_at))["at"]
    yield Metric(
        name="agent_inbox_oldest_due_action_seconds",
        help="For how long the oldest due action has waited for a worker; 0: none is due.",
        samples=(Sample(seconds_since(oldest, now)),),
    )
    dirty = Order.objects.dirty().aggregate(n=Count("pk"))["n"]
    yield Metric(
        name="agent_inbox_orders_unread",
        help="Orders known to have changed at Shopify and not read again yet.",
        samples=(Sample(dirty),),
    )


def _counts(actions: Any) -> dict[int, int]:
    rows = actions.values("order__store_id").annotate(n=Count("pk")).order_by()
    return {row["order__store_id"]: row["n"] for row in rows}


def _refunded(now: datetime) -> dict[int, list[Money]]:
    events = OrderEvent.objects.filter(
        kind=EventKind.REFUNDED, occurred_at__gt=now - policies.DAY, amount__gt=0
    )
    rows = events.values("order__store_id", "currency").annotate(sum=Sum("amount"))
    sums: dict[int, list[Money]] = defaultdict(list)
    for row in rows.order_by("order__store_id", "currency"):
        sums[row["order__store_id"]].append(Money(row["sum"], row["currency"]))
    return sums


def _spending(stores: list[Store], now: datetime) -> dict[int, list[tuple[str, Decimal, Decimal]]]:
    """(person, spent, day's limit) of everybody who spent something and has a limit."""
    rows = policies.spending(now=now).values("order__store_id", "requested_by_id")
    spent = list(rows.annotate(sum=Sum("amount_shop")).order_by())
    people = User.objects.filter(pk__in={row["requested_by_id"] for row in spent})
    known = {user.pk: user for user in people.prefetch_related("groups")}
    all_policies = list(Policy.objects.all())
    found: dict[int, list[tuple[str, Decimal, Decimal]]] = defaultdict(list)
    for row in spent:
        user, store_id = known[row["requested_by_id"]], row["order__store_id"]
        roles = {group.pk for group in user.groups.all()}
        policy = policies.effective(all_policies, roles=roles, store_id=store_id)
        if policy and policy.refund_per_day:
            found[store_id].append((user.get_username(), row["sum"], policy.refund_per_day))
    return found


DESK.tiles.append(tiles)
DESK.metrics.append(metrics)
