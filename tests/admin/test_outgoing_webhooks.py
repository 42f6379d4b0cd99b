"""The admin pages of webhooks: endpoints, their secrets, and the log."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core import mail
from django.test import Client
from django.utils import timezone

from inbox.models import OffReason, WebhookDelivery, WebhookEndpoint
from inbox.outgoing_webhooks import endpoints, events, sending
from orders.models import AuditEntry
from tests.conftest import logged_in
from tests.support.servers.webhooks import Receiver, endpoint, receiver

pytestmark = pytest.mark.django_db(transaction=True)
LIST, LOG = "/admin/inbox/webhookendpoint/", "/admin/inbox/webhookdelivery/"


@pytest.fixture
def admin(db: None) -> User:
    user = User.objects.create_user("adam", "adam@example.com", "demo", is_staff=True)
    user.groups.add(Group.objects.get(name="admins"))
    return user


@pytest.fixture
def page(admin: User) -> Client:
    return logged_in(admin)


def form(**changes: Any) -> dict[str, Any]:
    return {
        "name": "ERP",
        "url": "https://receiver.example.com/hook",
        "is_active": "on",
        "event_types": ["action.succeeded", "order.refunded"],
    } | changes


def secret_in(answer: Any) -> str:
    found = re.search(r"whsec_[\w+/=]+", html.unescape(answer.content.decode()))
    return found[0] if found else ""


def test_the_secret_is_shown_once(page: Client, admin: User) -> None:
    answer = page.post(f"{LIST}add/", form(), follow=True)
    made = WebhookEndpoint.objects.get()
    assert made.event_types == ["action.succeeded", "order.refunded"]
    secret = secret_in(answer)
    assert endpoints.signing_secrets(made, now=timezone.now()) == [secret]
    assert secret_in(page.get(f"{LIST}{made.pk}/change/")) == ""
    entries = AuditEntry.objects.filter(detail__webhook_endpoint=made.pk).order_by("pk")
    assert [entry.detail["change"] for entry in entries] == ["created", "new secret"]
    assert {entry.actor_id for entry in entries} == {admin.pk}
    # Replaced: the new one is shown, and both sign.
    new = secret_in(page.post(f"{LIST}{made.pk}/secret/", follow=True))
    made.refresh_from_db()
    assert endpoints.signing_secrets(made, now=timezone.now()) == [new, secret]


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ({"url": "http://receiver.example.com/"}, "Enter an https URL."),
        ({"url": "https://user:word@receiver.example.com/"}, "user name or password"),
        ({"event_types": []}, "This field is required."),
        ({"event_types": ["webhook.test"]}, "Select a valid choice"),
    ],
)
def test_an_endpoint_that_could_not_be_used_is_refused(
    page: Client, wish: dict[str, Any], error: str
) -> None:
    answer = page.post(f"{LIST}add/", form(**wish))
    assert error in html.unescape(answer.content.decode())
    assert not WebhookEndpoint.objects.exists()


def test_a_form_changes_only_what_was_changed_in_it(page: Client, admin: User) -> None:
    made, secret = endpoint(admin)
    seen = form(url=made.url, event_types=made.event_types, name="Warehouse")
    # Since the form was opened, a worker has turned it off, and a colleague has replaced its secret.
    now = timezone.now()
    new = endpoints.new_secret(made, by=admin, now=now)
    endpoints.turn_off(made, OffReason.GONE, now=now)
    del seen["is_active"]
    assert page.post(f"{LIST}{made.pk}/change/", seen).status_code == 302
    made.refresh_from_db()
    assert (made.name, made.is_active, made.off_reason) == ("Warehouse", False, "gone")
    assert endpoints.signing_secrets(made, now=now) == [new, secret]
    # Turned on by hand, it starts afresh.
    WebhookEndpoint.objects.update(failing_since=now - timedelta(days=9))
    page.post(f"{LIST}{made.pk}/change/", seen | {"is_active": "on"})
    made.refresh_from_db()
    assert (made.is_active, made.off_reason, made.off_since) == (True, "", None)
    assert made.failing_since is None
    page.post(f"{LIST}{made.pk}/change/", seen)
    made.refresh_from_db()
    assert (made.is_active, made.off_reason) == (False, "")
    assert made.off_since is not None


def test_a_test_event_and_sending_again(page: Client, admin: User, settings: Any) -> None:
    settings.DEBUG = True  # A receiver on this machine.
    sending._pool.cache_clear()
    with receiver() as here:
        made, secret = endpoint(admin, here.url)
        answer = page.post(f"{LIST}{made.pk}/test/", follow=True)
        assert "The test event is on its way." in answer.content.decode()
        row = WebhookDelivery.objects.get()
        again = {"action": "send_again", "_selected_action": [row.pk]}
        assert "1 are sent again." in page.post(LOG, again, follow=True).content.decode()
        _check(here, row, secret)
        WebhookEndpoint.objects.update(is_active=False, off_since=timezone.now())
        refused = page.post(f"{LIST}{made.pk}/test/", follow=True)
        assert "Turn the endpoint on first." in refused.content.decode()
        assert len(here.heard) == 2
    log = page.get(f"{LOG}?endpoint__id__exact={made.pk}").content.decode()
    assert "204" in log
    assert page.get(f"{LOG}?q={row.message_id}").content.decode().count("field-state") == 1
    sending._pool.cache_clear()


def _check(here: Receiver, row: WebhookDelivery, secret: str) -> None:
    assert [one.verified(secret)["type"] for one in here.heard] == ["webhook.test"] * 2
    assert {one.id for one in here.heard} == {row.message_id}
    row.refresh_from_db()
    assert row.state == "delivered"


def test_keys_need_a_fresh_proof_of_who_is_there(page: Client, admin: User, settings: Any) -> None:
    made, _secret = endpoint(admin)
    settings.REAUTHENTICATION_MINUTES = 5
    for address in ("secret/", "test/", "change/"):
        answer = page.post(f"{LIST}{made.pk}/{address}", form())
        assert answer.status_code == 302
        assert "/account/confirm/" in answer["Location"], address
    assert AuditEntry.objects.filter(detail__webhook_endpoint=made.pk).count() == 1


@pytest.mark.parametrize(("days", "is_off"), [(4, False), (6, True)])
def test_administrators_are_told_of_one_that_accepts_nothing_for_days(
    admin: User, alice: User, settings: Any, days: int, is_off: bool
) -> None:
    settings.DEBUG = True  # A receiver on this machine.
    sending._pool.cache_clear()
    with receiver() as here:
        made, _secret = endpoint(admin, here.url)
        WebhookEndpoint.objects.update(failing_since=timezone.now() - timedelta(days=days))
        here.answers = [500]
        events.test_event(made)
    made.refresh_from_db()
    assert made.is_active != is_off
    assert [sent.to for sent in mail.outbox] == [["adam@example.com"]] * is_off
    if is_off:
        assert f"{LIST}{made.pk}/change/" in mail.outbox[0].body
        assert logged_in(admin).get(f"{LIST}{made.pk}/change/").status_code == 200
    sending._pool.cache_clear()


def test_the_log_goes_with_no_endpoint(page: Client, admin: User) -> None:
    root = logged_in(User.objects.create_superuser("root"))
    made, _secret = endpoint(admin)
    assert root.get(f"{LIST}{made.pk}/delete/").status_code == 200
    WebhookDelivery.objects.create(
        endpoint=made,
        message_id="m",
        event_type="order.paid",
        payload="{}",
        queued_at=timezone.now(),
    )
    assert root.get(f"{LIST}{made.pk}/delete/").status_code == 403
    # Administrators turn them off instead.
    assert page.get(f"{LIST}{made.pk}/delete/").status_code == 403


def test_the_metrics_say_what_waits_and_who_is_off(page: Client, admin: User) -> None:
    made, _secret = endpoint(admin)
    WebhookDelivery.objects.create(
        endpoint=made,
        message_id="m",
        event_type="order.paid",
        payload="{}",
        queued_at=timezone.now() - timedelta(hours=1),
    )
    endpoints.turn_off(made, OffReason.FAILING, now=timezone.now())
    said = Client().get("/metrics").content.decode()
    found = dict(line.rsplit(" ", 1) for line in said.splitlines() if line[:1] != "#")
    assert float(found["agent_inbox_outgoing_webhooks"]) == 1
    assert float(found["agent_inbox_oldest_outgoing_webhook_seconds"]) >= 3600
    assert float(found["agent_inbox_webhook_endpoints_off"]) == 1


def test_the_overview_says_which_were_turned_off(page: Client, admin: User) -> None:
    made, _secret = endpoint(admin)
    assert "Webhooks turned off" not in page.get("/admin/").content.decode()
    endpoints.turn_off(made, OffReason.FAILING, now=timezone.now())
    assert "Webhooks turned off" in page.get("/admin/").content.decode()
