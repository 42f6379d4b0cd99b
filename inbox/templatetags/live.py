"""The live-event position of what a template shows, for the browser to catch up from."""

from __future__ import annotations

from django import template
from django.template import Context
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag(takes_context=True)
def live_position(context: Context) -> SafeString | str:
    """Render data-live-position for this request.

    "" outside the inbox's pages: only those are live.
    """
    # Not the template variable `request`: includes with "only" don't have it.
    position = getattr(getattr(context, "request", None), "live_position", None)
    return format_html('data-live-position="{}"', position) if position else ""
