"""Template tags for icons from our sprite, and for initials as avatars."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from zlib import crc32

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

_HUES = 8


@register.simple_tag
def icon(name: str, extra_class: str = "") -> SafeString:
    """Render a decorative icon; the text beside it or the control's aria-label names it."""
    return _icon(static("inbox/icons.svg"), name, extra_class)


@lru_cache(maxsize=256)
def _icon(sprite: str, name: str, extra_class: str) -> SafeString:
    classes = f"icon {extra_class}".strip()
    return format_html(
        '<svg class="{}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        classes,
        sprite,
        name,
    )


@register.simple_tag
def avatar(name: str, size: str = "") -> SafeString:
    """Render initials on one of eight colors, always the same for a name. Decorative."""
    return format_html(
        '<span class="avatar" data-size="{}" data-hue="{}" aria-hidden="true">{}</span>',
        size,
        crc32(name.encode()) % _HUES,
        initials(name),
    )


def initials(name: str) -> str:
    """Return the first letters of the first and last word.

    "Jane van Doe" gives JD; "" and "🙂" give "?".
    """
    words = [word for word in name.split() if unicodedata.category(word[0])[0] in "LN"]
    picked = words[:1] + words[1:][-1:]
    return "".join(word[0] for word in picked).upper() or "?"
