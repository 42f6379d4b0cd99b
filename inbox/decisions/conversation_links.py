"""Links from rows of the decisions page to the conversations behind them."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Max
from django.urls import reverse

from inbox.models import Identity, IdentityKind
from inbox.models.conversations import conversation_id
from inbox.visibility import Scope
from orders.models import Order, OrderAction


def origin_urls(actions: Iterable[OrderAction], scope: Scope) -> dict[int, str]:
    """Map action IDs to the conversation they were requested from, if the user sees it. At most one
    query."""
    origins = {action.pk: conversation_id(action.origin) for action in actions}
    seen = {pk for pk in origins.values() if pk is not None}
    if seen and scope.teams is not None:
        rows = scope.conversations().filter(pk__in=seen)
        seen = set(rows.values_list("pk", flat=True))
    return {
        action_id: reverse("inbox:conversation", args=[pk])
        for action_id, pk in origins.items()
        if pk in seen
    }


def conversation_urls(orders: Iterable[Order], scope: Scope) -> dict[int, str]:
    """Map order IDs to their customer's latest conversation that the user sees. Two queries in
    total."""
    by_value: dict[tuple[str, str], list[int]] = {}
    for order in orders:
        for kind, value in (
            (IdentityKind.EMAIL, order.email),
            (IdentityKind.PHONE, order.phone),
            (IdentityKind.SHOPIFY_CUSTOMER, f"{order.store_id}:{order.customer_gid}"),
        ):
            # "<store ID>:" without a gid means that the order has no customer.
            if value and not value.endswith(":"):
                by_value.setdefault((kind, value), []).append(order.pk)
    known = Identity.objects.active().filter(value__in=[value for _kind, value in by_value])
    contact_of: dict[int, int] = {}
    for identity in known:
        for order_id in by_value.get((identity.kind, identity.value), []):
            contact_of.setdefault(order_id, identity.contact_id)
    latest = dict(
        scope.conversations()
        .filter(contact__in=set(contact_of.values()))
        .values_list("contact")
        .annotate(latest=Max("pk"))
    )
    return {
        order_id: reverse("inbox:conversation", args=[latest[contact]])
        for order_id, contact in contact_of.items()
        if contact in latest
    }
