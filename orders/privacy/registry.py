"""The registry of personal data: which columns hold it, whose it is, and how it goes.

Each app registers what it holds (its module `holdings`). Redaction, export and retention only
ever walk this registry, and a test fails for a text, JSON or binary column that is neither
registered nor declared as holding none.
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
# A column of one of these kinds may hold anything a person typed.
WORDY: Final = (
    models.CharField,
    models.TextField,
    models.JSONField,
    models.BinaryField,
    models.GenericIPAddressField,
    models.FileField,
)
_LINKED_AT_ONCE: Final = 500


class Kind(StrEnum):
    NAME = "name"
    EMAIL = "e-mail"
    PHONE = "phone"
    ACCOUNT = "id elsewhere"
    TEXT = "free text"
    DOCUMENT = "document"
    ADDRESS = "network address"


class Whose(StrEnum):
    CUSTOMER = "customer"
    STAFF = "staff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose rows are meant: one person at one store, or everybody of the store.

    `linked` is what other apps found for the person, ids by a name of theirs. All of it is
    looked up once, before anything is masked, because masking takes away what it is found by.
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
        own = Order.objects.filter(store_id=self.store_id)
        return own if self.is_whole_store else own.filter(pk__in=self.order_ids)

    def customers(self) -> QuerySet[Customer]:
        own = Customer.objects.filter(store_id=self.store_id)
        return own if self.is_whole_store else own.filter(gid__in=self.customer_gids)

    def ids(self, name: str) -> tuple[int, ...]:
        return self.linked.get(name, ())

    def parts(self, name: str) -> list[Self]:
        """Scopes of so few linked ids each that a query can name them."""
        ids = self.ids(name)
        starts = range(0, len(ids), _LINKED_AT_ONCE)
        return [replace(self, linked={name: ids[at : at + _LINKED_AT_ONCE]}) for at in starts]


@dataclass(frozen=True, slots=True)
class Mask:
    """What one column becomes: `value`, or what `rewrite` makes of the row. `told` is what an
    export says of a column that is packed."""

    kind: Kind
    value: Any = ""
    rewrite: Callable[[Any], Any] | None = None
    told: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One table's personal columns.

    `of` finds the rows of a customer; None: of staff, which goes by retention only. `per`
    names the linked ids it needs. `holds` looks closer at a row. `is_deleted`: the rows go
    altogether. `then` runs on the masked rows in the same transaction. `waits_for` finds what
    has to end first.
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
        return str(self.model._meta.label)

    def rows(self, scope: Scope) -> Iterator[Rows]:
        """The customer's rows, as query sets that a database can take."""
        if self.of is None:
            return
        for part in scope.parts(self.per) if self.per else [scope]:
            yield self.of(part)

    def mask(self, rows: Sequence[Any]) -> int:
        """Mask or delete these rows; how many. Expects a transaction that has locked them."""
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


# Finds, for a scope, the ids of another app's rows: {"inbox.Contact": [3, 4]}.
Linker = Callable[[Scope], Mapping[str, Sequence[int]]]
# Deletes up to so many rows of a wiped store; how many. Called until it says 0.
Wiper = Callable[[Scope, int], int]


class Registry:
    """Holdings in the order in which they are masked."""

    def __init__(self) -> None:
        self.holdings: list[Holding] = []
        self.linkers: list[Linker] = []
        self.wipers: dict[str, Wiper] = {}
        self.harmless: dict[tuple[str, str], str] = {}

    def add(self, *holdings: Holding) -> None:
        self.holdings += holdings

    def declare(self, model: str, /, **reasons: str) -> None:
        """Columns that hold no personal data, each with the reason."""
        for name, reason in reasons.items():
            self.harmless[model, name] = reason

    def of_customers(self) -> list[Holding]:
        """What a redaction walks; what has to wait for something comes last."""
        found = [holding for holding in self.holdings if holding.of is not None]
        return sorted(found, key=lambda holding: holding.waits_for is not None)

    def link(self, scope: Scope) -> Scope:
        linked: dict[str, tuple[int, ...]] = {}
        for linker in self.linkers:
            for name, ids in linker(scope).items():
                linked[name] = tuple(ids)
        return replace(scope, linked=linked)

    def unregistered(self, found: Iterable[type[models.Model]]) -> list[str]:
        """Wordy columns nobody has said a word about. A column of fixed choices is none."""
        known = {(h.label, name) for h in self.holdings for name in h.fields} | set(self.harmless)
        return [
            f"{model._meta.label}.{column.name}"
            for model in found
            for column in model._meta.concrete_fields
            if not model._meta.proxy
            and isinstance(column, WORDY)
            and not column.choices
            and (model._meta.label, column.name) not in known
        ]


REGISTRY: Final = Registry()


def resolve(scope: Scope) -> Scope:
    """Everything the person has here, from what Shopify named: the orders named, those of the
    customer and of whom Shopify merged into them, and guest orders of the same e-mail or phone.
    Another customer's stay theirs."""
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
    """The customers named, and those who became part of them: Shopify names only who is left."""
    gone = Customer.objects.filter(store_id=scope.store_id, deleted_at__isnull=False)
    found, last = list(scope.customer_gids), set(scope.customer_gids)
    while last:
        merged = gone.filter(merged_into__in=last).values_list("gid", flat=True)
        last = set(merged) - set(found)
        found += sorted(last)
    return tuple(found)
