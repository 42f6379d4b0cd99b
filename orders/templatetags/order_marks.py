"""Icons and texts for tones and events, so that color alone never carries meaning."""

from __future__ import annotations

from typing import Final

from django import template
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

register = template.Library()

_TONE_ICONS: Final = {
    "default": "info",
    "info": "info",
    "success": "circle-check",
    "attention": "circle-alert",
    "warning": "triangle-alert",
    "critical": "circle-x",
}
_EVENT_ICONS: Final = {
    "placed": "shopping-bag",
    "paid": "credit-card",
    "fulfilled": "truck",
    "delivered": "package-check",
    "canceled": "ban",
    "refunded": "undo-2",
    "action_failed": "circle-x",
    "return": "package",
    "edited": "pencil",
    "hold": "lock",
    "dispute": "triangle-alert",
    "note": "sticky-note",
    "approval_asked": "shield-alert",
    "approval_given": "user-check",
    "approval_declined": "circle-x",
    "approval_lapsed": "alarm-clock",
    "approval_stale": "refresh-cw",
    "approval_withdrawn": "undo-2",
    "campaign": "mail",
    "message_inbound": "message-square",
    "message_reply": "reply",
    "message_confirmation": "check-check",
    "message_note": "lock",
}
_EVENT_TONES: Final = {
    "canceled": "critical",
    "action_failed": "critical",
    "delivered": "success",
    "hold": "attention",
    "dispute": "critical",
    "approval_asked": "attention",
    "approval_given": "success",
    "approval_declined": "critical",
    "approval_lapsed": "attention",
    "approval_stale": "attention",
}
_PIP_LABELS: Final = {
    "empty": gettext_noop("not started"),
    "half": gettext_noop("partly done"),
    "full": gettext_noop("complete"),
}


@register.filter
def tone_icon(tone: str) -> str:
    """Return the icon for a badge's tone."""
    return _TONE_ICONS.get(str(tone), "info")


@register.filter
def event_icon(kind: str) -> str:
    """Return the icon for a timeline event."""
    return _EVENT_ICONS.get(str(kind), "clock")


@register.filter
def event_tone(kind: str) -> str:
    """Return the tone of a timeline event."""
    return _EVENT_TONES.get(str(kind), "default")


@register.filter
def pip_words(pip: str) -> str:
    """Return the pip's meaning for screen readers; "" if there is no pip."""
    label = _PIP_LABELS.get(str(pip))
    return _(label) if label else ""
