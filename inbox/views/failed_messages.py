"""Views for a message that was not delivered: send it again, or dismiss the failure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_POST

from inbox import (
    access,
    fragment_requests,
    outbox,
)
from inbox.views.conversations import thread_context
from orders.panels.filters import number

Service = Callable[..., bool]


@require_POST
def again(request: HttpRequest, pk: int, message_id: int) -> HttpResponse:
    """Queue the message for delivery once more."""
    return _handle_failure(outbox.send_again, request, pk, message_id)


@require_POST
def dismiss(request: HttpRequest, pk: int, message_id: int) -> HttpResponse:
    """Stop flagging the failure; the message stays undelivered."""
    return _handle_failure(outbox.dismiss, request, pk, message_id)


def _handle_failure(
    service: Service, request: HttpRequest, pk: int, message_id: int
) -> HttpResponse:
    """Run a service on one failure, which the form names by its time.

    A second press, or a press after a colleague's, no longer matches and changes nothing; the
    response shows how things stand.
    """
    found = access.get_conversation(request.user, pk)
    message = get_object_or_404(found.messages, pk=message_id)
    if failed_at := _moment(request.POST.get("failed_at", "")):
        service(message=message, failed_at=failed_at, by=access.agent_of(request))
    if not fragment_requests.is_fragment(request):
        return redirect("inbox:conversation", pk=found.pk)
    fresh = access.get_conversation(request.user, pk)
    shown = thread_context(request, fresh, since=number(request.GET.get("since", "")))
    return render(request, "inbox/_thread.html", {"conversation": fresh} | shown)


def _moment(text: str) -> datetime | None:
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    return found if found and found.tzinfo else None
