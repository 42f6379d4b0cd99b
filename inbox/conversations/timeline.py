"""Messages and order events, merged by time on read: nothing is stored twice, nothing drifts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from django.db.models import F, Min, Q, QuerySet
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from core.database.keyset import rows_before
from core.web_urls import web_url
from inbox.contacts import identities
from inbox.models import Conversation, Message, MessageKind
from inbox.outbox import status_text
from inbox.visibility import EVERYTHING, Scope
from orders.actions import approval_history, status_texts
from orders.models import EventKind, EventSource, OrderEvent

MESSAGES_A_PAGE: Final = 50
MESSAGES_AT_MOST: Final = 300
EVENTS_READ: Final = 60
# Longer than a working messenger takes to deliver a message.
LATE: Final = timedelta(minutes=10)
_LATE_SHOWN: Final = 5
# Order events shown in a thread; the contact page has the rest.
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
    """A file hosted by the messenger. `url` is "" unless it is an http(s) URL."""

    name: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of a thread. `kind` is a MessageKind, "event", or "late": a marker that a message
    which belongs further up arrived at this point."""

    key: str
    kind: str
    at: datetime
    text: str
    author: str = ""
    # Set if someone other than the contact wrote it: their contact page, and their address.
    author_url: str = ""
    address: str = ""
    attachments: tuple[File, ...] = ()
    # Set if the message arrived long after it was written.
    arrived_at: datetime | None = None
    # The original length, if the text was truncated.
    cut_from: int | None = None
    url: str = ""
    channel: str = ""
    delivery_state: str = ""
    error: str = ""
    # Why it hasn't been sent yet, or who handled the failed delivery.
    delivery: str = ""
    event_kind: str = ""
    # Set if the contact wrote it and has orders: one of them as it was then.
    then_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """A page of a thread, oldest entry first.

    `older_url` is empty if there is nothing older. `newest_url` is set on a page of the past only;
    `live_query`, which fetches the same page again with what is new, is None there.
    """

    entries: tuple[Entry, ...]
    older_url: str
    newest_url: str
    live_query: str | None
    # ID of the last inbound message on the page; 0 if there is none.
    last_inbound: int
    # Failed deliveries that wait for an agent's decision; empty on a page of the past.
    undelivered: tuple[status_text.Undelivered, ...] = ()

    @property
    def last_key(self) -> str:
        """The key of the newest entry: if it changes, the page has something new at the end."""
        return self.entries[-1].key if self.entries else ""


def thread(
    conversation: Conversation,
    *,
    before: int | None = None,
    since: int | None = None,
    unread_after: int | None = None,
    scope: Scope = EVERYTHING,
) -> Thread:
    """Return the 50 newest messages, or the 50 before message `before`, with the order events.

    `since` extends the page back to that message, so that the reader's place stays as new ones
    arrive. `unread_after` extends it to everything the customer wrote after that message, even if
    written long before it arrived; None extends it to what they wrote last. Either way the page
    has at most 300 messages. Order events are those of the scope's stores. Ten queries at most.
    """
    messages = conversation.messages.select_related(
        "author", "channel", "handled_by", "sender__contact"
    )
    if before is not None:
        edge = conversation.messages.filter(pk=before).values_list("created_at", flat=True).first()
        if edge is None:
            before = None
        else:
            messages = messages.filter(rows_before(("created_at", "pk"), (edge, before)))
    size = MESSAGES_A_PAGE
    if since is not None:
        size = max(size, min(_count_from(messages, since), MESSAGES_AT_MOST))
    if before is None:
        size = max(size, min(_count_to_unread(messages, unread_after), MESSAGES_AT_MOST))
    found = list(messages.order_by("-created_at", "-pk")[: size + 1])
    shown = found[:size]
    older = len(found) > size
    others = conversation.participants.exclude(contact=conversation.contact_id).exists()
    keys = identities.order_keys(conversation.contact, stores=scope.stores)
    orders = identities.newest_orders(keys).ids
    entries = [_message(m, conversation, with_names=others, orders=orders) for m in shown]
    start = shown[-1].created_at if older and shown else conversation.created_at
    start = min(start, shown[-1].created_at) if shown else start
    if before is None:
        entries += [_event(event) for event in _events(orders, since=start)]
        entries += _approvals(orders, since=start)
        entries += _late_markers(conversation, shown, has_older=older)
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
        undelivered=status_text.undelivered(conversation) if before is None else (),
    )


def _count_from(messages: QuerySet[Message], pk: int) -> int:
    """Count the messages from this one to the end of the thread. IDs don't tell: the thread is
    sorted by when messages were written, and a late one has a higher ID than those below it."""
    at = messages.filter(pk=pk).values_list("created_at", flat=True).first()
    return messages.filter(_below(at, pk) | Q(pk=pk)).count() if at else 0


def _below(at: datetime, pk: int) -> Q:
    """Match the messages below this position in the thread."""
    return Q(created_at__gt=at) | Q(created_at=at, pk__gt=pk)


