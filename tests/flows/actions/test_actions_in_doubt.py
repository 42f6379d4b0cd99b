"""Unknown isn't failed: lost responses, lagging reads, vanished orders, odd errors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone
from kombu.exceptions import OperationalError

from orders import perform as actions
from orders import services
from orders import tasks as order_tasks
from orders.actions import worker_steps
from orders.errors import ActionRefused
from orders.models import ActionState, Order, OrderAction
from orders.snapshot import OrderSnapshot
from practice_store.changes import staff_actions as shop_actions
from shopify_sync.api.client import AdminClient
from shopify_sync.api.documents import load
from shopify_sync.api.errors import Throttled
from shopify_sync.reading import orders
from tests.support.database.copies import without_triggers
from tests.support.orders.acting import (
    Answer,
    answering,
    ask,
    cancel,
    perform,
    refund,
    without_wake_ups,
)
from tests.support.shop.in_process import Shop

Seen = Callable[[], Order]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    without_wake_ups(monkeypatch)


def amounts(shop: Shop) -> list[str]:
    return [r["amount"] for r in shop.ledger()["refunds"]]


def let_the_job_run() -> None:
    time.sleep(0.1)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[OrderSnapshot | None]:
    """What the next reads of an order answer instead of the truth, one after the other."""
    queue: list[OrderSnapshot | None] = []
    real = orders.read_snapshot

    def read(client: Any, gid: str) -> OrderSnapshot | None:
        return queue.pop(0) if queue else real(client, gid)

    monkeypatch.setattr(orders, "read_snapshot", read)
    return queue


def then_read(reads: list[Any], snapshot: OrderSnapshot) -> Answer:
    """Shopify's own answer, and after it a read that shows this."""

    def answer(said: Any) -> Any:
        reads.append(snapshot)
        return said

    return answer


@pytest.mark.parametrize("seconds", [0, 5], ids=["within a second", "seconds behind"])
def test_a_read_that_lags_sends_nothing_again(
    shop: Shop, seen: Seen, alice: User, reads: list[Any], seconds: int
) -> None:
    """The cancel's answer is lost, the refund is accepted, and the next read is of before both."""
    placed = shop.place(paid=True)
    before = seen().snapshot
    action = ask(Order.objects.get(), cancel("15.00"), alice)
    shop.fault(operation="orderCancel", phase="commit_then_drop", times=1)
    assert perform(action).state == ActionState.UNKNOWN
    let_the_job_run()
    placed.updated_at += timedelta(seconds=seconds)
    # The first look sees the cancellation; the one after the refund lags.
    with answering("RefundCreate", then_read(reads, before)) as sent:
        found = perform(action)
    assert found.state == ActionState.PENDING
    assert found.accepted_steps == 2
    assert perform(action).state == ActionState.SUCCEEDED
    assert (len(sent), amounts(shop)) == (1, ["15.0"])


def test_a_read_older_than_what_is_stored_decides_nothing(
    shop: Shop, seen: Seen, alice: User, reads: list[Any]
) -> None:
    placed = shop.place(paid=True)
    order = seen()
    stale = order.snapshot
    action = ask(order, refund("5.00"), alice)
    Order.objects.update(shop_updated_at=placed.updated_at + timedelta(seconds=9))
    reads.append(stale)
    found = perform(action)
    assert found.state == ActionState.QUEUED
    assert "older than an earlier one" in found.message
    assert amounts(shop) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", [refund("5.00"), cancel("5.00"), cancel("40.00")])
def test_a_missing_order_in_doubt_is_unknown(
    shop: Shop, seen: Seen, alice: User, reads: list[Any], kind: Any
) -> None:
    """Without read_all_orders this happens by itself on the order's sixtieth day."""
    shop.place(paid=True)
    action = ask(seen(), kind, alice)
    operation = "refundCreate" if action.kind == "refund" else "orderCancel"
    shop.fault(operation=operation, phase="commit_then_drop", times=1)
    assert perform(action).state == ActionState.UNKNOWN
    let_the_job_run()
    for _ in range(3):
        reads.append(None)
        found = perform(action)
        assert (found.state, found.maybe_applied) == (ActionState.UNKNOWN, True)
    for _ in range(4):
        found = perform(action)
    assert found.state == ActionState.SUCCEEDED
    assert len(amounts(shop)) == 1


