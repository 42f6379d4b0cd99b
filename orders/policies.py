"""What a person's role allows: act alone, only with a note, only with approval, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
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
from orders.shopify_port import Goal

DAY: Final = timedelta(hours=24)
# Only these roles may cancel and refund at all; policies set their limits.
AGENTS: Final = "agents"
# Also settle actions whose outcome is uncertain.
SUPERVISORS: Final = "supervisors"
ACTING_ROLES: Final = (AGENTS, SUPERVISORS)
# Settled by what Shopify showed as done.
_PROVEN: Final = (
    ActionState.SUCCEEDED,
    ActionState.AWAITING_BANK,
    ActionState.PARTIAL,
    ActionState.REVERSED,
)


@dataclass(frozen=True, slots=True)
class Ruling:
    """A policy's verdict on one action.

    `refusal`: why it isn't allowed as requested. `approvals`: how many others must approve it;
    `why` says what made that necessary to the agent who asks, and `why_for_others` to everyone else.
    """

    refusal: Refusal | None = None
    approvals: int = 0
    why: str = ""
    why_for_others: str = ""


ALLOWED: Final = Ruling()


def is_supervisor(user: User | AnonymousUser) -> bool:
    """Whether the account is active and has the supervisor role. Queries the database each time."""
    return _active(user).filter(groups__name=SUPERVISORS).exists()


def acting_refusal(user: User | AnonymousUser) -> Refusal | None:
    """Why this person may not cancel or refund at all, whatever the policies say; None if they may.

    Read from the database each time, so that deactivating an account or removing a role takes
    effect immediately. Superusers and administrators need an acting role like everyone else.
    """
    roles = list(_active(user).values_list("groups__name", flat=True))
    if not roles:
        return Refusal("account_inactive", _("This account has been deactivated."))
    if not set(ACTING_ROLES).isdisjoint(roles):
        return None
    return Refusal(
        "no_acting_role",
        _("Only agents and supervisors can cancel and refund."),
        _("Ask an administrator for one of these roles."),
    )


def policy_of(user: User, store: Store) -> Policy | None:
    """Return the policy that applies to this person at this store; None means no limits.

    For each role, a store's own policy wins over the general one. With several roles, the most
    generous policy counts: a supervisor who is also an agent has the supervisor's limits.
    """
    return policy_at(policies_of(user), store)


def policies_of(user: User) -> list[Policy]:
    """Return all policies for this person's roles, at any store."""
    return list(Policy.objects.filter(role__in=user.groups.all()))


def policy_at(held: Sequence[Policy], store: Store) -> Policy | None:
    """Choose the policy that applies at a store from those `policies_of` returned. Pure."""
    return effective(held, roles={policy.role_id for policy in held}, store_id=store.pk)


def effective(policies: Iterable[Policy], *, roles: set[int], store_id: int) -> Policy | None:
    """Choose from these policies the one that applies to these roles at this store. Pure."""
    by_role: dict[int, Policy] = {}
    for policy in policies:
        if policy.role_id not in roles or policy.store_id not in {None, store_id}:
            continue
        # A store's own policy replaces the general one, in either order.
        if policy.store_id or policy.role_id not in by_role:
            by_role[policy.role_id] = policy
    return max(by_role.values(), key=lambda p: _generosity(p.refund_up_to), default=None)


def in_shop_currency(amount: Money, order: Order) -> Money:
    """Convert at the order's own exchange rate, rounding up so no limit is exceeded by rounding."""
    if amount.currency == order.shop_currency or not order.shop_currency:
        return Money(amount.amount, order.shop_currency or amount.currency)
    theirs, shop = _amount_pair(order)
    value = amount.amount * shop / theirs
    return Money(value.quantize(Decimal("0.0001"), rounding=ROUND_UP), order.shop_currency)


def _amount_pair(order: Order) -> tuple[Decimal, Decimal]:
    """Return one amount of the order in the customer's and in the shop's currency.

    Shopify doesn't state an exchange rate, but gives every sum in both currencies. Uses the first
    nonzero sum; an order without any falls back to 1:1, which is safe because nothing on it can be
    refunded.
    """
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
    """Apply a policy to a requested action. Pure.

    `amount` is in the shop's currency, None if no money moves. `spent` is what the person has
    refunded in the last 24 hours.
    """
    if policy is None:
        return ALLOWED
    # The rule for cancellations also applies to those with a refund.
    canceling = ALLOWED if kind == ActionKind.REFUND else _judge_cancel(policy, has_note)
    if amount is None or canceling.refusal:
        return canceling
    currency = amount.currency
    if policy.approval_up_to is not None and amount.amount > policy.approval_up_to:
        limit = Money(policy.approval_up_to, currency).format()
        text = _("Your role can refund up to %(limit)s.") % {"limit": limit}
        return Ruling(Refusal("above_limit", text, _("Refund less, or ask an administrator.")))
    if policy.note_above is not None and amount.amount > policy.note_above and not has_note:
        limit = Money(policy.note_above, currency).format()
        text = _("Refunds above %(limit)s require a staff note.") % {"limit": limit}
        return Ruling(Refusal("note_missing", text, _("Go back and add a note.")))
    found = _why_approval(policy, amount, spent) or (canceling if canceling.approvals else None)
    if found is None:
        return ALLOWED
    above = policy.two_approvers_above
    needs_two = above is not None and amount.amount > above
    return replace(found, approvals=2 if needs_two else 1)


