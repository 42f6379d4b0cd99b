"""This app's tiles on the admin's front page and its metrics in /metrics (core.dashboard).

Everything comes from the database: the front page never calls Shopify.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.core.cache import cache
from django.db.models import Count, Max, Min, OuterRef, QuerySet, Subquery, Sum
from django.urls import reverse

from core.dashboard import (
    DESK,
    Metric,
    Sample,
    Tile,
    Tone,
    seconds_since,
)
from orders.models import Store
from shopify_sync.models import (
    Backfill,
    BackfillState,
    Drift,
    EventState,
    ShopConnection,
    WebhookEvent,
    WebhookTally,
)

_DAY: Final = timedelta(hours=24)
# Same as in the doctor: a shop of any size sends something within two days.
_SILENCE: Final = timedelta(days=2)
_DRIFT_A_DAY: Final = 3
# How long the tally of an hour may still be written to after its end.
_CHANGING: Final = timedelta(hours=2)
_PAST: Final = "shopify_sync.past_tallies"
_ANSWERS: Final = ("stored", "duplicates", "unauthorized", "malformed", "unavailable")


def tiles(now: datetime) -> Iterator[Tile]:
    """Yield each store's tiles: connection, silence, drift, dead events, back-fill. Six queries."""
    stores = list(Store.objects.active())
    connections = {row.store_id: row for row in ShopConnection.objects.all()}
    drifts = _by_store(Drift.objects.filter(found_at__gt=now - _DAY))
    dead = _by_store(WebhookEvent.objects.filter(state=EventState.DEAD))
    heard = _heard()
    newest = Backfill.objects.values("store_id").annotate(last=Max("pk")).order_by().values("last")
    backfills = {row.store_id: row for row in Backfill.objects.filter(pk__in=newest)}
    for store in stores:
        row = connections.get(store.pk)
        yield _connection(store, row)
        if row is None:
            continue
        yield _silence(store, row, heard.get(store.pk), now)
        yield _drift(store, drifts.get(store.pk, 0))
        if count := dead.get(store.pk, 0):
            address = reverse("admin:shopify_sync_webhookevent_changelist")
            yield Tile(
                title="Dead events",
                value=str(count),
                hint="Webhooks that couldn't be processed. Review them, then process them again.",
                url=f"{address}?state__exact=dead&store__id__exact={store.pk}",
                permission="shopify_sync.view_webhookevent",
                tone="critical",
                store_id=store.pk,
            )
        if (backfill := backfills.get(store.pk)) and backfill.state != BackfillState.DONE:
            yield _backfill(store, backfill)


def metrics(now: datetime) -> Iterator[Metric]:
    """Yield the webhook, drift and connection metrics. Seven queries at most.

    The tallies only ever grow, so their sums are counters.
    """
    sums = _answers(now)
    yield Metric(
        name="agent_inbox_webhooks_total",
        help="Webhook requests, by how they were answered.",
        kind="counter",
        samples=tuple(Sample(sums[name], {"answer": name}) for name in _ANSWERS),
    )
    # One query for each state: each has an index of its own, and the other rows pile up.
    events = WebhookEvent.objects.filter(state=EventState.WAITING).aggregate(
        waiting=Count("pk"), oldest=Min("received_at")
    )
    events["dead"] = WebhookEvent.objects.filter(state=EventState.DEAD).count()
    yield Metric(
        name="agent_inbox_webhook_events",
        help="Stored webhooks not processed yet, by state. A dead one needs review.",
        samples=tuple(Sample(events[name], {"state": name}) for name in ("waiting", "dead")),
    )
    yield Metric(
        name="agent_inbox_oldest_waiting_webhook_seconds",
        help="How long the oldest waiting webhook has waited; 0 if none is waiting.",
        samples=(Sample(seconds_since(events["oldest"], now)),),
    )
    stores = {store.pk: store.domain for store in Store.objects.active()}
    drifts = _by_store(Drift.objects.filter(found_at__gt=now - timedelta(hours=1)))
    yield Metric(
        name="agent_inbox_drift_last_hour",
        help="Changes that reconciliation found and no webhook reported. Alert above 3.",
        samples=tuple(Sample(drifts.get(pk, 0), {"store": name}) for pk, name in stores.items()),
    )
    broken = set(
        ShopConnection.objects.filter(credentials_ok_at=None).values_list("store_id", flat=True)
    )
    yield Metric(
        name="agent_inbox_store_connected",
        help="1 if Shopify accepted the store's credentials at the last check.",
        samples=tuple(
            Sample(0 if pk in broken else 1, {"store": name}) for pk, name in stores.items()
        ),
    )


