"""Refunds due: which rows, their sums, sorting, filters and pages; and keeping several at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext

from inbox.decisions import refunds_due
from inbox.decisions.refunds_due import Asked, Sort
from orders.models import AuditEntry, AuditKind, Customer, Order, OrderRefund, Store
from tests.conftest import logged_in
from tests.support.orders import snapshots
from tests.support.orders.snapshots import NOW
from tests.support.orders.stored import stored
from tests.support.people.two_teams import two_teams

pytestmark = pytest.mark.django_db
HERE = "/inbox/decisions/refunds/"


def copies(count: int, **columns: Callable[[int], Any]) -> list[Order]:
    """Canceled orders, not refunded, a minute apart and of rising sums; copies of one that was
    stored."""
    pattern = stored(snapshots.order(cancelled_at=NOW, email="jane@example.com"))
    pattern.delete()
    made = []
    for n in range(count):
        order = Order.objects.model()
        order.__dict__.update({k: v for k, v in pattern.__dict__.items() if k[0] != "_"})
        order.__dict__.pop("snapshot", None)
        order.pk = None
        order.gid, order.legacy_id, order.name = f"gid://shopify/Order/{n}", n, f"#{n}"
        order.name_key = order.number = str(n)
        order.cancelled_at = NOW - timedelta(minutes=count - n)
        order.net_payment = Decimal(10 + n % 7)
        for name, value in columns.items():
            setattr(order, name, value(n))
        made.append(order)
    return Order.objects.bulk_create(made)


def failed_refund(order: Order, failed: str, moved: str = "0", *, days: int = 0) -> OrderRefund:
    return OrderRefund.objects.create(
        order=order,
        gid=f"r{OrderRefund.objects.count()}",
        refunded_at=NOW + timedelta(days=days),
        amount=Decimal(failed) + Decimal(moved),
        amount_shop=0,
        failed=Decimal(failed),
        moved=Decimal(moved),
    )


def standing(**changes: Any) -> Order:
    """An order that isn't canceled, paid with 20."""
    return stored(snapshots.order(**changes))


def names(user: User, query: str = "") -> list[str]:
    return [
        row.order.name for row in refunds_due.refunds_due(user, Asked.read(QueryDict(query))).rows
    ]


def all_pages(user: User, asked: Asked) -> list[refunds_due.Row]:
    rows: list[refunds_due.Row] = []
    while True:
        page = refunds_due.refunds_due(user, asked)
        rows += page.rows
        if not page.next_url:
            return rows
        asked = Asked.read(QueryDict(page.next_url.partition("?")[2]))


@pytest.mark.parametrize("sort", list(Sort))
def test_the_pages_together_show_each_row_once_and_in_order(sara: User, sort: Sort) -> None:
    made = copies(60, currency=lambda n: "EUR" if n % 3 else "USD")
    orders = [standing(gid=f"gid://shopify/Order/9{n}", legacy_id=90 + n) for n in range(3)]
    for n, order in enumerate(orders):
        failed_refund(order, "5.00", days=-n)
    rows = all_pages(sara, Asked(sort=sort))
    assert len(rows) == len({row.order.pk for row in rows}) == len(made) + 3
    keys: list[Any] = [refunds_due._place(row.order, sort) for row in rows]
    assert keys == sorted(keys, reverse=sort == Sort.NEWEST)


def test_thousands_of_rows_cost_as_many_queries_as_a_few(sara: User) -> None:
    copies(3000)

    def asked(after: str = "") -> list[str]:
        user = User.objects.get(pk=sara.pk)
        with CaptureQueriesContext(connection) as found:
            page = refunds_due.refunds_due(user, Asked(after=after))
        assert len(page.rows) == refunds_due.PAGE
        assert page.count == 3000
        return [query["sql"] for query in found]

    first = asked()
    middle = Order.objects.order_by("cancelled_at")[2500]
    assert middle.cancelled_at
    deep = asked(f"{middle.cancelled_at.isoformat()}_{middle.pk}")
    assert len(first) == len(deep) <= 10, "\n".join(deep)
    for sql in deep:
        # Documents are read for the rows of a page alone, however many there are.
        assert (
            '"document"' not in sql.partition(" FROM ")[0] or f"LIMIT {refunds_due.PAGE + 1}" in sql
        )


