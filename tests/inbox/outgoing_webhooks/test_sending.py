"""Sending webhooks to a real receiver: signed, retried, and never in the way of each other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from standardwebhooks import WebhookVerificationError

from inbox import outbox, tasks
from inbox.models import Route, WebhookDelivery, WebhookEndpoint, WebhookState
from inbox.outbox.delivery_lanes import LANES, Way
from inbox.outgoing_webhooks import claiming, endpoints, events, outcomes, sending
from orders.models import AuditEntry
from tests.support.servers import hosts
from tests.support.servers.hosts import Host
from tests.support.servers.webhooks import Receiver, endpoint, receiver

Everything = tuple[WebhookEndpoint, str]
pytestmark = pytest.mark.django_db(transaction=True)


class Killed(BaseException):
    """As if the process had ended here."""


def written(to: WebhookEndpoint) -> WebhookDelivery:
    """A message that no task knows of yet."""
    with patch.object(events, "wake"):
        return events.test_event(to)


def now_due(**more: Any) -> None:
    """As if all waits and leases were over."""
    past = timezone.now() - timedelta(seconds=1)
    WebhookDelivery.objects.pending().update(next_attempt_at=past, lease_until=None, **more)


def test_it_is_signed_and_its_log_says_how_it_went(erp: Receiver, everything: Everything) -> None:
    to, secret = everything
    row = written(to)
    tasks.sweep_outgoing_webhooks()
    [got] = erp.heard
    assert got.verified(secret) == {
        "type": "webhook.test",
        "timestamp": got.data["timestamp"],
        "data": {"endpoint": to.pk},
    }
    row.refresh_from_db()
    assert got.id == row.message_id
    assert got.body == row.payload.encode()
    assert (row.state, row.attempts, row.response_status) == ("delivered", 1, 204)
    assert row.duration_ms is not None
    assert row.delivered_at is not None


def test_both_secrets_sign_while_the_receiver_changes_over(
    erp: Receiver, everything: Everything, alice: User
) -> None:
    to, old = everything
    new = endpoints.new_secret(to, by=alice, now=timezone.now())
    written(to)
    tasks.sweep_outgoing_webhooks()
    assert erp.heard[0].verified(old) == erp.heard[0].verified(new)
    WebhookEndpoint.objects.update(old_secret_until=timezone.now())
    written(to)
    tasks.sweep_outgoing_webhooks()
    erp.heard[1].verified(new)
    with pytest.raises(WebhookVerificationError):
        erp.heard[1].verified(old)


def test_a_refused_message_comes_again_with_the_same_id_and_a_new_time(
    erp: Receiver, everything: Everything
) -> None:
    to, secret = everything
    row = written(to)
    erp.answers = [500, 404]
    for number in (1, 2, 3):
        tasks.sweep_outgoing_webhooks()
        assert len(erp.heard) == number
        row.refresh_from_db()
        if number < 3:
            assert (row.state, row.response_status) == ("pending", [500, 404][number - 1])
            # It isn't due again yet.
            assert not sending.deliver(row.pk)
            WebhookDelivery.objects.update(next_attempt_at=timezone.now())
    assert (row.state, row.attempts, row.error) == ("delivered", 3, "")
    assert {one.id for one in erp.heard} == {row.message_id}
    assert len({one.body for one in erp.heard}) == 1
    for one in erp.heard:
        one.verified(secret)


def test_waits_grow_to_three_days_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = [claiming.wait(number) for number in range(1, claiming.ATTEMPTS)]
    assert waits == sorted(waits)
    total = sum(waits, timedelta())
    assert timedelta(days=2.5) < total < outcomes.DELIVERED_WITHIN
    assert len({claiming.wait(9) for _ in range(9)}) > 1


@pytest.mark.parametrize("is_killed_before", [True, False])
def test_a_worker_that_dies_leaves_it_to_the_sweep(
    erp: Receiver, everything: Everything, monkeypatch: pytest.MonkeyPatch, is_killed_before: bool
) -> None:
    def die(*_: object, **__: object) -> None:
        raise Killed

    row = written(everything[0])
    with monkeypatch.context() as dying:
        dying.setattr(*((sending, "_post", die) if is_killed_before else (outcomes, "record", die)))
        with pytest.raises(Killed):
            sending.deliver(row.pk)
    row.refresh_from_db()
    assert (row.state, row.attempts, len(erp.heard)) == ("pending", 1, 0 if is_killed_before else 1)
    # Its lease isn't over: whatever the first worker does, no second one may.
    WebhookDelivery.objects.update(next_attempt_at=timezone.now())
    tasks.sweep_outgoing_webhooks()
    assert len(erp.heard) == (0 if is_killed_before else 1)
    now_due()
    tasks.sweep_outgoing_webhooks()
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("delivered", 2)
    assert {one.id for one in erp.heard} == {row.message_id}


def test_without_the_lease_it_would_be_sent_twice(
    erp: Receiver, everything: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: a second worker takes it up while the first still waits for the answer."""
    row = written(everything[0])
    real = sending._post

    def meanwhile(delivery: WebhookDelivery) -> Any:
        monkeypatch.setattr(sending, "_post", real)
        WebhookDelivery.objects.update(next_attempt_at=timezone.now())
        sending.deliver(row.pk)
        return real(delivery)

    monkeypatch.setattr(sending, "_post", meanwhile)
    sending.deliver(row.pk)
    assert len(erp.heard) == 1
    WebhookDelivery.objects.update(
        state="pending", attempts=0, next_attempt_at=timezone.now(), lease_until=None
    )
    monkeypatch.setattr(sending, "_post", meanwhile)
    monkeypatch.setattr(claiming, "LEASE", timedelta(0))
    sending.deliver(row.pk)
    assert len(erp.heard) == 3


