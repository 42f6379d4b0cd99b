"""Messages and order events merged by time, on read: nothing is written twice, nothing drifts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from django.db.models import Min, Q, QuerySet
from django.urls import reverse

from inbox import identities
from inbox.models import Contact, Conversation, Message, MessageKind
from orders import outcomes, previews
from orders.models import EventKind, Order, OrderEvent, Store
from orders.money import Money

MESSAGES_A_PAGE: Final = 50
MESSAGES_AT_MOST: Final = 300
EVENTS_READ: Final = 60
ACTIVITY_ROWS: Final = 100
# What a thread shows among the messages; the rest is on the contact's page.
_IN_THREAD: Final = (
    EventKind.PLACED,
    EventKind.FULFILLED,
    EventKind.DELIVERED,
    EventKind.CANCELED,
    EventKind.REFUNDED,
    EventKind.ACTION_FAILED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of a thread: a message of its kind, or an "event"."""

    key: str
    kind: str
    at: datetime
    text: str
    author: str = ""
    channel: str = ""
    delivery_state: str = ""
    error: str = ""
    event_kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """Oldest first. `older_url` is empty when there is nothing older, `newest_url` unless this is a
    page of the past; `live_query` asks for the same again with what is new, and is None there."""

    entries: tuple[Entry, ...]
    older_url: str
    newest_url: str
    live_query: str | None
    # Id of the last message of the customer among them; 0: there is none.
    last_inbound: int

    @property
    def last_key(self) -> str:
        return self.entries[-1].key if self.entries else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityRow:
    """One fact of the contact's activity (row F46)."""

    kind: str
    label: str
    occurred_at: datetime
    actor: str
    source: str
    order_name: str
    amount: Money | None
    reason: str
    detail: str
    conversation_url: str


def thread(
    conversation: Conversation,
    *,
    before: int | None = None,
    since: int | None = None,
    unread_after: int | None = None,
) -> Thread:
    """The 50 newest messages, or those before message `before`, with the order events among
    them. Four queries. `since`: from that message on, so that a reader's place stays while new
    ones arrive. `unread_after`: with everything the customer wrote after that one, also where it
    was written long before it arrived. At most 300 either way."""
    messages = conversation.messages.select_related("author", "channel")
    if before is not None:
        edge = conversation.messages.filter(pk=before).values_list("created_at", flat=True).first()
        if edge is None:
            before = None
        else:
            messages = messages.filter(Q(created_at__lt=edge) | Q(created_at=edge, pk__lt=before))
    size = MESSAGES_A_PAGE
    if since is not None:
        size = min(max(size, messages.filter(pk__gte=since).count()), MESSAGES_AT_MOST)
    if before is None and unread_after is not None:
        size = max(size, min(_until_unread(messages, unread_after), MESSAGES_AT_MOST))
    found = list(messages.order_by("-created_at", "-pk")[: size + 1])
    shown = found[:size]
    older = len(found) > size
    entries = [_message(m) for m in shown]
    start = shown[-1].created_at if older and shown else conversation.created_at
    start = min(start, shown[-1].created_at) if shown else start
    if before is None:
        entries += [_event(e) for e in _events(conversation.contact, since=start)]
    entries.sort(key=lambda entry: (entry.at, entry.key))
    url = reverse("inbox:conversation", args=[conversation.pk])
    older_url = f"{url}?{urlencode({'before': shown[-1].pk})}" if older else ""
    live = (f"?since={shown[-1].pk}" if shown else "") if before is None else None
    newest_url = "" if before is None else url
    last_inbound = max((m.pk for m in shown if m.kind == MessageKind.INBOUND), default=0)
    return Thread(
        entries=tuple(entries), older_url=older_url, newest_url=newest_url, live_query=live,
        last_inbound=last_inbound,
    )  # fmt: skip


def _until_unread(messages: QuerySet[Message], unread_after: int) -> int:
    """How many of the newest it takes to show everything unread."""
    unread = messages.filter(kind=MessageKind.INBOUND, pk__gt=unread_after)
    first = unread.aggregate(at=Min("created_at"))["at"]
    return messages.filter(created_at__gte=first).count() if first else 0


def activity(contact: Contact) -> tuple[ActivityRow, ...]:
    """Everything that happened to the contact's orders, newest first. Three queries."""
    orders = identities.orders_of(contact).values("pk")
    events = (
        OrderEvent.objects.filter(order__in=orders)
        .select_related("order__store", "actor", "action__requested_by", "action__order__store")
        .order_by("-occurred_at", "-pk")[:ACTIVITY_ROWS]
    )
    several = Store.objects.active().count() > 1
    return tuple(_activity_row(event, with_store=several) for event in events)


def _events(contact: Contact, *, since: datetime) -> Iterable[OrderEvent]:
    orders = Order.objects.visible().of_customer(**identities.order_keys(contact).as_kwargs())
    return (
        OrderEvent.objects.filter(
            order__in=orders.values("pk"), kind__in=_IN_THREAD, occurred_at__gte=since
        )
        .select_related("order__store", "actor", "action__requested_by", "action__order__store")
        .order_by("-occurred_at")[:EVENTS_READ]
    )


def _message(message: Message) -> Entry:
    author = message.author
    return Entry(
        key=f"message-{message.pk}",
        kind=message.kind,
        at=message.created_at,
        text=message.text,
        author=(author.get_short_name() or author.get_username()) if author else "",
        channel="",
        delivery_state=message.delivery_state,
        error=message.error,
    )


def _event(event: OrderEvent) -> Entry:
    parts = [f"{event.get_kind_display()} {event.order.name}"]
    if event.kind == EventKind.ACTION_FAILED and event.action:
        words = outcomes.words(event.action)
        parts = [f"{event.order.name} · {words.title}", words.text]
    elif event.money and event.kind != EventKind.PLACED:
        parts.append(event.money.format())
    return Entry(
        key=f"event-{event.pk}",
        kind="event",
        at=event.occurred_at,
        text=" · ".join(part for part in parts if part),
        author=_actor(event),
        event_kind=event.kind,
    )


def _actor(event: OrderEvent) -> str:
    if event.actor:
        return event.actor.get_short_name() or event.actor.get_username()
    return str(event.get_source_display())


def _activity_row(event: OrderEvent, *, with_store: bool) -> ActivityRow:
    origin = event.action.origin if event.action else ""
    url = ""
    if origin.startswith("conversation:"):
        url = reverse("inbox:conversation", args=[origin.partition(":")[2]])
    label, detail = str(event.get_kind_display()), event.detail
    if event.kind == EventKind.ACTION_FAILED and event.action:
        words = outcomes.words(event.action)
        label, detail = words.label, words.text
    return ActivityRow(
        kind=event.kind,
        label=label,
        occurred_at=event.occurred_at,
        actor=_actor(event),
        source=str(event.get_source_display()),
        # Order names are unique within a store only (F05).
        order_name=f"{event.order.name} · {event.order.store}" if with_store else event.order.name,
        amount=event.money,
        reason=_reason(event),
        detail=detail,
        conversation_url=url,
    )


def _reason(event: OrderEvent) -> str:
    """The words the agent chose from, else those of Shopify's admin."""
    if event.action:
        return str(event.action.proposal.get("reason_label", ""))
    return previews.reason_words(event.reason)
