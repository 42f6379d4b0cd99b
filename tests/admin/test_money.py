"""The Money report: exact sums for each currency, and a CSV without formulas."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Count
from django.test import Client

from inbox.models import Channel, Conversation, MessageKind
from orders.models import (
    ActionKind,
    AuditEntry,
    AuditKind,
    Order,
    OrderAction,
    OrderEvent,
    OrderRefund,
    Store,
)
from orders.money import Money
from orders.reports import totals
from orders.reports.placed import change_text
from orders.reports.refund_times import RefundTimes, span_text
from tests.conftest import logged_in
from tests.support.database.plans import plans

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
PERIOD = totals.Period(AT.date() - timedelta(days=1), AT.date())


@pytest.fixture
def root(db: None) -> Client:
    return logged_in(User.objects.create_superuser("root"))


@pytest.fixture
def events(alice: User, conversation: Conversation) -> list[OrderEvent]:
    """Three refunds in two currencies, a cancellation, one that failed, one of another day."""
    store = Store.objects.create(domain="demo.myshopify.com", currency="EUR")
    other = Store.objects.create(domain="second.myshopify.com", currency="EUR")
    rows = []
    for number, (shop, currency, amount, at) in enumerate(
        (
            (store, "EUR", "0.10", AT),
            (other, "EUR", "0.20", AT - timedelta(days=1)),
            (store, "JPY", "500", AT),
            (store, "EUR", "99", AT),  # the bank refused it
            (store, "EUR", "77", AT + timedelta(hours=1)),  # after the period
        )
    ):
        order = Order.objects.create(
            store=shop, gid=f"g{number}", legacy_id=number, name=f"#{number}", currency=currency
        )
        action = None
        if number == 0:
            action = OrderAction.objects.create(
                order=order,
                kind=ActionKind.REFUND,
                amount=amount,
                currency=currency,
                requested_by=alice,
                proposal={},
                steps=[],
                origin=conversation.origin,
            )
            row = OrderAction.objects.filter(pk=action.pk)
            row.update(requested_at=at - timedelta(seconds=90))
            row.update(state="succeeded", settled_at=at, evidence_at=at)
        rows.append(
            OrderEvent.objects.create(
                order=order,
                kind="refunded",
                key=f"refunded:r{number}",
                occurred_at=at,
                amount=amount,
                currency=currency,
                action=action,
                source="agent" if action else "shopify",
                actor=alice if action else None,
                reason="damaged" if action else "=cmd()",
            )
        )
        if number == 3:
            OrderRefund.objects.create(
                order=order, gid="r3", amount=amount, amount_shop=amount, has_failed=True
            )
        if number == 1:
            OrderEvent.objects.create(
                order=order,
                kind="canceled",
                key="canceled",
                occurred_at=at,
                source="shopify",
                reason="CUSTOMER",
            )
    return rows


def lone_refund() -> OrderEvent:
    """The booking of 100.00, at a store without anything else."""
    store = Store.objects.create(domain="demo.myshopify.com", currency="EUR")
    order = Order.objects.create(store=store, gid="g", legacy_id=1, currency="EUR")
    return OrderEvent.objects.create(
        order=order,
        kind="refunded",
        key="refunded:gid://shopify/Refund/1",
        occurred_at=AT,
        amount=100,
        currency="EUR",
        source="shopify",
    )


def rows(sheet: totals.Sheet, key: str) -> dict[str, tuple[int, int, str]]:
    table = next(table for table in sheet.tables if table.key == key)
    return {row.label: (row.refunds, row.cancels, row.money.plain()) for row in table.rows}


def test_sums_are_exact_and_never_cross_currencies(events: Any, channel: Channel) -> None:
    found = totals.report(PERIOD)
    euro, yen = found.sheets
    assert (euro.currency, euro.money.amount, euro.refunds, euro.cancels) == (
        "EUR",
        Decimal("0.3"),
        2,
        1,
    )
    assert (yen.currency, yen.money.plain()) == ("JPY", "500")
    assert rows(euro, "agent") == {"Outside Agent Inbox": (1, 1, "0.20"), "alice": (1, 0, "0.10")}
    assert rows(euro, "store") == {
        "second.myshopify.com": (1, 1, "0.20"),
        "demo.myshopify.com": (1, 0, "0.10"),
    }
    assert rows(euro, "source") == {"Shopify": (1, 1, "0.20"), "Agent": (1, 0, "0.10")}
    assert rows(euro, "channel") == {
        "Shopify admin": (1, 1, "0.20"),
        channel.name: (1, 0, "0.10"),
    }
    assert rows(euro, "day") == {"2026-11-19": (1, 1, "0.20"), "2026-11-20": (1, 0, "0.10")}
    assert rows(euro, "reason")["Damaged on arrival"] == (1, 0, "0.10")
    assert found.times == RefundTimes(90, None)


@pytest.mark.parametrize(
    ("divided", "n", "money", "waiting"),
    [
        ({"moved": "60", "failed": "40"}, 1, "60.00", "0.00"),
        ({"moved": "60", "waiting": "40"}, 1, "60.00", "40.00"),
        ({"waiting": "100"}, 0, "0.00", "100.00"),
        ({"failed": "100"}, 0, "0.00", "0.00"),
    ],
)
def test_a_refund_counts_by_what_each_transaction_did(
    alice: User, divided: dict[str, str], n: int, money: str, waiting: str
) -> None:
    event = lone_refund()
    OrderRefund.objects.create(
        order=event.order,
        gid="gid://shopify/Refund/1",
        amount=100,
        amount_shop=100,
        has_failed="failed" in divided,
        **{key: Decimal(sum_) for key, sum_ in divided.items()},
    )
    (sheet,) = totals.report(PERIOD).sheets
    assert (sheet.refunds, sheet.money.plain(), sheet.waiting.plain()) == (n, money, waiting)
    assert sheet.waiting_refunds == ("waiting" in divided)
    assert rows(sheet, "store") == {"demo.myshopify.com": (n, 0, money)}
    (row,) = sheet.tables[3].rows
    assert row.waiting.plain() == waiting


def test_what_is_not_confirmed_is_shown_apart_on_the_page_and_in_the_file(
    root: Client, alice: User
) -> None:
    event = lone_refund()
    OrderRefund.objects.create(
        order=event.order,
        gid="gid://shopify/Refund/1",
        amount=100,
        amount_shop=100,
        moved=60,
        waiting=40,
    )
    asked = {"since": "2026-11-19", "until": "2026-11-20", "store": ""}
    page = root.get("/admin/money/", asked).content.decode()
    assert '€60.00<small class="bars-note">+ €40.00 not confirmed</small>' in page
    assert "1 refund the payment provider hasn" in page
    answer = root.post("/admin/money/csv/", asked)
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    lines = list(csv.DictReader(io.StringIO(text.lstrip("\ufeff"))))
    found = {
        (line["refunded"], line["not_confirmed"]) for line in lines if line["table"] == "store"
    }
    assert found == {("60.00", "40.00")}


def test_a_refund_that_shopify_does_not_list_any_more_counts_as_it_was_booked(
    alice: User,
) -> None:
    event = lone_refund()
    # Another order's refund of the same id is none of it.
    other = Order.objects.create(store=event.order.store, gid="other", legacy_id=2)
    OrderRefund.objects.create(
        order=other, gid="gid://shopify/Refund/1", amount=100, amount_shop=100
    )
    (sheet,) = totals.report(PERIOD).sheets
    assert (sheet.refunds, sheet.money.plain()) == (1, "100.00")


def test_test_orders_are_left_out_of_the_sums(events: Any) -> None:
    before = {s.currency: (s.refunds, s.cancels, s.money) for s in totals.report(PERIOD).sheets}
    Order.objects.filter(gid="g1").update(is_test=True)
    after = {s.currency: (s.refunds, s.cancels, s.money) for s in totals.report(PERIOD).sheets}
    assert before["EUR"] == (2, 1, Money(Decimal("0.30"), "EUR"))
    assert after["EUR"] == (1, 0, Money(Decimal("0.10"), "EUR"))
    assert after["JPY"] == before["JPY"]
    # How long it took is of real refunds too.
    Order.objects.update(is_test=True)
    assert totals.report(PERIOD).times == RefundTimes(None, None)


def place(number: int, at: datetime, *, store: str = "demo", **more: Any) -> Order:
    shop = Store.objects.get(domain=f"{store}.myshopify.com")
    more = {"currency": "EUR", "placed_at": at} | more
    return Order.objects.create(store=shop, gid=f"p{number}", legacy_id=100 + number, **more)


def test_rates_are_of_the_orders_placed_in_the_same_days_store_and_currency(
    root: Client, events: Any
) -> None:
    for number in range(8):
        place(number, AT)
    place(8, AT - timedelta(days=1), store="second", cancelled_at=AT, deleted_at=AT)
    place(9, AT, currency="JPY")
    place(10, AT, is_test=True)
    place(11, AT + timedelta(minutes=30))  # the next day
    place(12, AT - timedelta(days=2))  # the day before the period
    euro, yen = totals.report(PERIOD).sheets
    assert (euro.orders, euro.refund_rate, euro.cancel_rate) == (9, "22.2%", "11.1%")
    assert (yen.orders, yen.refund_rate) == (1, "100.0%")
    found = {table.key: {row.label: row.orders for row in table.rows} for table in euro.tables}
    assert found["store"] == {"demo.myshopify.com": 8, "second.myshopify.com": 1}
    assert found["day"] == {"2026-11-19": 1, "2026-11-20": 8}
    assert set(found["agent"].values()) == {9}
    asked = {"since": "2026-11-19", "until": "2026-11-20", "store": ""}
    page = root.get("/admin/money/", asked).content.decode()
    assert "22.2% of orders placed" in page
    assert '<td class="num bars-rate">12.5%</td>' in page
    second = Store.objects.get(domain="second.myshopify.com")
    (alone,) = totals.report(totals.Period(PERIOD.since, PERIOD.until, second.pk)).sheets
    assert (alone.orders, alone.refund_rate) == (1, "100.0%")


def test_all_currencies_are_summed_in_the_stores_currency_as_shopify_converted_them(
    root: Client, events: Any
) -> None:
    Order.objects.update(shop_currency="EUR")
    for event, moved, in_shop in ((0, "0.10", "0.10"), (2, "500", "3.05"), (3, "0", "0")):
        gid = f"r{event}"
        OrderRefund.objects.update_or_create(
            order=events[event].order,
            gid=gid,
            defaults={"amount": moved, "amount_shop": in_shop}
            | {"moved": moved, "moved_shop": in_shop},
        )
    # The second store's refund isn't listed by Shopify any more.
    (euro,) = totals.report(PERIOD).in_shop
    assert (euro.money, euro.refunds, euro.unknown) == (Money(Decimal("3.15"), "EUR"), 2, 1)
    asked = {"since": "2026-11-19", "until": "2026-11-20", "store": ""}
    page = root.get("/admin/money/", asked).content.decode()
    assert "2 refunds, converted by Shopify. 1 more is known only" in page
    # In one currency alone, it would say the same twice.
    Order.objects.filter(gid="g2").update(is_test=True)
    assert "converted by Shopify" not in root.get("/admin/money/", asked).content.decode()
    Order.objects.filter(gid="g2").update(is_test=False)
    # A canceled order of a third currency moves no money.
    dollar = place(20, AT, currency="USD", cancelled_at=AT)
    OrderEvent.objects.create(
        order=dollar, kind="canceled", key="canceled", occurred_at=AT, source="shopify"
    )
    Order.objects.filter(gid="g2").update(is_test=True)
    assert not totals.report(PERIOD).is_converted
    Order.objects.filter(gid="g2").update(is_test=False)
    # Stores of different currencies aren't added up.
    Order.objects.filter(gid="g2").update(shop_currency="JPY")
    found = totals.report(PERIOD)
    assert [s.money.currency for s in found.in_shop] == ["EUR", "JPY"]
    # The same currencies, but other sums: yen that a store in euro was paid.
    assert found.is_converted
    # Of an order of an earlier release, not even the store's currency is known.
    Order.objects.filter(gid="g0").update(shop_currency="")
    assert sum(each.unknown for each in totals.report(PERIOD).in_shop) == 2


def test_without_orders_there_is_no_rate(root: Client, events: Any) -> None:
    """Refunded were orders of earlier days."""
    euro = totals.report(PERIOD).sheets[0]
    assert (euro.orders, euro.refund_rate) == (0, "")
    asked = {"since": "2026-11-19", "until": "2026-11-20", "store": ""}
    page = root.get("/admin/money/", asked).content.decode()
    assert "of orders placed" not in page
    assert "bars-rate" not in page


def test_the_period_before_has_as_many_days_and_ends_the_day_before(
    root: Client, events: Any
) -> None:
    later = totals.Period(PERIOD.since + timedelta(days=2), PERIOD.until + timedelta(days=2))
    assert later.before == PERIOD
    place(1, AT)
    (euro,) = totals.report(later).sheets
    assert (euro.money.plain(), euro.refunds) == ("77.00", 1)
    assert euro.before is not None
    assert (euro.before.money.plain(), euro.before.refunds) == ("0.30", 2)
    assert (euro.before.cancels, euro.before.orders) == (1, 1)
    assert euro.change == "25567% more than before (€0.30)"
    asked = {"since": "2026-11-21", "until": "2026-11-22", "store": ""}
    page = root.get("/admin/money/", asked).content.decode()
    assert "more than before (€0.30)" in page
    assert "1 before" in page
    # Nothing of the days before that.
    assert totals.report(PERIOD).sheets[0].change == "nothing in the days before"
    assert totals.Period(date.min, date.min + timedelta(days=1)).before is None


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [
        ("50", "100", "50% less than before (€100.00)"),
        ("112", "100", "12% more than before (€100.00)"),
        ("100.10", "100", "about as before (€100.00)"),
        ("0", "100", "100% less than before (€100.00)"),
        ("5", "0", "nothing in the days before"),
        ("0", "0", "as before"),
    ],
)
def test_a_change_in_words(now: str, before: str, text: str) -> None:
    sums = [Money(Decimal(amount), "EUR") for amount in (now, before)]
    assert change_text(*sums) == text


def test_one_store_alone(events: Any) -> None:
    store = Store.objects.get(domain="second.myshopify.com")
    (euro,) = totals.report(totals.Period(PERIOD.since, PERIOD.until, store.pk)).sheets
    assert euro.money.plain() == "0.20"


def test_the_page_and_its_mistakes(root: Client, events: Any) -> None:
    words = {"since": "2026-11-19", "until": "2026-11-20", "store": ""}
    page = root.get("/admin/money/", words).content.decode()
    assert "€0.30" in page
    assert "¥500" in page
    assert "Most on 2026-11-19: €0.20" in page
    for bad in ({"until": "2026-11-18"}, {"since": "2020-01-01"}, {"since": "x"}, {"store": "99"}):
        answer = root.get("/admin/money/", words | bad)
        assert answer.status_code == 200
        assert "errornote" in answer.content.decode()
    empty = root.get("/admin/money/", {"since": "2020-01-01", "until": "2020-01-02"})
    assert "Nothing was refunded or canceled" in empty.content.decode()


def test_the_last_day_a_date_can_have_is_accepted(root: Client, events: Any) -> None:
    asked = {"since": "9999-12-01", "until": "9999-12-31"}
    assert root.get("/admin/money/", asked).status_code == 200


def test_the_csv_contains_no_formulas_and_its_download_is_audited(
    root: Client, events: Any
) -> None:
    words = {"since": "2026-11-19", "until": "2026-11-20", "store": ""}
    assert root.get("/admin/money/csv/", words).status_code == 405
    answer = root.post("/admin/money/csv/", words)
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    lines = list(csv.DictReader(io.StringIO(text.lstrip("\ufeff"))))
    assert {line["currency"] for line in lines} == {"EUR", "JPY"}
    assert any(line["label"].startswith("'=cmd()") for line in lines)
    assert not any(
        cell.startswith(("=", "+", "-", "@")) for line in lines for cell in line.values()
    )
    entry = AuditEntry.objects.get(kind=AuditKind.EXPORT)
    assert entry.detail == {
        "what": "money",
        "rows": len(lines),
        "since": "2026-11-19",
        "until": "2026-11-20",
    }
    assert root.post("/admin/money/csv/", {**words, "since": "x"}).status_code == 400


def test_a_fixed_number_of_queries(
    root: Client, events: Any, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(9):
        totals.report(PERIOD)


@pytest.mark.parametrize(
    ("minutes_before", "seconds"),
    [
        # Before the order; about the order, and more of it; after the click.
        ([500, 60, 30, 0], 3600),
        ([500], None),
        ([0], None),
        ([], None),
    ],
)
def test_how_long_a_refund_took_from_the_first_message_after_the_order(
    root: Client,
    events: Any,
    conversation: Conversation,
    minutes_before: list[int],
    seconds: float | None,
) -> None:
    conversation.messages.all().delete()
    Order.objects.filter(gid="g0").update(placed_at=AT - timedelta(minutes=100))
    for minutes in minutes_before:
        at = AT - timedelta(minutes=minutes)
        for kind in (MessageKind.INBOUND, MessageKind.NOTE):
            # The team's own notes are no customer's words.
            early = timedelta(minutes=10) if kind == MessageKind.NOTE else timedelta()
            conversation.messages.create(
                channel=conversation.channel, kind=kind, text="?", created_at=at - early
            )
    assert totals.report(PERIOD).times == RefundTimes(90, seconds)
    asked = {"since": "2026-11-19", "until": "2026-11-20", "store": ""}
    page = root.get("/admin/money/", asked).content.decode()
    assert ("From message to refund" in page) == (seconds is not None)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (3, "3 s"), (240, "4 min"), (9_000, "2.5 h"), (302_400, "3.5 days")],
)
def test_a_time_in_words(seconds: float | None, text: str) -> None:
    assert span_text(seconds) == text


@pytest.mark.skipif(connection.vendor != "sqlite", reason="few rows: PostgreSQL reads them all")
def test_no_table_is_read_from_one_end_to_the_other(events: Any) -> None:
    for sql, plan in plans(lambda: totals.report(PERIOD)):
        assert "SCAN orders_" not in plan, (sql, plan)
    # Negative control: what the report would ask without its period.
    asked = Order.objects.filter(is_test=False)
    ((_sql, plan),) = plans(lambda: list(asked.values("currency").annotate(n=Count("pk"))))
    assert "SCAN orders_" in plan


def test_only_who_may_see_refunds(db: None) -> None:
    ann = User.objects.create_user("ann", is_staff=True)
    assert logged_in(ann).get("/admin/money/").status_code == 403
    assert logged_in(ann).post("/admin/money/csv/").status_code == 403