def test_after_the_last_attempt_it_is_given_up_and_can_be_sent_again(
    erp: Receiver, everything: Everything
) -> None:
    row = written(everything[0])
    erp.answers = [400] * claiming.ATTEMPTS
    for _ in range(claiming.ATTEMPTS + 1):
        now_due()
        tasks.sweep_outgoing_webhooks()
    row.refresh_from_db()
    assert len(erp.heard) == claiming.ATTEMPTS
    assert (row.state, row.response_status, row.next_attempt_at) == ("failed", 400, None)
    assert outcomes.send_again(row.pk)
    assert not outcomes.send_again(row.pk)
    tasks.sweep_outgoing_webhooks()
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("delivered", 1)
    assert {one.id for one in erp.heard} == {row.message_id}


def test_what_waited_too_long_is_given_up(erp: Receiver, everything: Everything) -> None:
    old, new = written(everything[0]), written(everything[0])
    long_ago = timezone.now() - outcomes.DELIVERED_WITHIN - timedelta(minutes=1)
    WebhookDelivery.objects.filter(pk=old.pk).update(queued_at=long_ago)
    tasks.sweep_outgoing_webhooks()
    for row in (old, new):
        row.refresh_from_db()
    assert (old.state, old.error) == ("failed", "It could not be delivered in time.")
    assert new.state == WebhookState.DELIVERED


# --- Endpoints that are turned off -------------------------------------------------------------------
def test_an_endpoint_that_is_gone_is_turned_off(erp: Receiver, everything: Everything) -> None:
    to, _secret = everything
    first, second = written(to), written(to)
    erp.answers = [410]
    sending.deliver(first.pk)
    to.refresh_from_db()
    assert (to.is_active, to.off_reason) == (False, "gone")
    entry = AuditEntry.objects.get(detail__change="turned off")
    assert (entry.actor, entry.detail["webhook_endpoint"]) == ("", to.pk)
    # What waits stays, and goes out when it is turned on again.
    tasks.sweep_outgoing_webhooks()
    assert len(erp.heard) == 1
    WebhookEndpoint.objects.update(is_active=True, off_reason="", off_since=None)
    now_due()
    tasks.sweep_outgoing_webhooks()
    second.refresh_from_db()
    assert second.state == WebhookState.DELIVERED


