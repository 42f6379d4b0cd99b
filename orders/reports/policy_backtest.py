"""What a policy would have done with the requests of the last weeks. Read-only.

Each request is judged by the rules that decide real ones, with the facts of its time: the order as
it was shown then, and the refunds its customer had had by then. Whoever had the policy's role is
judged by today's roles, because earlier ones aren't stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Final

from django.db.models import F, QuerySet

from orders import policies, previews
from orders.models import (
    NOTHING_DONE_STATES,
    ActionKind,
    ActionState,
    AuditEntry,
    AuditKind,
    OrderAction,
    OrderRefund,
    OrderVersion,
    Policy,
    Store,
)
from orders.money import Money
from orders.policies import Facts
from orders.snapshot import OrderSnapshot

DAYS: Final = 90
ACTIONS_AT_MOST: Final = 500
_REFUNDS_AT_MOST: Final = 5_000
_CUSTOMER_SPAN: Final = timedelta(days=policies.CUSTOMER_DAYS)


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of one agent, one reason, or all requests.

    `notes`: would have needed a staff note that they didn't have. `unknown`: something that the
    policy asks about isn't known of them.
    """

    name: str
    total: int = 0
    approvals: int = 0
    refused: int = 0
    notes: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """The counts, and how long approvals took that were really given.

    `is_cut`: there were more requests than ACTIONS_AT_MOST, of which only the newest are counted.
    """

    total: Tally
    by_agent: tuple[Tally, ...]
    by_reason: tuple[Tally, ...]
    delays: tuple[timedelta, ...]
    is_cut: bool

    @property
    def median_delay(self) -> str:
        """The median time from request to approval, in words; "" if nothing was approved."""
        if not self.delays:
            return ""
        minutes = round(median(delay.total_seconds() for delay in self.delays) / 60)
        if minutes < 1:
            return "less than a minute"
        if minutes < 120:
            return f"{minutes} minute{'' if minutes == 1 else 's'}"
        return f"{minutes / 60:.1f} hours"


@dataclass(slots=True)
class _Past:
    """What is known of the time of each request, read at once for all of them."""

    snapshots: Mapping[int, OrderSnapshot]
    # By store and customer: when, how much, and by which action. None: too many to count.
    refunds: Mapping[tuple[int, str], list[tuple[datetime, Decimal, int | None]]] | None
    # By person and store: when and how much they would have refunded alone.
    spent: dict[tuple[int, int], list[tuple[datetime, Decimal]]] = field(
        default_factory=lambda: defaultdict(list)
    )


def backtest(typed: Policy, *, stores: QuerySet[Store], now: datetime) -> Backtest:
    """Judge the requests of the last DAYS days by a policy, saved or not. At most six queries.

    Counts requests for refunds and cancellations made here, at these stores, by people to whom
    this policy would apply. Those made in Shopify have neither an agent nor a role.
    """
    others = Policy.objects.exclude(pk=typed.pk)
    held = [*others, typed]
    rows = OrderAction.objects.filter(
        requested_at__gt=now - timedelta(days=DAYS),
        requested_at__lte=now,
        requested_by__groups=typed.role_id,
        order__store__in=stores,
        order__is_test=False,
    )
    if typed.store_id:
        rows = rows.filter(order__store=typed.store_id)
    rows = rows.select_related("order__store", "requested_by").defer("steps")
    newest = list(
        rows.prefetch_related("requested_by__groups").order_by("-requested_at", "-pk")[
            : ACTIONS_AT_MOST + 1
        ]
    )
    # Oldest first, so that each day's spending adds up.
    actions = [a for a in newest[:ACTIONS_AT_MOST][::-1] if _applies(typed, held, a)]
    past = _Past(_snapshots(actions), _refunds(actions, typed))
    total = Tally(name="")
    by_agent: dict[str, Tally] = {}
    by_reason: dict[str, Tally] = {}
    for action in actions:
        agent = action.requested_by.get_full_name() or action.requested_by.get_username()
        reason = previews.reason_words(action.reason) or "No reason"
        tallies = (
            total,
            by_agent.setdefault(agent, Tally(name=agent)),
            by_reason.setdefault(reason, Tally(name=reason)),
        )
        _count(action, typed, past, tallies)
    return Backtest(
        total=total,
        by_agent=_sorted(by_agent.values()),
        by_reason=_sorted(by_reason.values()),
        delays=_delays(actions),
        is_cut=len(newest) > ACTIONS_AT_MOST,
    )


def _applies(typed: Policy, held: Sequence[Policy], action: OrderAction) -> bool:
    roles = {group.pk for group in action.requested_by.groups.all()}
    found = policies.effective(held, roles=roles, store_id=action.order.store_id)
    return found is typed


