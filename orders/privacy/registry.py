"""The registry of personal data: which columns hold it, whose it is, and how to erase it.

Each app registers its own columns (in `personal_data`; orders itself in `own_columns`). Redaction, export and retention only
ever walk this registry, and a test fails for any text, JSON or binary column that is neither
registered nor declared to hold none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Self

from django.db import models
from django.db.models import Q, QuerySet

from orders.models import Customer, Order

Rows = QuerySet[Any]
# A column of one of these types may hold anything a person typed.
_TEXT_COLUMNS: Final = (
    models.CharField,
    models.TextField,
    models.JSONField,
    models.BinaryField,
    models.GenericIPAddressField,
    models.FileField,
)
_IDS_PER_QUERY: Final = 500


class Kind(StrEnum):
    """What sort of personal data a column holds."""

    NAME = "name"
    EMAIL = "e-mail"
    PHONE = "phone"
    ACCOUNT = "id elsewhere"
    TEXT = "free text"
    DOCUMENT = "document"
    ADDRESS = "network address"


class Whose(StrEnum):
    """Whose data it is: customers' can be redacted on request, staff's only expires."""

    CUSTOMER = "customer"
    STAFF = "staff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose rows are meant: one person's at one store, or the whole store's.

    `linked` holds the IDs that other apps found for the person, under names of their choosing.
    Everything is resolved once, before anything is masked, because masking destroys what the rows
    are found by.
    """

    store_id: int
    is_whole_store: bool = False
    customer_gids: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    order_legacy_ids: tuple[int, ...] = ()
    order_ids: tuple[int, ...] = ()
    linked: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def orders(self) -> QuerySet[Order]:
        """Return the person's orders, or all of the store's."""
        own = Order.objects.filter(store_id=self.store_id)
        return own if self.is_whole_store else own.filter(pk__in=self.order_ids)

    def customers(self) -> QuerySet[Customer]:
        """Return the person's customer rows, or all of the store's."""
        own = Customer.objects.filter(store_id=self.store_id)
        return own if self.is_whole_store else own.filter(gid__in=self.customer_gids)

    def ids(self, name: str) -> tuple[int, ...]:
        """Return the linked IDs under that name; empty if there are none."""
        return self.linked.get(name, ())

    def parts(self, name: str) -> list[Self]:
        """Split into scopes with few enough linked IDs each for one query."""
        ids = self.ids(name)
        starts = range(0, len(ids), _IDS_PER_QUERY)
        return [replace(self, linked={name: ids[at : at + _IDS_PER_QUERY]}) for at in starts]


