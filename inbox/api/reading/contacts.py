"""REST endpoints for contacts and what happened to their orders.

Docstrings of views are part of the public schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from core.database.keyset import rows_before
from inbox.api import authentication
from inbox.api.endpoint import Endpoint
from inbox.api.orders.as_json import as_amount
from inbox.api.problems import problem
from inbox.api.reading import paging
from inbox.api.reading.answers import ContactOut, ContactsOut, TimelineOut
from inbox.contacts import customer_views, identities, search
from inbox.models import Contact, Identity, IdentityKind, Participant
from inbox.models.conversations import conversation_id
from inbox.panel import search as order_search
from inbox.visibility import Scope, scope_of
from orders.models import OrderEvent, Store
from orders.panels.event_texts import text_of


class Contacts(Endpoint):
    """Search contacts, as the inbox does."""

    parameters = frozenset({"q", "after"})

    @extend_schema(
        operation_id="contacts_search",
        parameters=[OpenApiParameter("q", OpenApiTypes.STR, required=True), paging.AFTER],
        responses=ContactsOut,
    )
    def get(self, request: Request) -> Response:
        """Find contacts by name, email, phone, or the number of one of their orders, newest first.

        Of more than a thousand with the same name, not all are found.

        Contacts belong to no store, so a token that is limited to stores is refused.
        """
        if authentication.stores_of(request) is not None:
            raise PermissionDenied("This token is limited to stores, and contacts belong to none.")
        words = order_search.clean(request.query_params.get("q", ""))
        after = paging.place(request)
        if not words:
            return problem(
                "invalid",
                "Pass q: a customer's name, email or phone, or the number of an order.",
                code=400,
            )
        places = _found(words, scope_of(request.user))
        shown = [place for place in places if after is None or place < after][: paging.PAGE + 1]
        rows = Contact.objects.in_bulk([pk for _at, pk in shown[: paging.PAGE]])
        return Response(
            paging.page(
                shown,
                at=lambda place: place,
                shown=[_brief(rows[pk]) for _at, pk in shown[: paging.PAGE] if pk in rows],
            )
        )


class ContactDetail(Endpoint):
    """One contact."""

    @extend_schema(responses=ContactOut)
    def get(self, request: Request, contact_id: int) -> Response:
        """Get a contact: the addresses that count as theirs, and those they gave without proof.

        With a token that is limited to stores: if they have an order at one of these.
        """
        contact, scope = _contact(request, contact_id)
        known = contact.identities.active().exclude(kind=IdentityKind.CHANNEL_USER)
        stores = dict(Store.objects.values_list("pk", "domain"))
        claims = contact.claims.understood().order_by("pk").values_list("kind", "value")
        return Response(
            _brief(contact)
            | {
                "language": contact.language or None,
                "identities": [
                    shown
                    for identity in known.order_by("pk")
                    if (shown := _identity(identity, scope, stores))
                ],
                "unproven": [{"kind": kind, "value": value} for kind, value in claims],
            }
        )


class Timeline(Endpoint):
    """What happened to a contact's orders."""

    parameters = frozenset({"after"})

    @extend_schema(parameters=[paging.AFTER], responses=TimelineOut)
    def get(self, request: Request, contact_id: int) -> Response:
        """List what happened to a contact's orders, the newest first, each fact once.

        Of their newest 1,000 orders; `is_complete` says whether they have no more than that.
        """
        contact, scope = _contact(request, contact_id)
        after = paging.place(request)
        orders = identities.newest_orders(identities.order_keys(contact, stores=scope.stores))
        rows = OrderEvent.objects.filter(order__in=orders.ids)
        if after:
            rows = rows.filter(rows_before(("occurred_at", "pk"), after))
        newest = rows.select_related("order__store", "actor", "action__requested_by")
        newest = newest.defer("order__document", "action__steps")
        shown = list(newest.order_by("-occurred_at", "-pk")[: paging.PAGE + 1])
        seen = _seen_origins(shown, scope)
        return Response(
            paging.page(
                shown,
                at=lambda event: (event.occurred_at, event.pk),
                shown=[_event(event, seen) for event in shown[: paging.PAGE]],
            )
            | {"is_complete": orders.are_all}
        )


