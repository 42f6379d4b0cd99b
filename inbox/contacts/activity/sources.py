"""Where the rows of a contact's activity come from: nothing is stored for it a second time.

Each source gives its rows newest first from a position on, and no more of them than a page needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property, reduce
from itertools import chain
from operator import or_
from typing import TYPE_CHECKING, Any, Final, Self

from django.db.models import Model, Q, QuerySet
from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.database.keyset import rows_before
from inbox.contacts import identities
from inbox.contacts.identities import NewestOrders, OrderKeys
from inbox.models import CampaignMessage, Contact, Message, MessageKind, Participant, SendState
from inbox.visibility import Scope
from orders.actions import approval_history
from orders.models import Checkout, EventKind, OrderEvent
from orders.panels.filters import moment, number

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

# More than any person has.
_CONVERSATIONS_READ: Final = 200
_CHECKOUTS_READ: Final = 200
# What moved money, or was to; every other kind of event is news of the order itself.
_MONEY: Final = (
    EventKind.PAID,
    EventKind.CANCELED,
    EventKind.REFUNDED,
    EventKind.ACTION_FAILED,
    EventKind.DISPUTE,
)
_SAID: Final = (MessageKind.INBOUND, MessageKind.REPLY, MessageKind.CONFIRMATION)


class Show(StrEnum):
    """Which rows to show."""

    ALL = "all"
    ORDERS = "orders"
    MONEY = "money"
    APPROVALS = "approvals"
    MESSAGES = "messages"
    NOTES = "notes"
    CAMPAIGNS = "campaigns"


LABELS: Final[dict[Show, StrPromise]] = {
    Show.ALL: _("All"),
    Show.ORDERS: _("Orders"),
    Show.MONEY: _("Money"),
    Show.APPROVALS: _("Approvals"),
    Show.MESSAGES: _("Messages"),
    Show.NOTES: _("Notes"),
    Show.CAMPAIGNS: _("Campaigns"),
}


class Source(StrEnum):
    """What a row is made of. Of rows at the same moment, those of a later member are newer."""

    EVENT = "event"
    STEP = "step"
    CAMPAIGN = "campaign"
    MESSAGE = "message"


_RANKS: Final = {source: rank for rank, source in enumerate(Source)}
_OF_SHOW: Final[dict[Show, tuple[Source, ...]]] = {
    Show.ALL: tuple(Source),
    Show.ORDERS: (Source.EVENT,),
    Show.MONEY: (Source.EVENT,),
    Show.APPROVALS: (Source.STEP,),
    Show.MESSAGES: (Source.MESSAGE,),
    Show.NOTES: (Source.MESSAGE,),
    Show.CAMPAIGNS: (Source.CAMPAIGN,),
}


@dataclass(frozen=True, slots=True)
class Position:
    """The place of a row among the rows of all sources."""

    at: datetime
    source: Source
    pk: int

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Parse what `__str__` wrote; None for anything else."""
        at, _sep, rest = text.partition("~")
        source, _sep, pk = rest.partition("~")
        found, last = moment(at), number(pk)
        if found is None or last is None or source not in set(Source):
            return None
        return cls(found, Source(source), last)

    def __str__(self) -> str:
        return f"{self.at.isoformat()}~{self.source}~{self.pk}"

    @property
    def key(self) -> tuple[datetime, int, int]:
        """Sorts rows: the highest is the newest."""
        return self.at, _RANKS[self.source], self.pk

    def limit(self, rows: QuerySet[Any], source: Source, at: str) -> QuerySet[Any]:
        """Keep the rows of a source that come after this position; `at` is their time's column."""
        if source == self.source:
            return rows.filter(rows_before((at, "pk"), (self.at, self.pk)))
        ends = "lte" if _RANKS[source] < _RANKS[self.source] else "lt"
        return rows.filter(**{f"{at}__{ends}": self.at})


