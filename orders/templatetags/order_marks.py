"""Signs for what a tone or an event means, so that nothing is told by color alone."""

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
}
_EVENT_TONES: Final = {"canceled": "critical", "action_failed": "critical", "delivered": "success"}
_PIP_WORDS: Final = {
    "empty": gettext_noop("not started"),
    "half": gettext_noop("partly done"),
    "full": gettext_noop("complete"),
}


@register.filter
def tone_icon(tone: str) -> str:
    """The icon that goes with a tone."""
    return _TONE_ICONS.get(str(tone), "info")


@register.filter
def event_icon(kind: str) -> str:
    return _EVENT_ICONS.get(str(kind), "clock")


@register.filter
def event_tone(kind: str) -> str:
    return _EVENT_TONES.get(str(kind), "default")


@register.filter
def pip_words(pip: str) -> str:
    """What the pip shows, for those who do not see it; "" without a pip."""
    words = _PIP_WORDS.get(str(pip))
    return _(words) if words else ""
