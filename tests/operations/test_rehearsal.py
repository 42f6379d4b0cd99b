"""A disaster, rehearsed: the database is lost, and yesterday's backup is restored elsewhere."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from core.encryption import UndecryptableSecret
from core.operations import stored_secrets
from orders import audit
from orders.audit import heads
from orders.models import ActionState, AuditKind, AuditSeal, Order, OrderAction, Store
from orders.tasks import sweep_actions, sweep_privacy
from shopify_sync.models import ShopConnection
from shopify_sync.webhooks.signing import sign
from tests.operations.databases import new_database
from tests.support.orders.acting import ask, perform, refund, without_wake_ups
from tests.support.shop.in_process import DOMAIN, Shop, fetch_dirty, work_off

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
PERSON = "gone@example.com"
_numbers = itertools.count()


@dataclass
class Disaster:
    """What there is once the old database is lost."""

    archive: Path
    unanswered: int
    unsent: int
    redacted_order: str


def redact(order: Order) -> None:
    """The person asks the shop to be forgotten; Shopify tells us."""
    body = {
        "shop_id": 1,
        "shop_domain": DOMAIN,
        "customer": {"id": int(order.customer_gid.rpartition("/")[2]), "email": PERSON},
        "orders_to_redact": [order.legacy_id],
    }
    raw = json.dumps(body).encode()
    headers = {
        "X-Shopify-Topic": "customers/redact",
        "X-Shopify-Shop-Domain": DOMAIN,
        "X-Shopify-Webhook-Id": f"w-{next(_numbers)}",
        "X-Shopify-Hmac-Sha256": sign(raw, b"shpss_practice_demo"),
    }
    door = "/webhooks/shopify/"
    answer = Client().post(door, raw, content_type="application/json", headers=headers)
    assert answer.status_code == 200
    sweep_privacy()


@pytest.fixture
def disaster(
    tmp_path: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    shop: Shop,
    store: Store,
    seen: Callable[[], Order],
    alice: User,
) -> Iterator[Disaster]:
    """A day at work with a backup in its middle; then the connection leads to a new database."""
    without_wake_ups(monkeypatch)
    settings.REDACTION_LEDGER_FILE = str(tmp_path / "redactions.jsonl")
    settings.AUDIT_HEADS_FILE = str(tmp_path / "heads.jsonl")
    old_key = settings.FIELD_ENCRYPTION_KEYS[0]
    shop.place(email=PERSON)
    theirs = seen()
    assert theirs.email == PERSON
    shop.place()
    unanswered = ask(seen(), refund("5.00"), alice)
    shop.fault(operation="refundCreate", phase="commit_then_drop", times=1)
    assert perform(unanswered).state == ActionState.UNKNOWN
    shop.place()
    unsent = ask(seen(), refund("7.00"), alice)
    audit.seal()
    call_command("backup", str(tmp_path / "a.dump"), stdout=StringIO())

    work_off(shop, Client())
    assert OrderAction.objects.filter(state=ActionState.SUCCEEDED).count() == 2
    redact(theirs)
    assert not Order.objects.filter(email=PERSON).exists()
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), old_key]
    call_command("rotate_keys", stdout=StringIO())
    audit.record(AuditKind.STORE, actor=None, after="after the backup")
    audit.seal()
    last = AuditSeal.objects.latest("seq")
    heads.note(last.seq, last.hash, at=timezone.now())
    with new_database("rehearsal"):
        yield Disaster(tmp_path / "a.dump", unanswered.pk, unsent.pk, theirs.gid)


def restore(disaster: Disaster, *options: str) -> None:
    call_command("restore", str(disaster.archive), *options, stdout=StringIO())


def sends(shop: Shop) -> int:
    return sum(r["operation"] == "refundCreate" for r in shop.ledger()["requests"])


def test_after_a_restore_nothing_is_sent_twice_and_no_one_is_back(
    disaster: Disaster, shop: Shop, settings: Any
) -> None:
    before = sends(shop)
    assert sorted(r["amount"] for r in shop.ledger()["refunds"]) == ["5.0", "7.0"]
    restore(disaster)
    call_command("audit_verify", stdout=StringIO())
    assert Order.objects.get(gid=disaster.redacted_order).email == ""
    assert not Order.objects.filter(email=PERSON).exists()
    assert stored_secrets.unreadable() == {}

    # Frozen: what was never sent, as far as this database knows, stays where it is.
    assert OrderAction.objects.get(pk=disaster.unsent).state == ActionState.QUEUED
    for _ in range(3):
        OrderAction.objects.active().update(next_attempt_at=None)
        sweep_actions()
    assert OrderAction.objects.get(pk=disaster.unsent).state == ActionState.QUEUED
    assert OrderAction.objects.get(pk=disaster.unanswered).state == ActionState.SUCCEEDED

    # Rereading the person's order, which the shop still has, doesn't bring them back.
    call_command("reconcile_orders", stdout=StringIO())
    fetch_dirty()
    assert not Order.objects.filter(email=PERSON).exists()

    Store.objects.update(is_frozen=False)
    work_off(shop, Client())
    assert set(OrderAction.objects.values_list("state", flat=True)) == {ActionState.SUCCEEDED}
    assert sorted(r["amount"] for r in shop.ledger()["refunds"]) == ["5.0", "7.0"]
    assert sends(shop) == before
    call_command("audit_verify", stdout=StringIO())


def test_without_the_replay_the_redacted_person_is_back(disaster: Disaster) -> None:
    """The control: the backup does hold them."""
    restore(disaster, "--without-ledger")
    assert Order.objects.get(gid=disaster.redacted_order).email == PERSON


def test_without_the_old_key_the_restore_says_so(disaster: Disaster, settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = settings.FIELD_ENCRYPTION_KEYS[:1]
    out = StringIO()
    # As an administrator would: the audit key is derived from the field keys unless it is set.
    call_command("restore", str(disaster.archive), stdout=out)
    assert "shopify_sync.ShopConnection: " in out.getvalue()
    with pytest.raises(UndecryptableSecret):
        ShopConnection.objects.get().access_token.reveal()