@dataclass(frozen=True)
class Sources:
    """The rows of one contact, as far as they are in a scope."""

    contact: Contact
    scope: Scope
    show: Show = field(default=Show.ALL)

    def rows(self, after: Position | None, size: int) -> list[tuple[Position, Model]]:
        """Return the `size` newest rows, or those after a position, newest first."""
        found = chain.from_iterable(self._of(source, after, size) for source in _OF_SHOW[self.show])
        return sorted(found, key=lambda row: row[0].key, reverse=True)[:size]

    @property
    def limits(self) -> tuple[str, ...]:
        """What these rows were taken from only in part, in sentences."""
        sources = _OF_SHOW[self.show]
        found: list[str] = []
        if (
            Source.MESSAGE in sources
            and max(map(len, (self._own, self._joined))) > _CONVERSATIONS_READ
        ):
            found.append(
                gettext("Only the %(count)s most recent conversations are included.")
                % {"count": number_format(_CONVERSATIONS_READ)}
            )
        if set(sources) != {Source.MESSAGE} and not self._orders.are_all:
            found.append(
                gettext("Only the %(count)s most recent orders are included.")
                % {"count": number_format(identities.ORDERS_READ)}
            )
        if Source.CAMPAIGN in sources and len(self._checkouts) > _CHECKOUTS_READ:
            found.append(
                gettext("Only the %(count)s most recent checkouts are included.")
                % {"count": number_format(_CHECKOUTS_READ)}
            )
        return tuple(found)

    @property
    def conversations(self) -> list[int]:
        """The IDs of the contact's own conversations, the newest first."""
        return self._own[:_CONVERSATIONS_READ]

    @cached_property
    def _own(self) -> list[int]:
        rows = self.scope.conversations().filter(contact=self.contact)
        newest = rows.order_by("-last_message_at", "-pk").values_list("pk", flat=True)
        return list(newest[: _CONVERSATIONS_READ + 1])

    @cached_property
    def _keys(self) -> OrderKeys:
        return identities.order_keys(self.contact, stores=self.scope.stores)

    @cached_property
    def _orders(self) -> NewestOrders:
        return identities.newest_orders(self._keys)

    @cached_property
    def _joined(self) -> list[int]:
        """Who the contact is in other people's conversations."""
        rows = Participant.objects.filter(
            contact=self.contact, conversation__in=self.scope.conversations()
        )
        rows = rows.exclude(conversation__contact=self.contact).order_by("-pk")
        return list(rows.values_list("pk", flat=True)[: _CONVERSATIONS_READ + 1])

    @cached_property
    def _checkouts(self) -> list[int]:
        pairs = [pair for pair in self._keys.customer_gids if self.scope.sees_store(pair[0])]
        if not pairs:
            return []
        theirs = reduce(or_, (Q(store=store, customer_gid=gid) for store, gid in pairs))
        rows = Checkout.objects.filter(theirs).exclude(customer_gid="").order_by("-started_at")
        return list(rows.values_list("pk", flat=True)[: _CHECKOUTS_READ + 1])

    def _of(
        self, source: Source, after: Position | None, size: int
    ) -> Iterator[tuple[Position, Model]]:
        reads = {
            Source.EVENT: self._events,
            Source.STEP: self._steps,
            Source.CAMPAIGN: self._campaigns,
            Source.MESSAGE: self._messages,
        }
        for rows, at in reads[source]():
            if after is not None:
                rows = after.limit(rows, source, at)
            for row in rows.order_by(f"-{at}", "-pk")[:size]:
                yield Position(getattr(row, at), source, row.pk), row

    def _events(self) -> Iterable[tuple[QuerySet[Any], str]]:
        rows = OrderEvent.objects.filter(order__in=self._orders.ids)
        if self.show == Show.MONEY:
            rows = rows.filter(kind__in=_MONEY)
        elif self.show == Show.ORDERS:
            rows = rows.exclude(kind__in=_MONEY)
        rows = rows.select_related("order__store", "actor", "action__requested_by")
        yield rows.defer("order__document", "action__steps"), "occurred_at"

    def _steps(self) -> Iterable[tuple[QuerySet[Any], str]]:
        yield approval_history.entries_of(self._orders.ids), "at"

    def _campaigns(self) -> Iterable[tuple[QuerySet[Any], str]]:
        for theirs in self._campaign_causes():
            rows = CampaignMessage.objects.filter(theirs, state=SendState.WRITTEN)
            if self.show == Show.ALL:
                # Those are among the messages.
                rows = rows.exclude(message__conversation__in=self.conversations)
            rows = rows.filter(written_at__isnull=False)
            rows = rows.select_related("campaign", "message", "event__order__store")
            yield rows.defer("event__order__document"), "written_at"

    def _campaign_causes(self) -> Iterator[Q]:
        if self._orders.ids:
            yield Q(event__order__in=self._orders.ids)
        if self._checkouts:
            yield Q(checkout__in=self._checkouts[:_CHECKOUTS_READ])

    def _messages(self) -> Iterable[tuple[QuerySet[Any], str]]:
        kinds: Sequence[MessageKind] = (*_SAID, MessageKind.NOTE)
        if self.show != Show.ALL:
            kinds = (MessageKind.NOTE,) if self.show == Show.NOTES else _SAID
        rows = Message.objects.filter(kind__in=kinds)
        rows = rows.select_related(
            "author", "sender__contact", "conversation__contact", "campaign_message__campaign"
        )
        if self.conversations:
            yield rows.filter(conversation__in=self.conversations), "created_at"
        # Of other people's conversations, only what this person wrote.
        if self._joined:
            yield rows.filter(sender__in=self._joined[:_CONVERSATIONS_READ]), "created_at"
