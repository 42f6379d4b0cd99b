"""After a redaction, a wipe or the end of retention, no byte of a person's data is left."""

from __future__ import annotations

import json
import logging
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from inbox.conversations import services as talks
from inbox.models import Channel, Contact, Identity, Message
from orders import (
    audit,
    privacy,
)
from orders.models import (
    ActionState,
    Customer,
    Order,
    OrderAction,
    OrderRefund,
    OrderTracking,
    PrivacyRequest,
    PrivacyState,
    RedactedIdentity,
    Store,
)
from orders.privacy import (
    ledger,
    retention,
)
from orders.privacy.registry import (
    REGISTRY,
    Holding,
)
from orders.tasks import sweep_privacy
from shopify_sync.models import ShopConnection, WebhookEvent
from shopify_sync.reading import orders as ingest
from shopify_sync.webhooks.signing import sign
from tests.privacy import filling
from tests.privacy.filling import canaries, dump, fill
from tests.support.database.copies import without_triggers

pytestmark = pytest.mark.django_db(transaction=True)


# The claimed size is 1,000, which takes minutes; CI runs 200 on PostgreSQL.
COUNT = int(os.environ.get("PRIVACY_TEST_CUSTOMERS", "40"))


@pytest.fixture(autouse=True)
def _ledger_file(settings: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings.REDACTION_LEDGER_FILE = str(tmp_path / "redactions.jsonl")
    caplog.set_level(logging.INFO)


def ask(store: Store, topic: str, number: int | None = None) -> None:
    """Shopify's webhook for one person, by the door."""
    body: dict[str, Any] = {"shop_id": 1, "shop_domain": store.domain}
    if number is not None:
        body["customer"] = {
            "id": filling.FIRST_CUSTOMER + number,
            "email": filling.email(number),
            "phone": filling.phone(number),
        }
        orders = "orders_requested" if topic.endswith("request") else "orders_to_redact"
        body[orders] = [filling.FIRST_ORDER + number]
        if topic.endswith("request"):
            body["data_request"] = {"id": number + 1}
    raw = json.dumps(body).encode()
    headers = {
        "X-Shopify-Topic": topic,
        "X-Shopify-Shop-Domain": store.domain,
        "X-Shopify-Webhook-Id": f"{topic}-{number}",
        "X-Shopify-Hmac-Sha256": sign(raw, filling.SECRET),
    }
    answer = Client().post(
        "/webhooks/shopify/", raw, content_type="application/json", headers=headers
    )
    assert answer.status_code == 200


def redact(store: Store, *numbers: int) -> None:
    for number in numbers:
        ask(store, "customers/redact", number)
    privacy.work_off(now=timezone.now(), seconds=300)


def found_of(dumped: bytes, numbers: Any) -> list[int]:
    return [n for n in numbers if any(word in dumped for word in canaries(n))]


def everything_of(model: Any, **which: Any) -> list[dict[str, Any]]:
    rows = list(model.objects.filter(**which).order_by("pk").values())
    return [{k: bytes(v) if isinstance(v, memoryview) else v for k, v in r.items()} for r in rows]


@pytest.mark.slow
def test_half_of_the_customers_leave_no_byte_behind(
    store: Store, channel: Channel, alice: User, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    fill(store, channel, alice, COUNT)
    gone, staying = range(COUNT // 2), range(COUNT // 2, COUNT)
    assert len(found_of(dump(), range(COUNT))) == COUNT
    others = {"legacy_id__gte": filling.FIRST_ORDER + COUNT // 2}
    before = everything_of(Order, **others)
    sums = list(Order.objects.order_by("pk").values_list("total", "refunded", "net_payment"))
    refunds = everything_of(OrderRefund, order__legacy_id__gte=filling.FIRST_ORDER + COUNT // 2)
    texts = everything_of(Message, conversation__subject__gte=filling.canary(COUNT // 2))
    bodies = everything_of(WebhookEvent, webhook_id__in=[f"customers/update-{n}" for n in staying])
    redact(store, *gone)

    assert set(PrivacyRequest.objects.values_list("state", flat=True)) == {PrivacyState.DONE}
    after = dump()
    assert found_of(after, gone) == []
    assert found_of(after, staying) == list(staying)
    assert everything_of(Order, **others) == before
    assert (
        everything_of(OrderRefund, order__legacy_id__gte=filling.FIRST_ORDER + COUNT // 2)
        == refunds
    )
    assert everything_of(Message, conversation__subject__gte=filling.canary(COUNT // 2)) == texts
    ids = [f"customers/update-{n}" for n in staying]
    assert everything_of(WebhookEvent, webhook_id__in=ids) == bodies
    # Money, numbers and the proof of what came stay.
    assert (
        list(Order.objects.order_by("pk").values_list("total", "refunded", "net_payment")) == sums
    )
    assert not WebhookEvent.objects.filter(body=b"", body_sha256="").exists()
    assert OrderAction.objects.filter(amount="5.00").count() == COUNT
    while audit.seal():
        pass
    assert audit.verify().problems == ()
    written = caplog.text.encode() + (tmp_path / "redactions.jsonl").read_bytes()
    assert found_of(written, range(COUNT)) == []


FIELDS = [
    (holding, name)
    for holding in REGISTRY.of_customers()
    for name in holding.fields
    # A hash that is kept, and ids that are overwritten with ids.
    if name != "body_sha256"
]
# What no customer of the filled shop has (their contacts are of one store; "de" is no canary).
UNUSED = {
    ("inbox.Identity shared", "value"),
    ("inbox.Identity shared", "source"),
    ("inbox.Contact", "language"),
    ("orders.Customer", "locale"),
    ("inbox.Message", "error"),
    ("shopify_sync.WebhookEvent", "error"),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("label", "name"),
    sorted({(holding.label, name) for holding, name in FIELDS} - UNUSED),
)
def test_without_one_entry_of_the_registry_a_canary_is_found(
    store: Store,
    channel: Channel,
    alice: User,
    monkeypatch: pytest.MonkeyPatch,
    label: str,
    name: str,
) -> None:
    """Negative control, for each entry: what it covers is covered by it alone."""
    fill(store, channel, alice, 1)
    for holding in REGISTRY.holdings:
        if holding.label != label or name not in holding.fields:
            continue
        if holding.is_deleted:
            monkeypatch.setattr(Holding, "mask", _unless(label, Holding.mask))
        else:
            monkeypatch.delitem(holding.fields, name)
    redact(store, 0)
    assert found_of(dump(), [0]) == [0]


def _unless(label: str, mask: Any) -> Any:
    return lambda self, rows: 0 if self.label == label else mask(self, rows)


def test_data_that_shopify_still_sends_does_not_come_back(
    store: Store, channel: Channel, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, channel, alice, 2)
    redact(store, 0)
    for later in (0, 1, 2):
        filling.record(store, 0, timezone.now() - timedelta(days=4 - later))
    assert found_of(dump(), [0, 1]) == [1]
    # A new order of the same person, after the redaction, is a new beginning.
    filling.record(store, 0, timezone.now() + timedelta(seconds=1))
    assert found_of(dump(), [0, 1]) == [0, 1]


def test_without_the_ledger_it_would_come_back(
    store: Store, channel: Channel, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control."""
    fill(store, channel, alice, 1)
    redact(store, 0)
    monkeypatch.setattr(ledger, "covers", lambda *args: False)
    filling.record(store, 0, timezone.now() - timedelta(days=4))
    assert found_of(dump(), [0]) == [0]


def test_after_a_restored_backup_the_redactions_are_replayed(
    store: Store, channel: Channel, alice: User
) -> None:
    """The restore has lost the redaction and its ledger; the file beside it has not."""
    fill(store, channel, alice, 3)
    redact(store, 0)
    PrivacyRequest.objects.all().delete()
    RedactedIdentity.objects.all().delete()
    Order.objects.update(document="", shop_updated_at=None, read_started_at=None)
    at = timezone.now() - timedelta(days=5)
    for number in range(3):
        filling.record(store, number, at)
    sender = talks.Sender(external_id="u-again", name=filling.canary(0), email=filling.email(0))
    talks.receive(
        channel=channel,
        external_id="m-x",
        conversation_id="c-x",
        sender=sender,
        text=filling.canary(0),
        sent_at=at,
    )
    assert found_of(dump(), range(3)) == [0, 1, 2]
    call_command("replay_redactions")
    assert found_of(dump(), range(3)) == [1, 2]
    call_command("replay_redactions")
    with pytest.raises(CommandError, match="Pass the ledger file"):
        call_command("replay_redactions", file="/nowhere")


def test_a_killed_worker_goes_on_where_it_was(
    store: Store, channel: Channel, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after every single batch: nothing is skipped, and nothing is counted twice."""
    fill(store, channel, alice, 2)
    monkeypatch.setattr("orders.privacy.deletion._BATCH", 1)
    ask(store, "customers/redact", 0)
    pk = PrivacyRequest.objects.get().pk

    class Killed(BaseException):
        pass

    def die(point: str) -> None:
        raise Killed

    monkeypatch.setattr("orders.privacy.worker.failpoint", die)
    deaths = 0
    while PrivacyRequest.objects.open().exists():
        try:
            privacy.run(pk, now=timezone.now())
        except Killed:
            deaths += 1
    assert deaths > 10
    assert found_of(dump(), [0, 1]) == [1]
    rows = PrivacyRequest.objects.get().evidence["rows"]
    assert (rows["orders.Order"], rows["inbox.Contact"], rows["orders.OrderAction"]) == (1, 1, 1)


def test_an_action_under_way_is_waited_for(store: Store, channel: Channel, alice: User) -> None:
    """Its request may be sent again, byte for byte, under its key."""
    order = filling.record(store, 0, timezone.now() - timedelta(days=5))
    action = filling.act(
        order, 0, alice, state=ActionState.UNKNOWN, settled_at=None, evidence_at=None, message=""
    )
    redact(store, 0)
    request = PrivacyRequest.objects.get()
    assert request.state == PrivacyState.WORKING
    assert "Waiting for actions" in request.note
    action.refresh_from_db()
    assert filling.canary(0) in json.dumps(action.steps)
    now = timezone.now()
    OrderAction.objects.update(state=ActionState.SUCCEEDED, settled_at=now, evidence_at=now)
    privacy.work_off(now=now + timedelta(minutes=11), seconds=10)
    request.refresh_from_db()
    assert request.state == PrivacyState.DONE
    assert found_of(dump(), [0]) == []


def test_a_contact_of_two_stores_keeps_the_other_stores_data(
    store: Store, channel: Channel, alice: User
) -> None:
    second = Store.objects.create(domain="second.myshopify.com")
    fill(store, channel, alice, 1)
    contact = Contact.objects.get()
    Identity.objects.create(contact=contact, kind="shopify_customer", value=f"{second.pk}:gid-2")
    Customer.objects.create(store=second, gid="gid-2", name="Jane", email=filling.email(0))
    Order.objects.create(
        store=second, gid="o", legacy_id=1, customer_gid="gid-2", email=filling.email(0)
    )
    redact(store, 0)
    contact.refresh_from_db()
    assert contact.name == filling.canary(0)
    values = set(Identity.objects.values_list("kind", "value"))
    assert ("email", filling.email(0)) in values
    assert ("shopify_customer", f"{second.pk}:gid-2") in values
    assert not any(value.startswith(f"{store.pk}:gid") for _kind, value in values)
    assert ("phone", filling.phone(0)) not in values
    assert Order.objects.get(store=second).email == filling.email(0)
    assert Order.objects.get(store=store).email == ""


@pytest.mark.slow
def test_a_wiped_shop_leaves_no_byte_but_its_money(
    store: Store, channel: Channel, alice: User, shop: Any
) -> None:
    fill(store, channel, alice, COUNT)
    second = Store.objects.create(domain="second.myshopify.com")
    ShopConnection.objects.create(store=second, access_token="t", api_secret=SECRET_TEXT)
    fill(second, channel, alice, 20, start=5000)
    ShopConnection.objects.filter(store=store).update(access_token="shpat_revoked")
    ask(store, "shop/redact")
    start = timezone.now()
    for hours in (0, 49, 49 + 169):
        privacy.work_off(now=start + timedelta(hours=hours), seconds=300)
    assert PrivacyRequest.objects.get().state == PrivacyState.DONE
    dumped = dump()
    assert found_of(dumped, range(COUNT)) == []
    assert found_of(dumped, range(5000, 5020)) == list(range(5000, 5020))
    assert OrderAction.objects.filter(order__store=store, amount="5.00").count() == COUNT
    assert OrderRefund.objects.filter(order__store=store).count() == COUNT
    assert Contact.objects.count() == 20
    assert not Customer.objects.filter(store=store).exists()


SECRET_TEXT = filling.SECRET.decode()


@pytest.mark.slow
def test_only_data_past_its_retention_period_is_deleted(
    store: Store, channel: Channel, alice: User
) -> None:
    fill(store, channel, alice, 20)
    quiet, talking = range(10), range(10, 20)
    now = timezone.now() + timedelta(days=61)
    # They wrote again, a week ago.
    for number in talking:
        sender = talks.Sender(
            external_id=f"u-{filling.canary(number)}", email=filling.email(number)
        )
        talks.receive(
            channel=channel,
            external_id=f"again-{number}",
            conversation_id=f"c-{filling.canary(number)}",
            sender=sender,
            text="Hello",
            sent_at=now - timedelta(days=7),
        )
    counted = retention.preview(now=now)
    assert (counted["orders"], counted["webhook bodies"]) == (10, 40)
    assert found_of(dump(), range(20)) == list(range(20))
    done = retention.apply(now=now)
    assert done["orders"] == 10
    assert retention.preview(now=now)["orders"] == 0
    named = Order.objects.filter(masked_at=None).values_list("legacy_id", flat=True)
    assert sorted(named) == [filling.FIRST_ORDER + number for number in talking]
    assert Customer.objects.exclude(name="").count() == 10
    assert not OrderTracking.objects.filter(order__masked_at__isnull=False).exists()
    assert not WebhookEvent.objects.exclude(body=b"").exists()
    # An old order that is read again without having changed stays masked.
    updated_at = Order.objects.get(legacy_id=filling.FIRST_ORDER).shop_updated_at
    assert updated_at is not None
    filling.record(store, 0, updated_at)
    assert Order.objects.filter(masked_at=None).count() == 10

    years = timezone.now() + timedelta(days=800)
    retention.apply(now=years)
    with without_triggers(connection):
        OrderAction.objects.all().delete()
    assert found_of(dump(), quiet) == []
    assert found_of(dump(), talking) == []
    assert not Message.objects.exists()


def test_a_retention_period_of_zero_keeps_data_forever(
    store: Store, channel: Channel, alice: User, settings: Any
) -> None:
    fill(store, channel, alice, 1)
    for name in ("WEBHOOK_BODY", "ORDER_PERSONAL", "DRAFT", "SESSION"):
        setattr(settings, f"RETENTION_{name}_DAYS", 0)
    settings.RETENTION_MESSAGES_MONTHS = 0
    counts = retention.apply(now=timezone.now() + timedelta(days=9999))
    assert set(counts.values()) == {0}


def test_the_command_counts_first(
    store: Store, channel: Channel, alice: User, capsys: pytest.CaptureFixture[str], settings: Any
) -> None:
    fill(store, channel, alice, 1)
    settings.RETENTION_ORDER_PERSONAL_DAYS = 1
    WebhookEvent.objects.update(received_at=timezone.now() - timedelta(days=15))
    call_command("apply_retention", "--dry-run")
    assert "webhook bodies: 2 would go" in capsys.readouterr().out
    assert WebhookEvent.objects.exclude(body=b"").count() == 2
    call_command("apply_retention")
    assert "webhook bodies: 2 gone" in capsys.readouterr().out
    assert not WebhookEvent.objects.exclude(body=b"").exists()


def test_a_waiting_webhook_keeps_its_body_until_it_is_processed(
    store: Store, channel: Channel, alice: User
) -> None:
    fill(store, channel, alice, 1)
    in_an_hour = timezone.now() + timedelta(hours=1)
    WebhookEvent.objects.update(state="waiting", next_attempt_at=in_an_hour)
    ask(store, "customers/redact", 0)
    privacy.work_off(now=timezone.now(), seconds=10)
    assert "Waiting for" in PrivacyRequest.objects.get().note
    for pk in WebhookEvent.objects.filter(state="waiting").values_list("pk", flat=True):
        ingest.process_event(pk)
    later = timezone.now() + timedelta(minutes=11)
    privacy.work_off(now=later, seconds=10)
    assert PrivacyRequest.objects.get().state == PrivacyState.DONE
    assert found_of(dump(), [0]) == []


def test_a_request_that_fails_does_not_hold_up_the_others(
    store: Store, channel: Channel, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, channel, alice, 2)
    ask(store, "customers/redact", 0)
    PrivacyRequest.objects.update(sealed_scope="not sealed by us")
    ask(store, "customers/redact", 1)
    sweep_privacy()
    states: dict[str, int] = {}
    for state in PrivacyRequest.objects.values_list("state", flat=True):
        states[state] = states.get(state, 0) + 1
    assert states == {PrivacyState.WAITING: 1, PrivacyState.DONE: 1}
