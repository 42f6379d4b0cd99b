"""How far what a template shows has read, for the browser to catch up from."""

from __future__ import annotations

from django import template
from django.template import Context
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag(takes_context=True)
def live_position(context: Context) -> SafeString | str:
    """The attribute data-live-position of what was read for this request; "" outside the inbox's
    own pages, which are not live."""
    # The request itself, not the variable: includes with "only" have no such variable.
    position = getattr(getattr(context, "request", None), "live_position", None)
    return format_html('data-live-position="{}"', position) if position else ""