def test_a_missing_order_ends_what_was_never_sent(
    shop: Shop, seen: Seen, alice: User, reads: list[Any]
) -> None:
    shop.place(paid=True)
    action = ask(seen(), refund("5.00"), alice)
    reads.append(None)
    assert perform(action).state == ActionState.QUEUED
    in_a_while = timezone.now() + worker_steps.SEND_WITHIN - timedelta(minutes=11)
    OrderAction.objects.update(expires_at=in_a_while)
    reads.append(None)
    found = perform(action)
    assert (found.state, found.maybe_applied) == (ActionState.REJECTED, False)
    assert "Nothing was sent" in found.message
    assert amounts(shop) == []


def errors(*codes: str) -> dict[str, Any]:
    return {"errors": [{"message": "Oh.", "extensions": {"code": code}} for code in codes]}


STRANGE: dict[str, Callable[[Any], Any]] = {
    "an unknown code": lambda said: errors("TIMEOUT"),
    "no code": lambda said: {"errors": [{"message": "Oh."}]},
    "two codes": lambda said: errors("THROTTLED", "SERVICE_UNAVAILABLE"),
    "no payload": lambda said: {"data": {next(iter(said["data"])): None}},
    "no userErrors": lambda said: {"data": {next(iter(said["data"])): {"refund": None}}},
    "neither result nor refusal": lambda said: {
        "data": {
            next(iter(said["data"])): {
                "refund": None,
                "job": None,
                "userErrors": [],
                "orderCancelUserErrors": [],
            }
        }
    },
    "result and refusal": lambda said: {
        "data": {
            name: payload
            | {key: [{"message": "No."}] for key in ("userErrors", "orderCancelUserErrors")}
            for name, payload in said["data"].items()
        }
    },
    "an empty object": lambda said: {},
    "a list": lambda said: [],
}


@pytest.mark.slow
@pytest.mark.parametrize("strange", STRANGE)
@pytest.mark.parametrize("kind", [refund("5.00"), cancel("40.00")])
def test_an_unrecognized_response_leaves_the_action_unknown_and_not_withdrawable(
    shop: Shop, seen: Seen, alice: User, strange: str, kind: Any
) -> None:
    """In each, Shopify carried it out."""
    shop.place(paid=True)
    action = ask(seen(), kind, alice)
    document = "RefundCreate" if action.kind == "refund" else "OrderCancel"
    with answering(document, STRANGE[strange]) as sent:
        found = perform(action)
        assert (found.state, found.is_doubtful) == (ActionState.UNKNOWN, True), found.message
        with pytest.raises(ActionRefused, match="too late"):
            services.withdraw(action_id=action.pk, by=alice, now=timezone.now())
        let_the_job_run()
        assert perform(action).state == ActionState.SUCCEEDED
    assert (len(sent), len(amounts(shop))) == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("status", [400, 404, 408, 409, 422, 502])
