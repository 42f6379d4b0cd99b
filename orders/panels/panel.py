"""One person's orders: found, filtered and added up."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from orders.errors import Refusal
from orders.models import Order, Store, order_names
from orders.money import Money, total
from orders.panels.cards import needs_attention, order_cards
from orders.panels.filters import (
    AT_MOST,
    Selection,
    Show,
)
from orders.panels.types import OrderCard
from orders.snapshot import Refund
from orders.statuses.money_moved import parts

# Needing attention can't be queried, only computed from a loaded order: this many are searched.
ATTENTION_AMONG: Final = 100
_PUNCTUATION: Final = re.compile(r"[,.?!:;()\[\]\"“”„«»]")
EVERYTHING: Final = Selection()
_SHOW_LABELS: Final = {
    Show.ALL: gettext_noop("All"),
    Show.OPEN: gettext_noop("Open"),
    Show.ATTENTION: gettext_noop("Needs attention"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerSummary:
    """Totals over the shown orders. `spent` and `refunded` hold one sum per currency.

    Test orders count in `order_count`, but not in the sums.
    """

    order_count: int
    spent: tuple[Money, ...]
    refund_count: int
    refunded: tuple[Money, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One way to filter the panel, as a query string."""

    label: str
    query: str
    is_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersPanel:
    """The order sidebar.

    `as_of` is when the oldest shown order was read; None without orders. `looked_among` is how many
    of the newest orders were searched; None means all of them.
    """

    cards: tuple[OrderCard, ...]
    summary: CustomerSummary
    stores: tuple[Store, ...]
    has_more: bool
    as_of: datetime | None
    selection: Selection = EVERYTHING
    looked_among: int | None = None

    @property
    def shows_store(self) -> bool:
        """Whether cards name the store: order names are unique only within one."""
        return len(self.stores) > 1

    @property
    def filters(self) -> tuple[Choice, ...]:
        """The choices All, Open and Needs attention."""
        return tuple(
            Choice(
                label=_(label),
                query=self.selection.showing(show),
                is_current=self.selection.show == show,
            )
            for show, label in _SHOW_LABELS.items()
        )

    @property
    def store_choices(self) -> tuple[Choice, ...]:
        """All stores together, then each store."""
        chosen = self.selection.store_id
        pairs = [(None, _("All stores")), *((store.pk, str(store)) for store in self.stores)]
        return tuple(
            Choice(label=label, query=self.selection.of_store(pk), is_current=chosen == pk)
            for pk, label in pairs
        )

    @property
    def further(self) -> str:
        """The query string that shows more; "" once the page limit is reached."""
        return "" if self.selection.count >= AT_MOST else self.selection.further

    @property
    def store(self) -> Store | None:
        """The store the panel is filtered to; None means all of them."""
        return next((s for s in self.stores if s.pk == self.selection.store_id), None)


@dataclass(frozen=True, slots=True)
class FoundOrders:
    """A page of one person's orders, newest first. `is_all` means the person has no others."""

    orders: tuple[Order, ...]
    has_more: bool
    is_all: bool = False


def find_orders(
    *,
    customer_gids: list[tuple[int, str]],
    emails: list[str],
    phones: list[str],
    stores: Collection[int] | None = None,
    selection: Selection = EVERYTHING,
) -> FoundOrders:
    """Find one person's orders, filtered and limited by `selection`. One query.

    `stores` are the IDs of the stores that the agent sees; None means all of them.
    """
    found = (
        Order.objects.visible()
        .at(stores)
        .of_customer(customer_gids=customer_gids, emails=emails, phones=phones)
        .select_related("store")
        .order_by("-placed_at", "-pk")
    )
    is_every = selection.store_id is None and selection.show == Show.ALL
    if selection.store_id is not None:
        found = found.filter(store_id=selection.store_id)
    if selection.show == Show.OPEN:
        found = found.filter(closed_at=None, cancelled_at=None)
    most = ATTENTION_AMONG if selection.show == Show.ATTENTION else selection.count
    # One more than needed tells whether there are more.
    orders = tuple(found[: most + 1])
    has_more = len(orders) > most
    return FoundOrders(orders[:most], has_more, is_every and not has_more)


def orders_panel(
    found: FoundOrders,
    *,
    acting: Refusal | None,
    now: datetime,
    refused: Mapping[int, Refusal] = {},
    mentioned: str = "",
    opened: Collection[int] = (),
    selection: Selection = EVERYTHING,
    unreachable: Collection[int] = (),
    seen: Collection[int] | None = None,
) -> OrdersPanel:
    """Build the sidebar for these orders. Three queries.

    `acting` refuses the agent every action, and `refused` single orders, by ID. `mentioned` is the
    conversation's text: an order named in it opens instead of the newest. `opened` holds IDs of
    orders the agent already has open. `selection` is what `found` was chosen by. `unreachable`
    holds IDs of stores that don't answer, and `seen` those of the stores the agent sees; None means
    all of them.
    """
    stores = tuple(s for s in Store.objects.active() if seen is None or s.pk in seen)
    open_ids = {_open_order(found.orders[: selection.count], mentioned), *opened}
    cards = order_cards(
        found.orders,
        acting=acting,
        refused=refused,
        now=now,
        open_ids=open_ids,
        unreachable=unreachable,
    )
    has_more, looked_among = found.has_more, None
    if selection.show == Show.ATTENTION:
        cards = tuple(card for card in cards if needs_attention(card))
        has_more = len(cards) > selection.count
        looked_among = len(found.orders) if found.has_more else None
        cards = cards[: selection.count]
    shown = [order for order in found.orders if order.pk in {card.id for card in cards}]
    return OrdersPanel(
        cards=cards,
        summary=_summary(shown),
        stores=stores,
        has_more=has_more,
        as_of=min((card.as_of for card in cards), default=None),
        selection=selection,
        looked_among=looked_among,
    )


def _open_order(orders: Sequence[Order], mentioned: str) -> int | None:
    """Return the ID of the order the customer mentioned, else of the newest."""
    if named := mentioned_order(orders, mentioned):
        return named.pk
    return orders[0].pk if orders else None


def mentioned_order(orders: Iterable[Order], text: str) -> Order | None:
    """Return the first of the orders that a text names by its number or ID; None if it names none."""
    words = set(_PUNCTUATION.sub(" ", text).split())
    for order in orders:
        named = any(order_names.may_mean(word, order.name) for word in words)
        if named or str(order.legacy_id) in words:
            return order
    return None


def _refunded_anything(refund: Refund) -> bool:
    """Whether any of the refund's money moved or still may."""
    divided = parts(refund)
    return bool(divided.moved.presentment or divided.waiting.presentment)


def _summary(orders: Sequence[Order]) -> CustomerSummary:
    spent: dict[str, list[Money]] = {}
    refunded: dict[str, list[Money]] = {}
    refund_count = 0
    for order in orders:
        if order.snapshot.is_test:
            continue
        money = order.snapshot.money
        spent.setdefault(order.currency, []).append(money.net_payment.presentment)
        refunded.setdefault(order.currency, []).append(money.refunded.presentment)
        refund_count += sum(1 for r in order.snapshot.refunds if _refunded_anything(r))
    return CustomerSummary(
        order_count=len(orders),
        spent=tuple(s for c, parts in spent.items() if (s := total(parts, c))),
        refund_count=refund_count,
        refunded=tuple(s for c, parts in refunded.items() if (s := total(parts, c))),
    )
