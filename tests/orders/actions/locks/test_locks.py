"""Each service holds the lock it relies on: while it runs, no one else gets the row.

Asked by another connection that does not wait (FOR UPDATE NOWAIT), so that no time is involved.
PostgreSQL only: SQLite has one writer at a time and no such locks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, connections, models, transaction
from django.utils import timezone

from orders import previews, services
from orders.actions import (
    approvals,
    requests,
    uninstalls,
    worker_steps,
)
from orders.actions.progress import Settled
from orders.errors import ActionRefused
from orders.models import ActionState, Order, OrderAction, Policy, RefundBudget, Store
from orders.previews import (
    RefundChoice,
    build,
)
from orders.projection import record
from tests.orders.actions.test_requesting import Gateway
from tests.support.orders.snapshots import NOW, order
from tests.support.orders.stored import eur, stored

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="SQLite lets one transaction write at a time"
    ),
]


@pytest.fixture(autouse=True)
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    found = Gateway()
    for module in (build, requests, approvals):
        monkeypatch.setattr(module, "get_gateway", lambda: found)
    monkeypatch.setattr(worker_steps, "wake", found.wake)
    return found


@pytest.fixture
def store() -> Store:
    return Store.objects.create(domain="demo.myshopify.com", name="Demo", currency="EUR")


@pytest.fixture
def waiting(alice: User, sara: User, store: Store) -> OrderAction:
    Policy.objects.create(role=sara.groups.get(), may_approve_up_to=15)
    policy = Policy.objects.create(role=alice.groups.get(), refund_up_to=0)
    found = ask(stored(order(), store), alice)
    policy.delete()
    return found


def ask(order: Order, by: User, **more: Any) -> OrderAction:
    choice = RefundChoice(reason="other", amount=eur("5.00"))
    token = previews.preview_refund(order, choice, by=by, now=NOW).token
    words = {"guard": lambda _order: None, **more}
    return services.request_action(
        token=token, order_id=order.pk, by=by, now=timezone.now(), **words
    )


def elsewhere(work: Callable[[], Any]) -> Any:
    """The work on another connection, to its end."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(work())
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(timeout=20)
    return found[0] if found else None


def is_locked(row: type[models.Model], **which: Any) -> bool:
    """Whether another connection would have to wait for the row."""

    def look() -> bool:
        try:
            with transaction.atomic():
                row._default_manager.select_for_update(nowait=True, of=("self",)).get(**which)
        except OperationalError:
            return True
        return False

    return bool(elsewhere(look))


class Watch:
    """In the place of a function that a verb calls: looks whether the row is locked by then."""

    def __init__(self, real: Callable[..., Any], row: type[models.Model]) -> None:
        self.real, self.row = real, row
        self.seen: list[bool] = []

    def __call__(self, *words: Any, **more: Any) -> Any:
        self.seen.append(is_locked(self.row, **self.which))
        return self.real(*words, **more)

    which: dict[str, Any] = {}


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Watch]:
    def watch(module: Any, name: str, row: type[models.Model] = Order) -> Watch:
        found = Watch(getattr(module, name), row)
        monkeypatch.setattr(module, name, found)
        return found

    return watch


def test_the_lock_check_sees_both_a_free_and_a_locked_row(store: Store) -> None:
    """Negative control of all of the below."""
    found = stored(order(), store)
    assert not is_locked(Order, pk=found.pk)
    with transaction.atomic():
        Order.objects.select_for_update().get(pk=found.pk)
        assert is_locked(Order, pk=found.pk)


def test_requesting_an_action_locks_the_order(store: Store, alice: User) -> None:
    seen = []

    def guard(order: Order) -> None:
        seen.append(is_locked(Order, pk=order.pk))

    ask(stored(order(), store), alice, guard=guard)
    assert seen == [True]


def test_requesting_an_action_locks_the_persons_daily_budget(
    store: Store, alice: User, watch: Callable[..., Watch]
) -> None:
    Policy.objects.create(role=alice.groups.get(), refund_per_day=8)
    # So that the row is there, and no INSERT of this transaction holds it.
    RefundBudget.objects.create(user=alice, store=store)
    found = stored(order(), store)
    counted = watch(previews, "ruling_for", RefundBudget)
    counted.which = {"user": alice, "store": store}
    ask(found, alice)
    assert counted.seen == [True]


