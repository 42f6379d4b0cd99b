"""Endpoints of webhooks: their secrets, and what the database keeps true."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection
from django.utils import timezone

from inbox.models import OffReason, WebhookDelivery, WebhookEndpoint, WebhookState
from inbox.outgoing_webhooks import endpoints
from orders.models import AuditEntry
from orders.privacy import retention
from tests.support.servers.webhooks import endpoint

pytestmark = pytest.mark.django_db


def test_the_secret_is_stored_encrypted_and_its_making_is_audited(alice: User) -> None:
    made, secret = endpoint(alice)
    assert secret.startswith("whsec_")
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM inbox_webhookendpoint")
        [(stored,)] = cursor.fetchall()
    assert secret not in stored
    assert endpoints.signing_secrets(made, now=timezone.now()) == [secret]
    entry = AuditEntry.objects.get(detail__webhook_endpoint=made.pk)
    assert (entry.actor_id, entry.detail["change"]) == (alice.pk, "new secret")


def test_the_old_secret_signs_along_for_a_day(alice: User) -> None:
    made, first = endpoint(alice)
    now = timezone.now()
    second = endpoints.new_secret(made, by=alice, now=now)
    assert endpoints.signing_secrets(made, now=now) == [second, first]
    assert endpoints.signing_secrets(made, now=now + timedelta(hours=25)) == [second]
    third = endpoints.new_secret(made, by=alice, now=now)
    assert endpoints.signing_secrets(made, now=now) == [third, second]


def test_it_is_turned_off_once(alice: User) -> None:
    made, _secret = endpoint(alice)
    now = timezone.now()
    assert endpoints.turn_off(made, OffReason.GONE, now=now)
    assert not endpoints.turn_off(made, OffReason.FAILING, now=now)
    made.refresh_from_db()
    assert (made.is_active, made.off_reason, made.off_since) == (False, "gone", now)


@pytest.mark.parametrize(
    "columns",
    [
        {"off_reason": "gone"},
        {"off_reason": "tired", "is_active": False, "off_since": timezone.now()},
        {"is_active": False},
        {"off_since": timezone.now()},
    ],
)
def test_no_endpoint_is_on_and_off_at_once(alice: User, columns: dict[str, Any]) -> None:
    endpoint(alice)
    with pytest.raises(IntegrityError):
        WebhookEndpoint.objects.update(**columns)


@pytest.mark.parametrize(
    "columns",
    [
        {"state": "lost"},
        {"event_type": "order.eaten"},
        {"state": WebhookState.DELIVERED},
        {"message_id": "msg_2"},
    ],
)
def test_no_delivery_is_in_two_states(alice: User, columns: dict[str, Any]) -> None:
    made, _secret = endpoint(alice)
    now = timezone.now()
    for number in (1, 2):
        WebhookDelivery.objects.create(
            endpoint=made,
            message_id=f"msg_{number}",
            event_type="order.paid",
            payload="{}",
            queued_at=now,
            next_attempt_at=now,
        )
    first = WebhookDelivery.objects.filter(message_id="msg_1")
    with pytest.raises(IntegrityError):
        first.update(**columns)


def test_the_log_is_forgotten_after_a_month_but_not_what_waits(alice: User) -> None:
    made, _secret = endpoint(alice)
    now = timezone.now()
    for name, state, days in (
        ("old", WebhookState.DELIVERED, 31),
        ("failed", WebhookState.FAILED, 31),
        ("waits", WebhookState.PENDING, 31),
        ("new", WebhookState.DELIVERED, 29),
    ):
        row = WebhookDelivery.objects.create(
            endpoint=made,
            message_id=name,
            event_type="order.paid",
            payload="{}",
            state=state,
            queued_at=now,
        )
        WebhookDelivery.objects.filter(pk=row.pk).update(created_at=now - timedelta(days=days))
    assert retention.apply(now=now)["webhooks sent"] == 2
    left = WebhookDelivery.objects.values_list("message_id", flat=True)
    assert set(left) == {"waits", "new"}