@dataclass(frozen=True, slots=True)
class Mask:
    """What a column becomes: `value`, or what `rewrite` makes of the row.

    `exported` returns what an export shows for a column stored in packed form.
    """

    kind: Kind
    value: object = ""
    rewrite: Callable[[Any], object] | None = None
    exported: Callable[[Any], object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One table's personal columns.

    `of` finds a customer's rows; None for staff, whose data only retention removes. `per` names the
    linked IDs that `of` needs. `holds` checks a row more closely. `is_deleted` means the rows are
    deleted, not masked. `then` runs on the masked rows in the same transaction. `waits_for` finds
    rows that have to finish first.
    """

    model: type[models.Model]
    whose: Whose
    fields: dict[str, Mask]
    of: Callable[[Scope], Rows] | None = None
    per: str = ""
    holds: Callable[[Any, Scope], bool] | None = None
    is_deleted: bool = False
    then: Callable[[Rows], object] | None = None
    waits_for: Callable[[Scope], Rows] | None = None

    @property
    def label(self) -> str:
        """The model's label, such as "orders.Order"."""
        return str(self.model._meta.label)

    def rows(self, scope: Scope) -> Iterator[Rows]:
        """Yield the customer's rows, as query sets small enough for the database."""
        if self.of is None:
            return
        for part in scope.parts(self.per) if self.per else [scope]:
            yield self.of(part)

    def mask(self, rows: Sequence[models.Model]) -> int:
        """Mask or delete these rows; return how many. Expects a transaction that locked them."""
        manager: models.Manager[Any] = self.model._base_manager
        batch = manager.filter(pk__in=[row.pk for row in rows])
        if self.is_deleted:
            batch.delete()
            return len(rows)
        plain = {name: mask.value for name, mask in self.fields.items() if not mask.rewrite}
        if plain:
            batch.update(**plain)
        rewrites = {name: mask.rewrite for name, mask in self.fields.items() if mask.rewrite}
        if rewrites:
            for row in rows:
                changes = {name: rewrite(row) for name, rewrite in rewrites.items()}
                manager.filter(pk=row.pk).update(**changes)
        if self.then:
            self.then(batch)
        return len(rows)


# Finds another app's rows for a scope, as IDs: {"inbox.Contact": [3, 4]}.
Linker = Callable[[Scope], Mapping[str, Sequence[int]]]
# Deletes up to that many rows of a wiped store and returns how many. Called until it returns 0.
Wiper = Callable[[Scope, int], int]


class Registry:
    """All holdings, in the order in which they are masked."""

    def __init__(self) -> None:
        self.holdings: list[Holding] = []
        self.linkers: list[Linker] = []
        self.wipers: dict[str, Wiper] = {}
        self.harmless: dict[tuple[str, str], str] = {}

    def add(self, *holdings: Holding) -> None:
        """Append holdings; a redaction masks them in the order in which they were added."""
        self.holdings += holdings

    def declare(self, model: str, /, **reasons: str) -> None:
        """Declare columns that hold no personal data, each with the reason."""
        for name, reason in reasons.items():
            self.harmless[model, name] = reason

    def of_customers(self) -> list[Holding]:
        """Return the holdings a redaction walks; those that may have to wait come last."""
        found = [holding for holding in self.holdings if holding.of is not None]
        return sorted(found, key=lambda holding: holding.waits_for is not None)

    def link(self, scope: Scope) -> Scope:
        """Add the rows that other apps link to the person."""
        linked: dict[str, tuple[int, ...]] = {}
        for linker in self.linkers:
            for name, ids in linker(scope).items():
                linked[name] = tuple(ids)
        return replace(scope, linked=linked)

    def unregistered(self, found: Iterable[type[models.Model]]) -> list[str]:
        """Return text columns that are neither registered nor declared harmless.

        Columns with a fixed set of choices don't count.
        """
        known = {(h.label, name) for h in self.holdings for name in h.fields} | set(self.harmless)
        return [
            f"{model._meta.label}.{column.name}"
            for model in found
            for column in model._meta.concrete_fields
            if not model._meta.proxy
            and isinstance(column, _TEXT_COLUMNS)
            and not column.choices
            and (model._meta.label, column.name) not in known
        ]


REGISTRY: Final = Registry()


def resolve(scope: Scope) -> Scope:
    """Find everything we hold about the person, starting from what Shopify named.

    That is: the orders named, those of the customer and of customers merged into them, and guest
    orders with the same email or phone. Orders of other customers are left alone.
    """
    if scope.is_whole_store:
        return REGISTRY.link(scope)
    scope = replace(scope, customer_gids=_with_merged(scope))
    own = Order.objects.filter(store_id=scope.store_id)
    named = Q(customer_gid__in=scope.customer_gids) | Q(legacy_id__in=scope.order_legacy_ids)
    addresses = [
        *scope.customers().values_list("email", "phone"),
        *own.filter(named).values_list("email", "phone"),
    ]
    emails = {*scope.emails, *(email for email, _phone in addresses)} - {""}
    phones = {*scope.phones, *(phone for _email, phone in addresses)} - {""}
    guest = Q(customer_gid="") & (Q(email__in=emails) | Q(phone__in=phones))
    orders = own.filter(named | guest).values_list("pk", "legacy_id")
    found = replace(
        scope,
        emails=tuple(sorted(emails)),
        phones=tuple(sorted(phones)),
        order_ids=tuple(pk for pk, _ in orders),
        order_legacy_ids=tuple({*scope.order_legacy_ids, *(number for _, number in orders)}),
    )
    return REGISTRY.link(found)


def _with_merged(scope: Scope) -> tuple[str, ...]:
    """Return the customers named plus those merged into them: Shopify names only survivors."""
    gone = Customer.objects.filter(store_id=scope.store_id, deleted_at__isnull=False)
    found, last = list(scope.customer_gids), set(scope.customer_gids)
    while last:
        merged = gone.filter(merged_into__in=last).values_list("gid", flat=True)
        last = set(merged) - set(found)
        found += sorted(last)
    return tuple(found)
