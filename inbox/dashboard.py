"""Dashboard tiles and Prometheus metrics of the inbox (core.dashboard).

The admin is in English only, so nothing here is marked for translation.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Min, Q
from django.urls import reverse
from django.utils.http import urlencode

from core.dashboard import (
    DESK,
    Metric,
    Sample,
    Tile,
    seconds_since,
)
from inbox import outbox
from inbox.models import (
    CampaignMessage,
    Channel,
    Conversation,
    ConversationState,
    DeliveryState,
    Message,
    MessageKind,
    Route,
    Team,
    WebhookDelivery,
    WebhookEndpoint,
)
from inbox.models.conversations import OUTGOING_KINDS, conversation_id, order_page_id
from orders.models import ActionState, OrderAction, Store
from orders.reports import refund_times, refunds_due, totals
from orders.reports.refund_times import Asked

# Above a few thousand, PostgreSQL reads all messages of the time instead of these conversations'.
_REQUESTS_AT_ONCE: Final = 1000
_URGENT: Final = frozenset({"unassigned", "undelivered"})


def tiles(now: datetime) -> Iterator[Tile]:
    """Yield the work that waits for a person, linked to where they do it. Six queries, or eight."""
    undecided = _undecided()
    held = refunds_due.held_by_store()
    decisions = reverse("inbox:decisions")
    actions = reverse("admin:orders_orderaction_changelist")
    orders = reverse("admin:orders_order_changelist")
    for store in Store.objects.active():
        approvals, uncertain = (
            undecided.get((store.pk, state), 0)
            for state in (ActionState.AWAITING_APPROVAL, ActionState.NEEDS_HUMAN)
        )
        yield Tile(
            title="Waiting for approval",
            value=str(approvals),
            url=f"{decisions}#approvals-title",
            admin_url=_filtered(actions, store.pk, "order__store", ActionState.AWAITING_APPROVAL),
            permission="orders.view_orderaction",
            tone="attention" if approvals else "default",
            store_id=store.pk,
        )
        yield Tile(
            title="Needs review",
            value=str(uncertain),
            hint="Outcome unknown. Compare with Shopify." if uncertain else "",
            url=f"{decisions}#uncertain-title",
            admin_url=_filtered(actions, store.pk, "order__store", ActionState.NEEDS_HUMAN),
            permission="orders.view_orderaction",
            tone="critical" if uncertain else "default",
            store_id=store.pk,
        )
        sums = held.get(store.pk, [])
        yield Tile(
            title="Refunds outstanding",
            value="\n".join(money.format("en") for money in sums) or "Nothing",
            hint="Canceled orders whose payment the shop still holds." if sums else "",
            url=_due_at(store.pk),
            admin_url=_filtered(orders, store.pk, "store"),
            permission="orders.view_order",
            tone="warning" if sums else "default",
            store_id=store.pk,
        )
    yield from _conversations()
    yield from _without_team()
    yield from _webhooks_off()


def _webhooks_off() -> Iterator[Tile]:
    """Yield the endpoints that we turned off, if there are any. One query."""
    count = WebhookEndpoint.objects.exclude(off_reason="").count()
    if count:
        yield Tile(
            title="Webhooks turned off",
            value=str(count),
            hint="These programs accepted nothing, so they aren't told anything anymore.",
            url=f"{reverse('admin:inbox_webhookendpoint_changelist')}?is_active__exact=0",
            permission="inbox.view_webhookendpoint",
            tone="warning",
        )


def _without_team() -> Iterator[Tile]:
    """Yield what no one sees because it has no team. One query while there are no teams."""
    if not Team.objects.exists():
        return
    count = Channel.objects.filter(team=None).count()
    count += Store.objects.active().filter(teams=None).count()
    count += Conversation.objects.filter(team=None).count()
    yield Tile(
        title="Without a team",
        value=str(count),
        hint="Channels, stores and conversations that no one sees." if count else "",
        url=reverse("admin:inbox_team_changelist"),
        permission="inbox.view_team",
        tone="warning" if count else "default",
    )


def _due_at(store_id: int) -> str:
    """Return the page of what the tile sums up: canceled orders of one store."""
    asked: dict[str, str | int] = {"kind": "canceled", "store": store_id}
    return f"{reverse('inbox:refunds_due')}?{urlencode(asked)}"


def _filtered(changelist: str, store_id: int, store: str, state: str = "") -> str:
    """Return an admin list, filtered to one store and, if given, one state of actions."""
    asked = {f"{store}__id__exact": store_id} | ({"state__exact": state} if state else {})
    return f"{changelist}?{urlencode(asked)}"


def metrics(now: datetime) -> Iterator[Metric]:
    """Yield conversation, outbox and webhook metrics. Eight queries."""
    counts = _conversation_counts()
    yield Metric(
        name="agent_inbox_conversations",
        help="Open conversations: all, and unassigned.",
        samples=tuple(
            Sample(counts[name], {"scope": name}) for name in ("open", "unassigned", "waiting")
        ),
    )
    depth, oldest = 0, None
    for model in (Message, CampaignMessage):
        pending: Any = model._default_manager.filter(delivery_state=DeliveryState.PENDING)
        row = pending.aggregate(n=Count("pk"), at=Min(outbox.since(model)))
        depth += row["n"]
        oldest = min((at for at in (oldest, row["at"]) if at), default=None)
    yield Metric(
        name="agent_inbox_outbox",
        help="Messages not sent yet.",
        samples=(Sample(depth),),
    )
    yield Metric(
        name="agent_inbox_undelivered_messages",
        help="Failed replies and confirmations that no one has handled, and campaign emails and "
        "texts that failed within the last day.",
        samples=_undelivered(now),
    )
    yield Metric(
        name="agent_inbox_resting_routes",
        help="Outgoing routes paused because the other side failed to respond several times in "
        "a row.",
        samples=(Sample(Route.objects.filter(rest_until__gt=now).count()),),
    )
    yield Metric(
        name="agent_inbox_oldest_outbox_seconds",
        help="How long the oldest has waited; 0 if none is waiting.",
        samples=(Sample(seconds_since(oldest, now)),),
    )
    yield from _webhook_metrics(now)


def _webhook_metrics(now: datetime) -> Iterator[Metric]:
    waiting = WebhookDelivery.objects.pending().aggregate(n=Count("pk"), at=Min("queued_at"))
    yield Metric(
        name="agent_inbox_outgoing_webhooks",
        help="Webhooks to other programs that haven't been accepted yet.",
        samples=(Sample(waiting["n"]),),
    )
    yield Metric(
        name="agent_inbox_oldest_outgoing_webhook_seconds",
        help="How long the oldest has waited; 0 if none is waiting.",
        samples=(Sample(seconds_since(waiting["at"], now)),),
    )
    yield Metric(
        name="agent_inbox_webhook_endpoints_off",
        help="Endpoints that were turned off because they accepted nothing.",
        samples=(Sample(WebhookEndpoint.objects.exclude(off_reason="").count()),),
    )


def _undelivered(now: datetime) -> tuple[Sample, ...]:
    rows = Message.objects.undelivered().values("kind").annotate(n=Count("pk")).order_by()
    counted = {row["kind"]: row["n"] for row in rows}
    # Agents can dismiss a failed reply but not a failed campaign message, so that counts for a day.
    failed = CampaignMessage.objects.filter(delivery_state=DeliveryState.FAILED)
    lately = failed.filter(failed_at__gte=now - timedelta(days=1)).count()
    kinds = [(str(kind), counted.get(kind, 0)) for kind in OUTGOING_KINDS]
    return tuple(Sample(n, {"kind": kind}) for kind, n in [*kinds, ("campaign", lately)])


def _conversations() -> Iterator[Tile]:
    counts = _conversation_counts()
    address = reverse("inbox:list")
    conversations = reverse("admin:inbox_conversation_changelist")
    for title, key, query, hint in (
        ("Open conversations", "open", {"scope": "all"}, ""),
        ("Unassigned", "unassigned", {"scope": "unassigned"}, "Open, with no assignee."),
        (
            "Customers waiting",
            "waiting",
            {"scope": "all"},
            "Open, and the last message is from the customer.",
        ),
        (
            "Not delivered",
            "undelivered",
            {"scope": "all"},
            "Open, and a reply or confirmation didn't reach the customer.",
        ),
    ):
        yield Tile(
            title=title,
            value=str(counts[key]),
            hint=hint,
            url=f"{address}?{urlencode(query)}",
            admin_url=f"{conversations}?{urlencode({'state__exact': ConversationState.OPEN})}",
            permission="inbox.view_conversation",
            tone="attention" if key in _URGENT and counts[key] else "default",
        )


def _conversation_counts() -> dict[str, int]:
    opened = Conversation.objects.filter(state=ConversationState.OPEN)
    return opened.aggregate(
        open=Count("pk"),
        unassigned=Count("pk", filter=Q(assignee=None)),
        waiting=Count("pk", filter=Q(waiting_since__isnull=False)),
        undelivered=Count("pk", filter=Q(has_undelivered=True)),
    )


def _undecided() -> dict[tuple[int, str], int]:
    rows = OrderAction.objects.filter(
        state__in=(ActionState.AWAITING_APPROVAL, ActionState.NEEDS_HUMAN)
    )
    counted = rows.values("order__store_id", "state").annotate(n=Count("pk")).order_by()
    return {(row["order__store_id"], row["state"]): row["n"] for row in counted}


def channel_names(origins: Iterable[str]) -> Mapping[str, str]:
    """Name the channel of each origin that is a conversation or an order's own page (for
    orders.reports.totals)."""
    asked = set(origins)
    pages = {origin: "Order page" for origin in asked if order_page_id(origin)}
    ids = {origin: pk for origin in asked if (pk := conversation_id(origin)) is not None}
    rows = Conversation.objects.filter(pk__in=ids.values())
    names = dict(rows.values_list("pk", "channel__name"))
    # Retention deletes conversations, while the actions taken from them stay in the report.
    return pages | {
        origin: names.get(pk, "A conversation that is gone") for origin, pk in ids.items()
    }


def first_messages(asked: Sequence[Asked]) -> Mapping[int, datetime]:
    """Find the customer's first message about each request that was made beside a conversation.

    It is the first one after the order was placed and before the request: what was written earlier
    can't be about the order. One query for each thousand (for orders.reports.refund_times).
    """
    where = [(each, pk) for each in asked if (pk := conversation_id(each.origin)) is not None]
    # Those of about the same time together: the query is for the time from the first to the last.
    where.sort(key=lambda pair: pair[0].asked_at)
    found: dict[int, datetime] = {}
    for start in range(0, len(where), _REQUESTS_AT_ONCE):
        found |= _first_messages(where[start : start + _REQUESTS_AT_ONCE])
    return found


def _first_messages(where: Sequence[tuple[Asked, int]]) -> dict[int, datetime]:
    rows = Message.objects.filter(
        kind=MessageKind.INBOUND,
        conversation__in={pk for _each, pk in where},
        created_at__lte=max(each.asked_at for each, _pk in where),
    )
    if all(each.ordered_at for each, _pk in where):
        rows = rows.filter(created_at__gte=min(e.ordered_at for e, _pk in where if e.ordered_at))
    written: dict[int, list[datetime]] = defaultdict(list)
    for pk, at in rows.order_by().values_list("conversation_id", "created_at").iterator():
        written[pk].append(at)
    for times in written.values():
        times.sort()
    found = {}
    for each, pk in where:
        times = written[pk]
        place = bisect_left(times, each.ordered_at) if each.ordered_at else 0
        if place < len(times) and times[place] <= each.asked_at:
            found[each.action_id] = times[place]
    return found


def origin_url(origin: str) -> str:
    """Return the URL of the conversation or order page an action came from; "" if it came from
    elsewhere."""
    if (order_id := order_page_id(origin)) is not None:
        return reverse("order:page", args=[order_id])
    pk = conversation_id(origin)
    return "" if pk is None else reverse("inbox:conversation", args=[pk])


DESK.tiles.append(tiles)
DESK.metrics.append(metrics)
totals.CHANNEL_NAMES.append(channel_names)
refund_times.FIRST_MESSAGES.append(first_messages)
DESK.origin_urls.append(origin_url)
