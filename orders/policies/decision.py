"""What a policy says to one action."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from django.utils.translation import gettext as _

from orders.errors import Refusal
from orders.models import ActionKind, CancelRule, OrderAction, Policy
from orders.money import Money
from orders.policies.conditions import reasons
from orders.policies.facts import UNKNOWN, Facts


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
# What OrderAction.why_approval holds.
WHY_LENGTH: Final = int(OrderAction._meta.get_field("why_approval").max_length or 0)


def judge(
    policy: Policy | None,
    *,
    kind: ActionKind,
    amount: Money | None,
    spent: Decimal,
    has_note: bool,
    facts: Facts | None = UNKNOWN,
    currency: str = "",
) -> Ruling:
    """Apply a policy to a requested action. Pure.

    `amount` is in the shop's currency, `currency`; None if no money moves. `spent` is what the
    person has refunded in the last 24 hours. `facts` None: the conditions aren't asked again.
    """
    if policy is None:
        return ALLOWED
    # The rule for cancellations also applies to those with a refund.
    canceling = ALLOWED if kind == ActionKind.REFUND else _judge_cancel(policy, has_note)
    if canceling.refusal:
        return canceling
    if amount is not None and (refusal := _amount_refusal(policy, amount, has_note)):
        return Ruling(refusal)
    above_limit = None if amount is None else _why_approval(policy, amount, spent)
    found = above_limit or canceling
    currency = amount.currency if amount else currency
    why = () if facts is None else reasons(policy, facts, amount=amount, currency=currency)
    if not found.approvals and not why:
        return ALLOWED
    above = policy.two_approvers_above
    needs_two = above is not None and amount is not None and amount.amount > above
    return Ruling(
        approvals=2 if needs_two else 1,
        why=_joined(found.why, *why),
        why_for_others=_joined(found.why_for_others, *why),
    )


def _joined(*sentences: str) -> str:
    """Join the sentences, as many as the column holds."""
    text = ""
    for sentence in filter(None, sentences):
        longer = f"{text} {sentence}".strip()
        if len(longer) > WHY_LENGTH:
            break
        text = longer
    return text


def _amount_refusal(policy: Policy, amount: Money, has_note: bool) -> Refusal | None:
    currency = amount.currency
    if policy.approval_up_to is not None and amount.amount > policy.approval_up_to:
        limit = Money(policy.approval_up_to, currency).format()
        text = _("Your role can refund up to %(limit)s.") % {"limit": limit}
        return Refusal("above_limit", text, _("Refund less, or ask an administrator."))
    if policy.note_above is not None and amount.amount > policy.note_above and not has_note:
        limit = Money(policy.note_above, currency).format()
        text = _("Refunds above %(limit)s require a staff note.") % {"limit": limit}
        return Refusal("note_missing", text, _("Go back and add a note."))
    return None


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
