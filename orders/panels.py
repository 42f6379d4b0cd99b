"""What the order sidebar shows, computed: templates only choose. A fixed number of queries.

`find_orders` and `orders_panel` read four tables whatever the number of orders; nothing here
calls Shopify.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from orders import rules, statuses
from orders.errors import Refusal
from orders.models import (
    ActionState,
    EventKind,
    Order,
    OrderAction,
    OrderEvent,
    Store,
)
from orders.money import Money, total
from orders.past import Since
from orders.previews import cancel_refusal_for, order_is_delivered
from orders.selection import AT_MOST, Selection, Show
from orders.snapshot import Address, Fulfillment, LineItem, OrderSnapshot, Tracking
from orders.statuses import Badge, Pip, Tone

EVENTS_A_CARD: Final = 20
# Whether an order needs attention is known once it is read: so many are looked through.
ATTENTION_AMONG: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A call to action. Hidden where it makes no sense at all; else allowed, or disabled
    with the reason and what would unlock it."""

    is_shown: bool
    refusal: Refusal | None

    @property
    def is_allowed(self) -> bool:
        return self.is_shown and self.refusal is None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineParcel:
    """The part of a line item that is in one parcel: "2 of 5 in this parcel"."""

    badge: Badge
    quantity: int
    of_quantity: int
    tracking: tuple[Tracking, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRow:
    item: LineItem
    parcels: tuple[LineParcel, ...]
    unshipped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParcelRow:
    number: int
    shipped_at: datetime
    badge: Badge
    tracking: tuple[Tracking, ...]
    items: tuple[tuple[LineItem, int], ...]
    latest: str
    is_live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyRow:
    label: str
    amount: Money
    is_total: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionNotice:
    """The running or last action of an order, in plain words (reliability 3.1).

    `is_running`: Shopify has not answered for good; a page shows it as busy.
    """

    action_id: int
    state: ActionState
    tone: Tone
    title: str
    text: str
    is_running: bool
    can_withdraw: bool
    can_check: bool
    # The undo window's end, while it is open.
    sends_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    kind: EventKind
    label: str
    occurred_at: datetime
    actor: str
    amount: Money | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCard:
    """One order. `badges`: order, payment, fulfillment, in this order; Archived may follow the
    first. `notes` are short sentences beside them ("30.00 of 50.00 paid")."""

    id: int
    gid: str
    legacy_id: int
    name: str
    store_name: str
    placed_at: datetime
    total: Money
    badges: tuple[Badge, ...]
    notes: tuple[Badge, ...]
    lines: tuple[LineRow, ...]
    parcels: tuple[ParcelRow, ...]
    money: tuple[MoneyRow, ...]
    payment_methods: tuple[str, ...]
    shipping_address: Address | None
    note: str
    tags: tuple[str, ...]
    events: tuple[EventRow, ...]
    action: ActionNotice | None
    cancel: Button
    refund: Button
    admin_url: str
    tracking_text: str
    as_of: datetime
    version: int
    is_open: bool
    is_partial: bool
    # Filled in where a conversation is known (inbox.moments).
    changes: tuple[Since, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerSummary:
    """`spent` and `refunded`: one sum a currency."""

    order_count: int
    spent: tuple[Money, ...]
    refund_count: int
    refunded: tuple[Money, ...]


EVERYTHING: Final = Selection()
_SHOW_LABELS: Final = {
    Show.ALL: gettext_noop("All"),
    Show.OPEN: gettext_noop("Open"),
    Show.ATTENTION: gettext_noop("Needs attention"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One way to narrow the panel: the parameters of its address."""

    label: str
    query: str
    is_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersPanel:
    """`as_of` is when the oldest shown order was read; None without orders."""

    cards: tuple[OrderCard, ...]
    summary: CustomerSummary
    stores: tuple[Store, ...]
    has_more: bool
    as_of: datetime | None
    selection: Selection = EVERYTHING

    @property
    def shows_store(self) -> bool:
        """Order names are unique within a store only (F05)."""
        return len(self.stores) > 1

    @property
    def filters(self) -> tuple[Choice, ...]:
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
        """Every store, and before them all of them."""
        chosen = self.selection.store_id
        pairs = [(None, _("All stores")), *((store.pk, str(store)) for store in self.stores)]
        return tuple(
            Choice(label=label, query=self.selection.of_store(pk), is_current=chosen == pk)
            for pk, label in pairs
        )

    @property
    def further(self) -> str:
        """The address's parameters that show more; "" where there are too many to page through."""
        return "" if self.selection.count >= AT_MOST else self.selection.further

    @property
    def store(self) -> Store | None:
        """The one store whose orders are shown; None: all of them."""
        return next((s for s in self.stores if s.pk == self.selection.store_id), None)


@dataclass(frozen=True, slots=True)
class FoundOrders:
    """A page of one person's orders, newest first. `is_all`: the person has no others."""

    orders: tuple[Order, ...]
    has_more: bool
    is_all: bool = False


def find_orders(
    *,
    customer_gids: list[tuple[int, str]],
    emails: list[str],
    phones: list[str],
    selection: Selection = EVERYTHING,
) -> FoundOrders:
    """One query. `selection`: which of them, and how many."""
    found = (
        Order.objects.visible()
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
) -> OrdersPanel:
    """These orders, ready to be shown. Three queries.

    `acting` refuses the agent as such (F28), and `refused` single orders by their ids;
    `mentioned` is the conversation's text: an order named in it opens instead of the newest.
    `opened`: ids the agent has open by now. `selection`: what `found` was chosen by.
    `unreachable`: ids of stores that do not answer.
    """
    stores = tuple(Store.objects.active())
    open_ids = {_open_order(found.orders[: selection.count], mentioned), *opened}
    cards = order_cards(
        found.orders, acting=acting, refused=refused, now=now, open_ids=open_ids,
        unreachable=unreachable,
    )  # fmt: skip
    has_more = found.has_more
    if selection.show == Show.ATTENTION:
        cards = tuple(card for card in cards if needs_attention(card))
        has_more = len(cards) > selection.count
        cards = cards[: selection.count]
    shown = [order for order in found.orders if order.pk in {card.id for card in cards}]
    return OrdersPanel(
        cards=cards,
        summary=_summary(shown),
        stores=stores,
        has_more=has_more,
        as_of=min((card.as_of for card in cards), default=None),
        selection=selection,
    )


def needs_attention(card: OrderCard) -> bool:
    """Something is late, stuck, held back or owed, and somebody has to look."""
    worries = {Tone.WARNING, Tone.CRITICAL}
    is_canceled = any(badge.tone == Tone.CRITICAL for badge in card.badges[:1])
    is_late = any(p.is_live and p.badge.tone in worries for p in card.parcels)
    return (
        (card.action is not None and card.action.state in _NEEDS_SOMEBODY)
        or any(note.tone in {Tone.ATTENTION, *worries} for note in card.notes)
        or card.badges[1].raw == "EXPIRED"
        or (is_late and not is_canceled)
    )


def order_card(order: Order, *, acting: Refusal | None, now: datetime) -> OrderCard:
    """One order's card, open."""
    return order_cards([order], acting=acting, now=now, open_ids={order.pk})[0]


def order_cards(
    orders: Sequence[Order],
    *,
    acting: Refusal | None,
    now: datetime,
    refused: Mapping[int, Refusal] = {},
    open_ids: Collection[int | None] = (),
    unreachable: Collection[int] = (),
) -> tuple[OrderCard, ...]:
    """Two queries for any number of orders: their actions and their events."""
    ids = [order.pk for order in orders]
    actions: dict[int, OrderAction] = {}
    for action in OrderAction.objects.filter(order__in=ids).select_related("requested_by"):
        actions.setdefault(action.order_id, action)
    events: dict[int, list[OrderEvent]] = {}
    for event in OrderEvent.objects.filter(order__in=ids).select_related("actor"):
        events.setdefault(event.order_id, []).append(event)
    return tuple(
        _card(
            order,
            action=actions.get(order.pk),
            events=events.get(order.pk, [])[:EVENTS_A_CARD],
            acting=(
                _does_not_answer()
                if order.store_id in unreachable
                else acting or refused.get(order.pk)
            ),
            now=now,
            is_open=order.pk in open_ids,
        )
        for order in orders
    )


def _does_not_answer() -> Refusal:
    return Refusal(
        "unreachable",
        _("Shopify cannot be reached just now."),
        _("What is shown may be out of date. Try again in a moment."),
    )


def action_notice(action: OrderAction) -> ActionNotice | None:
    """What a state means to the agent; None for what needs no words any more."""
    who = action.requested_by.get_short_name() or action.requested_by.get_username()
    what = action.get_kind_display()
    if action.money:
        what = f"{what} {action.money.format()}"
    tone, title, text = _NOTICES[ActionState(action.state)]
    return ActionNotice(
        action_id=action.pk,
        state=ActionState(action.state),
        tone=tone,
        title=_(title) % {"what": what, "who": who},
        text=action.message or (_(text) if text else ""),
        is_running=action.is_active and action.state not in _WAITS_FOR_PEOPLE,
        can_withdraw=action.state in _WITHDRAWABLE and not action.maybe_applied,
        can_check=action.state == ActionState.UNKNOWN,
        sends_at=action.next_attempt_at
        if action.state == ActionState.QUEUED and not action.attempts
        else None,
    )


_NEEDS_SOMEBODY: Final = {
    ActionState.UNKNOWN, ActionState.BLOCKED, ActionState.NEEDS_HUMAN, ActionState.PARTIAL,
    ActionState.REVERSED, ActionState.AWAITING_APPROVAL,
}  # fmt: skip
_WAITS_FOR_PEOPLE: Final = {ActionState.AWAITING_APPROVAL, ActionState.NEEDS_HUMAN}
_WITHDRAWABLE: Final = {
    ActionState.AWAITING_APPROVAL, ActionState.QUEUED, ActionState.BLOCKED,
}  # fmt: skip
_NOTICES: Final[dict[ActionState, tuple[Tone, str, str]]] = {
    ActionState.QUEUED: (Tone.INFO, gettext_noop("%(what)s: starting…"), ""),
    ActionState.SENDING: (Tone.INFO, gettext_noop("%(what)s: sending to Shopify…"), ""),
    ActionState.PENDING: (
        Tone.INFO, gettext_noop("%(what)s: Shopify is working on it…"), "",
    ),
    ActionState.UNKNOWN: (
        Tone.WARNING,
        gettext_noop("%(what)s: checking with Shopify"),
        gettext_noop("Shopify did not answer. We are checking; do not repeat it in Shopify’s admin."),
    ),
    ActionState.BLOCKED: (
        Tone.CRITICAL,
        gettext_noop("%(what)s: waits for an administrator"),
        gettext_noop("The Shopify connection needs an administrator. Nothing was changed."),
    ),
    ActionState.NEEDS_HUMAN: (
        Tone.CRITICAL,
        gettext_noop("%(what)s: compare with Shopify"),
        gettext_noop("It is not certain whether this happened. A supervisor has to look at Shopify."),
    ),
    ActionState.SUCCEEDED: (Tone.SUCCESS, gettext_noop("%(what)s: done by %(who)s"), ""),
    ActionState.PARTIAL: (
        Tone.CRITICAL, gettext_noop("Canceled, refund failed"), gettext_noop("The money was not returned yet."),
    ),
    ActionState.REJECTED: (
        Tone.CRITICAL, gettext_noop("%(what)s: refused"), gettext_noop("Nothing was changed."),
    ),
    ActionState.REVERSED: (
        Tone.CRITICAL, gettext_noop("%(what)s: failed at the bank"), gettext_noop("The money was not returned."),
    ),
    ActionState.WITHDRAWN: (Tone.DEFAULT, gettext_noop("%(what)s: withdrawn"), ""),
    ActionState.AWAITING_APPROVAL: (
        Tone.ATTENTION,
        gettext_noop("%(what)s: waits for approval"),
        gettext_noop("Nothing was sent yet. A supervisor sees it under Decisions."),
    ),
    ActionState.DECLINED: (Tone.WARNING, gettext_noop("%(what)s: declined"), gettext_noop("Nothing was sent.")),
    ActionState.EXPIRED: (
        Tone.WARNING, gettext_noop("%(what)s: not approved in time"), gettext_noop("Nothing was sent. Ask again."),
    ),
}  # fmt: skip


def _card(
    order: Order,
    *,
    action: OrderAction | None,
    events: Sequence[OrderEvent],
    acting: Refusal | None,
    now: datetime,
    is_open: bool,
) -> OrderCard:
    snapshot, zone = order.snapshot, order.store.zone
    badges = (
        *statuses.order_badges(snapshot)[:1],
        statuses.payment_badge(snapshot),
        statuses.fulfillment_badge(snapshot, now=now, zone=zone),
        *statuses.order_badges(snapshot)[1:],
    )
    cancel, refund = _buttons(order, action, acting, now)
    return OrderCard(
        id=order.pk,
        is_partial=order.is_partial,
        gid=order.gid,
        legacy_id=order.legacy_id,
        name=order.name,
        store_name=str(order.store),
        placed_at=snapshot.placed_at,
        total=snapshot.money.total.presentment,
        badges=badges,
        notes=_notes(order, snapshot),
        lines=_line_rows(snapshot, now=now, order=order),
        parcels=_parcel_rows(snapshot, now=now, order=order),
        money=_money_rows(snapshot),
        payment_methods=tuple(dict.fromkeys(_method(t.gateway_label or t.gateway, t.account_number)
                                            for t in rules.payments(snapshot))),
        shipping_address=snapshot.shipping_address,
        note=snapshot.note,
        tags=snapshot.tags,
        events=tuple(event_row(event) for event in events),
        action=action_notice(action) if action else None,
        cancel=cancel,
        refund=refund,
        admin_url=order.admin_url,
        tracking_text=_tracking_text(snapshot),
        as_of=order.read_started_at or now,
        version=order.version,
        is_open=is_open,
    )  # fmt: skip


def _buttons(
    order: Order, action: OrderAction | None, acting: Refusal | None, now: datetime
) -> tuple[Button, Button]:
    """Both CTAs. One action runs at a time; only then does the agent's own right matter."""
    snapshot = order.snapshot
    running = None
    if action and action.is_active:
        running = Refusal("action_active", _("An action on this order is under way."))
    cancel_rule = cancel_refusal_for(order, now=now)
    refund_rule = rules.refund_refusal(snapshot)
    cancel_shown = not snapshot.cancelled_at and not order_is_delivered(order, now=now)
    refund_shown = refund_rule is None or refund_rule.code == "not_refundable"
    return (
        Button(is_shown=cancel_shown, refusal=cancel_rule or running or acting),
        Button(is_shown=refund_shown, refusal=refund_rule or running or acting),
    )


def action_states(order: Order, *, acting: Refusal | None, now: datetime) -> tuple[Button, Button]:
    """Cancel and refund for the REST door: the very answer the page shows (G02)."""
    latest = order.actions.order_by("-pk").first()
    return _buttons(order, latest, acting, now)


def _notes(order: Order, snapshot: OrderSnapshot) -> tuple[Badge, ...]:
    money = snapshot.money
    notes = []
    if rules.refund_outstanding(snapshot):
        if order.kept is not None and order.kept == order.net_payment:
            notes.append(Badge(_("Kept on purpose"), Tone.DEFAULT))
        else:
            notes.append(Badge(_("Refund outstanding"), Tone.ATTENTION, Pip.EMPTY))
    if snapshot.financial_status == "PARTIALLY_PAID":
        text = _("%(paid)s of %(total)s paid") % {
            "paid": money.received.presentment.format(),
            "total": money.total.presentment.format(),
        }
        notes.append(Badge(text, Tone.DEFAULT))
    if snapshot.financial_status == "PARTIALLY_REFUNDED":
        text = _("refunded %(refunded)s of %(paid)s") % {
            "refunded": money.refunded.presentment.format(),
            "paid": money.received.presentment.format(),
        }
        notes.append(Badge(text, Tone.DEFAULT))
    if detail := statuses.fulfillment_detail(snapshot):
        tone = Tone.WARNING if snapshot.fulfillment_status == "ON_HOLD" else Tone.INFO
        notes.append(Badge(detail, tone))
    if rules.has_open_return(snapshot):
        notes.append(Badge(_("Return open"), Tone.ATTENTION, Pip.HALF))
    if snapshot.is_test:
        notes.append(Badge(_("Test order"), Tone.DEFAULT))
    return tuple(notes)


def _line_rows(snapshot: OrderSnapshot, *, now: datetime, order: Order) -> tuple[LineRow, ...]:
    return tuple(
        LineRow(
            item=line,
            parcels=tuple(
                LineParcel(
                    badge=statuses.parcel_badge(parcel, now=now, zone=order.store.zone),
                    quantity=part.quantity,
                    of_quantity=line.quantity,
                    tracking=parcel.tracking,
                )
                for parcel in statuses.live_fulfillments(snapshot)
                for part in parcel.lines
                if part.line_gid == line.gid
            ),
            unshipped=line.unfulfilled_quantity if line.requires_shipping else 0,
        )
        for line in snapshot.lines
    )


def _parcel_rows(snapshot: OrderSnapshot, *, now: datetime, order: Order) -> tuple[ParcelRow, ...]:
    by_gid = {line.gid: line for line in snapshot.lines}
    live = statuses.live_fulfillments(snapshot)
    return tuple(
        ParcelRow(
            number=number,
            shipped_at=parcel.created_at,
            badge=statuses.parcel_badge(parcel, now=now, zone=order.store.zone),
            tracking=parcel.tracking,
            items=tuple(
                (by_gid[part.line_gid], part.quantity)
                for part in parcel.lines
                if part.line_gid in by_gid
            ),
            latest=_latest_news(parcel),
            is_live=parcel in live,
        )
        for number, parcel in enumerate(snapshot.fulfillments, start=1)
    )


def _tracking_text(snapshot: OrderSnapshot) -> str:
    """For a reply: a line a parcel, "DHL JD014600003: https://…"; empty before anything is sent."""
    found = (
        (f"{each.company} {each.number}".strip(), each.url)
        for parcel in snapshot.fulfillments
        for each in parcel.tracking
    )
    return "\n".join(": ".join(part for part in words if part) for words in found)


def _latest_news(parcel: Fulfillment) -> str:
    if not parcel.events:
        return ""
    event = max(parcel.events, key=lambda e: e.happened_at)
    return " · ".join(part for part in (event.message, event.place) if part)


def _money_rows(snapshot: OrderSnapshot) -> tuple[MoneyRow, ...]:
    money = snapshot.money
    rows = [
        MoneyRow(label=_("Subtotal"), amount=money.subtotal.presentment),
        MoneyRow(label=_("Discounts"), amount=money.discounts.presentment),
        MoneyRow(label=_("Shipping"), amount=money.shipping.presentment),
        MoneyRow(label=_("Tax"), amount=money.tax.presentment),
        MoneyRow(label=_("Tip"), amount=money.tips.presentment),
        MoneyRow(label=_("Total"), amount=money.total.presentment, is_total=True),
        MoneyRow(label=_("Paid"), amount=money.received.presentment),
        MoneyRow(label=_("Refunded"), amount=money.refunded.presentment),
        MoneyRow(label=_("Outstanding"), amount=money.outstanding.presentment),
    ]
    always = {_("Total"), _("Paid"), _("Subtotal")}
    return tuple(row for row in rows if row.amount or row.label in always)


def _method(label: str, account_number: str) -> str:
    return f"{label} {account_number}".strip()


def event_row(event: OrderEvent) -> EventRow:
    actor = ""
    if event.actor:
        actor = event.actor.get_short_name() or event.actor.get_username()
    return EventRow(
        kind=EventKind(event.kind),
        label=str(event.get_kind_display()),
        occurred_at=event.occurred_at,
        actor=actor or str(event.get_source_display()),
        amount=event.money,
        detail=event.detail,
    )


def _open_order(orders: Sequence[Order], mentioned: str) -> int | None:
    """The order the customer named, else the newest."""
    words = set(mentioned.replace(",", " ").replace(".", " ").replace("?", " ").split())
    for order in orders:
        bare = order.name.lstrip("#")
        if order.name in words or (bare and bare in words) or str(order.legacy_id) in words:
            return order.pk
    return orders[0].pk if orders else None


def _summary(orders: Sequence[Order]) -> CustomerSummary:
    spent: dict[str, list[Money]] = {}
    refunded: dict[str, list[Money]] = {}
    refund_count = 0
    for order in orders:
        money = order.snapshot.money
        spent.setdefault(order.currency, []).append(money.net_payment.presentment)
        refunded.setdefault(order.currency, []).append(money.refunded.presentment)
        refund_count += sum(1 for r in order.snapshot.refunds if r.total.presentment)
    return CustomerSummary(
        order_count=len(orders),
        spent=tuple(s for c, parts in spent.items() if (s := total(parts, c))),
        refund_count=refund_count,
        refunded=tuple(s for c, parts in refunded.items() if (s := total(parts, c))),
    )
