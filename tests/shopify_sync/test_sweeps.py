"""No single row stops a sweep: it is put off, and the others continue."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from core import queue
from core.database import sweeps
from inbox import outbox
from inbox import tasks as inbox_tasks
from inbox.models import CampaignMessage, Message
from orders import perform as actions
from orders import services
from orders import tasks as order_tasks
from orders.actions import worker_steps
from orders.models import (
    ActionState,
    Customer,
    Order,
    OrderAction,
    OrderEvent,
    Policy,
    Store,
)
from orders.privacy import retention
from shopify_sync import tasks
from shopify_sync.models import Backfill, BackfillState, ShopConnection
from shopify_sync.reading import customers as customer_reads
from shopify_sync.reading import orders
from shopify_sync.sync import backfill
from tests.shopify_sync.asking import ask_refund
from tests.support.shop.in_process import Shop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def two(shop: Shop, seen: Any, alice: User, deaf: None) -> tuple[OrderAction, OrderAction]:
    """Two refunds of two orders; the first was due before the second."""
    made = []
    for n in range(2):
        shop.place(email=f"c{n}@example.com")
        made.append(ask_refund(seen(), "1.00", alice))
    now = timezone.now()
    for n, action in enumerate(made):
        rest = timedelta(seconds=20 - n)
        OrderAction.objects.filter(pk=action.pk).update(next_attempt_at=now - rest)
    return made[0], made[1]


def failing(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, bad: int) -> list[int]:
    """The named work fails for one row's id; the ids it was called with."""
    real, asked = getattr(owner, name), []

    def work(key: int, *words: Any, **more: Any) -> Any:
        key = more.get("action_id", key) if isinstance(key, int) else key
        asked.append(key)
        if key == bad:
            raise ValueError("integer out of range")
        return real(key, *words, **more)

    monkeypatch.setattr(owner, name, work)
    return asked


def states(*made: OrderAction) -> list[str]:
    return [OrderAction.objects.get(pk=action.pk).state for action in made]


