"""Whether an action may be carried out, as its order, store, requester and policy are now.

The same functions answer when an action is confirmed, when it is approved, and in the transaction
that begins each of its steps, so these checks cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from orders import (
    policies,
    previews,
    rules,
)
from orders.actions import added_rules
from orders.errors import Refusal
from orders.models import ActionKind, Order, OrderAction, Outcome, RefundBudget, Returned
from orders.policies import Ruling
from orders.previews import Proposal
from orders.shopify_port import Goal
from orders.statuses import return_units

# Facts that our own earlier steps change at Shopify; before a later step, a change in them proves
# nothing about anyone else.
_CHANGED_BY_OWN_STEPS: Final = frozenset(
    {"canceled", "payment", "shipments", "lines", "returns", "return_units"}
)


_CHANGED: Final = "changed"


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a step may not be sent now.

    `can_pass`: the reason may go away, so the action waits. Otherwise the agent has to review the
    order again.
    """

    refusal: Refusal
    can_pass: bool = False

    @property
    def outcome(self) -> Outcome:
        """The outcome of an action that ends because of this objection."""
        return Outcome.STALE if self.refusal.code == _CHANGED else Outcome.REFUSED_BY_RULES


def objection_to(
    action: OrderAction, order: Order, *, step: int, now: datetime
) -> Objection | None:
    """Run the full check before a step is sent. Expects the order's lock.

    Compares what was confirmed with everything that may have changed since: the store, the
    requester, their policy and today's budget, the approvers, the rules, and the order's facts.
    """
    if waiting := _store_objection(action, order):
        return waiting
    proposal = previews.decode_proposal(action.proposal)
    goal = Goal(action.steps[step]["goal"])
    refusal = (
        policies.acting_refusal(action.requested_by)
        or _owner_refusal(action, order)
        or rule_refusal(order, proposal, goal=goal, now=now)
        or _approval_refusal(action, order, proposal, now)
    )
    if refusal:
        return Objection(refusal)
    if action.is_doubtful and action.step == step:
        # An earlier, unanswered send of this step may have changed the sums; a read settles that.
        ignoring = _CHANGED_BY_OWN_STEPS | {"received", "refunded"}
    else:
        ignoring = _CHANGED_BY_OWN_STEPS if step else frozenset()
    facts = previews.facts(order.snapshot)
    if changes := previews.changes(proposal.facts, facts, ignoring=ignoring):
        return Objection(Refusal(_CHANGED, " ".join(changes), _("Review the order again.")))
    return None


def rule_refusal(order: Order, proposal: Proposal, *, goal: Goal, now: datetime) -> Refusal | None:
    """Why the order's own state rules the proposal out; None if it doesn't. Expects its lock."""
    if order.deleted_at or not order.document:
        return Refusal("gone", _("Shopify no longer has this order."))
    if refusal := previews.method_refusal(order, proposal.method):
        # An administrator may have switched store credit off since the summary.
        return refusal
    if goal in {Goal.REFUND, Goal.RETURN}:
        return _refund_refusal(order, proposal, now)
    return _cancel_refusal(order, proposal, now)


def rule(
    order: Order, proposal: Proposal, *, by: User, now: datetime, besides: OrderAction | None = None
) -> Ruling:
    """What the person's policy says about the proposal. Expects a transaction.

    Locks their budget row while the day's refunds are counted, so that two refunds at once cannot
    both fit the same daily limit. `besides`: the action in question, which must not count twice.
    """
    policy = policies.policy_of(by, order.store)
    if policy and policy.refund_per_day is not None and proposal.amount is not None:
        RefundBudget.objects.get_or_create(user=by, store=order.store)
        RefundBudget.objects.select_for_update().get(user=by, store=order.store)
    return previews.ruling_for(order, proposal, policy, by=by, now=now, besides=besides)


def _owner_refusal(action: OrderAction, order: Order) -> Refusal | None:
    """Why it is uncertain that the order belongs to the contact it was asked for; else None.

    Checked only before the first send. After that the action is finished: half a cancellation is
    worse than a whole one.
    """
    return None if action.maybe_applied else added_rules.refusal(action, order)


def _store_objection(action: OrderAction, order: Order) -> Objection | None:
    if order.store.is_frozen:
        text = _("The store is frozen: nothing is sent to Shopify until it is unfrozen.")
        return Objection(Refusal("store_frozen", text), can_pass=True)
    if not order.store.is_active:
        text = _("The store’s connection was turned off.")
        # If something was sent, wait: an admin may switch the store back on to learn the outcome.
        return Objection(Refusal("store_off", text), can_pass=action.maybe_applied)
    return None


def _refund_refusal(order: Order, proposal: Proposal, now: datetime) -> Refusal | None:
    snapshot = order.snapshot
    if refusal := rules.refund_refusal(snapshot):
        return refusal
    if proposal.amount is not None and proposal.amount > rules.net_paid(snapshot):
        return Refusal(
            "over_refund", _("More than is left to refund."), _("Review the order again.")
        )
    is_plain_refund = proposal.kind == ActionKind.REFUND
    unanswered = proposal.returned == Returned.NOT_ASKED
    if is_plain_refund and unanswered and previews.order_is_delivered(order, now=now):
        return Refusal("return_unanswered", _("Say whether the item has come back."))
    if proposal.through and return_units.by_gid(snapshot, proposal.through.gid) is None:
        return Refusal(
            "return_over",
            _("Return %s is no longer open.") % proposal.through.name,
            _("Review the order again."),
        )
    return None


def _cancel_refusal(order: Order, proposal: Proposal, now: datetime) -> Refusal | None:
    snapshot = order.snapshot
    if refusal := previews.cancel_refusal_for(order, now=now):
        return refusal
    if not proposal.shipments_to_cancel and (refusal := rules.shipment_refusal(snapshot)):
        return refusal
    if proposal.is_full_refund and proposal.amount != rules.net_paid(snapshot):
        # Shopify's cancellation refunds everything that is left, not the amount we confirmed.
        return Refusal(
            "amount_changed",
            _("Canceling would now refund %(sum)s.") % {"sum": rules.net_paid(snapshot).format()},
            _("Review the order again."),
        )
    return None


def _approval_refusal(
    action: OrderAction, order: Order, proposal: Proposal, now: datetime
) -> Refusal | None:
    """Why the requester's policy or an approver's rights no longer allow the action; else None."""
    ruling = rule(order, proposal, by=action.requested_by, now=now, besides=action)
    if ruling.refusal:
        return ruling.refusal
    if ruling.approvals > action.approvals_needed:
        return Refusal(
            "approval_needed", ruling.why_for_others, _("Submit it again. It now needs approval.")
        )
    for approver in (action.approved_by, action.co_approved_by):
        if approver is None:
            continue
        if not approver.is_active:
            text = _("%(who)s approved this and has since been deactivated.")
            return Refusal("approver_inactive", text % {"who": approver.get_username()})
        policy = policies.policy_of(approver, order.store)
        if policies.acting_refusal(approver) or policies.agreeing_refusal(policy, action, order):
            text = _("%(who)s approved this but is no longer allowed to.")
            return Refusal("approver_changed", text % {"who": approver.get_username()})
    return None
