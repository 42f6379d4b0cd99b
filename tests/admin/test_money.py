"""The page "Money": sums by Decimal, each currency by itself, and a file that runs nothing."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from inbox.models import Channel, Conversation
from orders import reports
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
from tests.conftest import logged_in

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
PERIOD = reports.Period(AT.date() - timedelta(days=1), AT.date())


@pytest.fixture
def root(db: None) -> Client:
    return logged_in(User.objects.create_superuser("root"))


@pytest.fixture
def events(alice: User, conversation: Conversation) -> list[OrderEvent]:
    """Three refunds in two currencies, a cancelation, one that failed, one of another day."""
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
                order=order, kind=ActionKind.REFUND, amount=amount, currency=currency,
                requested_by=alice, proposal={}, steps=[], origin=conversation.origin,
            )  # fmt: skip
            row = OrderAction.objects.filter(pk=action.pk)
            row.update(requested_at=at - timedelta(seconds=90))
            row.update(state="succeeded", settled_at=at, evidence_at=at)
        rows.append(
            OrderEvent.objects.create(
                order=order, kind="refunded", key=f"refunded:r{number}", occurred_at=at,
                amount=amount, currency=currency, action=action,
                source="agent" if action else "shopify", actor=alice if action else None,
                reason="damaged" if action else "=cmd()",
            )
        )  # fmt: skip
        if number == 3:
            OrderRefund.objects.create(
                order=order, gid="r3", amount=amount, amount_shop=amount, has_failed=True
            )
        if number == 1:
            OrderEvent.objects.create(
                order=order, kind="canceled", key="canceled", occurred_at=at, source="shopify",
                reason="CUSTOMER",
            )  # fmt: skip
    return rows


def rows(sheet: reports.Sheet, key: str) -> dict[str, tuple[int, int, str]]:
    table = next(table for table in sheet.tables if table.key == key)
    return {row.label: (row.refunds, row.cancels, row.money.plain()) for row in table.rows}


def test_sums_are_exact_and_never_cross_currencies(events: Any, channel: Channel) -> None:
    found = reports.report(PERIOD)
    euro, yen = found.sheets
    assert (euro.currency, euro.money.amount, euro.refunds, euro.cancels) == (
        "EUR", Decimal("0.3"), 2, 1,
    )  # fmt: skip
    assert (yen.currency, yen.money.plain()) == ("JPY", "500")
    assert rows(euro, "agent") == {"Nobody here": (1, 1, "0.20"), "alice": (1, 0, "0.10")}
    assert rows(euro, "store") == {
        "second.myshopify.com": (1, 1, "0.20"), "demo.myshopify.com": (1, 0, "0.10"),
    }  # fmt: skip
    assert rows(euro, "source") == {"Shopify": (1, 1, "0.20"), "Agent": (1, 0, "0.10")}
    assert rows(euro, "channel") == {
        "Shopify's own pages": (1, 1, "0.20"), channel.name: (1, 0, "0.10"),
    }  # fmt: skip
    assert rows(euro, "day") == {"2026-11-19": (1, 1, "0.20"), "2026-11-20": (1, 0, "0.10")}
    assert rows(euro, "reason")["Damaged on arrival"] == (1, 0, "0.10")
    assert found.seconds_to_refund == 90


def test_one_store_alone(events: Any) -> None:
    store = Store.objects.get(domain="second.myshopify.com")
    (euro,) = reports.report(reports.Period(PERIOD.since, PERIOD.until, store.pk)).sheets
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


def test_the_last_day_of_all_is_a_day(root: Client, events: Any) -> None:
    asked = {"since": "9999-12-01", "until": "9999-12-31"}
    assert root.get("/admin/money/", asked).status_code == 200


def test_the_file_runs_nothing_and_is_on_record(root: Client, events: Any) -> None:
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
        "what": "money", "rows": len(lines), "since": "2026-11-19", "until": "2026-11-20",
    }  # fmt: skip
    assert root.post("/admin/money/csv/", {**words, "since": "x"}).status_code == 400


def test_a_fixed_number_of_queries(
    root: Client, events: Any, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(4):
        reports.report(PERIOD)


def test_only_who_may_see_refunds(db: None) -> None:
    ann = User.objects.create_user("ann", is_staff=True)
    assert logged_in(ann).get("/admin/money/").status_code == 403
    assert logged_in(ann).post("/admin/money/csv/").status_code == 403