def test_sums_are_per_currency_and_leave_test_orders_out(sara: User) -> None:
    copies(
        4,
        currency=lambda n: "EUR" if n else "USD",
        net_payment=lambda n: Decimal(10),
        is_test=lambda n: n == 3,
    )
    found = refunds_due.refunds_due(sara, Asked())
    assert [sum.format("en") for sum in found.sums] == ["€20.00", "$10.00"]
    assert found.count == 4


def test_a_failed_refund_is_due_until_it_is_repeated(sara: User) -> None:
    order = standing()
    failed_refund(order, "15.00")
    [row] = refunds_due.refunds_due(sara, Asked()).rows
    assert (row.due.format("en"), row.why) == (
        "€15.00",
        "The refund failed at the payment provider",
    )
    # Refunded again in part, then in whole.
    failed_refund(order, "0", "6.00", days=1)
    assert [r.due.format("en") for r in refunds_due.refunds_due(sara, Asked()).rows] == ["€9.00"]
    failed_refund(order, "0", "9.00", days=2)
    assert names(sara) == []


def test_no_more_is_due_than_the_shop_still_holds(sara: User) -> None:
    order = standing()
    failed_refund(order, "15.00")
    Order.objects.filter(pk=order.pk).update(net_payment=4)
    assert [row.due.format("en") for row in refunds_due.refunds_due(sara, Asked()).rows] == [
        "€4.00"
    ]


def test_a_canceled_order_with_a_failed_refund_is_listed_once(sara: User) -> None:
    [order] = copies(1)
    failed_refund(order, "5.00")
    assert names(sara) == [order.name]
    # And not at all once its money is kept.
    Order.objects.update(kept=order.net_payment)
    assert names(sara) == []


def test_money_that_is_kept_is_not_due(sara: User) -> None:
    order = standing()
    failed_refund(order, "15.00")
    copies(2, kept=lambda n: Decimal(10 + n % 7) if n else None)
    assert names(sara, "kind=canceled") == ["#0"]
    Order.objects.filter(pk=order.pk).update(kept=order.net_payment)
    assert names(sara) == ["#0"]
    assert refunds_due.refunds_due(sara, Asked()).count == 1


def test_filters(sara: User) -> None:
    other = Store.objects.create(domain="other.myshopify.com", name="Other", currency="USD")
    copies(3, email=lambda n: f"person{n}@example.com", customer_gid=lambda n: f"c{n}")
    home = Store.objects.exclude(pk=other.pk).get()
    Order.objects.filter(name="#2").update(store=other)
    Customer.objects.create(store=home, gid="c1", name="Dana Whitfield")
    # The same gid in another store is someone else.
    Customer.objects.create(store=other, gid="c2", name="Grace Kim")
    Customer.objects.create(store=home, gid="c2", name="Dana Whitfield")
    failed_refund(standing(name="#7", gid="gid://shopify/Order/7", legacy_id=7), "5")
    assert names(sara, f"store={other.pk}") == ["#2"]
    assert names(sara, "q=whitfield") == ["#1"]
    assert names(sara, "q=PERSON0") == ["#0"]
    assert names(sara, "q=%232") == ["#2"]
    assert names(sara, "kind=failed") == ["#7"]
    assert names(sara, "q=nothing") == []


@pytest.mark.parametrize(
    "query",
    [
        "after=x",
        "after=2026-13-01_5",
        "after=EUR_NaN_5&sort=largest",
        "sort=%00&kind=9",
        "store=-1",
    ],
)
def test_what_an_address_says_wrongly_counts_as_not_said(sara: User, query: str) -> None:
    copies(2)
    assert names(sara, query) == names(sara, query.replace("after", "x").replace("store", "x"))