@pytest.mark.parametrize("verb", ["withdraw", "decline", "expire", "settle_by_hand"])
def test_deciding_locks_the_order(
    waiting: OrderAction, alice: User, sara: User, watch: Callable[..., Watch], verb: str
) -> None:
    if verb == "settle_by_hand":
        services.approve(action_id=waiting.pk, by=sara, guard=lambda _o: None, now=timezone.now())
        claimed = worker_steps.claim(action_id=waiting.pk, now=timezone.now())
        assert claimed is not None
        worker_steps.human_needed(claimed, message="Look.")
    module = requests if verb == "withdraw" else approvals
    moved = watch(module, "move")
    moved.which = {"pk": waiting.order_id}
    now = timezone.now()
    if verb == "withdraw":
        services.withdraw(action_id=waiting.pk, by=alice, now=now)
    elif verb == "decline":
        services.decline(action_id=waiting.pk, by=sara, note="", now=now)
    elif verb == "expire":
        assert waiting.expires_at is not None
        approvals.expire_approvals(now=waiting.expires_at)
    else:
        services.settle_by_hand(
            action_id=waiting.pk, by=sara, was_applied=False, reason="Not there.", now=now
        )
    assert moved.seen == [True]


def test_approving_holds_the_order_while_the_door_is_asked(
    waiting: OrderAction, sara: User
) -> None:
    seen = []

    def guard(order: Order) -> None:
        seen.append(is_locked(Order, pk=order.pk))

    services.approve(action_id=waiting.pk, by=sara, guard=guard, now=timezone.now())
    assert seen == [True]


def test_a_step_is_checked_while_the_order_is_held(
    waiting: OrderAction, sara: User, watch: Callable[..., Watch]
) -> None:
    services.approve(action_id=waiting.pk, by=sara, guard=lambda _o: None, now=timezone.now())
    claimed = worker_steps.claim(action_id=waiting.pk, now=timezone.now())
    assert claimed is not None
    checked = watch(worker_steps, "check_before_sending")
    checked.which = {"pk": waiting.order_id}
    assert worker_steps.begin_step(claimed, step=0, now=timezone.now()) is True
    assert checked.seen == [True]


def test_ending_what_a_shop_left_behind_holds_the_order(
    waiting: OrderAction, watch: Callable[..., Watch]
) -> None:
    moved = watch(uninstalls, "move")
    moved.which = {"pk": waiting.order_id}
    assert uninstalls.hand_over(waiting.order.store, now=timezone.now()) == 1
    assert moved.seen == [True]


def test_marking_for_a_bank_takes_the_orders_by_their_ids(store: Store) -> None:
    first, second = (
        stored(order(gid=f"gid://shopify/Order/{n}", legacy_id=n), store).pk for n in (1, 2)
    )
    # A row that was written again lies behind the others.
    Order.objects.filter(pk=first).update(name="Again", is_partial=True)
    Order.objects.filter(pk=second).update(is_partial=True)
    Order.objects.filter(pk=first).update(name="And again")

    def mark() -> None:
        with transaction.atomic():
            record.mark_partial_dirty(Order.objects.filter(pk__in=[first, second]))

    with waiting_for(mark, first):
        assert not is_locked(Order, pk=second)


def test_keeping_money_locks_the_order(
    store: Store, sara: User, watch: Callable[..., Watch]
) -> None:
    found = stored(order(cancelled_at=NOW), store)
    asked = watch(approvals, "settling_refusal")
    asked.which = {"pk": found.pk}
    services.keep_money(order_id=found.pk, by=sara, reason="A fee.")
    assert asked.seen == [True]


def test_projecting_locks_the_order(store: Store, watch: Callable[..., Watch]) -> None:
    found = stored(order(), store)
    written = watch(record, "_is_older")
    written.which = {"pk": found.pk}
    stored(order(), store)
    assert written.seen == [True]


@contextmanager
def held(order_id: int) -> Iterator[None]:
    with transaction.atomic():
        Order.objects.select_for_update().get(pk=order_id)
        yield


def _waiters() -> int:
    with connection.cursor() as cursor:
        # Inside a transaction the first look at the sessions would be shown again.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN"
            " (SELECT pid FROM pg_stat_activity WHERE datname = current_database())"
        )
        return int(cursor.fetchone()[0])