def may_approve(policy: Policy | None, amount: Money) -> Refusal | None:
    """Why this policy doesn't let its holder approve a colleague's refund; None if it does."""
    # None means any amount, 0 none at all.
    highest = policy.may_approve_up_to if policy else Decimal(0)
    if highest is None or (highest and amount.amount <= highest):
        return None
    if not highest:
        return Refusal("not_approver", _("Your role can’t approve refunds."))
    limit = Money(highest, amount.currency).format()
    return Refusal("above_limit", _("Your role can approve up to %(limit)s.") % {"limit": limit})


def agreeing_refusal(policy: Policy | None, action: OrderAction, order: Order) -> Refusal | None:
    """Why this policy doesn't let its holder approve a colleague's action; None if it does."""
    if currency := order.shop_currency or action.currency:
        return may_approve(policy, Money(action.amount_shop, currency))
    if policy and policy.may_approve_up_to != 0:
        return None
    return Refusal("not_approver", _("Your role can’t approve this."))


def needs_signature(policy: Policy | None, action: OrderAction) -> bool:
    """Whether approving this action requires the passkey of the approver, who has this policy."""
    limit = policy.sign_above if policy else None
    return limit is not None and action.amount_shop > limit


def spent_today(
    user: User, store: Store, *, now: datetime, besides: OrderAction | None = None
) -> Decimal:
    """Return what this person has refunded on their own authority in the 24 hours up to `now`.

    In the shop's currency. Counts what was sent in that time, plus every unfinished action however
    old, since it may be sent at any moment. Refunds that others approved count as theirs instead.
    `besides` is an action under review that must not count against itself. To rule out concurrent
    spending, hold the person's RefundBudget lock.
    """
    rows = spending(now=now).filter(requested_by_id=user.pk, order__store=store)
    if besides is not None:
        rows = rows.exclude(pk=besides.pk)
    return sum((spent_by(action) for action in rows), Decimal(0))


def spending(*, now: datetime) -> QuerySet[OrderAction]:
    """Return the actions that count against daily limits, each by `spent_by`. Spent means sent.

    Both the first and the last send count: an action that was throttled, or that canceled first and
    refunded hours later, moved its money with the last one. An action that Shopify shows as done
    although no send was recorded (after restoring a backup) counts from when that was discovered.
    """
    since = now - DAY
    sent = Q(sent_at__gt=since) | Q(step_last_sent_at__gt=since)
    found = Q(sent_at=None, state__in=_PROVEN, settled_at__gt=since)
    rows = OrderAction.objects.filter(
        sent | found | Q(state__in=ACTIVE_STATES),
        # Refunds that others approved count as the approvers'.
        approvals_needed=0,
        amount__isnull=False,
        order__is_test=False,
    )
    return rows.select_related("booked_refund")


def spent_by(action: OrderAction) -> Decimal:
    """Return what one action counts against a limit: what it moved and what it may still move.

    In the shop's currency. Reads `booked_refund`, which `spending` selects along with the action.
    """
    # getattr, because a missing reverse one-to-one raises a kind of AttributeError.
    refund: OrderRefund | None = getattr(action, "booked_refund", None)
    # A refund may still appear after a supervisor settled its action as not carried out.
    if action.state in NOTHING_DONE_STATES and refund is None:
        return Decimal(0)
    if action.is_active or refund is None:
        whole: Decimal = action.amount_shop
        return Decimal(0) if _ended_before_refund_request(action) else whole
    counted: Decimal = refund.moved_shop + refund.waiting_shop
    return counted


def _active(user: User | AnonymousUser) -> QuerySet[User]:
    # Anonymous users have no pk.
    return User.objects.filter(pk=user.pk or 0, is_active=True)


def _ended_before_refund_request(action: OrderAction) -> bool:
    """Whether it ended after canceling, before its refund request was accepted or left in doubt.

    If Shopify refunds as part of the cancellation, there is no separate request and the refund may
    be booked after our last read, so the full amount still counts.
    """
    goals = [str(step.get("goal")) for step in action.steps]
    if action.state != ActionState.PARTIAL or Goal.REFUND not in goals:
        return False
    index = goals.index(Goal.REFUND)
    in_doubt = action.is_doubtful and action.step == index
    return action.accepted_steps <= index and not in_doubt and not action.refund_gid


def _judge_cancel(policy: Policy, has_note: bool) -> Ruling:
    if policy.cancel == CancelRule.DENY:
        return Ruling(Refusal("cancel_denied", _("Your role can’t cancel orders.")))
    if policy.cancel == CancelRule.NOTE and not has_note:
        text = _("Canceling requires a staff note.")
        return Ruling(Refusal("note_missing", text, _("Go back and add a note.")))
    if policy.cancel == CancelRule.APPROVAL:
        return Ruling(
            approvals=1,
            why=_("Your role needs approval to cancel."),
            why_for_others=_("The agent’s role needs approval to cancel."),
        )
    return ALLOWED


def _why_approval(policy: Policy, amount: Money, spent: Decimal) -> Ruling | None:
    free, daily = policy.refund_up_to, policy.refund_per_day
    if free is not None and amount.amount > free:
        limits = {"limit": Money(free, amount.currency).format()}
        return Ruling(
            approvals=1,
            why=_("Above your limit of %(limit)s.") % limits,
            why_for_others=_("Above the agent’s limit of %(limit)s.") % limits,
        )
    if daily is not None and spent + amount.amount > daily:
        sums = {
            "limit": Money(daily, amount.currency).format(),
            "spent": Money(spent, amount.currency).format(),
        }
        return Ruling(
            approvals=1,
            why=_("Above your daily limit of %(limit)s: %(spent)s already used.") % sums,
            why_for_others=_("Above the agent’s daily limit of %(limit)s: %(spent)s already used.")
            % sums,
        )
    return None


def _generosity(limit: Decimal | None) -> Decimal:
    return Decimal("Infinity") if limit is None else limit
