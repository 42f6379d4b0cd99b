"""What an event of an order says, for its activity on a card and on a contact."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from orders import previews
from orders.actions import status_texts
from orders.models import RELEASED, EventKind, OrderEvent
from orders.statuses.payment_labels import readable
from orders.versions.diff import return_word


@dataclass(frozen=True, slots=True)
class EventText:
    """`label` says what happened, `reason` why or how far, and `detail` to what; both may be empty."""

    label: str
    reason: str
    detail: str


def text_of(event: OrderEvent) -> EventText:
    """Describe an event. Reads its action, and of a failed one what `status_texts.words` reads."""
    if event.kind == EventKind.ACTION_FAILED and event.action:
        words = status_texts.words(event.action)
        return EventText(words.label, "", words.text)
    label, raw = event.label, event.reason
    if event.kind == EventKind.HOLD:
        label = _("No longer on hold") if raw == RELEASED else label
        return EventText(label, "", event.detail)
    return EventText(label, _reason(event), event.detail)


def _reason(event: OrderEvent) -> str:
    """Return the label of the reason the agent chose, else of the one from Shopify."""
    if event.action:
        return str(event.action.proposal.get("reason_label", ""))
    if event.kind == EventKind.RETURN:
        return return_word(event.reason) if event.reason else ""
    if event.kind == EventKind.DISPUTE:
        return readable(event.reason)
    return previews.reason_words(event.reason)