# --- The page -------------------------------------------------------------------------------------
def page(client: Client, query: str = "") -> str:
    return unescape(client.get(f"{HERE}{query}").content.decode())


def test_a_row_says_who_how_much_since_when_and_why_and_can_be_refunded_here(sara: User) -> None:
    [order] = copies(1, cancel_reason=lambda _n: "INVENTORY")
    shown = page(logged_in(sara))
    for words in (
        "jane@example.com",
        "€10.00",
        "Items unavailable",
        f'href="/inbox/orders/{order.pk}/refund/"',
        f'href="/inbox/orders/{order.pk}/"',
        f'value="{order.pk}:10',
    ):
        assert words in shown, words
    assert order.name in unescape(logged_in(sara).get("/inbox/decisions/").content.decode())


def test_several_are_kept_at_once_with_one_reason(sara: User) -> None:
    orders = copies(3)
    chosen = [f"{order.pk}:{order.net_payment}" for order in orders[:2]]
    form = {"order": chosen, "reason": "Restocking fee", "back": f"{HERE}?sort=newest"}
    answer = logged_in(sara).post(f"{HERE}keep/", form)
    assert answer["Location"] == f"{HERE}?sort=newest"
    assert names(sara) == [orders[2].name]
    assert set(
        Order.objects.exclude(kept=None).values_list("kept_by__username", "kept_reason")
    ) == {("sara", "Restocking fee")}
    assert AuditEntry.objects.filter(kind=AuditKind.MONEY_KEPT).count() == 2


def test_another_sum_than_the_one_that_was_shown_is_not_kept(sara: User) -> None:
    [order] = copies(1)
    form = {"order": f"{order.pk}:{order.net_payment}", "reason": "Restocking fee"}
    Order.objects.update(net_payment=9)
    answer = logged_in(sara).post(f"{HERE}keep/", form, follow=True)
    assert "The sum has changed: €9.00 is left now." in unescape(answer.content.decode())
    assert names(sara) == [order.name]


@pytest.mark.parametrize("form", [{}, {"reason": "Fee"}, {"order": "1:2"}, {"order": "x:y"}])
def test_a_form_that_lacks_something_keeps_nothing(sara: User, form: dict[str, str]) -> None:
    [order] = copies(1)
    if form.get("order") == "1:2":
        form = {"order": f"{order.pk}:{order.net_payment}"}
    assert logged_in(sara).post(f"{HERE}keep/", form).status_code == 302
    assert not Order.objects.exclude(kept=None).exists()


def test_an_agent_keeps_nothing_and_is_not_offered_to(alice: User) -> None:
    [order] = copies(1)
    client = logged_in(alice)
    assert "keep-several" not in page(client)
    form = {"order": f"{order.pk}:{order.net_payment}", "reason": "Fee"}
    answer = client.post(f"{HERE}keep/", form, follow=True)
    assert "Only a supervisor can decide this." in unescape(answer.content.decode())
    assert not Order.objects.exclude(kept=None).exists()


def test_the_way_back_stays_on_this_page(sara: User) -> None:
    for back in ("https://example.com/", "//example.com", f"{HERE}/../../x"):
        answer = logged_in(sara).post(f"{HERE}keep/", {"back": back})
        assert answer["Location"] == HERE


def test_another_teams_orders_are_neither_shown_nor_kept() -> None:
    world = two_teams()
    Order.objects.update(cancelled_at=NOW, net_payment=10)
    boss = world.people["supervisor"]
    shown = names(boss)
    assert world.north.order.name in shown
    assert world.south.order.name not in shown
    form = {"order": f"{world.south.order.pk}:10", "reason": "Fee"}
    logged_in(boss).post(f"{HERE}keep/", form)
    assert not Order.objects.exclude(kept=None).exists()
    # The control: the same form about an own one.
    form["order"] = f"{world.north.order.pk}:10"
    logged_in(boss).post(f"{HERE}keep/", form)
    assert Order.objects.exclude(kept=None).get() == world.north.order
