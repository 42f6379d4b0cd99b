"""Audiences: who did what, how often and within how long; never across stores."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from inbox.campaigns import audience
from inbox.campaigns.audience import Person
from inbox.models import Campaign, CampaignCondition, CampaignMessage, Comparison
from inbox.tasks import sweep_events, sweep_outbox
from orders.models import Checkout, EventSource, Order, OrderEvent, Store

pytestmark = pytest.mark.django_db

JANE = "gid://shopify/Customer/7"


@pytest.fixture
def demo(db: None) -> Store:
    return Store.objects.create(domain="demo.myshopify.com", name="Demo", currency="EUR")


@pytest.fixture
def campaign(db: None) -> Campaign:
    return Campaign.objects.create(
        name="c", event_kind="placed", via_conversation=False, subject="s", body="b"
    )


def happened(store: Store, kind: str, days_ago: float, **order: Any) -> OrderEvent:
    number = Order.objects.count() + 1
    values = {"customer_gid": JANE, "email": "jane@example.com"} | order
    row = Order.objects.create(
        store=store, gid=f"gid://shopify/Order/{number}", legacy_id=number, **values
    )
    return again(row, kind, days_ago)


def again(order: Order, kind: str, days_ago: float) -> OrderEvent:
    return OrderEvent.objects.create(
        order=order,
        kind=kind,
        key=f"{kind}:{OrderEvent.objects.count()}",
        occurred_at=timezone.now() - timedelta(days=days_ago),
        source=EventSource.SHOPIFY,
    )


def condition(
    campaign: Campaign, kind: str, how: str, count: int = 0, days: int | None = None
) -> None:
    CampaignCondition.objects.create(
        campaign=campaign, event_kind=kind, comparison=how, count=count, days=days
    )


def is_for_jane(campaign: Campaign, store: Store, **person: str) -> bool:
    jane = Person(store.pk, person.get("gid", JANE), person.get("email", "jane@example.com"))
    return not audience.refusal(campaign, jane, at=timezone.now())


@pytest.mark.parametrize(
    ("how", "wanted", "holds_for"),
    [
        (Comparison.AT_LEAST, 2, [2, 3]),
        (Comparison.AT_MOST, 2, [0, 1, 2]),
        (Comparison.EXACTLY, 2, [2]),
        (Comparison.NEVER, 0, [0]),
    ],
)
def test_what_a_condition_holds_for(how: str, wanted: int, holds_for: list[int]) -> None:
    one = CampaignCondition(pk=1, comparison=how, count=wanted)
    assert [n for n in range(4) if audience.all_hold([one], {1: n})] == holds_for


def test_every_condition_has_to_hold() -> None:
    both = [
        CampaignCondition(pk=1, comparison=Comparison.AT_LEAST, count=1),
        CampaignCondition(pk=2, comparison=Comparison.NEVER),
    ]
    assert audience.all_hold(both, {1: 1, 2: 0})
    assert not audience.all_hold(both, {1: 1, 2: 1})
    assert not audience.all_hold(both, {1: 0, 2: 0})


def test_three_orders_in_ninety_days(campaign: Campaign, demo: Store) -> None:
    condition(campaign, "placed", Comparison.AT_LEAST, 3, 90)
    for days_ago in (1, 89, 91):
        happened(demo, "placed", days_ago)
    assert not is_for_jane(campaign, demo)
    happened(demo, "placed", 2)
    assert is_for_jane(campaign, demo)


def test_not_refunded_in_a_year(campaign: Campaign, demo: Store) -> None:
    condition(campaign, "refunded", Comparison.NEVER, days=365)
    happened(demo, "refunded", 366)
    assert is_for_jane(campaign, demo)
    happened(demo, "refunded", 364)
    assert not is_for_jane(campaign, demo)


def test_an_order_in_three_parcels_was_shipped_once(campaign: Campaign, demo: Store) -> None:
    condition(campaign, "fulfilled", Comparison.EXACTLY, 1)
    event = happened(demo, "fulfilled", 1)
    again(event.order, "fulfilled", 2)
    assert is_for_jane(campaign, demo)


def test_another_store_and_another_customer_do_not_count(campaign: Campaign, demo: Store) -> None:
    condition(campaign, "placed", Comparison.AT_LEAST, 1)
    second = Store.objects.create(domain="second.myshopify.com")
    happened(second, "placed", 1)
    happened(demo, "placed", 1, customer_gid="gid://shopify/Customer/8")
    assert not is_for_jane(campaign, demo)
    assert is_for_jane(campaign, second)


def test_a_guest_is_recognized_by_address_and_never_without_one(
    campaign: Campaign, demo: Store
) -> None:
    condition(campaign, "placed", Comparison.AT_LEAST, 1)
    happened(demo, "placed", 1, customer_gid="")
    happened(demo, "placed", 1, customer_gid="", email="")
    assert is_for_jane(campaign, demo, gid="")
    assert not is_for_jane(campaign, demo, gid="", email="other@example.com")
    assert not is_for_jane(campaign, demo, gid="", email="")


def test_checkouts_count_too_and_all_of_it_is_two_queries(
    campaign: Campaign, demo: Store, django_assert_num_queries: Any
) -> None:
    now = timezone.now()
    for number, completed_at in enumerate([None, None, now]):
        Checkout.objects.create(
            store=demo,
            gid=str(number),
            customer_gid=JANE,
            completed_at=completed_at,
            started_at=now - timedelta(days=1),
            active_at=now - timedelta(days=1),
        )
    condition(campaign, "checkout_started", Comparison.EXACTLY, 3)
    condition(campaign, "checkout_abandoned", Comparison.EXACTLY, 2)
    condition(campaign, "placed", Comparison.NEVER)
    condition(campaign, "refunded", Comparison.AT_MOST, 1, 30)
    with django_assert_num_queries(3):  # the conditions, the events, the checkouts
        assert is_for_jane(campaign, demo)


def test_the_event_itself_counts_and_who_is_not_meant_gets_nothing(
    campaign: Campaign, demo: Store
) -> None:
    condition(campaign, "placed", Comparison.EXACTLY, 2)
    for _order in range(3):
        event = happened(demo, "placed", 0)
        Order.objects.filter(pk=event.order_id).update(document=_document())
        sweep_events()
        sweep_outbox()
    assert len(mail.outbox) == 1
    assert sorted(CampaignMessage.objects.values_list("reason", flat=True)) == [
        "",
        "The customer isn’t in the campaign’s audience.",
        "The customer isn’t in the campaign’s audience.",
    ]


def _document() -> str:
    from orders.snapshot import encode
    from tests.support.orders import snapshots

    return encode(snapshots.order(email="jane@example.com"))


@pytest.fixture
def as_admin(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


def form(**changes: Any) -> dict[str, Any]:
    empty = {
        f"{name}-{key}": value
        for name in ("conditions", "translations")
        for key, value in (("TOTAL_FORMS", 0), ("INITIAL_FORMS", 0))
    }
    return (
        {
            "name": "New",
            "event_kind": "placed",
            "purpose": "transactional",
            "language": "en",
            "via_email": "on",
            "is_active": "on",
            "subject": "s",
            "body": "b",
            "abandoned_after_minutes": 60,
            "quiet_days": 7,
            "staff_refund_minimum": "0",
            "staff_refund_wait_minutes": 0,
        }
        | empty
        | changes
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"event_kind": "checkout_abandoned"}, "Checkout reminders are marketing"),
        ({"event_kind": "refunded", "purpose": "marketing"}, "must always be told"),
        (
            {"purpose": "marketing", "via_conversation": "on", "body": "{{ unsubscribe_url }}"},
            "doesn't record marketing consent for messengers",
        ),
        ({"purpose": "marketing"}, "Add {{ unsubscribe_url }}"),
        ({"via_sms": "on"}, "Set SMS_BACKEND"),
        ({"via_email": ""}, "Select at least one channel"),
        ({"body": "{{ checkout.url }}"}, "not available for"),
        (
            {"event_kind": "canceled", "language": "fr", "body": "{{ refund_sentence }}"},
            "isn't available in “fr”",
        ),
        ({"language": "German!"}, "Enter a language code"),
        ({"abandoned_after_minutes": 1}, "greater than or equal to 10"),
        (
            {
                "conditions-TOTAL_FORMS": 1,
                "conditions-0-event_kind": "placed",
                "conditions-0-comparison": "never",
                "conditions-0-count": 0,
            },
            "no one would get it",
        ),
        (
            {
                "conditions-TOTAL_FORMS": 1,
                "conditions-0-event_kind": "paid",
                "conditions-0-comparison": "at_least",
                "conditions-0-count": 0,
            },
            "matches everyone",
        ),
        (
            {
                "translations-TOTAL_FORMS": 1,
                "translations-0-language": "de",
                "translations-0-subject": "x",
                "translations-0-body": "{{ checkout.url }}",
            },
            "not available for",
        ),
    ],
)
@pytest.mark.slow
def test_what_could_not_work_is_refused_in_the_admin(
    as_admin: Client, changes: dict[str, Any], words: str
) -> None:
    answer = as_admin.post("/admin/inbox/campaign/add/", form(**changes))
    assert answer.status_code == 200
    assert words in answer.content.decode().replace("&#x27;", "'")
    assert not Campaign.objects.exists()


def test_the_page_counts_who_would_have_got_it_without_naming_anyone(
    as_admin: Client, campaign: Campaign, demo: Store
) -> None:
    for _order in range(2):
        event = happened(demo, "placed", 3)
        Order.objects.filter(pk=event.order_id).update(document=_document(), name="#1001")
    happened(demo, "placed", 40)
    page = as_admin.get(f"/admin/inbox/campaign/{campaign.pk}/change/").content.decode()
    assert "<strong>1</strong> customer; it happened 2 times." in page
    assert "j…@example.com" in page
    assert "jane@example.com" not in page
    condition(campaign, "refunded", Comparison.AT_LEAST, 1)
    page = as_admin.get(f"/admin/inbox/campaign/{campaign.pk}/change/").content.decode()
    assert "<strong>0</strong> customers" in page


def test_a_campaign_that_admins_may_make(as_admin: Client) -> None:
    more = {
        "conditions-TOTAL_FORMS": 1,
        "conditions-0-event_kind": "placed",
        "conditions-0-comparison": "at_least",
        "conditions-0-count": 3,
        "conditions-0-days": 90,
    }
    assert as_admin.post("/admin/inbox/campaign/add/", form(**more)).status_code == 302
    assert str(CampaignCondition.objects.get()) == "Order placed: at least 3×, 90 d"


@pytest.mark.parametrize(
    "columns",
    [
        {"event_kind": "refunded", "purpose": "marketing", "via_conversation": False},
        {"event_kind": "checkout_started", "via_conversation": False},
        {"event_kind": "placed", "purpose": "marketing"},
        {"event_kind": "viewed_product"},
    ],
)
def test_the_database_refuses_it_too(db: None, columns: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Campaign.objects.create(name="x", subject="s", body="b", **columns)
