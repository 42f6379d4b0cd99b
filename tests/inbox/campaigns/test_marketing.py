"""Marketing on order events: only with consent, and once per quiet time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.core import mail
from django.db import connection, connections, transaction
from django.test import Client
from django.utils import timezone

from inbox.campaigns import marketing
from inbox.models import Campaign, CampaignMessage, SendState
from inbox.suppression import consent
from inbox.tasks import sweep_events, sweep_marketing, sweep_outbox
from orders.checkout_snapshot import Consent
from orders.models import EventKind, OrderEvent, RedactedKind, Store
from orders.privacy import ledger
from practice_store.changes import staff_actions
from practice_store.derived import order_sums
from tests.support.shop.in_process import DOMAIN, Shop
from tests.support.shop.queues import messages_lost

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def thanks(store: Store) -> Campaign:
    return Campaign.objects.create(
        name="Thanks",
        event_kind="placed",
        purpose="marketing",
        via_conversation=False,
        subject="Thank you",
        body="{{ order.number }}: {{ amount }}. Stop: {{ unsubscribe_url }}",
    )


def subscribe(shop: Shop, state: str = "SUBSCRIBED") -> None:
    for customer in shop.store.world.shops[DOMAIN].customers.values():
        customer.email_consent = state


def run(shop: Shop, *, times: int = 1) -> None:
    shop.deliver(Client(), times=times)
    sweep_events()
    CampaignMessage.objects.filter(state=SendState.WAITING).update(next_attempt_at=None)
    sweep_marketing()
    sweep_outbox()


def reasons() -> list[str]:
    return sorted(CampaignMessage.objects.values_list("reason", flat=True))


def decided() -> list[str]:
    return sorted(CampaignMessage.objects.values_list("state", flat=True))


def test_an_order_placed_reaches_a_subscribed_customer_once(
    shop: Shop, store: Store, thanks: Campaign
) -> None:
    order = shop.place()
    subscribe(shop)
    for _again in range(2):
        run(shop, times=3)
    [sent] = mail.outbox
    assert sent.body.startswith(f"{order.name}: €40.00. Stop: https://{DOMAIN}/")


def test_a_customer_who_did_not_say_yes_gets_no_marketing_but_their_confirmation(
    shop: Shop, store: Store, thanks: Campaign
) -> None:
    Campaign.objects.create(
        name="Receipt", event_kind="placed", via_conversation=False, subject="Receipt", body="b"
    )
    shop.place()
    run(shop)
    assert [m.subject for m in mail.outbox] == ["Receipt"]
    assert reasons() == ["", "Consent to marketing: Not subscribed."]


def test_without_the_question_of_consent_they_would_get_it(
    shop: Shop, store: Store, thanks: Campaign
) -> None:
    """Negative control."""
    shop.place()
    with patch.object(consent, "refusal", lambda found: ""):
        run(shop)
    assert len(mail.outbox) == 1


def test_a_guest_without_known_consent_gets_no_marketing(
    shop: Shop, store: Store, thanks: Campaign
) -> None:
    shop.place(email=None)
    run(shop)
    assert mail.outbox == []
    assert reasons() == ["The customer hasn’t agreed to marketing on this channel."]


def test_a_redacted_customer_gets_no_marketing_even_if_shopify_still_has_them(
    shop: Shop, store: Store, thanks: Campaign
) -> None:
    shop.place()
    subscribe(shop)
    later = timezone.now() + timedelta(hours=1)
    ledger.remember(store, [(RedactedKind.EMAIL, "jane@example.com")], at=later)
    run(shop)
    assert mail.outbox == []
    assert decided() == ["skipped"]


def test_an_unknown_consent_state_is_not_consent() -> None:
    unknown = Consent(address="a@example.com", state="SUBSCRIBED_MAYBE")
    assert consent.refusal(unknown) == "Consent to marketing: Unknown (SUBSCRIBED_MAYBE)."
    assert consent.refusal(Consent(address="a@example.com", state=""))
    assert not consent.refusal(Consent(address="a@example.com", state="SUBSCRIBED"))


def test_two_orders_in_a_week_thank_once(shop: Shop, store: Store, thanks: Campaign) -> None:
    shop.place()
    subscribe(shop)
    run(shop)
    shop.place()
    run(shop)
    assert len(mail.outbox) == 1
    assert reasons() == ["", "The customer already got this campaign within its quiet period."]


def test_another_customer_has_a_quiet_time_of_their_own(
    shop: Shop, store: Store, thanks: Campaign
) -> None:
    shop.place()
    shop.place(email="john@example.com")
    subscribe(shop)
    run(shop)
    assert sorted(m.to[0] for m in mail.outbox) == ["jane@example.com", "john@example.com"]


def test_a_campaign_turned_off_before_sending_sends_nothing(
    shop: Shop, store: Store, thanks: Campaign
) -> None:
    shop.place()
    subscribe(shop)
    with messages_lost():
        shop.deliver(Client())
        sweep_events()
    Campaign.objects.update(is_active=False)
    run(shop)
    assert mail.outbox == []
    assert reasons() == ["The campaign has since been turned off."]


@pytest.mark.parametrize("kind", ["placed", "paid", "fulfilled", "delivered", "refunded"])
def test_what_happens_in_shopify_sends_what_is_transactional(
    shop: Shop, store: Store, kind: str
) -> None:
    Campaign.objects.create(
        name=kind,
        event_kind=kind,
        via_conversation=False,
        subject=kind,
        body="{{ order.number }} {{ amount }}",
    )
    order = shop.place()
    shop.act(lambda c: staff_actions.ship(c, order))
    shop.act(lambda c: staff_actions.carrier_says(c, order, "DELIVERED"))
    shop.act(lambda c: staff_actions.refund(c, order, order_sums.net(order)))
    shop.held.reverse()
    for _again in range(2):
        run(shop, times=2)
    assert [(m.subject, m.body) for m in mail.outbox] == [(kind, f"{order.name} €40.00")]
    assert OrderEvent.objects.filter(kind=EventKind(kind)).count() == 1


@contextmanager
def both_at_the_question() -> Iterator[None]:
    """Two workers that have both read the quiet time's rows before either writes: possible
    only where nothing makes the one wait for the other."""
    meet = threading.Barrier(2, timeout=0.8)
    real = marketing._quiet_refusal

    def together(*args: Any) -> str:
        found = real(*args)
        # Broken: the other one is held at the campaign's row, as it should be.
        with suppress(threading.BrokenBarrierError):
            meet.wait()
        return found

    with patch.object(marketing, "_quiet_refusal", together):
        yield


def _race(shop: Shop) -> None:
    shop.place()
    shop.place()
    subscribe(shop)
    with messages_lost():
        shop.deliver(Client())
        sweep_events()
    ids = list(CampaignMessage.objects.values_list("pk", flat=True))
    assert len(ids) == 2

    def worker(pk: int) -> None:
        try:
            marketing.settle(pk)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=worker, args=(pk,)) for pk in ids]
    with both_at_the_question(), messages_lost():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite lets one transaction write at a time"
)


@on_postgresql
def test_two_workers_do_not_both_reach_the_customer(
    shop: Shop, store: Store, thanks: Campaign
) -> None:
    _race(shop)
    assert decided() == ["skipped", "written"]


@on_postgresql
def test_without_holding_the_campaign_both_would(
    shop: Shop, store: Store, thanks: Campaign
) -> None:
    """Negative control."""
    with patch.object(marketing, "_lock_campaign", lambda campaign_id: None):
        _race(shop)
    assert decided() == ["written", "written"]


def test_asking_twice_writes_one_row(shop: Shop, store: Store, thanks: Campaign) -> None:
    shop.place()
    shop.deliver(Client())
    event = OrderEvent.objects.get(kind="placed")
    for _again in range(2):
        with transaction.atomic():
            marketing.ask(thanks, event)
    assert CampaignMessage.objects.count() == 1