def _found(words: str, scope: Scope) -> list[tuple[datetime, int]]:
    """Return when the contacts were created that a search is about, and their IDs, newest first.

    Sorted here, not by the database: for the first few of a thousand IDs it reads along an index of
    all contacts instead of looking these up.
    """
    found = search.find(words, scope=scope)
    ids = _visible(found.ids | search.some_named(found.names), scope)
    rows = Contact.objects.filter(pk__in=ids).order_by()
    return sorted(rows.values_list("created_at", "pk"), reverse=True)


def _visible(ids: frozenset[int], scope: Scope) -> set[int]:
    """Return those of the contacts whom the scope has, looked up one by one by index.

    As a condition of a single query, PostgreSQL would read all participants there are.
    """
    if scope.teams is None:
        return set(ids)
    theirs = scope.conversations().order_by()
    own = set(theirs.filter(contact__in=ids).values_list("contact_id", flat=True))
    others = Participant.objects.filter(contact__in=ids - own).order_by()
    joined = list(others.values_list("conversation_id", "contact_id"))
    seen = set(theirs.filter(pk__in={pk for pk, _ in joined}).values_list("pk", flat=True))
    return own | {contact_id for pk, contact_id in joined if pk in seen}


def _contact(request: Request, contact_id: int) -> tuple[Contact, Scope]:
    """Return the contact, and what of them this person and this token may see. Raises Http404."""
    own = scope_of(request.user)
    contact = get_object_or_404(own.contacts(), pk=contact_id)
    limit = authentication.stores_of(request)
    if limit is not None:
        stores = frozenset(limit) if own.stores is None else own.stores.intersection(limit)
        own = Scope(teams=own.teams, stores=stores)
        if not identities.orders_of(contact, stores=stores).exists():
            raise Http404
    customer_views.note_contact(request.user, contact.pk)
    return contact, own


def _seen_origins(events: Iterable[OrderEvent], scope: Scope) -> frozenset[int]:
    """Return the IDs of the conversations that these came from, if in the scope."""
    origins = (event.action.origin for event in events if event.action)
    wanted = {pk for origin in origins if (pk := conversation_id(origin)) is not None}
    return scope.seen_conversations(wanted)


def _brief(contact: Contact) -> dict[str, Any]:
    return {"id": contact.pk, "name": contact.shown_name, "created_at": contact.created_at}


def _identity(
    identity: Identity, scope: Scope, stores: Mapping[int, str]
) -> dict[str, object] | None:
    """Return an address; None for a customer of a store that isn't in the scope."""
    store = None
    if identity.is_shopify_customer:
        store_id, _gid = identities.customer_key(identity.value)
        store = stores.get(store_id)
        if store is None or not scope.sees_store(store_id):
            return None
    return {"kind": identity.kind, "value": identity.shown, "store": store}


def _event(event: OrderEvent, seen: frozenset[int]) -> dict[str, object]:
    if event.action:
        # Spares a query: it is the event's order.
        event.action.order = event.order
    text = text_of(event)
    origin = conversation_id(event.action.origin) if event.action else None
    return {
        "id": event.pk,
        "kind": event.kind,
        "label": text.label,
        "occurred_at": event.occurred_at,
        "source": event.source,
        "actor": event.actor.get_username() if event.actor else None,
        "order": {
            "id": event.order_id,
            "name": event.order.name,
            "store": event.order.store.domain,
        },
        "amount": as_amount(event.money),
        "reason": text.reason or None,
        "detail": text.detail or None,
        "action": event.action_id,
        "conversation": origin if origin in seen else None,
    }
