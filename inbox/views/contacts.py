"""Add, remove and restore a contact's addresses; link customers; search orders."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from inbox import access, fragment_requests
from inbox.contacts import address_edits, identities, profile
from inbox.contacts.profile import Person
from inbox.contacts.suggested_addresses import Suggestion
from inbox.conversations import participants
from inbox.models import Claim, Contact, Identity
from inbox.panel import recent_searches, search
from inbox.panel.order_filters import OrderFilters
from inbox.visibility import scope_of
from orders.panels.filters import number


@require_GET
def search_orders(request: HttpRequest) -> HttpResponse:
    """List the orders of the agent's stores, newest first, narrowed by filters and by what ?q= says:
    a number, ID, email, phone or tracking number.

    The order panel's search box asks for the rows found by ?q= alone.
    """
    agent = access.agent_of(request)
    words = search.clean(request.GET.get("q", ""))
    if fragment_requests.is_fragment(request):
        found, shows_store = search.results(agent, words)
        context = {"words": words, "found": found, "shows_store": shows_store}
        return render(request, "inbox/_found_orders.html", context | {"at_most": search.AT_MOST})
    filters = OrderFilters(request.GET, stores=scope_of(agent).active_stores())
    listed = search.ListPage(rows=())
    if filters.is_valid():
        listed = search.list_page(agent, words, filters, after=request.GET.get("after", ""))
    if words and listed.rows:
        recent_searches.keep(request, words)
    context = {
        "words": words,
        "filters": filters,
        "listed": listed,
        # Without words, the page has a link to older orders instead.
        "at_most": search.AT_MOST if words else 0,
        "shows_store": scope_of(agent).active_stores().count() > 1,
        "recent": recent_searches.of(request),
        "section": "orders",
        "is_live": True,
    }
    return render(request, "inbox/orders.html", context)


@require_POST
def forget_search(request: HttpRequest) -> HttpResponse:
    """Remove one of the person's own recent order searches, or all of them."""
    recent_searches.remove(request, search.clean(request.POST.get("words", "")))
    return redirect("inbox:order_search")


@require_POST
def add_identity(request: HttpRequest, pk: int) -> HttpResponse:
    """Add an address to the contact; without proof it becomes an unverified claim."""
    contact = access.get_contact(request.user, pk)
    by = access.agent_of(request)
    try:
        made = address_edits.add_address(contact=contact, text=request.POST.get("value", ""), by=by)
    except address_edits.IdentityRefused as refused:
        messages.error(request, str(refused))
    else:
        if isinstance(made, Claim):
            text = _(
                "%s was added as unverified. It will find orders once a supervisor confirms it."
            )
            messages.success(request, text % made.value)
    return redirect("inbox:contact", pk)


@require_POST
def remove_identity(request: HttpRequest, pk: int, identity_id: int) -> HttpResponse:
    """“Wrong person?”: take an address, and the orders found by it, away from the contact."""
    identity = _identity(request, pk, identity_id)
    address_edits.remove_identity(identity=identity, by=access.agent_of(request))
    messages.success(request, _("%s was removed from this contact.") % identity.shown)
    return _back(request, pk)


@require_POST
def restore_identity(request: HttpRequest, pk: int, identity_id: int) -> HttpResponse:
    """Undo the removal of an address, unless it belongs to another contact by now."""
    identity = _identity(request, pk, identity_id)
    try:
        address_edits.restore_identity(identity=identity, by=access.agent_of(request))
    except address_edits.IdentityRefused as refused:
        messages.error(request, str(refused))
    return _back(request, pk)