def _count_to_unread(messages: QuerySet[Message], unread_after: int | None) -> int:
    """Count the newest messages needed to show everything unread; with None, to show the last
    inbound message."""
    inbound = messages.filter(kind=MessageKind.INBOUND)
    if unread_after is None:
        newest = inbound.order_by("-created_at", "-pk")
        first = newest.values_list("created_at", flat=True).first()
    else:
        first = inbound.filter(pk__gt=unread_after).aggregate(at=Min("created_at"))["at"]
    return messages.filter(created_at__gte=first).count() if first else 0


def _events(orders: Collection[int], *, since: datetime) -> Iterable[OrderEvent]:
    return (
        OrderEvent.objects.filter(order__in=orders, kind__in=_IN_THREAD, occurred_at__gte=since)
        .select_related("order__store", "actor", "action__requested_by", "action__order__store")
        .order_by("-occurred_at")[:EVENTS_READ]
    )


def _message(
    message: Message, conversation: Conversation, *, with_names: bool, orders: Collection[int]
) -> Entry:
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
    then_url = ""
    if message.kind == MessageKind.INBOUND and orders and not is_other:
        then_url = reverse("inbox:order_then", args=[conversation.pk, message.pk])
    return Entry(
        key=f"message-{message.pk}",
        kind=message.kind,
        at=message.created_at,
        # System messages are stored in English and translated when shown.
        text=_(message.text) if message.kind == MessageKind.SYSTEM else message.text,
        author=name,
        author_url=url,
        address=address,
        attachments=tuple(_file(found) for found in message.attachments),
        arrived_at=message.arrived_at if _is_late(message) else None,
        cut_from=message.cut_from,
        channel="",
        delivery_state=message.delivery_state,
        error=status_text.said(message.error),
        delivery=status_text.on_its_way(message),
        then_url=then_url,
    )


def _is_late(message: Message) -> bool:
    # Messages older than the sender column have no reliable arrival time.
    is_known = message.kind == MessageKind.INBOUND and message.sender_id is not None
    return is_known and message.arrived_at - message.created_at > LATE


def _late_markers(
    conversation: Conversation, shown: list[Message], *, has_older: bool
) -> list[Entry]:
    """Return markers at the points where late messages arrived, so that a reader at the end of the
    thread notices that there is something new further up. One query if there are older pages."""
    late = [m for m in shown if _is_late(m) and _arrived_after_newer(m, shown)]
    hidden: list[Message] = []
    if has_older and shown:
        edge = shown[-1].created_at
        # What arrived while the shown messages were written has a higher ID than the lowest of
        # them; this bound keeps a long conversation from being scanned.
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
    return near + [_late_entry(m, page=_page_url(m, conversation)) for m in hidden]


def _arrived_after_newer(message: Message, shown: list[Message]) -> bool:
    return any(m.created_at > message.created_at and m.pk < message.pk for m in shown)


def _page_url(message: Message, conversation: Conversation) -> str:
    """Return the URL of the page of the past that ends with this message. One query."""
    after = conversation.messages.filter(_below(message.created_at, message.pk))
    following = after.order_by("created_at", "pk").values_list("pk", flat=True).first()
    url = reverse("inbox:conversation", args=[conversation.pk])
    return f"{url}?{urlencode({'before': following})}" if following else url


def before_of(conversation: Conversation, pk: int) -> int | None:
    """Return the `before` of a page of the past with this message in its middle.

    None if the newest page has it, or if it isn't in this conversation. Two queries.
    """
    at = conversation.messages.filter(pk=pk).values_list("created_at", flat=True).first()
    if at is None:
        return None
    below = conversation.messages.filter(_below(at, pk)).order_by("created_at", "pk")
    following = list(below.values_list("pk", flat=True)[:MESSAGES_A_PAGE])
    return following[MESSAGES_A_PAGE // 2] if len(following) == MESSAGES_A_PAGE else None


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
    name = found.get("name", "") or found.get("content_type", "") or _("File")
    return File(name=name, url=web_url(found.get("url", "")))


def _event(event: OrderEvent) -> Entry:
    parts = [f"{event.label} {event.order.name}"]
    if event.kind == EventKind.ACTION_FAILED and event.action:
        words = status_texts.words(event.action)
        parts = [f"{event.order.name} · {words.title}", words.text]
    elif event.money and event.kind != EventKind.PLACED:
        parts.append(event.money.format())
    return Entry(
        key=f"event-{event.pk}",
        kind="event",
        at=event.occurred_at,
        text=" · ".join(part for part in parts if part),
        author=_actor(event),
        url=reverse("order:page", args=[event.order_id]),
        event_kind=event.kind,
    )


def _approvals(orders: Collection[int], *, since: datetime) -> list[Entry]:
    return [
        Entry(
            key=step.key,
            kind="event",
            at=step.at,
            text=" · ".join(
                part for part in (step.action.order.name, step.title, step.detail) if part
            ),
            author=step.actor or str(EventSource.AUTOMATION.label),
            url=reverse("order:page", args=[step.action.order_id]),
            event_kind=step.kind,
        )
        for step in approval_history.steps_of(orders, since=since)
    ]


def _actor(event: OrderEvent) -> str:
    if event.actor:
        return event.actor.get_short_name() or event.actor.get_username()
    return str(event.get_source_display())
