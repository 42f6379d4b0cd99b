"""Suggested first sentences of a reply about an action that has succeeded.

Campaigns send confirmations of their own; this text is only offered, and only the agent sends it.
"""

from __future__ import annotations

from django.utils import translation
from django.utils.translation import gettext as _

from orders.models import ActionKind, ActionState, OrderAction


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
        return " ".join(sentences)
