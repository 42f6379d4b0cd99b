"""Unsubscribing with one click of a mail program (RFC 8058), for good."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.management import call_command
from django.test import Client

from inbox.models import Campaign, CampaignMessage, DeliveryState, OptOut
from inbox.suppression import opt_outs
from inbox.tasks import (
    keep_opt_outs,
    recheck_opt_outs,
    sweep_events,
    sweep_marketing,
    sweep_outbox,
)
from orders.models import RedactedIdentity, Store
from tests.support.shop.in_process import DOMAIN, Shop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def news(store: Store) -> Campaign:
    return Campaign.objects.create(
        name="News",
        event_kind="placed",
        purpose="marketing",
        via_conversation=False,
        subject="News",
        body="{{ unsubscribe_url }}",
        quiet_days=0,
    )


def buy(shop: Shop) -> None:
    """Jane, subscribed at Shopify, places an order."""
    shop.place()
    for customer in shop.store.world.shops[DOMAIN].customers.values():
        customer.email_consent = "SUBSCRIBED"
    shop.deliver(Client())
    sweep_events()
    sweep_marketing()
    sweep_outbox()


def link_of(sent: Any) -> str:
    found = re.fullmatch(r"<http://testserver(/unsubscribe/\S+/)>", sent["List-Unsubscribe"])
    assert found
    return found[1]


def test_marketing_mail_can_be_unsubscribed_with_one_click(
    shop: Shop, store: Store, news: Campaign
) -> None:
    buy(shop)
    [sent] = [mailed.message() for mailed in mail.outbox]
    assert sent["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    # As a mail program does it: no cookie, no login, no page before.
    answer = Client(enforce_csrf_checks=True).post(link_of(sent), {"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    buy(shop)
    assert len(mail.outbox) == 1
    reason = CampaignMessage.objects.order_by("pk").last()
    assert reason
    assert reason.reason == "The customer unsubscribed from our emails."


def test_a_scanner_that_follows_the_link_does_not_unsubscribe(
    shop: Shop, store: Store, news: Campaign
) -> None:
    buy(shop)
    page = Client().get(link_of(mail.outbox[0].message()))
    assert page.status_code == 200
    assert "Unsubscribe from marketing messages?" in page.content.decode()
    assert not OptOut.objects.exists()
    buy(shop)
    assert len(mail.outbox) == 2


def test_what_waits_for_its_next_attempt_does_not_leave(
    shop: Shop, store: Store, news: Campaign
) -> None:
    buy(shop)
    link = link_of(mail.outbox[0].message())
    CampaignMessage.objects.update(delivery_state=DeliveryState.PENDING, next_attempt_at=None)
    Client().post(link)
    sweep_outbox()
    assert len(mail.outbox) == 1
    row = CampaignMessage.objects.get()
    assert (row.delivery_state, row.error) == (
        DeliveryState.FAILED,
        "The customer unsubscribed from our emails.",
    )


def test_what_waited_while_the_customer_unsubscribed_at_shopify_does_not_leave(
    shop: Shop, store: Store, news: Campaign
) -> None:
    buy(shop)
    CampaignMessage.objects.update(delivery_state=DeliveryState.PENDING, next_attempt_at=None)
    for customer in shop.store.world.shops[DOMAIN].customers.values():
        customer.email_consent = "UNSUBSCRIBED"
    sweep_outbox()
    assert len(mail.outbox) == 1
    assert CampaignMessage.objects.get().error == "Consent to marketing: Unsubscribed."


def test_while_shopify_cannot_be_asked_it_waits(shop: Shop, store: Store, news: Campaign) -> None:
    buy(shop)
    CampaignMessage.objects.update(delivery_state=DeliveryState.PENDING, next_attempt_at=None)
    shop.fault(phase="500_before")
    sweep_outbox()
    row = CampaignMessage.objects.get()
    assert (len(mail.outbox), row.delivery_state) == (1, DeliveryState.PENDING)
    assert row.error == "The customer’s consent couldn’t be checked with Shopify."


def test_news_of_an_order_still_reaches_them_and_bears_no_such_header(
    shop: Shop, store: Store
) -> None:
    Campaign.objects.create(
        name="Receipt", event_kind="placed", via_conversation=False, subject="Receipt", body="b"
    )
    opt_outs.record(opt_outs.token_of("jane@example.com"))
    buy(shop)
    [sent] = mail.outbox
    assert "List-Unsubscribe" not in sent.message()


@pytest.mark.parametrize("token", ["x", "x" + opt_outs.token_of("jane@example.com")])
def test_a_forged_link_is_not_found(db: None, token: str) -> None:
    for verb in ("get", "post"):
        assert getattr(Client(), verb)(f"/unsubscribe/{token}/").status_code == 404
    assert not OptOut.objects.exists()


def test_no_address_is_in_the_link_nor_in_the_table(db: None) -> None:
    token = opt_outs.token_of("Jane@Example.com ")
    opt_outs.record(token)
    opt_outs.record(token)
    assert OptOut.objects.count() == 1
    assert opt_outs.has("jane@example.com")
    assert not opt_outs.has("john@example.com")
    assert "jane" not in token
    assert "jane" not in OptOut.objects.get().digest


def test_without_an_address_of_our_own_there_is_no_header(settings: Any) -> None:
    settings.PUBLIC_URL = ""
    assert opt_outs.headers("jane@example.com") == {}


@pytest.fixture
def ledger(db: None, settings: Any, tmp_path: Path) -> Path:
    found = tmp_path / "ledger.jsonl"
    settings.REDACTION_LEDGER_FILE = str(found)
    return found


def restore_an_old_backup() -> None:
    """From before anybody had unsubscribed."""
    OptOut.objects.all().delete()
    call_command("replay_redactions", stdout=StringIO())


def test_who_has_unsubscribed_stays_so_when_an_old_backup_is_restored(ledger: Path) -> None:
    for _ in range(2):
        opt_outs.record(opt_outs.token_of("jane@example.com"))
        keep_opt_outs()
    assert len(ledger.read_text().splitlines()) == 1
    for _ in range(2):
        restore_an_old_backup()
    assert opt_outs.has("jane@example.com")
    assert OptOut.objects.count() == 1
    assert not RedactedIdentity.objects.exists()
    # What came from the file is not written to it again.
    keep_opt_outs()
    assert len(ledger.read_text().splitlines()) == 1


def test_a_web_server_needs_no_ledger_to_unsubscribe_a_customer(
    db: None, settings: Any, tmp_path: Path
) -> None:
    settings.REDACTION_LEDGER_FILE = str(tmp_path)
    token = opt_outs.token_of("jane@example.com")
    assert Client().post(f"/unsubscribe/{token}/").status_code == 200
    assert opt_outs.has("jane@example.com")
    with pytest.raises(OSError, match="directory"):
        keep_opt_outs()
    # The next try, on a disk that takes it.
    settings.REDACTION_LEDGER_FILE = str(tmp_path / "ledger.jsonl")
    keep_opt_outs()
    restore_an_old_backup()
    assert opt_outs.has("jane@example.com")


@pytest.mark.parametrize("is_rechecked", [True, False])
def test_a_lost_ledger_file_is_written_again(ledger: Path, is_rechecked: bool) -> None:
    """The second case is the control: nothing else notices."""
    for name in ("jane", "amir"):
        opt_outs.record(opt_outs.token_of(f"{name}@example.com"))
    keep_opt_outs()
    first_line = ledger.read_text().splitlines(keepends=True)[0]
    ledger.write_text(first_line)
    if is_rechecked:
        recheck_opt_outs()
    keep_opt_outs()
    assert len(ledger.read_text().splitlines()) == (2 if is_rechecked else 1)
    recheck_opt_outs()
    assert OptOut.objects.filter(kept_at=None).count() == (0 if is_rechecked else 1)


def test_a_line_that_was_cut_off_hides_no_other(ledger: Path) -> None:
    """The disk was full, and then it was not."""
    ledger.write_text('{"kind": "opt_')
    opt_outs.record(opt_outs.token_of("jane@example.com"))
    keep_opt_outs()
    restore_an_old_backup()
    assert opt_outs.has("jane@example.com")
