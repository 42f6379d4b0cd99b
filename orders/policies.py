"""What a person's role allows (row G03): allow, ask for a note, ask a colleague, or refuse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_UP, Decimal
from typing import Final

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from orders.errors import Refusal
from orders.models import (
    ACTIVE_STATES,
    NOTHING_DONE_STATES,
    ActionKind,
    ActionState,
    CancelRule,
    Order,
    OrderAction,
    OrderRefund,
    Policy,
    Store,
)
from orders.money import Money
from orders.progress import Goal

DAY: Final = timedelta(hours=24)
# The roles that may cancel and refund at all; policies give each its limits.
AGENTS: Final = "agents"
# Also settles what is uncertain.
SUPERVISORS: Final = "supervisors"
ACTING_ROLES: Final = (AGENTS, SUPERVISORS)
# Settled on what Shopify showed done.
_PROVEN: Final = (
    ActionState.SUCCEEDED,
    ActionState.AWAITING_BANK,
    ActionState.PARTIAL,
    ActionState.REVERSED,
)


@dataclass(frozen=True, slots=True)
class Ruling:
    """`refusal`: not allowed as it is. `approvals`: how many others must agree, with `why`."""

    refusal: Refusal | None = None
    approvals: int = 0
    why: str = ""


ALLOWED: Final = Ruling()


def is_supervisor(user: User | AnonymousUser) -> bool:
    """Read from the database each time. An account that was switched off is none."""
    return _active(user).filter(groups__name=SUPERVISORS).exists()


def acting_refusal(user: User | AnonymousUser) -> Refusal | None:
    """Why this person may move no money at all, whatever the policies say; None: they may.

    Read from the database each time, so that it holds from the moment an account is switched
    off or its role taken away. A superuser or administrator without such a role moves none.
    """
    roles = list(_active(user).values_list("groups__name", flat=True))
    if not roles:
        return Refusal("account_inactive", _("This account has been switched off."))
    if not set(ACTING_ROLES).isdisjoint(roles):
        return None
    return Refusal(
        "no_acting_role",
        _("Only agents and supervisors may cancel and refund."),
        _("Ask an administrator for one of these roles."),
    )


def policy_of(user: User, store: Store) -> Policy | None:
    """The policy that counts for this person at this store; None: there is none, so no limit.

    A store's own policy comes before the general one of the same role; of several roles the
    most generous counts: a supervisor who is also an agent has the supervisor's limits.
    """
    return policy_at(policies_of(user), store)


def policies_of(user: User) -> list[Policy]:
    """All policies of this person's roles, at any store."""
    return list(Policy.objects.filter(role__in=user.groups.all()))


def policy_at(held: Sequence[Policy], store: Store) -> Policy | None:
    """The one of somebody's policies that counts at a store. Pure."""
    return effective(held, roles={policy.role_id for policy in held}, store_id=store.pk)


def effective(policies: Iterable[Policy], *, roles: set[int], store_id: int) -> Policy | None:
    """The one of these policies that counts for a holder of these roles at this store. Pure."""
    by_role: dict[int, Policy] = {}
    for policy in policies:
        if policy.role_id not in roles or policy.store_id not in {None, store_id}:
            continue
        if policy.store_id or policy.role_id not in by_role:
            by_role[policy.role_id] = policy
    return max(by_role.values(), key=lambda p: _generosity(p.refund_up_to), default=None)


def in_shop_currency(amount: Money, order: Order) -> Money:
    """At the order's own rate, rounded up: a limit is never passed by rounding."""
    if amount.currency == order.shop_currency or not order.shop_currency:
        return Money(amount.amount, order.shop_currency or amount.currency)
    theirs, shop = _both_currencies(order)
    value = amount.amount * shop / theirs
    return Money(value.quantize(Decimal("0.0001"), rounding=ROUND_UP), order.shop_currency)


def _both_currencies(order: Order) -> tuple[Decimal, Decimal]:
    """One sum of the order as the customer and as the shop counts it: Shopify names no rate, and
    tells every sum in both. The first that is not nothing; 1 and 1 of an order without any, of
    which nothing can be refunded."""
    pairs = [(order.total, order.total_shop), (order.net_payment, order.net_payment_shop)]
    if order.document:
        money = order.snapshot.money
        bags = [money.received, money.refunded, money.outstanding, money.capturable]
        bags += [payment.amount for payment in order.snapshot.transactions]
        pairs += [
            (bag.presentment.amount, bag.shop.amount)
            for bag in bags
            if bag.presentment.currency == order.currency
            and bag.shop.currency == order.shop_currency
        ]
    found = next(((p, s) for p, s in pairs if p > 0 and s > 0), None)
    return found or (Decimal(1), Decimal(1))


def judge(
    policy: Policy | None, *, kind: ActionKind, amount: Money | None, spent: Decimal, has_note: bool
) -> Ruling:
    """Pure. `amount` in the shop's currency, None when no money moves; `spent`: the last day's."""
    if policy is None:
        return ALLOWED
    # The rule for cancellations holds for those with a refund too.
    canceling = ALLOWED if kind == ActionKind.REFUND else _judge_cancel(policy, has_note)
    if amount is None or canceling.refusal:
        return canceling
    currency = amount.currency
    if policy.approval_up_to is not None and amount.amount > policy.approval_up_to:
        limit = Money(policy.approval_up_to, currency).format()
        text = _("Your role may refund up to %(limit)s.") % {"limit": limit}
        return Ruling(Refusal("above_limit", text, _("Refund less, or ask an administrator.")))
    if policy.note_above is not None and amount.amount > policy.note_above and not has_note:
        limit = Money(policy.note_above, currency).format()
        text = _("Refunds above %(limit)s need a staff note.") % {"limit": limit}
        return Ruling(Refusal("note_missing", text, _("Go back and write why.")))
    why = _why_approval(policy, amount, spent) or canceling.why
    if not why:
        return ALLOWED
    above = policy.two_approvers_above
    return Ruling(approvals=2 if above is not None and amount.amount > above else 1, why=why)


