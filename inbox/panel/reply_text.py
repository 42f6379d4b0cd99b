"""What an agent may tell the customer of an action that has succeeded, for the reply to start
with. Campaigns send their own; this is offered and sent by nobody but the agent."""

from __future__ import annotations

from django.utils import translation
from django.utils.translation import gettext as _

from orders.models import ActionKind, ActionState, OrderAction


def reply_text(action: OrderAction, *, language: str) -> str:
    """In the customer's language, or the agent's where that is unknown; "" before it is done."""
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
