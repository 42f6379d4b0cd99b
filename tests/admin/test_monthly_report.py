"""The money report of a month, emailed once to each person who asked for it on its page."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from django.utils import timezone

from inbox.channels import email
from inbox.channels.errors import NotSent
from inbox.tasks import deliver_report_email, sweep_report_emails
from orders.models import AuditEntry, AuditKind, Order, OrderEvent, ReportEmail, Store
from orders.models.report_emails import last_month_end
from orders.reports import monthly
from tests.conftest import logged_in
from tests.support.people.two_teams import TwoTeams, two_teams

pytestmark = pytest.mark.django_db(transaction=True)
NOVEMBER = datetime(2026, 11, 10, 12, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, 0, 5, tzinfo=UTC)
ALL = {"since": "2026-11-01", "until": "2026-11-10", "store": ""}


@pytest.fixture
def boss(db: None) -> User:
    return User.objects.create_superuser("boss", email="boss@example.com")


@pytest.fixture
def refund(boss: User) -> OrderEvent:
    """Of €12.50, in November."""
    store = Store.objects.create(domain="demo.myshopify.com", currency="EUR")
    order = Order.objects.create(
        store=store, gid="g", legacy_id=1, currency="EUR", placed_at=NOVEMBER
    )
    return OrderEvent.objects.create(
        order=order,
        kind="refunded",
        key="refunded:r",
        occurred_at=NOVEMBER,
        amount="12.50",
        currency="EUR",
        source="shopify",
        reason="damaged",
    )


def ask(client: Client, **more: Any) -> Any:
    with time_machine.travel(NOVEMBER, tick=False):
        return client.post("/admin/money/monthly/", ALL | {"monthly": "on"} | more)


def at(moment: datetime) -> None:
    """What the sweep does then."""
    with time_machine.travel(moment, tick=False):
        sweep_report_emails()


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-12-01T00:00:00+00:00", "2026-11-30"),
        # In UTC, whose days the report has, it is November still.
        ("2026-12-01T05:00:00+09:00", "2026-10-31"),
        ("2026-01-31T23:59:00+00:00", "2025-12-31"),
        ("2028-03-01T00:00:00+00:00", "2028-02-29"),
    ],
)
def test_the_latest_month_that_is_over(now: str, end: str) -> None:
    assert last_month_end(datetime.fromisoformat(now)) == date.fromisoformat(end)


def test_the_report_is_sent_once_when_the_month_is_over(
    boss: User, refund: OrderEvent, settings: Any
) -> None:
    settings.PUBLIC_URL = "https://inbox.example.com"
    client = logged_in(boss)
    page = ask(client)
    assert page["Location"] == "/admin/money/?since=2026-11-01&until=2026-11-10&store="
    at(NOVEMBER + timedelta(days=20))
    assert mail.outbox == [], "November isn't over"
    for moment in (DECEMBER, DECEMBER, DECEMBER + timedelta(days=29)):
        at(moment)
    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == (
        ["boss@example.com"],
        "Refunds and cancellations, November 2026",
    )
    assert "Refunded: €12.50, nothing in the days before" in sent.body
    assert "Refunds: 1 (100.0% of orders placed)" in sent.body
    assert "- Damaged on arrival: €12.50 in 1 refund\n" in sent.body
    address = "https://inbox.example.com/admin/money/?since=2026-11-01&until=2026-11-30&store="
    assert address in sent.body
    entry = AuditEntry.objects.get(kind=AuditKind.EXPORT)
    assert (entry.actor, entry.detail["what"]) == ("boss", "money by email")
    # A month in which nothing happened is reported, too; one that was missed isn't made up for.
    at(datetime(2027, 3, 2, tzinfo=UTC))
    assert [m.subject[-13:] for m in mail.outbox[1:]] == ["February 2027"]
    assert "Nothing was refunded or canceled." in mail.outbox[1].body


def test_asking_twice_is_asking_once_and_it_can_be_stopped(boss: User, refund: OrderEvent) -> None:
    client = logged_in(boss)
    shown = {"since": "2026-11-01", "until": "2026-11-10"}
    assert "Email me monthly" in client.get("/admin/money/", shown).content.decode()
    ask(client)
    ask(client)
    ask(client, store=refund.order.store_id)
    assert ReportEmail.objects.count() == 2
    assert "Stop monthly emails" in client.get("/admin/money/", shown).content.decode()
    ask(client, monthly="")
    assert [row.store_id for row in ReportEmail.objects.all()] == [refund.order.store_id]
    at(DECEMBER)
    (sent,) = mail.outbox
    assert "November 2026, demo.myshopify.com" in sent.body


def test_two_workers_send_it_once(boss: User, refund: OrderEvent) -> None:
    ask(logged_in(boss))
    row = ReportEmail.objects.get()
    real = email.send_mail

    def send(**letter: Any) -> None:
        # Another worker comes while this one is talking to the mail server.
        deliver_report_email(row.pk)
        sweep_report_emails()
        real(**letter)

    with patch.object(email, "send_mail", send):
        at(DECEMBER)
    assert len(mail.outbox) == 1


def test_a_failing_server_is_tried_again_with_the_same_message_id(
    boss: User, refund: OrderEvent
) -> None:
    ask(logged_in(boss))
    ids = []

    def send(*, message_id: str, **_letter: Any) -> None:
        ids.append(message_id)
        raise NotSent("The mail server refused")

    with patch.object(email, "send_mail", send):
        for n in range(40):
            at(DECEMBER + timedelta(hours=2 * n))
    assert len(ids) == 40
    assert len(set(ids)) == 1
    # The mail server is back after three days.
    at(DECEMBER + timedelta(days=4))
    assert [m.subject[-13:] for m in mail.outbox] == ["November 2026"]


def test_an_address_that_is_refused_is_given_up_for_the_month(
    boss: User, refund: OrderEvent
) -> None:
    ask(logged_in(boss))
    ids = []

    def send(*, message_id: str, **_letter: Any) -> None:
        ids.append(message_id)
        raise NotSent("No such mailbox", is_final=True)

    with patch.object(email, "send_mail", send):
        for n in range(3):
            at(DECEMBER + timedelta(hours=2 * n))
    assert len(ids) == 1
    at(datetime(2027, 1, 1, 1, tzinfo=UTC))
    assert [m.subject[-13:] for m in mail.outbox] == ["December 2026"]
    assert not AuditEntry.objects.filter(detail__since="2026-11-01").exists()


def test_what_the_email_leaves_out_is_counted(boss: User, refund: OrderEvent) -> None:
    order = refund.order
    Order.objects.filter(pk=order.pk).update(shop_currency="USD")
    for number in range(7):
        OrderEvent.objects.create(
            order=order, kind="refunded", key=f"refunded:{number}", occurred_at=NOVEMBER,
            amount=f"{number + 1}", currency="EUR", source="shopify", reason=f"Reason {number}",
        )  # fmt: skip
    ask(logged_in(boss))
    at(DECEMBER)
    (sent,) = mail.outbox
    # Seven reasons and the first: the smallest three are one line.
    assert "- Other reasons: €6.00 in 3 refunds" in sent.body
    assert "(without 8 refunds known only in the customer's currency)" in sent.body


@pytest.mark.parametrize("change", ["inactive", "no address", "no permission"])
def test_who_may_no_longer_open_the_page_gets_none(
    boss: User, refund: OrderEvent, change: str
) -> None:
    ask(logged_in(boss))
    changes: dict[str, dict[str, Any]] = {
        "inactive": {"is_active": False},
        "no address": {"email": ""},
        "no permission": {"is_superuser": False},
    }
    User.objects.filter(pk=boss.pk).update(**changes[change])
    at(DECEMBER)
    assert mail.outbox == []
    assert not ReportEmail.objects.unsent(now=DECEMBER).exists()


def test_who_is_limited_to_a_team_later_gets_no_sums_of_every_store() -> None:
    world: TwoTeams = two_teams()
    agent, auditor = world.people["agent"], world.people["auditor"]
    now = timezone.now()
    until = last_month_end(now)
    for user in (agent, auditor):
        User.objects.filter(pk=user.pk).update(email="a@example.com", is_superuser=False)
        user.refresh_from_db()
    row = ReportEmail.objects.create(user=auditor, reported_until=until)
    period = monthly.last_month(row, now=now)
    assert monthly.may_get(auditor, period)
    assert not monthly.may_get(agent, period)


def test_without_an_address_there_is_nothing_to_ask_for(refund: OrderEvent) -> None:
    client = logged_in(User.objects.create_superuser("nobody"))
    assert ask(client).status_code == 400
    page = client.get("/admin/money/", ALL).content.decode()
    assert "Email me monthly" not in page
    assert ask(client, since="x").status_code == 400
    assert ReportEmail.objects.count() == 0