def may_approve(policy: Policy | None, amount: Money) -> Refusal | None:
    """None: this policy lets its holder approve somebody else's refund of this sum."""
    highest = policy.may_approve_up_to if policy else Decimal(0)
    if highest is None or (highest and amount.amount <= highest):
        return None
    if not highest:
        return Refusal("not_approver", _("Your role may not approve refunds."))
    limit = Money(highest, amount.currency).format()
    return Refusal("above_limit", _("Your role may approve up to %(limit)s.") % {"limit": limit})


def agreeing_refusal(policy: Policy | None, action: OrderAction, order: Order) -> Refusal | None:
    """None: this policy lets its holder agree to this action of somebody else."""
    if currency := order.shop_currency or action.currency:
        return may_approve(policy, Money(action.amount_shop, currency))
    if policy and policy.may_approve_up_to != 0:
        return None
    return Refusal("not_approver", _("Your role may not approve this."))


def spent_today(
    user: User, store: Store, *, now: datetime, besides: OrderAction | None = None
) -> Decimal:
    """What this person refunds on their own authority in the 24 hours up to `now`: what was sent
    in them, and all that has not ended, however old, since it may be sent now.

    Shop currency. What others approved is theirs to answer for, and does not count. `besides`:
    an action that is itself being weighed. To be sure that nobody adds to it meanwhile, hold the
    person's RefundBudget.
    """
    rows = spending(now=now).filter(requested_by_id=user.pk, order__store=store)
    if besides is not None:
        rows = rows.exclude(pk=besides.pk)
    return sum((spent_by(action) for action in rows), Decimal(0))


def spending(*, now: datetime) -> QuerySet[OrderAction]:
    """The actions that count against somebody's day, each by `spent_by`. Spent means sent.

    By the last send as well as by the first: the money of an action that was throttled, or
    canceled first and refunded hours later, left with the last. What Shopify shows done although
    we know of no sending (a restored backup) counts by when that was found out.
    """
    since = now - DAY
    sent = Q(sent_at__gt=since) | Q(step_last_sent_at__gt=since)
    found = Q(sent_at=None, state__in=_PROVEN, settled_at__gt=since)
    rows = OrderAction.objects.filter(
        sent | found | Q(state__in=ACTIVE_STATES),
        approvals_needed=0,
        amount__isnull=False,
        order__is_test=False,
    )
    return rows.select_related("booked_refund")


def spent_by(action: OrderAction) -> Decimal:
    """What one action counts against a limit, in the shop's currency: what it moved and what it
    may still move. Asks for `booked_refund`, which `spending` brings along."""
    refund: OrderRefund | None = getattr(action, "booked_refund", None)
    # A refund may appear after somebody settled its action as not carried out.
    if action.state in NOTHING_DONE_STATES and refund is None:
        return Decimal(0)
    if action.is_active or refund is None:
        whole: Decimal = action.amount_shop
        return Decimal(0) if _never_asked_to_refund(action) else whole
    counted: Decimal = refund.moved_shop + refund.waiting_shop
    return counted


def _active(user: User | AnonymousUser) -> QuerySet[User]:
    # An anonymous visitor has no id.
    return User.objects.filter(pk=user.pk or 0, is_active=True)


def _never_asked_to_refund(action: OrderAction) -> bool:
    """Ended after its cancellation, before its own request to refund was accepted or in doubt.

    Where Shopify refunds as part of the cancellation there is no such request, and its booking
    may come later than we looked; then the whole sum still counts.
    """
    goals = [str(step.get("goal")) for step in action.steps]
    if action.state != ActionState.PARTIAL or Goal.REFUND not in goals:
        return False
    index = goals.index(Goal.REFUND)
    in_doubt = action.is_doubtful and action.step == index
    return action.accepted_steps <= index and not in_doubt and not action.refund_gid


def _judge_cancel(policy: Policy, has_note: bool) -> Ruling:
    if policy.cancel == CancelRule.DENY:
        return Ruling(Refusal("cancel_denied", _("Your role may not cancel orders.")))
    if policy.cancel == CancelRule.NOTE and not has_note:
        text = _("Canceling needs a staff note.")
        return Ruling(Refusal("note_missing", text, _("Go back and write why.")))
    if policy.cancel == CancelRule.APPROVAL:
        return Ruling(approvals=1, why=_("Your role needs approval to cancel."))
    return ALLOWED


def _why_approval(policy: Policy, amount: Money, spent: Decimal) -> str:
    free, daily = policy.refund_up_to, policy.refund_per_day
    if free is not None and amount.amount > free:
        limit = Money(free, amount.currency).format()
        return _("Above your limit of %(limit)s.") % {"limit": limit}
    if daily is not None and spent + amount.amount > daily:
        words = {
            "limit": Money(daily, amount.currency).format(),
            "spent": Money(spent, amount.currency).format(),
        }
        return _("Above your %(limit)s a day: %(spent)s are spent.") % words
    return ""


def _generosity(limit: Decimal | None) -> Decimal:
    return Decimal("Infinity") if limit is None else limit
