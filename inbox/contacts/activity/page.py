"""A contact's activity: everything that happened to their orders and in their conversations, newest
first, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from django.db.models import Model
from django.urls import reverse
from django.utils.translation import gettext as _

from inbox.contacts.activity.sources import LABELS, Position, Show, Sources
from inbox.models import CampaignMessage, Contact, DeliveryState, Message, MessageKind
from inbox.models.conversations import conversation_id, preview_of
from inbox.visibility import Scope
from orders.actions import approval_history, status_texts
from orders.actions.approval_history import Step
from orders.models import AuditEntry, EventSource, Order, OrderAction, OrderEvent
from orders.money import Money
from orders.panels.event_texts import text_of

ROWS_A_PAGE: Final = 50
# Whose changes the page listens to, besides the contact's.
_CONVERSATIONS_HEARD: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row. `kind` chooses the icon; what is empty isn't shown.

    `text` is what a person wrote; `detail` is ours. `source` is where it came from and `where` an
    agent requested it, in words.
    """

    kind: str
    label: str
    at: datetime
    actor: str = ""
    source: str = ""
    order_name: str = ""
    order_url: str = ""
    amount: Money | None = None
    reason: str = ""
    detail: str = ""
    text: str = ""
    conversation_url: str = ""
    where: str = ""
    # What the agent saw who requested it.
    replay_url: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """A link to the rows of one kind."""

    label: str
    url: str
    is_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of rows. `limits` says what older rows are left out. `older_url` is empty on the last page and `newest_url` on the first; `live_src`
    returns the first page again, and is empty on every other."""

    rows: tuple[Row, ...]
    filters: tuple[Filter, ...]
    is_narrowed: bool
    limits: tuple[str, ...]
    older_url: str
    newest_url: str
    live_src: str
    topics: str


def page_of(contact: Contact, *, scope: Scope, show: str = "", after: str = "") -> Page:
    """Return a page of the contact's rows that are in the scope.

    `show` names the rows to show and `after` the last row of the page before (sources.Position);
    what can't be parsed means all rows, and the first page. As many queries for any number of rows.
    """
    wanted = Show(show) if show in set(Show) else Show.ALL
    place = Position.read(after)
    sources = Sources(contact, scope, wanted)
    found = sources.rows(place, ROWS_A_PAGE + 1)
    shown = found[:ROWS_A_PAGE]
    here = reverse("inbox:contact", args=[contact.pk])
    query = {} if wanted == Show.ALL else {"show": wanted.value}
    older = {**query, "after": str(shown[-1][0])} if len(found) > ROWS_A_PAGE else {}
    live = reverse("inbox:contact_activity", args=[contact.pk])
    heard = (f"conversation:{pk}" for pk in sources.conversations[:_CONVERSATIONS_HEARD])
    return Page(
        rows=_Rows(scope).of([row for _position, row in shown]),
        filters=tuple(
            Filter(str(label), _url(here, {} if one == Show.ALL else {"show": one}), one == wanted)
            for one, label in LABELS.items()
        ),
        is_narrowed=wanted != Show.ALL,
        limits=sources.limits if len(found) <= ROWS_A_PAGE else (),
        older_url=_url(here, older) if older else "",
        newest_url=_url(here, query) if place else "",
        live_src="" if place else _url(live, query, at=""),
        topics=" ".join((f"contact:{contact.pk}", *heard)),
    )


def _url(path: str, query: dict[str, str], *, at: str = "#activity-title") -> str:
    return f"{path}?{urlencode(query)}{at}" if query else f"{path}{at}"


@dataclass
class _Rows:
    """Describes what the sources found, with the queries that takes for all of it together."""

    scope: Scope
    _with_store: bool = False
    _seen: frozenset[int] = field(default=frozenset())
    _steps: dict[int, Step] = field(default_factory=dict)

    def of(self, found: Sequence[Model]) -> tuple[Row, ...]:
        """Return the rows, in the same order."""
        # Order names are unique within a store only.
        self._with_store = self.scope.active_stores().count() > 1
        entries = [row for row in found if isinstance(row, AuditEntry)]
        self._steps = approval_history.steps_from(entries)
        self._seen = self.scope.seen_conversations(self._origins(found))
        return tuple(row for each in found if (row := self._row(each)))

    def _origins(self, found: Iterable[Model]) -> set[int]:
        """Return the IDs of the conversations that rows may link to."""
        actions: list[OrderAction] = [step.action for step in self._steps.values()]
        actions += [row.action for row in found if isinstance(row, OrderEvent) and row.action]
        sent = [row.message for row in found if isinstance(row, CampaignMessage) and row.message]
        origins = {conversation_id(action.origin) for action in actions}
        return {pk for pk in origins if pk is not None} | {row.conversation_id for row in sent}

    def _row(self, found: Model) -> Row | None:
        match found:
            case OrderEvent():
                return self._event(found)
            case AuditEntry():
                step = self._steps.get(found.pk)
                return self._step(step) if step else None
            case CampaignMessage():
                return self._campaign(found)
            case Message():
                return _message(found)
        raise TypeError(f"no row for {type(found)}")

    def _event(self, event: OrderEvent) -> Row:
        if event.action:
            # Spares a query: it is the event's order.
            event.action.order = event.order
        text = text_of(event)
        actor = event.actor
        source = str(event.get_source_display())
        return Row(
            kind=event.kind,
            label=text.label,
            at=event.occurred_at,
            actor=(actor.get_short_name() or actor.get_username()) if actor else source,
            source=source,
            order_name=self._order_name(event.order),
            order_url=_order_url(event.order_id),
            amount=event.money,
            reason=text.reason,
            detail=text.detail,
            conversation_url=self._origin_url(event.action),
            where=status_texts.where(event.action) if event.action else "",
            replay_url=_replay_url(event.action) if event.action else "",
        )

    def _step(self, step: Step) -> Row:
        system = str(EventSource.AUTOMATION.label)
        return Row(
            kind=step.kind,
            label=step.title,
            at=step.at,
            actor=step.actor or system,
            source=str(EventSource.AGENT.label) if step.actor else system,
            order_name=self._order_name(step.action.order),
            order_url=_order_url(step.action.order_id),
            # The title names the amount already; at the edge stands only money that moved.
            detail=step.detail,
            conversation_url=self._origin_url(step.action),
            where=status_texts.where(step.action),
            replay_url=_replay_url(step.action),
        )

    def _campaign(self, sent: CampaignMessage) -> Row:
        order = sent.event.order if sent.event else None
        message = sent.message
        is_seen = message is not None and message.conversation_id in self._seen
        return Row(
            kind="campaign",
            label=_("Campaign: %(name)s") % {"name": sent.campaign.name},
            at=sent.written_at or sent.created_at,
            actor=str(sent.get_via_display()),
            order_name=self._order_name(order) if order else "",
            order_url=_order_url(order.pk) if order else "",
            detail=_delivery(message or sent),
            # What another team's conversation says isn't shown here.
            text=preview_of(message.text) if message and is_seen else sent.subject,
            conversation_url=_message_url(message) if message and is_seen else "",
        )

    def _order_name(self, order: Order) -> str:
        return f"{order.name} · {order.store}" if self._with_store else order.name

    def _origin_url(self, action: OrderAction | None) -> str:
        pk = conversation_id(action.origin) if action else None
        return reverse("inbox:conversation", args=[pk]) if pk in self._seen else ""


def _message(message: Message) -> Row:
    made_by: CampaignMessage | None = getattr(message, "campaign_message", None)
    label = str(message.get_kind_display())
    if made_by:
        label = _("Campaign: %(name)s") % {"name": made_by.campaign.name}
    author, sender = message.author, message.sender
    name = ""
    if author:
        name = author.get_short_name() or author.get_username()
    elif message.kind == MessageKind.INBOUND:
        name = sender.shown_name if sender else message.conversation.contact.shown_name
    return Row(
        kind="campaign" if made_by else f"message_{message.kind}",
        label=label,
        at=message.created_at,
        actor=name or str(EventSource.AUTOMATION.label),
        detail=_delivery(message),
        text=preview_of(message.text) or _("A message without text"),
        conversation_url=_message_url(message),
    )


def _delivery(row: Message | CampaignMessage) -> str:
    return (
        str(row.get_delivery_state_display()) if row.delivery_state == DeliveryState.FAILED else ""
    )


def _message_url(message: Message) -> str:
    url = reverse("inbox:conversation", args=[message.conversation_id])
    return f"{url}?message={message.pk}#message-{message.pk}"


def _replay_url(action: OrderAction) -> str:
    return reverse("order:action_replay", args=[action.pk])


def _order_url(order_id: int) -> str:
    return reverse("order:page", args=[order_id])
