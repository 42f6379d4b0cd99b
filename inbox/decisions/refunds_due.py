"""The page of refunds due; orders.reports.refunds_due says which these are.

Pages continue from the last row shown, so the last page costs as much as the first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, Q
from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from inbox.decisions import customer_summary
from inbox.visibility import Scope, scope_of
from orders import previews, services
from orders.models import Customer, Order, Store
from orders.models.orders import OrderQuerySet
from orders.money import Money, total
from orders.panels.filters import moment, number
from orders.reports.refunds_due import UNDATED, canceled, failed, totals
from orders.statuses.money_moved import parts

PAGE: Final = 25
WORDS_AT_MOST: Final = 100


class Sort(StrEnum):
    """The order of the rows."""

    OLDEST = "oldest"
    NEWEST = "newest"
    LARGEST = "largest"


SORTS: Final = {
    Sort.OLDEST: gettext_noop("Oldest first"),
    Sort.NEWEST: gettext_noop("Newest first"),
    Sort.LARGEST: gettext_noop("Largest first, by currency"),
}


class Kind(StrEnum):
    """Which rows are shown."""

    ALL = ""
    CANCELED = "canceled"
    FAILED = "failed"


KINDS: Final = {
    Kind.ALL: gettext_noop("Canceled and failed"),
    Kind.CANCELED: gettext_noop("Canceled, not refunded"),
    Kind.FAILED: gettext_noop("Refund failed"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the address asks for. `after` is the place of the last row of the page before."""

    sort: Sort = Sort.OLDEST
    kind: Kind = Kind.ALL
    store_id: int | None = None
    words: str = ""
    after: str = ""

    @classmethod
    def read(cls, query: QueryDict) -> Asked:
        """Read a query string; what isn't understood counts as not given."""
        sort, kind = query.get("sort", ""), query.get("kind", "")
        return cls(
            sort=Sort(sort) if sort in SORTS else Sort.OLDEST,
            kind=Kind(kind) if kind in KINDS else Kind.ALL,
            store_id=number(query.get("store", "")),
            words=query.get("q", "").replace("\x00", "").strip()[:WORDS_AT_MOST],
            after=query.get("after", "")[:80],
        )

    @property
    def address(self) -> str:
        """The address that asks for this."""
        asked = {
            "sort": "" if self.sort == Sort.OLDEST else self.sort,
            "kind": self.kind,
            "store": self.store_id or "",
            "q": self.words,
            "after": self.after,
        }
        query = urlencode({name: value for name, value in asked.items() if value})
        return f"{reverse('inbox:refunds_due')}{'?' if query else ''}{query}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One order. `seen` is the sum that a decision to keep it is about."""

    order: Order
    customer: str
    since: datetime | None
    why: str
    # The same with the sums, for where there is no table.
    progress: str
    paid: Money
    refunded: Money
    due: Money
    seen: str
    url: str
    refund_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundsDue:
    """A page of rows. `sums` are per currency, over all pages, without test orders."""

    rows: tuple[Row, ...]
    asked: Asked
    count: int
    sums: tuple[Money, ...]
    next_url: str
    first_url: str
    stores: tuple[Store, ...]
    may_keep: bool


def refunds_due(user: User, asked: Asked, *, at_most: int = PAGE) -> RefundsDue:
    """Return one page of what is due at the user's stores. Eight queries at most."""
    scope = scope_of(user)
    sources = _sources(scope, asked)
    found: list[Any] = []
    for source in sources:
        page = _after(source, asked).order_by(*_columns(asked.sort)).select_related("store")
        found += page[: at_most + 1]
    # Each source is sorted and cut in the database; here only two pages are merged.
    found.sort(key=lambda order: _place(order, asked.sort), reverse=asked.sort == Sort.NEWEST)
    shown = found[:at_most]
    count, sums = totals(sources)
    following = _cursor(shown[-1], asked.sort) if len(found) > at_most else ""
    return RefundsDue(
        rows=tuple(_row(order) for order in shown),
        asked=asked,
        count=count,
        sums=sums,
        next_url=replace(asked, after=following).address if following else "",
        first_url=replace(asked, after="").address if asked.after else "",
        stores=tuple(scope.active_stores().order_by("name", "pk")),
        may_keep=services.settling_refusal(user) is None,
    )


def chosen(values: list[str]) -> list[tuple[int, Decimal]]:
    """Read which rows a form names, as "<order ID>:<sum>"; what can't be read is left out."""
    pairs = [value.partition(":") for value in values[:PAGE]]
    read = [(number(pk), _amount(amount)) for pk, _sep, amount in pairs]
    return [(pk, amount) for pk, amount in read if pk is not None and amount is not None]


