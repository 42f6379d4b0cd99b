"""How a person is told about requests that wait for their approval, and the count of them."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from inbox import access
from inbox.decisions import notices, people


@require_GET
def waiting(request: HttpRequest) -> HttpResponse:
    """Return the count in the navigation, for a live update."""
    return render(request, "inbox/_waiting.html", notices.to_announce(access.agent_of(request)))


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """Show how the person is told; POST stores what they chose."""
    agent = access.agent_of(request)
    if request.method == "POST":
        on_page, on_desktop, by_email = (
            name in request.POST for name in ("on_page", "on_desktop", "by_email")
        )
        # Without an address the box can't be ticked, which says nothing about later.
        notices.choose(
            agent,
            on_page=on_page,
            on_desktop=on_desktop,
            by_email=by_email if agent.email else None,
        )
        messages.success(request, _("Saved."))
        return redirect("inbox:notices")
    context = {
        "choice": notices.choice_of(agent),
        "may_decide": people.waiting_for(agent) is not None,
        "address": agent.email,
        "section": "",
        "is_live": True,
    }
    return render(request, "inbox/notices.html", context)