def _heard() -> dict[int, datetime]:
    """Return the last hour in which each store sent something; one index lookup per store."""
    # By slot as well, as only the index that begins with the store is sorted: the one of hours alone
    # would be walked to its end for a store that never sent anything.
    sent = WebhookTally.objects.filter(store=OuterRef("pk"), stored__gt=0)
    sent = sent.order_by("-hour", "-slot")
    rows = Store.objects.order_by().annotate(heard=Subquery(sent.values("hour")[:1]))
    return {pk: at for pk, at in rows.values_list("pk", "heard") if at}


def _answers(now: datetime) -> dict[str, int]:
    """Sum up all tallies. Past hours no longer change, so their sums are kept in the cache."""
    over = now.replace(minute=0, second=0, microsecond=0) - _CHANGING
    kept: tuple[datetime, dict[str, int]] | None = cache.get(_PAST)
    since, past = kept or (None, dict.fromkeys(_ANSWERS, 0))
    if since is None or since < over:
        rows = WebhookTally.objects.filter(hour__lt=over)
        past = _added(past, rows if since is None else rows.filter(hour__gte=since))
        since = over
        cache.set(_PAST, (since, past), _DAY.total_seconds())
    return _added(past, WebhookTally.objects.filter(hour__gte=since))


def _added(sums: dict[str, int], rows: QuerySet[WebhookTally]) -> dict[str, int]:
    more = rows.aggregate(**{name: Sum(name) for name in _ANSWERS})
    return {name: sums[name] + (more[name] or 0) for name in _ANSWERS}


def _by_store(rows: QuerySet[WebhookEvent] | QuerySet[Drift]) -> dict[int, int]:
    counted = rows.values("store_id").annotate(n=Count("pk")).order_by()
    return {row["store_id"]: row["n"] for row in counted}


def _connection(store: Store, row: ShopConnection | None) -> Tile:
    if row is None:
        return Tile(
            title="Connection",
            value="Not connected",
            hint="Add a connection and choose how to connect.",
            url=reverse("admin:shopify_sync_shopconnection_add"),
            permission="shopify_sync.view_shopconnection",
            tone="critical",
            store_id=store.pk,
        )
    ticks = {
        "credentials": bool(row.access_token and row.api_secret),
        "test call": row.credentials_ok_at is not None,
        "webhooks": row.webhooks_ok_at is not None,
    }
    wrong = [name for name, is_ok in ticks.items() if not is_ok]
    return Tile(
        title="Connection",
        value=f"{3 - len(wrong)} of 3 checks",
        hint=f"Missing: {', '.join(wrong)}." if wrong else "Credentials, test call, and webhooks.",
        url=reverse("admin:shopify_sync_shopconnection_change", args=[row.pk]),
        permission="shopify_sync.view_shopconnection",
        tone="critical" if wrong else "success",
        store_id=store.pk,
    )


def _silence(store: Store, row: ShopConnection, at: datetime | None, now: datetime) -> Tile:
    quiet_since = max(at or store.connected_at, store.connected_at)
    is_quiet = row.webhooks_ok_at is not None and quiet_since < now - _SILENCE
    hours = int((now - at).total_seconds() // 3600) if at else 0
    ago = "this hour" if hours < 1 else f"{hours} h ago" if hours < 48 else f"{hours // 24} d ago"
    return Tile(
        title="Last webhook",
        value=ago if at else "None yet",
        hint="None for two days. Is PUBLIC_URL reachable from the internet?" if is_quiet else "",
        url=reverse("admin:shopify_sync_webhooktally_changelist"),
        permission="shopify_sync.view_webhooktally",
        tone="warning" if is_quiet else "default",
        store_id=store.pk,
    )


def _drift(store: Store, count: int) -> Tile:
    tone: Tone = "warning" if count > _DRIFT_A_DAY else "default"
    address = reverse("admin:shopify_sync_drift_changelist")
    return Tile(
        title="Sync differences in 24 hours",
        value=str(count),
        hint="Changes that arrived without a webhook and were found by reconciliation."
        if count
        else "",
        url=f"{address}?store__id__exact={store.pk}",
        permission="shopify_sync.view_drift",
        tone=tone,
        store_id=store.pk,
    )


def _backfill(store: Store, row: Backfill) -> Tile:
    has_failed = row.state == BackfillState.FAILED
    address = reverse("admin:shopify_sync_backfill_changelist")
    return Tile(
        title="Importing past orders",
        value="Stopped" if has_failed else f"{row.percent} %",
        hint=row.error[:200] if has_failed else row.get_state_display(),
        url=f"{address}?store__id__exact={store.pk}",
        permission="shopify_sync.view_backfill",
        tone="critical" if has_failed else "info",
        store_id=store.pk,
    )


DESK.tiles.append(tiles)
DESK.metrics.append(metrics)
