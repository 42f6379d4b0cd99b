"""An order as a card: its badges, its notes, and which actions are possible."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from django.utils.translation import gettext as _

from orders import rules
from orders.actions import status_texts
from orders.actions.requests import active_refusal
from orders.errors import Refusal
from orders.models import ActionState, Order, OrderAction, OrderEvent
from orders.money import Money
from orders.panels import details, line_changes
from orders.panels.action_notices import (
    NEEDS_A_PERSON,
    action_notice,
)
from orders.panels.card_rows import event_row, line_rows, parcel_rows, tracking_text
from orders.panels.returns import return_rows
from orders.panels.totals import money_rows
from orders.panels.types import (
    Button,
    OrderCard,
)
from orders.previews import cancel_refusal_for, order_is_delivered
from orders.snapshot import OrderSnapshot
from orders.statuses import badges as statuses
from orders.statuses.badges import (
    Badge,
    Pip,
    Tone,
)

EVENTS_A_CARD: Final = 100


def order_card(order: Order, *, acting: Refusal | None, now: datetime) -> OrderCard:
    """Return one order's card, open."""
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
    """Return the orders' cards. Two queries for any number: their actions and their events.

    `acting` refuses the agent every action, and `refused` single orders, by ID. `open_ids` are
    orders shown open, `unreachable` stores that don't answer.
    """
    ids = [order.pk for order in orders]
    actions: dict[int, OrderAction] = {}
    for action in OrderAction.objects.filter(order__in=ids).select_related("requested_by"):
        # Newest first, so this keeps each order's latest action.
        actions.setdefault(action.order_id, action)
    for order in orders:
        # Spares a query for each notice that looks at its order.
        if action_of := actions.get(order.pk):
            action_of.order = order
    events: dict[int, list[OrderEvent]] = {}
    for event in OrderEvent.objects.filter(order__in=ids).select_related(
        "actor", "action__requested_by", "action__order__store"
    ):
        events.setdefault(event.order_id, []).append(event)
    return tuple(
        _card(
            order,
            action=actions.get(order.pk),
            events=events.get(order.pk, []),
            acting=(
                _unreachable_refusal()
                if order.store_id in unreachable
                else acting or refused.get(order.pk)
            ),
            now=now,
            is_open=order.pk in open_ids,
        )
        for order in orders
    )


def needs_attention(card: OrderCard) -> bool:
    """Whether something is late, stuck, on hold or owed, so that someone has to look."""
    worries = {Tone.WARNING, Tone.CRITICAL}
    is_canceled = any(badge.tone == Tone.CRITICAL for badge in card.badges[:1])
    is_late = any(p.is_live and p.badge.tone in worries for p in card.parcels)
    return (
        (card.action is not None and card.action.state in NEEDS_A_PERSON)
        or any(note.tone in {Tone.ATTENTION, *worries} for note in card.notes)
        or card.badges[1].raw == "EXPIRED"
        or (is_late and not is_canceled)
    )


def action_states(order: Order, *, acting: Refusal | None, now: datetime) -> tuple[Button, Button]:
    """Return the states of Cancel and Refund for the REST API, computed exactly as for the page."""
    latest = order.actions.select_related("requested_by").order_by("-pk").first()
    return _buttons(order, latest, acting, now)


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
        *statuses.fulfillment_badges(snapshot, now=now, zone=zone),
        *statuses.order_badges(snapshot)[1:],
    )
    cancel, refund = _buttons(order, action, acting, now)
    return OrderCard(
        id=order.pk,
        is_partial=order.is_partial,
        unread=rules.unread_text(snapshot),
        gid=order.gid,
        legacy_id=order.legacy_id,
        name=order.name,
        store_name=str(order.store),
        placed_at=snapshot.placed_at,
        total=snapshot.money.total.presentment,
        badges=badges,
        notes=_notes(order, snapshot, action, now=now),
        lines=line_rows(snapshot, now=now, order=order),
        parcels=parcel_rows(snapshot, now=now, order=order),
        returns=return_rows(snapshot, order=order),
        money=money_rows(snapshot),
        swaps=line_changes.swaps(snapshot),
        payment_methods=tuple(
            dict.fromkeys(
                _method(t.gateway_label or t.gateway, t.account_number)
                for t in rules.payments(snapshot)
            )
        ),
        shipping_address=snapshot.shipping_address,
        billing_address=details.billing_address(snapshot),
        details=details.details(snapshot),
        transactions=details.transactions(snapshot),
        status_page_url=snapshot.status_page_url,
        note=snapshot.note,
        tags=snapshot.tags,
        events=tuple(event_row(event) for event in events[:EVENTS_A_CARD]),
        event_count=len(events),
        action=action_notice(action) if action else None,
        cancel=cancel,
        refund=refund,
        admin_url=order.admin_url,
        tracking_text=tracking_text(snapshot),
        as_of=order.read_started_at or now,
        version=order.version,
        is_open=is_open,
    )