def test_an_http_status_is_no_proof(
    shop: Shop, seen: Seen, alice: User, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    shop.place(paid=True)
    action = ask(seen(), refund("5.00"), alice)
    real = AdminClient._post

    def post(self: AdminClient, name: str, body: bytes) -> Any:
        found: Any = real(self, name, body)
        if name == "RefundCreate":
            found.status = status
        return found

    with monkeypatch.context() as patched:
        patched.setattr(AdminClient, "_post", post)
        assert perform(action).state == ActionState.UNKNOWN
    assert perform(action).state == ActionState.SUCCEEDED
    assert len(amounts(shop)) == 1


def refuse(said: Any) -> Any:
    payload = {"refund": None, "userErrors": [{"message": "Refund amount is too high"}]}
    return {"data": {"refundCreate": payload}}


def test_a_refusal_after_a_doubtful_send_goes_to_a_person(
    shop: Shop, seen: Seen, alice: User, reads: list[Any]
) -> None:
    """It says nothing of the send before it, which here was carried out."""
    shop.place(paid=True)
    order = seen()
    before = order.snapshot
    action = ask(order, refund("5.00"), alice)
    shop.fault(operation="refundCreate", phase="commit_then_drop", times=1)
    assert perform(action).state == ActionState.UNKNOWN
    shop.store.faults.set([])
    with answering("RefundCreate", refuse):
        reads.append(before)
        found = perform(action)
        assert (found.state, found.is_doubtful) == (ActionState.UNKNOWN, True)
        # Another refusal doesn't restart the wait for a late commit.
        minutes_ago = timezone.now() - timedelta(minutes=3)
        OrderAction.objects.update(step_last_sent_at=minutes_ago)
        reads.append(before)
        found = perform(action)
    assert (found.state, found.maybe_applied) == (ActionState.NEEDS_HUMAN, True)
    assert "Refund amount is too high" in found.message
    shop.deliver(Client())
    found.refresh_from_db()
    assert found.state == ActionState.SUCCEEDED
    assert amounts(shop) == ["5.0"]


def test_a_refusal_of_the_first_send_is_a_refusal(shop: Shop, seen: Seen, alice: User) -> None:
    shop.place(paid=True)
    action = ask(seen(), refund("5.00"), alice)
    shop.fault(operation="refundCreate", phase="throttle", times=1)
    found = perform(action)
    # Proven not applied: as if it had never been sent, also for the day's budget.
    assert (found.state, found.maybe_applied, found.sent_at) == (ActionState.QUEUED, False, None)
    assert (found.step_first_sent_at, found.step_last_sent_at) == (None, None)
    shop.store.faults.set([{"operation": "refundCreate", "phase": "drop_before", "times": 1}])
    with answering("RefundCreate", refuse):
        shop.store.faults.set([])
        found = perform(action)
    assert (found.state, found.maybe_applied) == (ActionState.REJECTED, False)
    assert found.message == "Refund amount is too high"


def test_an_accepted_refund_is_looked_for_and_never_sent_again(
    shop: Shop, seen: Seen, alice: User, reads: list[Any]
) -> None:
    shop.place(paid=True)
    order = seen()
    before = order.snapshot
    action = ask(order, refund("5.00"), alice)
    with answering("RefundCreate", then_read(reads, before)) as sent:
        found = perform(action)
        assert (found.state, found.refund_gid != "") == (ActionState.PENDING, True)
        for _ in range(3):
            reads.append(before)
            assert perform(action).state == ActionState.PENDING
        OrderAction.objects.update(step_last_sent_at=timezone.now() - timedelta(hours=3))
        services.end_overdue(now=timezone.now())
        found.refresh_from_db()
        assert found.state == ActionState.NEEDS_HUMAN
        shop.deliver(Client())
    found.refresh_from_db()
    assert found.state == ActionState.SUCCEEDED
    assert len(sent) == 1


def test_a_refund_that_its_list_cut_off_is_read_by_its_id(
    shop: Shop, seen: Seen, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = shop.place(paid=True)
    for _ in range(3):
        shop.act(lambda c: shop_actions.refund(c, placed, Decimal("1.00"), "staff"))
    order = seen()
    real = orders.read_snapshot

    def cut(client: Any, gid: str) -> Any:
        found = real(client, gid)
        if found is None or len(found.refunds) <= 3:
            return found
        # Ours is the one too many: the list has no end from now on.
        return replace(found, refunds=found.refunds[:3], unread=("refunds",))

    monkeypatch.setattr(orders, "read_snapshot", cut)
    action = ask(order, refund("5.00"), alice)
    found = perform(action)
    assert (found.state, found.message) == (ActionState.SUCCEEDED, "")
    assert amounts(shop).count("5.0") == 1


def test_without_its_id_a_cut_off_refund_goes_to_a_person(
    shop: Shop, seen: Seen, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its response was lost as well: the sum has changed, and nothing shows who changed it."""
    placed = shop.place(paid=True)
    shop.act(lambda c: shop_actions.refund(c, placed, Decimal("1.00"), "staff"))
    order = seen()
    real = orders.read_snapshot

    def cut(client: Any, gid: str) -> Any:
        found = real(client, gid)
        if found is None or len(found.refunds) <= 1:
            return found
        return replace(found, refunds=found.refunds[:1], unread=("refunds",))

    monkeypatch.setattr(orders, "read_snapshot", cut)
    action = ask(order, refund("5.00"), alice)
    shop.fault(operation="refundCreate", phase="commit_then_drop", times=1)
    assert perform(action).state == ActionState.UNKNOWN
    found = perform(action)
    assert (found.state, found.maybe_applied) == (ActionState.NEEDS_HUMAN, True)
    assert amounts(shop) == ["1.0", "5.0"]


@pytest.mark.parametrize("place", ["claimed", "read"])
def test_a_worker_that_lost_its_lease_neither_reads_nor_sends(
    shop: Shop, seen: Seen, alice: User, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    shop.place(paid=True)
    action = ask(seen(), refund("5.00"), alice)
    reads: list[str] = []
    real = orders.read_snapshot

    def lose(name: str) -> None:
        if name == place:
            OrderAction.objects.update(fence=99)

    def read(client: Any, gid: str) -> Any:
        reads.append(gid)
        return real(client, gid)

    monkeypatch.setattr(actions, "failpoint", lose)
    monkeypatch.setattr(orders, "read_snapshot", read)
    found = perform(action)
    assert (found.state, found.fence) == (ActionState.SENDING, 99)
    assert (len(reads), amounts(shop)) == (1 if place == "read" else 0, [])
    assert not found.maybe_applied


@pytest.mark.parametrize("place", ["before its job is read", "while its job is read"])
def test_a_worker_that_lost_its_lease_reads_no_further(
    shop: Shop, seen: Seen, alice: User, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    shop.place(paid=True)
    action = ask(seen(), cancel(), alice)
    assert perform(action).state == ActionState.PENDING
    reads: list[str] = []

    def lose(said: Any = None) -> Any:
        OrderAction.objects.update(fence=99)
        return said

    if place == "before its job is read":
        monkeypatch.setattr(actions, "failpoint", lambda _: lose())
    monkeypatch.setattr(orders, "read_snapshot", lambda _, gid: reads.append(gid))
    with answering("OrderCancelJob", lose) as jobs:
        found = perform(action)
    assert (found.state, found.fence) == (ActionState.SENDING, 99)
    assert (len(jobs), reads) == (1 if place == "while its job is read" else 0, [])


def test_a_worker_that_lost_its_lease_writes_nothing(shop: Shop, seen: Seen, alice: User) -> None:
    shop.place(paid=True)
    action = ask(seen(), refund("5.00"), alice)
    held = worker_steps.claim(action_id=action.pk, now=timezone.now())
    assert held is not None
    assert worker_steps.keep(held, message="mine")
    OrderAction.objects.update(fence=99)
    assert not worker_steps.keep(held, message="not mine")
    assert not worker_steps.renew(held, now=timezone.now())
    assert worker_steps.begin_step(held, step=0, now=timezone.now()) is False
    assert not worker_steps.human_needed(held, message="?")
    action.refresh_from_db()
    assert (action.message, action.maybe_applied) == ("mine", False)


def test_what_cannot_be_read_stays_unknown(shop: Shop, seen: Seen, alice: User) -> None:
    shop.place(paid=True)
    action = ask(seen(), refund("5.00"), alice)
    shop.fault(operation="refundCreate", phase="commit_then_drop", times=1)
    perform(action)
    shop.fault(operation="order", phase="500_before")
    found = perform(action)
    assert (found.state, found.is_doubtful) == (ActionState.UNKNOWN, True)
    shop.store.faults.set([])
    assert perform(action).state == ActionState.SUCCEEDED


def test_a_marker_quoted_in_a_note_does_not_claim_a_refund(
    shop: Shop, seen: Seen, alice: User
) -> None:
    """A colleague copies our note, marker and all, into a refund of their own."""
    placed = shop.place(paid=True)
    order = seen()
    action = ask(order, refund("5.00", staff_note="as in [ax:0123456789]"), alice)
    note = action.steps[0]["variables"]["input"]["note"]
    assert "0123456789" not in note
    assert note.endswith(action.note_marker)
    shop.act(lambda c: shop_actions.refund(c, placed, Decimal("7.00"), f"see {note}"))
    found = perform(action)
    assert found.state == ActionState.REJECTED
    assert amounts(shop) == ["7.0"]


def test_every_attempt_sends_identical_bytes(
    shop: Shop, seen: Seen, alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after an upgrade that changed the document."""
    shop.place(paid=True)
    action = ask(seen(), refund("5.00"), alice)
    shop.fault(operation="refundCreate", phase="500_before", times=1)
    with answering("RefundCreate", lambda said: said) as sent:
        perform(action)
        monkeypatch.setattr("shopify_sync.api.client.load", _changed)
        assert perform(action).state == ActionState.SUCCEEDED
    assert len(sent) == 2
    assert sent[0] == sent[1]
    assert json.loads(sent[0])["variables"]["idempotencyKey"] == str(action.idempotency_key)


def _changed(name: str) -> str:
    return load(name) + ("\n# new" if name == "RefundCreate" else "")


def test_a_clock_that_ran_ahead_makes_no_read_stale(shop: Shop, seen: Seen) -> None:
    placed = shop.place(paid=True)
    order = seen()
    Order.objects.update(read_started_at=timezone.now() + timedelta(hours=2))
    shop.act(lambda c: shop_actions.refund(c, placed, Decimal("7.00")))
    order = Order.objects.select_related("store").get()
    orders.refresh(order)
    assert Order.objects.get().refunded == Decimal("7.00")


def test_ten_minutes_of_older_reads_are_believed(shop: Shop, seen: Seen) -> None:
    """What is stored may be wrong: then every read is older, for good. Reads that failed are not
    older reads, however many there were."""
    placed = shop.place(paid=True)
    order = seen()
    shop.act(lambda c: shop_actions.refund(c, placed, Decimal("7.00")))
    Order.objects.update(shop_updated_at=timezone.now() + timedelta(hours=1))
    for _ in range(7):
        order = Order.objects.select_related("store").get()
        orders._fetch_failed(order, Throttled("x", retry_after_s=0.1))
        orders.refresh(order)
    order.refresh_from_db()
    assert (order.refunded, order.stale_since is not None) == (0, True)
    assert order.dirty_seq > order.clean_seq
    Order.objects.update(stale_since=timezone.now() - timedelta(minutes=11))
    orders.refresh(Order.objects.select_related("store").get())
    order.refresh_from_db()
    assert (order.refunded, order.stale_since) == (Decimal("7.00"), None)


@pytest.mark.parametrize("odd", ["\x00", "\ud800"])
def test_a_refusal_in_any_characters_is_a_refusal(
    shop: Shop, seen: Seen, alice: User, monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    """JSON may hold what no database does; the answer must still be written down."""
    shop.place(paid=True)
    action = ask(seen(), refund("5.00"), alice)
    real = AdminClient._post
    payload = {"refund": None, "userErrors": [{"message": f"Too{odd} much"}]}

    def post(self: AdminClient, name: str, body: bytes) -> Any:
        if name != "RefundCreate":
            return real(self, name, body)
        data = json.dumps({"data": {"refundCreate": payload}}).encode()
        return SimpleNamespace(status=200, headers={}, data=data)

    monkeypatch.setattr(AdminClient, "_post", post)
    found = perform(action)
    assert found.state == ActionState.REJECTED
    assert found.message.startswith("Too")


def test_a_job_that_is_not_known_any_more_hides_no_order(
    shop: Shop, seen: Seen, alice: User
) -> None:
    """Shopify may answer with an error instead of a null; the order is read all the same."""
    shop.place(paid=True)
    action = ask(seen(), cancel(), alice)
    assert perform(action).state == ActionState.PENDING
    let_the_job_run()
    gone = {"message": "Invalid id", "extensions": {"code": "RESOURCE_NOT_FOUND"}}
    with answering("OrderCancelJob", lambda _: {"data": {"node": None}, "errors": [gone]}):
        assert perform(action).state == ActionState.SUCCEEDED


def test_checking_now_waits_for_the_sweep_when_the_broker_is_down(
    shop: Shop, seen: Seen, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: Any, **__: Any) -> None:
        raise OperationalError("no broker")

    shop.place(paid=True)
    action = ask(seen(), refund("5.00"), alice)
    shop.fault(operation="refundCreate", phase="commit_then_drop", times=1)
    assert perform(action).state == ActionState.UNKNOWN
    monkeypatch.undo()
    monkeypatch.setattr(order_tasks.perform_action, "apply_async", down)
    services.check_now(action_id=action.pk, now=timezone.now())
    assert OrderAction.objects.due(now=timezone.now()).filter(pk=action.pk).exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "denied", [ActionState.REJECTED, ActionState.EXPIRED, ActionState.WITHDRAWN]
)
def test_what_shopify_shows_wins_over_a_denial(
    shop: Shop, seen: Seen, alice: User, denied: ActionState
) -> None:
    """A restored dump doesn't know of the send, and says that there was none."""
    shop.place(paid=True)
    action = ask(seen(), refund("5.00"), alice)
    assert perform(action).state == ActionState.SUCCEEDED
    with without_triggers(connection):
        OrderAction.objects.update(
            state=denied, maybe_applied=False, refund_gid="", evidence_at=None, sent_at=None
        )
    orders.refresh(Order.objects.get())
    found = OrderAction.objects.get()
    assert (found.state, found.maybe_applied) == (ActionState.SUCCEEDED, True)
    assert amounts(shop) == ["5.0"]


def test_an_action_that_was_never_approved_claims_no_refund(
    shop: Shop, seen: Seen, alice: User
) -> None:
    """A marker alone does not show that the two who had to agree did."""
    shop.place(paid=True)
    action = ask(seen(), refund("5.00"), alice)
    assert perform(action).state == ActionState.SUCCEEDED
    with without_triggers(connection):
        OrderAction.objects.update(
            state=ActionState.DECLINED, maybe_applied=False, refund_gid="", approvals_needed=1
        )
    orders.refresh(Order.objects.get())
    assert OrderAction.objects.get().state == ActionState.DECLINED