@contextmanager
def waiting_for(work: Callable[[], Any], order_id: int) -> Iterator[None]:
    """While another transaction holds the order, the work runs until it waits for it."""
    thread = threading.Thread(target=elsewhere, args=(work,))
    with held(order_id):
        thread.start()
        while thread.is_alive() and not _waiters():
            time.sleep(0.005)
        assert thread.is_alive(), "it waits for the order"
        yield
    thread.join(timeout=20)


def test_an_end_waits_for_the_order_before_it_touches_the_action(
    waiting: OrderAction, sara: User
) -> None:
    """Order first, then action, as asking does it: the other way round the two would deadlock."""
    services.approve(action_id=waiting.pk, by=sara, guard=lambda _o: None, now=timezone.now())
    claimed = worker_steps.claim(action_id=waiting.pk, now=timezone.now())
    assert claimed is not None
    ended: list[bool] = []

    def settle(claimed: OrderAction = claimed) -> None:
        end = Settled(ActionState.REJECTED, "No.")
        ended.append(worker_steps.settle(claimed, end, now=timezone.now()))

    with waiting_for(settle, waiting.order_id):
        assert not is_locked(OrderAction, pk=waiting.pk)
    assert ended == [True]
    assert Order.objects.get().reserved == 0


@pytest.mark.parametrize("verb", ["claim", "release", "hand over"])
def test_work_waits_for_the_order_before_it_touches_the_action(
    waiting: OrderAction, sara: User, verb: str
) -> None:
    """The audit entry's foreign key is checked at commit and needs the order: a connection that held the
    action by then would wait for the order's holder, who waits for the action."""
    services.approve(action_id=waiting.pk, by=sara, guard=lambda _o: None, now=timezone.now())
    claimed: OrderAction | None = None
    if verb != "claim":
        claimed = worker_steps.claim(action_id=waiting.pk, now=timezone.now())
        assert claimed is not None
    done: list[object] = []

    def work() -> None:
        now = timezone.now()
        if claimed is None:
            done.append(worker_steps.claim(action_id=waiting.pk, now=now))
        elif verb == "release":
            done.append(worker_steps.release(claimed, state=ActionState.QUEUED, again_at=now))
        else:
            done.append(worker_steps.human_needed(claimed, message="Look."))

    with waiting_for(work, waiting.order_id):
        assert not is_locked(OrderAction, pk=waiting.pk)
    assert done[0]


def test_marking_takes_the_orders_by_their_ids(store: Store) -> None:
    """Two that mark the same orders never hold what the other wants: the first id comes first,
    wherever the rows are stored."""
    first, second = (
        stored(order(gid=f"gid://shopify/Order/{n}", legacy_id=n), store).pk for n in (1, 2)
    )
    # A row that was written again lies behind the others.
    Order.objects.filter(pk=first).update(name="Again")

    def mark() -> None:
        with transaction.atomic():
            record.mark_many_dirty(store_id=store.pk, legacy_ids=[1, 2], now=NOW)

    with waiting_for(mark, first):
        assert not is_locked(Order, pk=second)


def test_missing_an_order_takes_it_before_it_reads_it(store: Store) -> None:
    """Two reads that miss it, one of them an hour ago and slow: what the other wrote counts."""
    found = stored(order(), store)
    hour = timedelta(hours=1)

    def miss() -> None:
        record.mark_missing(order=found, seq=1, now=NOW, confirm_after=hour)

    with waiting_for(miss, found.pk):
        Order.objects.filter(pk=found.pk).update(missing_since=NOW - hour)
    found.refresh_from_db()
    assert found.missing_since == NOW - hour
    assert found.deleted_at == NOW - hour


def test_one_key_for_two_orders_at_once_is_one_action(store: Store, alice: User) -> None:
    """Neither holds both orders: the database decides which of the two came second."""
    first, second = (
        stored(order(gid=f"gid://shopify/Order/{n}", legacy_id=n), store) for n in (1, 2)
    )

    def change_first(_order: Order) -> None:
        elsewhere(lambda: ask(second, alice, click="key-1"))

    with pytest.raises(ActionRefused) as caught:
        ask(first, alice, guard=change_first, click="key-1")
    assert caught.value.refusal.code == "click_reused"
    assert OrderAction.objects.get().order_id == second.pk
    assert Order.objects.get(pk=first.pk).reserved == 0
