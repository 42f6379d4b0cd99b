"""The number of requests that wait for the viewer's approval, in the navigation and the title."""

from __future__ import annotations

from typing import Any

from django import template
from django.http import HttpRequest
from django.template import Context

from inbox.decisions import notices, people

register = template.Library()


@register.simple_tag(takes_context=True)
def title_count(context: Context) -> str:
    """Return "(3) " for the title of a page; "" if nothing waits, or the viewer may not decide.

    Error pages may have no request, or one that was refused before anyone asked who it is from.
    """
    user = getattr(context.get("request"), "user", None)
    found = people.waiting_for(user) if user else None
    return f"({found.shown}) " if found and found.count else ""


@register.inclusion_tag("inbox/_waiting.html", takes_context=True)
def waiting_count(context: Context) -> dict[str, Any]:
    """Render the count, with what a new request is announced by; nothing for who may not decide."""
    request: HttpRequest = context["request"]
    # `request` also gives the part its position among the live events.
    return {"request": request, **notices.to_announce(request.user)}
