"""Which contacts a data subject is: those only this store knows, and those others know, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.db.models import Q

from core.email_and_phone import normal_phone
from inbox.models import (
    Contact,
    Identity,
    IdentityKind,
)
from orders.models import Customer, Order, Store
from orders.privacy.registry import (
    REGISTRY,
    Scope,
)

# The data subject's contacts: those only this store knows, and those another store knows as well.
OWN: Final = "inbox.Contact"
SHARED: Final = "inbox.Contact shared"


def _contacts(scope: Scope) -> Mapping[str, Sequence[int]]:
    """Return the contacts of a scope, split into this store's own and shared ones.

    A shared contact is also a live customer of another store, so it keeps what isn't this store's.
    """
    # Identities that were set aside say who a contact is not.
    mine = Identity.objects.filter(is_here(scope), is_set_aside=False).values("contact")
    others = Store.objects.exclude(pk=scope.store_id).filter(uninstalled_at=None)
    if scope.is_whole_store and not others.exists():
        # It's the only store, so every contact is its own, even one that matches no order.
        return {OWN: list(Contact.objects.values_list("pk", flat=True))}
    elsewhere = Identity.objects.active().filter(_is_elsewhere(scope.store_id), contact__in=mine)
    shared = set(elsewhere.values_list("contact_id", flat=True))
    found = set(mine.values_list("contact_id", flat=True))
    return {OWN: sorted(found - shared), SHARED: sorted(found & shared)}


def is_here(scope: Scope) -> Q:
    """Match identities by which this store knows the data subject."""
    if scope.is_whole_store:
        own = {"store_id": scope.store_id}
        return Q(
            kind=IdentityKind.SHOPIFY_CUSTOMER, value__startswith=f"{scope.store_id}:"
        ) | _is_known(Q(**own))
    gids = [f"{scope.store_id}:{gid}" for gid in scope.customer_gids]
    return (
        Q(kind=IdentityKind.SHOPIFY_CUSTOMER, value__in=gids)
        | Q(kind=IdentityKind.EMAIL, value__in=scope.emails)
        | Q(kind=IdentityKind.PHONE, value__in=phones(scope))
    )


def is_claimed(scope: Scope) -> Q:
    """Match claims of the data subject's addresses, by any contact.

    Matches nothing for a whole store, so that only its own contacts' claims are removed.
    """
    return Q(kind=IdentityKind.EMAIL, value__in=scope.emails) | Q(
        kind=IdentityKind.PHONE, value__in=phones(scope)
    )


def _is_elsewhere(store_id: int) -> Q:
    live = ~Q(store_id=store_id) & Q(store__uninstalled_at=None)
    return Q(kind=IdentityKind.SHOPIFY_CUSTOMER) & ~Q(value__startswith=f"{store_id}:") | _is_known(
        live
    )


def _is_known(stores: Q) -> Q:
    """Match identities whose address is on an order or a customer of these stores."""
    found = Q()
    for kind, column in ((IdentityKind.EMAIL, "email"), (IdentityKind.PHONE, "phone")):
        for model in (Order, Customer):
            rows: Any = model._default_manager.filter(stores).exclude(**{column: ""})
            found |= Q(kind=kind, value__in=rows.values(column))
    return found


def phones(scope: Scope) -> list[str]:
    """Return their phone numbers as written and as we store them."""
    normal = [normal_phone(phone) for phone in scope.phones]
    return [phone for phone in (*scope.phones, *normal) if phone]


def is_only_here(identity: Identity, scope: Scope) -> bool:
    """Return whether no other store knows this address of a shared contact."""
    if identity.kind == IdentityKind.SHOPIFY_CUSTOMER:
        return identity.value.startswith(f"{scope.store_id}:")
    rows = Identity.objects.filter(pk=identity.pk)
    return rows.filter(is_here(scope)).exclude(_is_elsewhere(scope.store_id)).exists()


REGISTRY.linkers.append(_contacts)
