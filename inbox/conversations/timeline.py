"""Messages and order events merged by time, on read: nothing is written twice, nothing drifts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode, urlsplit

from django.db.models import F, Min, Q, QuerySet
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from inbox.contacts import identities
from inbox.models import Contact, Conversation, Message, MessageKind
from inbox.outbox import delivery_status
from orders import previews
from orders.actions import outcomes
from orders.models import EventKind, Order, OrderEvent, Store
from orders.money import Money

MESSAGES_A_PAGE: Final = 50
MESSAGES_AT_MOST: Final = 300
EVENTS_READ: Final = 60
ACTIVITY_ROWS: Final = 100
# Longer than a message is under way in a messenger that works.
LATE: Final = timedelta(minutes=10)
_LATE_SHOWN: Final = 5
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
class File:
    """A file that stays with the messenger. `url`: "" for what is no address of the web."""

    name: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of a thread: a message of its kind, an "event", or "late": a message that belongs
    further up arrived here."""

    key: str
    kind: str
    at: datetime
    text: str
    author: str = ""
    # Of somebody else's message in the conversation: their contact's page, and what leads there.
    author_url: str = ""
    address: str = ""
    attachments: tuple[File, ...] = ()
    # Of a message that was pushed long after it was written.
    arrived_at: datetime | None = None
    # How many characters it had, where not all were kept.
    cut_from: int | None = None
    url: str = ""
    channel: str = ""
    delivery_state: str = ""
    error: str = ""
    # Why it has not left yet, or who dealt with that it did not.
    delivery: str = ""
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
    # What was not delivered and waits for somebody to decide; not on a page of the past.
    undelivered: tuple[delivery_status.Undelivered, ...] = ()

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
    them. Eight queries at most. `since`: from that message on, so that a reader's place stays while
    new ones arrive. `unread_after`: with everything the customer wrote after that one, also where
    it was written long before it arrived; None: with what they wrote last. At most 300 either
    way."""
    messages = conversation.messages.select_related(
        "author", "channel", "handled_by", "sender__contact"
    )
    if before is not None:
        edge = conversation.messages.filter(pk=before).values_list("created_at", flat=True).first()
        if edge is None:
            before = None
        else:
            messages = messages.filter(Q(created_at__lt=edge) | Q(created_at=edge, pk__lt=before))
    size = MESSAGES_A_PAGE
    if since is not None:
        size = max(size, min(_from(messages, since), MESSAGES_AT_MOST))
    if before is None:
        size = max(size, min(_until_unread(messages, unread_after), MESSAGES_AT_MOST))
    found = list(messages.order_by("-created_at", "-pk")[: size + 1])
    shown = found[:size]
    older = len(found) > size
    others = conversation.participants.exclude(contact=conversation.contact_id).exists()
    entries = [_message(m, conversation, with_names=others) for m in shown]
    start = shown[-1].created_at if older and shown else conversation.created_at
    start = min(start, shown[-1].created_at) if shown else start
    if before is None:
        entries += [_event(e) for e in _events(conversation.contact, since=start)]
        entries += _late(conversation, shown, has_older=older)
    entries.sort(key=lambda entry: (entry.at, entry.key))
    url = reverse("inbox:conversation", args=[conversation.pk])
    older_url = f"{url}?{urlencode({'before': shown[-1].pk})}" if older else ""
    live = (f"?since={shown[-1].pk}" if shown else "") if before is None else None
    newest_url = "" if before is None else url
    last_inbound = max((m.pk for m in shown if m.kind == MessageKind.INBOUND), default=0)
    return Thread(
        entries=tuple(entries),
        older_url=older_url,
        newest_url=newest_url,
        live_query=live,
        last_inbound=last_inbound,
        undelivered=delivery_status.undelivered(conversation) if before is None else (),
    )


def _from(messages: QuerySet[Message], pk: int) -> int:
    """How many stand from this message on in the thread: it is in the order in which they were
    written, and one that came late has a higher id than those it stands above."""
    at = messages.filter(pk=pk).values_list("created_at", flat=True).first()
    return messages.filter(_behind(at, pk) | Q(pk=pk)).count() if at else 0


def _behind(at: datetime, pk: int) -> Q:
    """What stands below this place in the thread."""
    return Q(created_at__gt=at) | Q(created_at=at, pk__gt=pk)


def _until_unread(messages: QuerySet[Message], unread_after: int | None) -> int:
    """How many of the newest it takes to show everything unread; None: what was written last."""
    inbound = messages.filter(kind=MessageKind.INBOUND)
    if unread_after is None:
        newest = inbound.order_by("-created_at", "-pk")
        first = newest.values_list("created_at", flat=True).first()
    else:
        first = inbound.filter(pk__gt=unread_after).aggregate(at=Min("created_at"))["at"]
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


def _message(message: Message, conversation: Conversation, *, with_names: bool) -> Entry:
    author = message.author
    name = (author.get_short_name() or author.get_username()) if author else ""
    sender = message.sender
    is_other = sender is not None and sender.contact_id != conversation.contact_id
    url = address = ""
    if message.kind == MessageKind.INBOUND and with_names:
        name = sender.shown_name if sender else conversation.contact.shown_name
        if sender is not None and is_other:
            url = reverse("inbox:contact", args=[sender.contact_id])
            address = sender.address if sender.address != name else ""
    return Entry(
        key=f"message-{message.pk}",
        kind=message.kind,
        at=message.created_at,
        # Our own sentences are kept in English.
        text=_(message.text) if message.kind == MessageKind.SYSTEM else message.text,
        author=name,
        author_url=url,
        address=address,
        attachments=tuple(_file(found) for found in message.attachments),
        arrived_at=message.arrived_at if _is_late(message) else None,
        cut_from=message.cut_from,
        channel="",
        delivery_state=message.delivery_state,
        error=delivery_status.said(message.error),
        delivery=delivery_status.on_its_way(message),
    )


def _is_late(message: Message) -> bool:
    # Of messages from before senders were kept, nobody knows when they arrived.
    is_known = message.kind == MessageKind.INBOUND and message.sender_id is not None
    return is_known and message.arrived_at - message.created_at > LATE


def _late(conversation: Conversation, shown: list[Message], *, has_older: bool) -> list[Entry]:
    """Where messages arrived that belong above others which were there by then: so that a reader
    at the end of the thread sees that there is something new further up. One query where the
    thread has older pages."""
    late = [m for m in shown if _is_late(m) and _is_overtaken(m, shown)]
    hidden: list[Message] = []
    if has_older and shown:
        edge = shown[-1].created_at
        # What came in while these were written has higher ids than the first of them: no more of a
        # long conversation is read than that.
        rows = conversation.messages.filter(
            Q(arrived_at__gt=edge),
            Q(arrived_at__gt=F("created_at") + LATE),
            kind=MessageKind.INBOUND,
            sender__isnull=False,
            pk__gt=min(m.pk for m in shown),
            created_at__lt=edge,
        )
        hidden = list(rows.order_by("-pk")[:_LATE_SHOWN])
    near = [_late_entry(m, page="") for m in late]
    return near + [_late_entry(m, page=_page_of(m, conversation)) for m in hidden]


def _is_overtaken(message: Message, shown: list[Message]) -> bool:
    return any(m.created_at > message.created_at and m.pk < message.pk for m in shown)


def _page_of(message: Message, conversation: Conversation) -> str:
    """The page of the past whose last message this is. One query."""
    after = conversation.messages.filter(_behind(message.created_at, message.pk))
    following = after.order_by("created_at", "pk").values_list("pk", flat=True).first()
    url = reverse("inbox:conversation", args=[conversation.pk])
    return f"{url}?{urlencode({'before': following})}" if following else url


def _late_entry(message: Message, *, page: str) -> Entry:
    when = date_format(localtime(message.created_at), "j F Y, H:i")
    return Entry(
        key=f"late-{message.pk}",
        kind="late",
        at=message.arrived_at,
        text=_("A message written on %(when)s arrived late.") % {"when": when},
        url=f"{page}#message-{message.pk}",
    )


def _file(found: dict[str, str]) -> File:
    url = found.get("url", "")
    is_web = urlsplit(url).scheme in {"http", "https"} if url else False
    name = found.get("name", "") or found.get("content_type", "") or _("File")
    return File(name=name, url=url if is_web else "")


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
