"""Actions of an uninstalled shop end, and no deletion waits forever."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection
from django.utils import timezone

from orders import (
    privacy,
    services,
)
from orders.actions import worker_steps
from orders.models import (
    ActionState,
    AuditEntry,
    Order,
    OrderAction,
    PrivacyRequest,
    PrivacyState,
    Store,
)
from orders.privacy import retention
from shopify_sync.models import WebhookEvent
from shopify_sync.reading import orders
from tests.privacy.filling import dump
from tests.shopify_sync.asking import ask_refund
from tests.support.shop.in_process import DOMAIN, Shop
from tests.support.shop.queues import sweep_actions

pytestmark = pytest.mark.django_db(transaction=True)
S = ActionState
NOTE = "Jane said that she broke it herself"


@pytest.fixture(autouse=True)
def _quiet(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.REDACTION_LEDGER_FILE = str(tmp_path / "redactions.jsonl")

    monkeypatch.setattr(worker_steps, "wake", lambda action_id, after_s=0: None)


@pytest.fixture
def action(shop: Shop, seen: Any, alice: User) -> OrderAction:
    shop.place()
    return ask_refund(seen(), "5.00", alice)


def put(action: OrderAction, *states: ActionState, **changes: Any) -> OrderAction:
    """Walk the row to a state, as its worker would."""
    for state in states:
        OrderAction.objects.filter(pk=action.pk).update(state=state)
    OrderAction.objects.filter(pk=action.pk).update(**changes)
    return OrderAction.objects.get(pk=action.pk)


def leave(shop: Shop, store: Store) -> None:
    """The merchant uninstalls the app, and Shopify says so."""
    shop.store.world.shops[DOMAIN].is_installed = False
    event = WebhookEvent.objects.create(
        store=store,
        webhook_id="gone",
        topic="app/uninstalled",
        body=json.dumps({"id": 1, "myshopify_domain": DOMAIN}).encode(),
    )
    orders.process_event(event.pk)
    store.refresh_from_db()
    assert store.uninstalled_at


UNSENT = [(S.QUEUED,), (S.SENDING, S.BLOCKED)]
IN_DOUBT = [(S.SENDING, S.PENDING), (S.SENDING, S.UNKNOWN), (S.SENDING, S.BLOCKED)]


@pytest.mark.parametrize("way", UNSENT)
def test_what_was_not_sent_is_withdrawn_by_the_system(
    action: OrderAction, shop: Shop, store: Store, way: Any
) -> None:
    put(action, *way)
    leave(shop, store)
    action.refresh_from_db()
    assert (action.state, action.reserved) == (S.WITHDRAWN, 0)
    assert action.settled_at is not None
    assert "uninstalled from the shop; nothing was sent" in action.message
    entry = AuditEntry.objects.filter(action_id=action.pk, after=S.WITHDRAWN).get()
    assert (entry.actor_id, entry.actor) == (None, "")
    assert Order.objects.get(pk=action.order_id).reserved == 0


def test_what_waits_for_an_approval_is_withdrawn(
    shop: Shop, seen: Any, store: Store, alice: User
) -> None:
    from orders.models import Policy

    Policy.objects.create(role=alice.groups.get(), refund_up_to=0)
    shop.place()
    waiting = ask_refund(seen(), "5.00", alice)
    assert waiting.state == S.AWAITING_APPROVAL
    leave(shop, store)
    waiting.refresh_from_db()
    assert waiting.state == S.WITHDRAWN


@pytest.mark.slow
@pytest.mark.parametrize("way", IN_DOUBT)
def test_what_may_have_been_sent_goes_to_a_supervisor(
    action: OrderAction, shop: Shop, store: Store, way: Any
) -> None:
    put(action, *way, maybe_applied=True)
    leave(shop, store)
    action.refresh_from_db()
    assert (action.state, action.settled_at) == (S.NEEDS_HUMAN, None)
    assert "before Shopify’s response was known" in action.message


@pytest.mark.parametrize("maybe_applied", [True, False])
def test_what_is_being_sent_is_left_to_its_worker_and_found_afterwards(
    action: OrderAction, shop: Shop, store: Store, maybe_applied: bool
) -> None:
    claimed = worker_steps.claim(action_id=action.pk, now=timezone.now())
    assert claimed is not None
    OrderAction.objects.filter(pk=action.pk).update(maybe_applied=maybe_applied)
    leave(shop, store)
    action.refresh_from_db()
    assert action.state == S.SENDING
    # Its worker dies; the sweep takes it up, Shopify refuses us, and it is put down.
    OrderAction.objects.filter(pk=action.pk).update(
        lease_until=timezone.now() - timedelta(seconds=1)
    )
    sweep_actions()
    sweep_actions()
    action.refresh_from_db()
    assert action.state == (S.NEEDS_HUMAN if maybe_applied else S.WITHDRAWN)


def test_handing_over_twice_changes_nothing_more(
    action: OrderAction, shop: Shop, store: Store
) -> None:
    put(action, S.SENDING, S.UNKNOWN, maybe_applied=True)
    leave(shop, store)
    before = AuditEntry.objects.count()
    assert services.hand_over(store, now=timezone.now()) == 0
    sweep_actions()
    assert AuditEntry.objects.count() == before


def test_a_shop_that_is_here_keeps_its_actions(action: OrderAction, store: Store) -> None:
    """Negative control."""
    put(action, S.SENDING, S.UNKNOWN, maybe_applied=True)
    assert services.hand_over_uninstalled(now=timezone.now()) == 0
    action.refresh_from_db()
    assert action.state == S.UNKNOWN


def shop_redact(store: Store) -> PrivacyRequest:
    event = WebhookEvent.objects.create(
        store=store,
        webhook_id="redact",
        topic="shop/redact",
        body=json.dumps({"shop_id": 1, "shop_domain": DOMAIN}).encode(),
    )
    orders.process_event(event.pk)
    return PrivacyRequest.objects.get()


@pytest.mark.slow
@pytest.mark.parametrize("way", [*UNSENT, *IN_DOUBT])
def test_the_deletion_of_a_shop_ends(
    action: OrderAction, shop: Shop, store: Store, way: Any
) -> None:
    put(action, *way, maybe_applied=way in IN_DOUBT and way[-1] != S.BLOCKED)
    leave(shop, store)
    request = shop_redact(store)
    now = timezone.now()
    for day in (0, 3, 11, 12):
        privacy.work_off(now=now + timedelta(days=day), seconds=30)
    request.refresh_from_db()
    assert request.state == PrivacyState.DONE
    # The ledger of money stays: what was requested, and its outcome.
    action.refresh_from_db()
    assert (str(action.amount.normalize()), action.currency) == ("5", "EUR")
    assert b"jane@example.com" not in dump()


def test_without_the_handing_over_it_waits_for_ever(
    action: OrderAction, shop: Shop, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the test above."""
    from orders.privacy import (
        uninstalled_shops,
        worker,
    )

    monkeypatch.setattr(uninstalled_shops, "hand_over", lambda *_words, **_more: 0)
    monkeypatch.setattr(worker, "make_way", lambda *_words, **_more: 0)
    put(action, S.SENDING, S.BLOCKED)
    leave(shop, store)
    request = shop_redact(store)
    now = timezone.now()
    for day in (0, 3, 11, 90):
        privacy.work_off(now=now + timedelta(days=day), seconds=30)
    request.refresh_from_db()
    assert request.state == PrivacyState.WORKING


