"""Text messages: the provider is a setting, and production logs hold no personal data."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.utils import timezone

from inbox.channels import sms
from inbox.channels.errors import NotSent
from inbox.checks import sms_backend_works
from inbox.models import Campaign, CampaignMessage, DeliveryState
from inbox.suppression import consent
from inbox.tasks import sweep_outbox
from orders.models import EventSource, Order, OrderEvent, Store
from tests.support.servers import texts


@pytest.fixture
def row(db: None, monkeypatch: pytest.MonkeyPatch) -> CampaignMessage:
    # Whose number it is: tests/inbox/outbox/test_leaving.py.
    monkeypatch.setattr(consent, "leaving_refusal", lambda row, by_hand: "")
    store = Store.objects.create(domain="demo.myshopify.com")
    order = Order.objects.create(store=store, gid="g", legacy_id=1)
    event = OrderEvent.objects.create(
        order=order,
        kind="refunded",
        key="k",
        occurred_at=timezone.now(),
        source=EventSource.SHOPIFY,
    )
    campaign = Campaign.objects.create(
        name="c", event_kind="refunded", subject="s", body="b", via_sms=True
    )
    return CampaignMessage.objects.create(
        campaign=campaign,
        event=event,
        via="sms",
        state="written",
        recipient="+4915112345678",
        body="Hello Jane",
        delivery_state=DeliveryState.PENDING,
    )


def test_a_text_leaves_once_with_an_id_that_stays(row: CampaignMessage, settings: Any) -> None:
    settings.SMS_BACKEND = texts.KEPT
    texts.SENT.clear()
    sweep_outbox()
    sweep_outbox()
    [sent] = texts.SENT
    assert sent == ("+4915112345678", "Hello Jane", f"campaign-{row.pk}")


def test_a_busy_provider_is_asked_again_later(row: CampaignMessage, settings: Any) -> None:
    settings.SMS_BACKEND = texts.BUSY
    sweep_outbox()
    row.refresh_from_db()
    assert (row.delivery_state, row.error) == (DeliveryState.PENDING, "The provider is busy.")
    assert row.next_attempt_at is not None
    assert row.next_attempt_at > timezone.now()


def test_a_provider_that_breaks_is_asked_again_later_and_not_for_ever(
    row: CampaignMessage, settings: Any
) -> None:
    settings.SMS_BACKEND = texts.BROKEN
    sweep_outbox()
    row.refresh_from_db()
    assert (row.delivery_state, row.error) == (DeliveryState.PENDING, "It failed: KeyError.")
    for _try in range(8):
        CampaignMessage.objects.update(next_attempt_at=None)
        sweep_outbox()
    row.refresh_from_db()
    assert (row.delivery_state, row.attempts) == (DeliveryState.FAILED, 8)


@pytest.mark.parametrize("backend", ["", sms.CONSOLE])
def test_in_production_a_text_without_a_provider_is_not_taken_for_sent(
    row: CampaignMessage, settings: Any, backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings.SMS_BACKEND = backend
    with caplog.at_level(logging.DEBUG):
        sweep_outbox()
    row.refresh_from_db()
    assert row.delivery_state == DeliveryState.FAILED
    assert "Jane" not in caplog.text
    assert "4915112345678" not in caplog.text


def test_the_console_logs_no_person_even_when_called_past_the_guard(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(NotSent):
        sms.ConsoleBackend().send(to="+4915112345678", text="Hello Jane", message_id="campaign-1")
    assert "campaign-1" in caplog.text
    assert "Jane" not in caplog.text


def test_in_debug_the_console_shows_the_text(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Negative control: the log is looked at in the right place."""
    settings.DEBUG, settings.SMS_BACKEND = True, sms.CONSOLE
    with caplog.at_level(logging.INFO):
        sms.send_text(to="+4915112345678", text="Hello Jane", message_id="campaign-1")
    # The number is masked, as in every log.
    assert "SMS campaign-1 to [phone]: Hello Jane" in caplog.text


def test_a_setting_that_cannot_work_stops_the_start(settings: Any) -> None:
    for backend, found in (
        ("", []),
        (texts.KEPT, []),
        (sms.CONSOLE, ["inbox.E001"]),
        ("nowhere.Backend", ["inbox.E002"]),
    ):
        settings.SMS_BACKEND = backend
        assert [problem.id for problem in sms_backend_works(None)] == found
