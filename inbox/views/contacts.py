"""Whose addresses are whose: adding, taking away, and taking that back. And finding orders."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from inbox import access, addresses, live, order_search
from inbox.models import Identity


@require_GET
def search_orders(request: HttpRequest) -> HttpResponse:
    """GET ?q=: orders of every store by number, id, e-mail, phone or tracking number."""
    agent = access.agent_of(request)
    words = order_search.clean(request.GET.get("q", ""))
    found, shows_store = order_search.results(agent, words)
    context = {
        "words": words,
        "found": found,
        "shows_store": shows_store,
        "at_most": order_search.AT_MOST,
        "section": "orders",
        "stream_token": live.stream_token(agent),
    }
    return render(request, "inbox/orders.html", context)


@require_POST
def add_identity(request: HttpRequest, pk: int) -> HttpResponse:
    contact = access.get_contact(request.user, pk)
    by = access.agent_of(request)
    try:
        addresses.add_identity(contact=contact, text=request.POST.get("value", ""), by=by)
    except addresses.IdentityRefused as refused:
        messages.error(request, str(refused))
    return redirect("inbox:contact", pk)


@require_POST
def remove_identity(request: HttpRequest, pk: int, identity_id: int) -> HttpResponse:
    """“Wrong person?”: the address, and the orders found by it, are this contact's no more."""
    identity = _identity(request, pk, identity_id)
    addresses.remove_identity(identity=identity, by=access.agent_of(request))
    messages.success(request, _("%s was taken from this contact.") % identity.value)
    return redirect("inbox:contact", pk)


@require_POST
def restore_identity(request: HttpRequest, pk: int, identity_id: int) -> HttpResponse:
    identity = _identity(request, pk, identity_id)
    try:
        addresses.restore_identity(identity=identity, by=access.agent_of(request))
    except addresses.IdentityRefused as refused:
        messages.error(request, str(refused))
    return redirect("inbox:contact", pk)


def _identity(request: HttpRequest, pk: int, identity_id: int) -> Identity:
    contact = access.get_contact(request.user, pk)
    return get_object_or_404(Identity, pk=identity_id, contact=contact)