def customer_redact(store: Store, order: Order) -> PrivacyRequest:
    number = int(order.customer_gid.rsplit("/", 1)[1])
    event = WebhookEvent.objects.create(
        store=store,
        webhook_id="person",
        topic="customers/redact",
        body=json.dumps(
            {
                "shop_id": 1,
                "shop_domain": DOMAIN,
                "orders_to_redact": [order.legacy_id],
                "customer": {"id": number, "email": "jane@example.com", "phone": None},
            }
        ).encode(),
    )
    orders.process_event(event.pk)
    return PrivacyRequest.objects.get()


def test_a_persons_deletion_does_not_wait_for_a_supervisor(
    action: OrderAction, store: Store
) -> None:
    proposal = {**action.proposal}
    put(action, S.SENDING, S.NEEDS_HUMAN, maybe_applied=True, message=NOTE)
    request = customer_redact(store, action.order)
    privacy.work_off(now=timezone.now(), seconds=30)
    request.refresh_from_db()
    assert request.state == PrivacyState.DONE
    found = OrderAction.objects.get(pk=action.pk)
    assert (found.state, found.message) == (S.NEEDS_HUMAN, "")
    # What a supervisor compares by is still there.
    assert (found.amount, found.marker, found.reserved) == (action.amount, action.marker, 5)
    assert found.proposal["reason"] == proposal["reason"]
    assert found.note_marker in json.dumps(found.steps)


def test_a_persons_deletion_waits_for_what_may_be_sent_until_its_day_is_near(
    action: OrderAction, store: Store
) -> None:
    Store.objects.update(is_frozen=True)
    request = customer_redact(store, action.order)
    now = timezone.now()
    privacy.work_off(now=now, seconds=30)
    privacy.work_off(now=now + timedelta(days=20), seconds=30)
    request.refresh_from_db()
    action.refresh_from_db()
    assert (request.state, action.state) == (PrivacyState.WORKING, S.QUEUED)
    privacy.work_off(now=now + timedelta(days=26), seconds=30)
    request.refresh_from_db()
    action.refresh_from_db()
    assert (request.state, action.state) == (PrivacyState.DONE, S.WITHDRAWN)


def test_the_bytes_of_what_may_still_be_sent_stay_frozen(action: OrderAction) -> None:
    """Only where nothing is sent any more may the text go; the database says so."""
    put(action, S.SENDING, S.UNKNOWN, maybe_applied=True)
    steps = json.loads(json.dumps(action.steps))
    steps[0]["variables"]["input"]["note"] = action.note_marker
    assert steps != action.steps
    with pytest.raises(IntegrityError, match="frozen"):
        OrderAction.objects.filter(pk=action.pk).update(steps=steps)
    connection.close()
    OrderAction.objects.filter(pk=action.pk).update(state=S.NEEDS_HUMAN)
    OrderAction.objects.filter(pk=action.pk).update(steps=steps)
    # And nothing but the notes, there either.
    steps[0]["variables"]["input"]["notify"] = "changed"
    with pytest.raises(IntegrityError, match="frozen"):
        OrderAction.objects.filter(pk=action.pk).update(steps=steps)
    connection.close()


def test_age_masks_an_order_whose_action_waits_for_a_supervisor(
    action: OrderAction, settings: Any
) -> None:
    settings.RETENTION_ORDER_PERSONAL_DAYS = 60
    old = timezone.now() - timedelta(days=61)
    Order.objects.update(shop_updated_at=old)
    put(action, S.SENDING, S.UNKNOWN, maybe_applied=True)
    retention.apply(now=timezone.now())
    assert not Order.objects.exclude(masked_at=None).exists()
    put(action, S.NEEDS_HUMAN)
    retention.apply(now=timezone.now())
    assert Order.objects.exclude(masked_at=None).count() == 1
