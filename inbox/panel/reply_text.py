"""Suggested first sentences of a reply about an action that has succeeded.

Campaigns send confirmations of their own; this text is only offered, and only the agent sends it.
"""

from __future__ import annotations

from django.utils import translation
from django.utils.translation import gettext as _

from inbox.texts import refunds
from orders.actions.progress import refund_of
from orders.models import ActionKind, ActionState, OrderAction
from orders.statuses.money_moved import bank_references


def reply_text(action: OrderAction, *, language: str) -> str:
    """Return the text in the customer's language, or the agent's if that is unknown; "" unless the
    action has succeeded."""
    if action.state != ActionState.SUCCEEDED:
        return ""
    with translation.override(language or translation.get_language()):
        sentences = []
        if action.kind != ActionKind.REFUND:
            sentences.append(_("Your order %(name)s was canceled.") % {"name": action.order.name})
        if action.money:
            words = {"amount": action.money.format(), "name": action.order.name}
            sentences.append(_("We have refunded %(amount)s of your order %(name)s.") % words)
            refund = refund_of(action, action.order.snapshot) if action.order.document else None
            if refund:
                numbers = bank_references(refund, action.order.snapshot)
                sentences.append(refunds.reference_sentence(numbers))
        return " ".join(filter(None, sentences))
