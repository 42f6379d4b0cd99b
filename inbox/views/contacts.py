"""Whose addresses are whose: adding, taking away, and taking that back. And finding orders."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from inbox import access
from inbox.contacts import (
    edits,
    identities,
    profile,
)
from inbox.contacts.profile import Person
from inbox.contacts.suggestions import Suggestion
from inbox.conversations import participants
from inbox.models import Claim, Contact, Identity
from inbox.panel import search
from inbox.views import fragments
from orders.panels.filters import number


@require_GET
def search_orders(request: HttpRequest) -> HttpResponse:
    """GET ?q=: orders of every store by number, id, e-mail, phone or tracking number. The order
    panel's own search asks for the rows alone."""
    agent = access.agent_of(request)
    words = search.clean(request.GET.get("q", ""))
    found, shows_store = search.results(agent, words)
    context = {
        "words": words,
        "found": found,
        "shows_store": shows_store,
        "at_most": search.AT_MOST,
        "section": "orders",
        "is_live": True,
    }
    is_part = fragments.is_fragment(request)
    template = "inbox/_found_orders.html" if is_part else "inbox/orders.html"
    return render(request, template, context)


@require_POST
def add_identity(request: HttpRequest, pk: int) -> HttpResponse:
    contact = access.get_contact(request.user, pk)
    by = access.agent_of(request)
    try:
        made = edits.add_address(contact=contact, text=request.POST.get("value", ""), by=by)
    except edits.IdentityRefused as refused:
        messages.error(request, str(refused))
    else:
        if isinstance(made, Claim):
            text = _("%s was noted as unverified. It finds orders once a supervisor confirms it.")
            messages.success(request, text % made.value)
    return redirect("inbox:contact", pk)


@require_POST
def remove_identity(request: HttpRequest, pk: int, identity_id: int) -> HttpResponse:
    """“Wrong person?”: the address, and the orders found by it, are this contact's no more."""
    identity = _identity(request, pk, identity_id)
    edits.remove_identity(identity=identity, by=access.agent_of(request))
    messages.success(request, _("%s was taken from this contact.") % identity.shown)
    return _back(request, pk)


@require_POST
def restore_identity(request: HttpRequest, pk: int, identity_id: int) -> HttpResponse:
    identity = _identity(request, pk, identity_id)
    try:
        edits.restore_identity(identity=identity, by=access.agent_of(request))
    except edits.IdentityRefused as refused:
        messages.error(request, str(refused))
    return _back(request, pk)


@require_POST
def link_customers(request: HttpRequest, pk: int) -> HttpResponse:
    """The answer to “Which customer is it?”: one of those asked about, or all of them."""
    contact = access.get_contact(request.user, pk)
    chosen = list(dict.fromkeys(request.POST.getlist("customer")))
    asked = _person(request, contact).candidate_values()
    if not chosen or not set(chosen) <= asked:
        messages.error(request, _("Somebody else has already decided this. Check again."))
        return _back(request, pk)
    try:
        edits.link_customers(
            contact=contact,
            customers=[identities.customer_key(value) for value in chosen],
            by=access.agent_of(request),
        )
    except edits.IdentityRefused as refused:
        messages.error(request, str(refused))
    return _back(request, pk)


@require_POST
def accept_suggestion(request: HttpRequest, pk: int) -> HttpResponse:
    contact = access.get_contact(request.user, pk)
    if found := _suggestion(request, contact):
        try:
            edits.accept_suggestion(contact=contact, found=found, by=access.agent_of(request))
        except edits.IdentityRefused as refused:
            messages.error(request, str(refused))
    return _back(request, pk)


@require_POST
def set_suggestion_aside(request: HttpRequest, pk: int) -> HttpResponse:
    """“Not this person”: remembered, and undone under “Taken away”."""
    contact = access.get_contact(request.user, pk)
    if found := _suggestion(request, contact):
        made = edits.set_aside(
            contact=contact,
            kind=found.kind,
            value=found.value,
            evidence=found.evidence,
            by=access.agent_of(request),
        )
        if made is None:
            messages.error(request, _("Somebody else has already decided this. Check again."))
    return _back(request, pk)


@require_POST
def make_contact(request: HttpRequest, pk: int) -> HttpResponse:
    """Somebody who writes in the conversation becomes its contact."""
    found = access.get_conversation(request.user, pk)
    chosen = participants.get(found, number(request.POST.get("participant", "")))
    if chosen is None:
        messages.error(request, _("This person does not write in this conversation: look again."))
        return redirect("inbox:conversation", pk=pk)
    try:
        is_new = participants.make_contact(
            conversation=found,
            participant=chosen,
            by=access.agent_of(request),
            instead_of=number(request.POST.get("instead_of", "")),
        )
    except participants.AnotherContact:
        messages.error(request, _("Somebody else changed this in the meantime. Check again."))
    else:
        if is_new:
            words = {"name": chosen.shown_name}
            text = _("%(name)s is the contact of this conversation now.") % words
            messages.success(request, text)
    return redirect("inbox:conversation", pk=pk)


def _person(request: HttpRequest, contact: Contact) -> Person:
    return profile.person_of(
        contact,
        known=list(contact.identities.all()),
        text=profile.all_text(contact),
        agent=request.user,
        now=timezone.now(),
    )


def _suggestion(request: HttpRequest, contact: Contact) -> Suggestion | None:
    """The one that was meant, if it is still suggested: what a form says is no evidence."""
    asked = request.POST
    found = _person(request, contact).suggested(asked.get("kind", ""), asked.get("value", ""))
    if found is None:
        messages.error(request, _("This is not suggested any more: look again."))
    return found


def _back(request: HttpRequest, pk: int) -> HttpResponse:
    """To the conversation the form was in, or to the contact."""
    word = request.POST.get("conversation", "")
    if word.isdecimal() and len(word) < 19:
        own = access.conversations_for(access.agent_of(request)).filter(contact=pk, pk=int(word))
        if own.exists():
            return redirect(reverse("inbox:conversation", args=[int(word)]) + "#orders")
    return redirect("inbox:contact", pk)


def _identity(request: HttpRequest, pk: int, identity_id: int) -> Identity:
    contact = access.get_contact(request.user, pk)
    return get_object_or_404(Identity, pk=identity_id, contact=contact)
