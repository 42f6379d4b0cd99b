"""The states of an action, in words for the agent: what happens now, and what they may do."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from orders.models import ActionState, OrderAction
from orders.panels.parts import ActionNotice
from orders.statuses import Tone

NEEDS_SOMEBODY: Final = {
    ActionState.UNKNOWN, ActionState.BLOCKED, ActionState.NEEDS_HUMAN, ActionState.PARTIAL,
    ActionState.REVERSED, ActionState.AWAITING_APPROVAL,
}  # fmt: skip
_WAITS_FOR_PEOPLE: Final = {ActionState.AWAITING_APPROVAL, ActionState.NEEDS_HUMAN}
_WITHDRAWABLE: Final = {
    ActionState.AWAITING_APPROVAL, ActionState.QUEUED, ActionState.BLOCKED,
}  # fmt: skip
_REVIEWED_AGAIN: Final = {ActionState.REJECTED, ActionState.EXPIRED}
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
        Tone.CRITICAL, gettext_noop("%(what)s: not carried out"), gettext_noop("Nothing was changed."),
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
        Tone.WARNING, gettext_noop("%(what)s: expired"), gettext_noop("Nothing was sent. Ask again."),
    ),
    ActionState.AWAITING_BANK: (
        Tone.INFO,
        gettext_noop("%(what)s: waiting for the bank"),
        gettext_noop("Shopify booked the refund; the bank has not confirmed it yet."),
    ),
}  # fmt: skip


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
        can_review_again=action.state in _REVIEWED_AGAIN,
        sends_at=action.next_attempt_at
        if action.state == ActionState.QUEUED and not action.attempts
        else None,
    )