def test_an_action_that_fails_rests_and_the_others_go(
    two: tuple[OrderAction, OrderAction], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = failing(monkeypatch, actions, "perform", two[0].pk)
    order_tasks.sweep_actions()
    assert states(*two) == [ActionState.QUEUED, ActionState.SUCCEEDED]
    left = OrderAction.objects.get(pk=two[0].pk)
    assert left.next_attempt_at is not None
    assert left.next_attempt_at > timezone.now() + timedelta(seconds=50)
    order_tasks.sweep_actions()
    assert asked == [two[0].pk, two[1].pk]


def test_messages_sent_before_an_upgrade_still_do_their_work(
    two: tuple[OrderAction, OrderAction],
) -> None:
    """The two tasks were shopify_sync's; workers get what the earlier version enqueued."""
    queue.enqueue("shopify_sync.tasks.perform_action", two[1].pk)
    assert states(*two) == [ActionState.QUEUED, ActionState.SUCCEEDED]
    queue.enqueue("shopify_sync.tasks.sweep_actions")
    assert states(*two) == [ActionState.SUCCEEDED, ActionState.SUCCEEDED]


def test_without_the_guard_the_second_waits_for_ever(
    two: tuple[OrderAction, OrderAction], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the test above."""

    def each(keys: Any, work: Any, **_more: Any) -> int:
        return len([work(key) for key in keys])

    failing(monkeypatch, actions, "perform", two[0].pk)
    monkeypatch.setattr(sweeps, "each", each)
    for _sweep in range(3):
        with pytest.raises(ValueError, match="out of range"):
            order_tasks.sweep_actions()
    assert states(*two) == [ActionState.QUEUED, ActionState.QUEUED]


def test_an_action_that_cannot_be_claimed_after_its_workers_death_is_put_off(
    two: tuple[OrderAction, OrderAction], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker_steps.claim(action_id=two[0].pk, now=timezone.now())
    OrderAction.objects.filter(pk=two[0].pk).update(
        lease_until=timezone.now() - timedelta(seconds=1)
    )
    asked = failing(monkeypatch, actions, "_may_try", two[0].pk)
    for _sweep in range(2):
        order_tasks.sweep_actions()
    assert states(*two) == [ActionState.SENDING, ActionState.SUCCEEDED]
    assert asked.count(two[0].pk) == 1


def test_what_an_agent_did_in_between_stays(
    two: tuple[OrderAction, OrderAction], alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def perform(action_id: int) -> None:
        services.withdraw(action_id=action_id, by=alice, now=timezone.now())
        raise ValueError

    monkeypatch.setattr(actions, "perform", perform)
    order_tasks.sweep_actions()
    assert states(*two) == [ActionState.WITHDRAWN, ActionState.WITHDRAWN]
    assert not OrderAction.objects.filter(next_attempt_at__gt=timezone.now()).exists()


def test_a_fresh_click_is_handled_before_postponed_rows(
    two: tuple[OrderAction, OrderAction],
    shop: Shop,
    seen: Any,
    alice: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(order_tasks, "SWEEP_ROWS", 2)
    shop.place(email="fresh@example.com")
    fresh = ask_refund(seen(), "1.00", alice)
    assert fresh.next_attempt_at is None
    taken: list[int] = []
    monkeypatch.setattr(actions, "perform", taken.append)
    order_tasks.sweep_actions()
    assert taken == [fresh.pk, two[0].pk]


def test_an_approval_that_cannot_be_ended_does_not_keep_the_others(
    shop: Shop, seen: Any, alice: User, deaf: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orders.actions import approvals

    Policy.objects.create(role=alice.groups.get(), refund_up_to=0)
    made = []
    for n in range(2):
        shop.place(email=f"c{n}@example.com")
        made.append(ask_refund(seen(), "1.00", alice))
    OrderAction.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    failing(monkeypatch, approvals, "locked", made[0].pk)
    order_tasks.end_overdue_actions()
    assert states(*made) == [ActionState.AWAITING_APPROVAL, ActionState.EXPIRED]


def test_an_order_that_breaks_its_reader_rests_and_the_others_are_read(
    shop: Shop, seen: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(2):
        shop.place(email=f"c{n}@example.com")
    seen()
    bad, good = Order.objects.order_by("pk")
    for order in (bad, good):
        Order.objects.filter(pk=order.pk).update(dirty_seq=order.dirty_seq + 1, fetch_after=None)
    real = services.record_snapshot

    def record(*, order: Order, **more: Any) -> bool:
        if order.pk == bad.pk:
            raise ValueError("value too long for type character varying(100)")
        return real(order=order, **more)

    monkeypatch.setattr(orders, "record_snapshot", record)
    tasks.sweep_dirty_orders()
    bad.refresh_from_db()
    good.refresh_from_db()
    assert good.clean_seq == good.dirty_seq
    assert (bad.fetch_failures, bad.fetch_lease_until) == (1, None)
    assert bad.fetch_after is not None


def test_a_customer_that_breaks_its_reader_rests_and_the_others_are_read(
    shop: Shop, seen: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(2):
        shop.place(email=f"c{n}@example.com")
    seen()
    bad, good = Customer.objects.order_by("pk")
    Customer.objects.update(dirty_seq=5, clean_seq=0, fetch_after=None, fetch_lease_until=None)
    real = services.record_customer

    def record(*, customer_id: int, **more: Any) -> bool:
        if customer_id == bad.pk:
            raise ValueError
        return real(customer_id=customer_id, **more)

    monkeypatch.setattr(customer_reads, "record_customer", record)
    tasks.sweep_dirty_customers()
    bad.refresh_from_db()
    good.refresh_from_db()
    assert (good.clean_seq, bad.clean_seq, bad.fetch_failures) == (5, 0, 1)


def test_an_event_that_fails_rests_and_the_others_are_told(
    shop: Shop, seen: Any, campaigns: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inbox.campaigns import order_events as telling

    for n in range(2):
        shop.place(email=f"c{n}@example.com")
    seen()
    OrderEvent.objects.update(announced_at=None)
    bad = OrderEvent.objects.order_by("pk")[0]
    asked = failing(monkeypatch, telling, "handle_event", bad.pk)
    inbox_tasks.sweep_events()
    inbox_tasks.sweep_events()
    assert list(OrderEvent.objects.unannounced()) == [bad]
    assert asked.count(bad.pk) == 1


def test_a_row_that_cannot_be_masked_does_not_keep_the_others_data(
    shop: Shop, seen: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RETENTION_ORDER_PERSONAL_DAYS = 1
    for n in range(3):
        shop.place(email=f"c{n}@example.com")
    seen()
    Order.objects.update(shop_updated_at=timezone.now() - timedelta(days=9))
    bad = Order.objects.order_by("pk")[1]
    real = retention._mask_orders

    def mask(rows: Any) -> int:
        if bad in rows:
            raise ValueError("cannot be masked")
        return real(rows)

    rules = [
        retention.Rule(name="orders", setting=rule.setting, due=rule.due, apply=mask)
        if rule.name == "orders"
        else rule
        for rule in retention.RULES
    ]
    monkeypatch.setattr(retention, "RULES", rules)
    done = retention.apply(now=timezone.now())
    assert done["orders"] == 2
    assert list(Order.objects.filter(masked_at=None)) == [bad]


def test_a_rule_that_fails_does_not_keep_the_other_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(cutoff: datetime) -> Any:
        raise ValueError

    first, *others = retention.RULES
    rules = [
        retention.Rule(name="broken", setting=first.setting, due=broken, apply=first.apply),
        *others,
    ]
    monkeypatch.setattr(retention, "RULES", rules)
    done = retention.apply(now=timezone.now())
    assert set(done) == {rule.name for rule in rules}


def test_a_backfill_that_breaks_in_an_unknown_way_ends_with_its_reason(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(row: Backfill) -> float:
        raise ValueError("unforeseen")

    monkeypatch.setattr(backfill, "_step", step)
    row = backfill.begin(store)
    for _try in range(10):
        Backfill.objects.update(next_step_at=timezone.now())
        backfill.advance(row.pk)
    row.refresh_from_db()
    assert (row.state, row.error) == (BackfillState.FAILED, "unforeseen")


COUNTERS = [
    (OrderAction, "attempts"),
    (OrderAction, "fence"),
    (Order, "fetch_failures"),
    (Order, "dirty_seq"),
    (Customer, "fetch_failures"),
    (Customer, "dirty_seq"),
    (Message, "attempts"),
    (CampaignMessage, "attempts"),
    (ShopConnection, "breaker_count"),
    (ShopConnection, "renewal_fence"),
    (Backfill, "fence"),
]


@pytest.mark.parametrize(("model", "name"), COUNTERS)
def test_unbounded_counters_are_wide_enough(model: Any, name: str) -> None:
    """A poll a minute passes a small integer after 22 days, a poll a second after nine hours."""
    field = model._meta.get_field(name)
    _smallest, largest = connection.ops.integer_field_range(field.get_internal_type())
    assert largest is None or largest >= 2**31 - 1


def test_a_counter_beyond_a_small_integer_does_no_harm(
    two: tuple[OrderAction, OrderAction],
) -> None:
    OrderAction.objects.filter(pk=two[0].pk).update(attempts=32767)
    order_tasks.sweep_actions()
    assert states(*two) == [ActionState.SUCCEEDED, ActionState.SUCCEEDED]


def test_a_message_never_tried_is_sent_before_one_that_failed(
    conversation: Any, as_alice: Client
) -> None:
    from inbox.conversations import services as inbox_services

    author = User.objects.get(username="alice")
    old, new = (
        inbox_services.reply(conversation=conversation, by=author, text=text)
        for text in ("one", "two")
    )
    past = timezone.now() - timedelta(hours=1)
    Message.objects.filter(pk=old.pk).update(delivery_state="pending", next_attempt_at=past)
    Message.objects.filter(pk=new.pk).update(delivery_state="pending", next_attempt_at=None)
    assert list(outbox.due(Message, now=timezone.now())) == [new, old]


def test_a_sweep_begins_nothing_after_its_time() -> None:
    done: list[int] = []
    assert sweeps.each(range(5), done.append, seconds=0) == 0
    assert done == []


def test_a_time_limit_ends_the_sweep_itself() -> None:
    def work(key: int) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        sweeps.each([1, 2], work, stops=(TimeoutError,))


def test_a_row_that_cannot_even_be_put_off_does_not_stop_the_others() -> None:
    done: list[int] = []

    def work(key: int) -> None:
        done.append(key)
        raise ValueError

    def put_off(key: int) -> None:
        raise ValueError

    assert sweeps.each([1, 2], work, put_off=put_off) == 0
    assert done == [1, 2]