@pytest.mark.parametrize(("days", "is_off"), [(4, False), (6, True)])
def test_one_that_accepts_nothing_for_days_is_turned_off(
    erp: Receiver, everything: Everything, days: int, is_off: bool
) -> None:
    to, _secret = everything
    WebhookEndpoint.objects.update(failing_since=timezone.now() - timedelta(days=days))
    erp.answers = [500]
    sending.deliver(written(to).pk)
    to.refresh_from_db()
    assert to.is_active != is_off


def test_one_accepted_message_ends_the_count(erp: Receiver, everything: Everything) -> None:
    to, _secret = everything
    erp.answers = [500]
    sending.deliver(written(to).pk)
    to.refresh_from_db()
    assert to.failing_since is not None
    sending.deliver(written(to).pk)
    to.refresh_from_db()
    assert to.failing_since is None


# --- Endpoints in each other's way ---------------------------------------------------------------------
def test_a_dead_endpoint_holds_up_no_other(
    erp: Receiver, everything: Everything, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "WITHIN_S", 0.3)
    with Host(hosts.mute) as dead:
        to, _secret = endpoint(alice, dead.url, name="dead")
        for _ in range(20):
            written(to)
        for _ in range(6):
            tasks.sweep_outgoing_webhooks()
        # It is probed three times, and then left alone for a while.
        assert dead.asked == 3
        assert Route.objects.get(key=f"webhook:{to.pk}").failures == 3
        row = written(everything[0])
        tasks.sweep_outgoing_webhooks()
        assert dead.asked == 3
    row.refresh_from_db()
    assert row.state == WebhookState.DELIVERED


def test_no_endpoint_takes_all_lanes(everything: Everything, alice: User) -> None:
    busy = timezone.now() + timedelta(minutes=1)
    rows = [written(everything[0]) for _ in range(4)]
    WebhookDelivery.objects.filter(pk__in=[row.pk for row in rows[:2]]).update(lease_until=busy)
    other, _secret = endpoint(alice, "http://127.0.0.1:1/", name="other")
    mine = written(other)
    assert claiming.ready(now=timezone.now()) == [mine.pk]
    assert claiming.claim(rows[3].pk, now=timezone.now()) is None
    # All lanes together: no more than the worker has threads for.
    third, _secret = endpoint(alice, "http://127.0.0.1:1/", name="third")
    for _ in range(2):
        leased = written(third)
        WebhookDelivery.objects.filter(pk=leased.pk).update(lease_until=busy)
    assert LANES[Way.WEBHOOK] == 4
    assert claiming.ready(now=timezone.now()) == []
    assert claiming.claim(mine.pk, now=timezone.now()) is None
    # Messages to customers have lanes of their own.
    assert Way.WEBHOOK not in outbox.MESSAGE_WAYS


def test_two_receivers_get_the_same_event_each_by_its_own_secret(
    erp: Receiver, everything: Everything, alice: User
) -> None:
    with receiver() as second:
        other, secret = endpoint(alice, second.url, name="second")
        for to in (everything[0], other):
            written(to)
        tasks.sweep_outgoing_webhooks()
        second.heard[0].verified(secret)
        with pytest.raises(WebhookVerificationError):
            second.heard[0].verified(everything[1])


# --- What keeps it from being sent at all ----------------------------------------------------------------
@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("https://127.0.0.1/hook", "The host isn't on the public internet."),
        ("http://receiver.example.com/", "The URL isn't a valid https URL."),
    ],
)
def test_nothing_is_sent_into_our_own_network_or_in_plain_text(
    alice: User, settings: Any, url: str, error: str
) -> None:
    settings.DEBUG = False
    sending._pool.cache_clear()
    row = written(endpoint(alice, url)[0])
    assert sending.deliver(row.pk)
    row.refresh_from_db()
    assert (row.state, row.error, row.response_status) == ("pending", error, None)
    sending._pool.cache_clear()


def test_a_secret_whose_key_is_lost_is_said_in_the_log(
    erp: Receiver, everything: Everything, settings: Any
) -> None:
    from cryptography.fernet import Fernet

    row = written(everything[0])
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    sending.deliver(row.pk)
    row.refresh_from_db()
    assert row.error == "The signing secret can't be decrypted. Create a new one."
    assert (erp.heard, row.endpoint.failing_since) == ([], None)
