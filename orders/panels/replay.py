"""What an agent saw when they confirmed an action, what followed, and what Shopify said when.

Only from stored rows: the frozen request, the order's kept states, the audit log and the refunds
and transactions that Shopify reports. What wasn't kept is left out, never worked out again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from orders import previews
from orders.actions import status_texts
from orders.actions.progress import refund_of
from orders.actions.status_texts import Words
from orders.models import ActionKind, ActionState, AuditEntry, AuditKind, OrderAction
from orders.money import Money
from orders.panels import details
from orders.panels.types import TransactionRow
from orders.previews import Proposal, SummaryItem
from orders.snapshot import OrderSnapshot, Refund
from orders.versions import time_travel

_SHOWN: Final = (AuditKind.ACTION, AuditKind.APPROVAL, AuditKind.SETTLED_BY_HAND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A state that the action came to, and who brought it there; "" for the system."""

    at: datetime
    label: str
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A time from Shopify: an order that was canceled, or a refund that was booked."""

    label: str
    amount: Money | None
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """An action from its click on.

    `has_state`: the order's state at the click is known, and the items have their names from it.
    `rows` are (label, text) and `money` (label, sum, is the total), as on the summary that was
    confirmed; both are empty for a request that can't be read any more.
    """

    action: OrderAction
    words: Words
    who: str
    where: str
    has_state: bool
    rows: tuple[tuple[str, str], ...]
    items: tuple[SummaryItem, ...]
    money: tuple[tuple[str, Money, bool], ...]
    steps: tuple[Step, ...]
    said: tuple[Said, ...]
    transactions: tuple[TransactionRow, ...]


def replay_of(action: OrderAction) -> Replay:
    """Put together what is stored about an action. Three queries at most.

    Expects its order with the store, and its requester.
    """
    order = action.order
    then = time_travel.as_of(order, action.requested_at)
    now = order.snapshot if order.document else None
    shown = then or now
    try:
        proposal = previews.decode_proposal(action.proposal)
    except ValueError:
        proposal = None
    by = action.requested_by
    refund = refund_of(action, now) if now else None
    return Replay(
        action=action,
        words=status_texts.words(action),
        who=by.get_short_name() or by.get_username(),
        where=status_texts.where(action),
        has_state=then is not None,
        rows=previews.summary_rows(shown, proposal) if proposal and shown else (),
        items=tuple(_items(shown, proposal)) if proposal and shown else (),
        money=tuple(_money(proposal)) if proposal else (),
        steps=_steps(action),
        said=tuple(_said(action, now, refund)) if now else (),
        transactions=_transactions(now, refund) if now and refund else (),
    )


def _items(shown: OrderSnapshot, proposal: Proposal) -> Iterator[SummaryItem]:
    chosen = {part.line_gid: part.quantity for part in proposal.lines}
    for line in shown.lines:
        units = chosen.get(line.gid, 0)
        if proposal.kind != ActionKind.REFUND:
            units = line.current_quantity
        if units:
            yield SummaryItem(line=line, quantity=units)


def _money(proposal: Proposal) -> Iterator[tuple[str, Money, bool]]:
    paid, refunded = (_frozen(proposal, name) for name in ("received", "refunded"))
    amount = proposal.amount
    if amount is not None:
        for target in proposal.targets:
            yield _("To %(label)s") % {"label": target.label}, target.amount, False
        yield _("Refund total"), amount, True
    if paid is None or refunded is None:
        return
    yield _("Paid"), paid, False
    yield _("Already refunded"), refunded, False
    if paid.currency == refunded.currency and (amount is None or amount.currency == paid.currency):
        left = paid - refunded
        yield _("Stays with the shop"), left if amount is None else left - amount, False


def _frozen(proposal: Proposal, name: str) -> Money | None:
    """Return a sum from the facts that were confirmed; None if they lack it."""
    try:
        return Money.from_wire(*proposal.facts[name].split())
    except (KeyError, TypeError, ValueError):
        return None


def _steps(action: OrderAction) -> tuple[Step, ...]:
    entries = list(AuditEntry.objects.filter(action_id=action.pk, kind__in=_SHOWN).order_by("pk"))
    people = User.objects.in_bulk({entry.actor_id for entry in entries if entry.actor_id})
    return tuple(
        Step(at=entry.at, label=_label(entry), who=_who(entry, people.get(entry.actor_id or 0)))
        for entry in entries
    )


def _who(entry: AuditEntry, person: User | None) -> str:
    return (person.get_short_name() if person else "") or entry.actor


def _label(entry: AuditEntry) -> str:
    if entry.kind == AuditKind.APPROVAL:
        return _("Approved")
    if entry.kind == AuditKind.SETTLED_BY_HAND:
        return _("Settled by hand")
    if not entry.before and entry.after != ActionState.AWAITING_APPROVAL:
        return _("Confirmed")
    is_known = entry.after in ActionState.values
    return str(ActionState(entry.after).label) if is_known else entry.after


def _said(action: OrderAction, now: OrderSnapshot, refund: Refund | None) -> Iterator[Said]:
    if action.kind != ActionKind.REFUND and now.cancelled_at:
        yield Said(label=_("Order canceled"), amount=None, at=now.cancelled_at)
    if refund:
        total = refund.total.presentment
        yield Said(label=_("Refund recorded"), amount=total, at=refund.created_at)


def _transactions(now: OrderSnapshot, refund: Refund) -> tuple[TransactionRow, ...]:
    return details.transactions(now, gids={part.gid for part in refund.transactions})