# --- What is due ----------------------------------------------------------------------------------
def _sources(scope: Scope, asked: Asked) -> list[OrderQuerySet]:
    orders = scope.orders()
    if asked.store_id is not None:
        orders = orders.filter(store=asked.store_id)
    if asked.words:
        orders = _matching(orders, asked.words)
    found = {Kind.CANCELED: canceled(orders), Kind.FAILED: failed(orders)}
    return [rows for kind, rows in found.items() if asked.kind in {Kind.ALL, kind}]


def _matching(orders: OrderQuerySet, words: str) -> OrderQuerySet:
    """Orders with this number, or of a customer whose name or address has these words in it."""
    theirs = Customer.objects.filter(
        store=OuterRef("store"), gid=OuterRef("customer_gid"), name__icontains=words
    )
    named = Order.objects.named(words).order_by().values("pk")
    return orders.filter(
        Q(pk__in=named) | Q(email__icontains=words) | (~Q(customer_gid="") & Q(Exists(theirs)))
    )


# --- Pages ----------------------------------------------------------------------------------------
def _columns(sort: Sort) -> tuple[str, ...]:
    if sort == Sort.LARGEST:
        return "currency", "-due", "pk"
    sign = "-" if sort == Sort.NEWEST else ""
    return f"{sign}since", f"{sign}pk"


def _place(order: Any, sort: Sort) -> tuple[Any, ...]:
    if sort == Sort.LARGEST:
        return order.currency, -order.due, order.pk
    return order.since, order.pk


def _cursor(order: Any, sort: Sort) -> str:
    if sort == Sort.LARGEST:
        return f"{order.currency}_{order.due}_{order.pk}"
    return f"{order.since.isoformat()}_{order.pk}"


def _after(rows: OrderQuerySet, asked: Asked) -> OrderQuerySet:
    """The rows after the cursor; all of them for one that can't be read."""
    *place, last = asked.after.split("_")
    pk = number(last)
    if pk is None or not place:
        return rows
    if asked.sort == Sort.LARGEST:
        amount = _amount(place[1]) if len(place) == 2 else None
        if amount is None:
            return rows
        rest = Q(due__lt=amount) | Q(due=amount, pk__gt=pk)
        return rows.filter(Q(currency__gt=place[0]) | Q(rest, currency=place[0]))
    at = moment(place[0])
    if at is None:
        return rows
    if asked.sort == Sort.NEWEST:
        return rows.filter(Q(since__lte=at), Q(since__lt=at) | Q(pk__lt=pk))
    # The first condition is what an index on the time starts from.
    return rows.filter(Q(since__gte=at), Q(since__gt=at) | Q(pk__gt=pk))


def _amount(text: str) -> Decimal | None:
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _row(order: Any) -> Row:
    snapshot = order.snapshot
    return Row(
        order=order,
        customer=customer_summary.name(order),
        since=order.since if order.since.year > UNDATED.year else None,
        why=_why(order),
        progress=_progress(order),
        paid=snapshot.money.received.presentment,
        refunded=snapshot.money.refunded.presentment,
        due=Money(order.due, order.currency),
        seen=str(order.net_payment),
        url=reverse("order:page", args=[order.pk]),
        refund_url=reverse("order:order_refund", args=[order.pk]),
    )


def _why(order: Order) -> str:
    said = [previews.reason_words(order.cancel_reason)] if order.cancelled_at else []
    if not order.cancelled_at:
        said.append(_("The refund failed at the payment provider"))
    if waiting := _waiting(order):
        said.append(_("%(sum)s is waiting for the bank") % {"sum": waiting.format()})
    if order.is_test:
        said.append(_("test order: no money is owed"))
    return " · ".join(word for word in said if word)


def _progress(order: Order) -> str:
    """Say how much of the money was refunded."""
    money = order.snapshot.money
    waiting = _waiting(order)
    sums = {
        "refunded": money.refunded.presentment.format(),
        "paid": money.received.presentment.format(),
        "waiting": waiting.format(),
    }
    if order.cancelled_at is None:
        said = _("The refund failed at the payment provider.")
    elif waiting:
        said = _("Canceled. A refund of %(waiting)s is waiting for the bank.") % sums
    elif not money.refunded.presentment:
        said = _("Canceled but not refunded.")
    else:
        said = _("Canceled, with %(refunded)s of %(paid)s refunded.") % sums
    return f"{said} {_('Test order: no money is owed.')}" if order.is_test else said


def _waiting(order: Order) -> Money:
    refunds = order.snapshot.refunds
    return total((parts(refund).waiting.presentment for refund in refunds), order.currency)