def _unreachable_refusal() -> Refusal:
    return Refusal(
        "unreachable",
        _("Shopify can’t be reached right now."),
        _("The details shown may be out of date. Try again in a moment."),
    )


def _buttons(
    order: Order, action: OrderAction | None, acting: Refusal | None, now: datetime
) -> tuple[Button, Button]:
    """Return the Cancel and Refund buttons.

    The order's own refusal comes first, then an action already running on it, then the agent's
    rights.
    """
    snapshot = order.snapshot
    running = None
    if action and action.is_active:
        running = active_refusal(action)
    cancel_rule = cancel_refusal_for(order, now=now)
    refund_rule = rules.refund_refusal(snapshot)
    # With incomplete data the buttons stay visible and say why they can't be used.
    is_incomplete = snapshot.is_incomplete
    cancel_shown = not snapshot.cancelled_at and (
        is_incomplete or not order_is_delivered(order, now=now)
    )
    refund_shown = refund_rule is None or refund_rule.code in {"not_refundable", "incomplete"}
    return (
        Button(is_shown=cancel_shown, refusal=cancel_rule or running or acting),
        Button(is_shown=refund_shown, refusal=refund_rule or running or acting),
    )


def _notes(
    order: Order, snapshot: OrderSnapshot, action: OrderAction | None, *, now: datetime
) -> tuple[Badge, ...]:
    money = snapshot.money
    notes = []
    if snapshot.is_incomplete:
        notes.append(Badge(_("Incomplete"), Tone.WARNING))
    if rules.has_lost_dispute(snapshot):
        notes.append(Badge(_("Dispute lost"), Tone.CRITICAL))
    if rules.has_open_dispute(snapshot):
        notes.append(Badge(_("Dispute open"), Tone.CRITICAL))
    if rules.refund_outstanding(snapshot):
        if _is_kept(order, snapshot, action):
            kept = rules.net_paid(snapshot).format()
            notes.append(Badge(_("Kept on purpose: %(sum)s") % {"sum": kept}, Tone.DEFAULT))
        else:
            notes.append(Badge(_("Refund outstanding"), Tone.ATTENTION, Pip.EMPTY))
    if owed := _balance_note(snapshot):
        notes.append(owed)
    if snapshot.financial_status == "PARTIALLY_REFUNDED":
        text = _("refunded %(refunded)s of %(paid)s") % {
            "refunded": money.refunded.presentment.format(),
            "paid": money.received.presentment.format(),
        }
        notes.append(Badge(text, Tone.DEFAULT))
    if terms := statuses.terms_badge(snapshot, now=now, zone=order.store.zone):
        notes.append(terms)
    notes += statuses.fulfillment_details(snapshot, zone=order.store.zone)
    if coming_back := statuses.return_badge(snapshot):
        notes.append(coming_back)
    if snapshot.is_test:
        notes.append(Badge(_("Test order"), Tone.DEFAULT))
    return tuple(notes)


def _balance_note(snapshot: OrderSnapshot) -> Badge | None:
    """What the customer or the shop still owes, or how much of the total is paid."""
    money = snapshot.money
    owed = money.outstanding.presentment
    is_changed = money.current_total != money.total
    if owed.amount < 0 and not snapshot.cancelled_at:
        text = _("We owe %(sum)s") % {"sum": Money(-owed.amount, owed.currency).format()}
        return Badge(text, Tone.ATTENTION)
    if owed and (line_changes.was_altered(snapshot) or (_is_partly_paid(snapshot) and is_changed)):
        # Not "paid of total": the total still includes items that were removed.
        return Badge(_("%(sum)s outstanding") % {"sum": owed.format()}, Tone.DEFAULT)
    if _is_partly_paid(snapshot):
        text = _("%(paid)s of %(total)s paid") % {
            "paid": money.received.presentment.format(),
            "total": money.total.presentment.format(),
        }
        return Badge(text, Tone.DEFAULT)
    return None


def _is_partly_paid(snapshot: OrderSnapshot) -> bool:
    return snapshot.financial_status == "PARTIALLY_PAID"


def _is_kept(order: Order, snapshot: OrderSnapshot, action: OrderAction | None) -> bool:
    """Whether the shop keeps the rest on purpose, or will once the bank confirms the refund."""
    if order.kept is not None and order.kept == order.net_payment:
        return True
    if action is None or action.state != ActionState.AWAITING_BANK:
        return False
    return status_texts.kept_on_purpose(action) == rules.net_paid(snapshot)


def _method(label: str, account_number: str) -> str:
    return f"{label} {account_number}".strip()
