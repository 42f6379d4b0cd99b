"""An action as agents see it: its text (from orders.actions.status_texts), and what they can do."""

from __future__ import annotations

from typing import Final

from orders.actions import status_texts
from orders.actions.status_texts import Going
from orders.models import ActionState, OrderAction
from orders.panels.types import ActionNotice

NEEDS_A_PERSON: Final = {
    ActionState.UNKNOWN,
    ActionState.BLOCKED,
    ActionState.NEEDS_HUMAN,
    ActionState.PARTIAL,
    ActionState.REVERSED,
    ActionState.AWAITING_APPROVAL,
}
_WAITS_FOR_PEOPLE: Final = {ActionState.AWAITING_APPROVAL, ActionState.NEEDS_HUMAN}
_REVIEWED_AGAIN: Final = {ActionState.REJECTED, ActionState.EXPIRED}


def action_notice(action: OrderAction) -> ActionNotice:
    """Describe an action's state to an agent."""
    words = status_texts.words(action)
    is_frozen = words.code == Going.FROZEN
    return ActionNotice(
        action_id=action.pk,
        state=ActionState(action.state),
        outcome=words.code,
        tone=words.tone,
        title=words.title,
        text=words.text,
        is_running=action.is_active and action.state not in _WAITS_FOR_PEOPLE and not is_frozen,
        can_withdraw=action.can_be_withdrawn,
        can_check=action.state == ActionState.UNKNOWN,
        can_review_again=action.state in _REVIEWED_AGAIN,
        sends_at=action.next_attempt_at if words.code == Going.UNDOABLE else None,
    )