def _count(action: OrderAction, policy: Policy, past: _Past, tallies: Collection[Tally]) -> None:
    order, at = action.order, action.requested_at
    currency = order.shop_currency or order.store.currency
    amount = Money(action.amount_shop, currency) if action.amount is not None else None
    facts = _facts(action, past)
    own = past.spent[action.requested_by_id, order.store_id]
    spent = sum((money for then, money in own if then > at - policies.DAY), Decimal(0))
    has_note = bool(action.staff_note.strip())

    def judged(has_note: bool) -> policies.Ruling:
        return policies.judge(
            policy,
            kind=ActionKind(action.kind),
            amount=amount,
            spent=spent,
            has_note=has_note,
            facts=facts,
            currency=currency,
        )

    ruling = judged(has_note)
    lacks_note = ruling.refusal is not None and ruling.refusal.code == "note_missing"
    if lacks_note:
        ruling = judged(True)
    # Masking removes notes, so whether there was one isn't known.
    is_note_unknown = lacks_note and order.masked_at is not None
    unknown = policies.unknown_facts(policy, facts, has_amount=amount is not None)
    for tally in tallies:
        tally.total += 1
        tally.approvals += bool(ruling.approvals)
        tally.refused += ruling.refusal is not None
        tally.notes += lacks_note and not is_note_unknown
        tally.unknown += bool(unknown) or is_note_unknown
    is_spent = amount is not None and action.state not in NOTHING_DONE_STATES
    if is_spent and not ruling.approvals and ruling.refusal is None:
        own.append((at, action.amount_shop))


def _facts(action: OrderAction, past: _Past) -> Facts:
    """The facts as they were when the action was requested."""
    order, at = action.order, action.requested_at
    snapshot = past.snapshots.get(action.pk)
    found = policies.UNKNOWN
    if snapshot is not None:
        found = policies.order_facts(
            snapshot,
            line_gids=_line_gids(action),
            is_masked=order.masked_at is not None,
            assume_delivered_after_days=order.store.assume_delivered_after_days,
            now=at,
        )
    if past.refunds is not None and order.customer_gid:
        theirs = past.refunds.get((order.store_id, order.customer_gid), [])
        sums = [
            amount
            for then, amount, by in theirs
            if at - _CUSTOMER_SPAN < then < at and by != action.pk
        ]
        found = replace(found, customer_refunded=sum(sums, Decimal(0)), customer_refunds=len(sums))
    # What was sent from a conversation was sent for a contact who certainly owned the order.
    is_proven = action.origin.startswith("conversation:") and action.sent_at is not None
    return replace(
        found,
        reason=action.reason or None,
        reason_label=previews.reason_words(action.reason),
        agent_days=policies.agent_days(action.requested_by, now=at),
        is_sender_verified=True if is_proven else None,
    )


def _line_gids(action: OrderAction) -> set[str]:
    try:
        return {line.line_gid for line in previews.decode_proposal(action.proposal).lines}
    except ValueError:
        return set()


def _snapshots(actions: Sequence[OrderAction]) -> dict[int, OrderSnapshot]:
    """Each action's order as it was shown when it was requested, as far as that is known."""
    found: dict[int, OrderSnapshot] = {}
    for action in actions:
        since = action.order.state_since
        if action.order.document and since and since <= action.requested_at:
            found[action.pk] = action.order.snapshot
    wanted = [action.pk for action in actions if action.pk not in found]
    at = F("order__actions__requested_at")
    versions = OrderVersion.objects.filter(
        order__actions__in=wanted, since__lte=at, until__gt=at
    ).annotate(action_id=F("order__actions"))
    for action_id, document in versions.values_list("action_id", "document"):
        found[action_id] = OrderVersion(document=document).snapshot
    return found


def _refunds(
    actions: Sequence[OrderAction], policy: Policy
) -> dict[tuple[int, str], list[tuple[datetime, Decimal, int | None]]] | None:
    """The refunds of the actions' customers, as far back as any of the actions looks."""
    asked = (policy.customer_refunds_up_to, policy.customer_refund_count)
    if not actions or asked == (None, None):
        return {}
    gids = {action.order.customer_gid for action in actions} - {""}
    rows = OrderRefund.objects.filter(
        order__store__in={action.order.store_id for action in actions},
        order__customer_gid__in=gids,
        order__is_test=False,
        refunded_at__gt=actions[0].requested_at - _CUSTOMER_SPAN,
    )
    columns = ("order__store", "order__customer_gid", "refunded_at", "action")
    sums = ("moved_shop", "waiting_shop")
    read = list(rows.values_list(*columns, *sums)[: _REFUNDS_AT_MOST + 1])
    if len(read) > _REFUNDS_AT_MOST:
        return None
    found = defaultdict(list)
    for store_id, gid, at, action_id, moved, waiting in read:
        if moved + waiting > 0:
            found[store_id, gid].append((at, moved + waiting, action_id))
    return found


def _delays(actions: Sequence[OrderAction]) -> tuple[timedelta, ...]:
    """How long each approval took that was given, by the audit log."""
    requested = {action.pk: action.requested_at for action in actions if action.approvals_needed}
    approved = AuditEntry.objects.filter(
        kind=AuditKind.ACTION,
        action_id__in=requested,
        before=ActionState.AWAITING_APPROVAL,
        after=ActionState.QUEUED,
    )
    rows = approved.values_list("action_id", "at")
    return tuple(at - requested[action_id] for action_id, at in rows if action_id is not None)


def _sorted(tallies: Collection[Tally]) -> tuple[Tally, ...]:
    return tuple(sorted(tallies, key=lambda t: (-t.approvals, -t.refused, -t.total, t.name)))