@require_POST
def link_customers(request: HttpRequest, pk: int) -> HttpResponse:
    """Link the customers an agent chose for “Which customer is this?”, if they are still offered."""
    contact = access.get_contact(request.user, pk)
    chosen = list(dict.fromkeys(request.POST.getlist("customer")))
    # Only what is still offered: a forged or outdated form must not link some other customer.
    asked = _person(request, contact).candidate_values()
    if not chosen or not set(chosen) <= asked:
        messages.error(request, _("Someone else already decided this. Check again."))
        return _back(request, pk)
    try:
        address_edits.link_customers(
            contact=contact,
            customers=[identities.customer_key(value) for value in chosen],
            by=access.agent_of(request),
        )
    except address_edits.IdentityRefused as refused:
        messages.error(request, str(refused))
    return _back(request, pk)


@require_POST
def accept_suggestion(request: HttpRequest, pk: int) -> HttpResponse:
    """Accept a suggested address or customer as the contact's."""
    contact = access.get_contact(request.user, pk)
    if found := _suggestion(request, contact):
        try:
            address_edits.accept_suggestion(
                contact=contact, found=found, by=access.agent_of(request)
            )
        except address_edits.IdentityRefused as refused:
            messages.error(request, str(refused))
    return _back(request, pk)


@require_POST
def set_suggestion_aside(request: HttpRequest, pk: int) -> HttpResponse:
    """“Not this person”: remember it. Agents can undo it under “Removed from this contact”."""
    contact = access.get_contact(request.user, pk)
    if found := _suggestion(request, contact):
        made = address_edits.set_aside(
            contact=contact,
            kind=found.kind,
            value=found.value,
            evidence=found.evidence,
            by=access.agent_of(request),
        )
        if made is None:
            messages.error(request, _("Someone else already decided this. Check again."))
    return _back(request, pk)


@require_POST
def make_contact(request: HttpRequest, pk: int) -> HttpResponse:
    """Make one of the conversation's participants its contact."""
    found = access.get_conversation(request.user, pk)
    chosen = participants.get(found, number(request.POST.get("participant", "")))
    if chosen is None:
        messages.error(request, _("This person isn’t in this conversation. Check again."))
        return redirect("inbox:conversation", pk=pk)
    try:
        is_new = participants.make_contact(
            conversation=found,
            participant=chosen,
            by=access.agent_of(request),
            instead_of=number(request.POST.get("instead_of", "")),
        )
    except participants.AnotherContact:
        messages.error(request, _("Someone else changed this in the meantime. Check again."))
    else:
        if is_new:
            words = {"name": chosen.shown_name}
            text = _("%(name)s is now this conversation’s contact.") % words
            messages.success(request, text)
    return redirect("inbox:conversation", pk=pk)


def _person(request: HttpRequest, contact: Contact) -> Person:
    return profile.person_of(
        contact,
        known=list(contact.identities.all()),
        text=profile.all_text(contact, agent=request.user),
        agent=request.user,
        now=timezone.now(),
    )


def _suggestion(request: HttpRequest, contact: Contact) -> Suggestion | None:
    """Return the suggestion the form names, if it still stands: a form is no evidence by itself."""
    asked = request.POST
    found = _person(request, contact).suggested(asked.get("kind", ""), asked.get("value", ""))
    if found is None:
        messages.error(request, _("This is no longer suggested. Check again."))
    return found


def _back(request: HttpRequest, pk: int) -> HttpResponse:
    """Redirect to the conversation the form was in, or else to the contact."""
    text = request.POST.get("conversation", "")
    # A longer number doesn't fit the column, and the database would raise.
    if text.isdecimal() and len(text) < 19:
        own = access.conversations_for(access.agent_of(request)).filter(contact=pk, pk=int(text))
        if own.exists():
            return redirect(reverse("inbox:conversation", args=[int(text)]) + "#orders")
    return redirect("inbox:contact", pk)


def _identity(request: HttpRequest, pk: int, identity_id: int) -> Identity:
    contact = access.get_contact(request.user, pk)
    identity = get_object_or_404(Identity, pk=identity_id, contact=contact)
    if not profile.is_shown(identity, agent=request.user):
        raise Http404
    return identity
