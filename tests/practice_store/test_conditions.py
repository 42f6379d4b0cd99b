"""A practice shop can behave as badly as a real one: it lags, shuffles, forgets and waits."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from practice_store.changes import staff_actions
from practice_store.sales import cancellation
from practice_store.state import (
    Order,
    Tracking,
)
from practice_store.store import Store
from tests.support.shop.in_process import DOMAIN, Shop

pytestmark = pytest.mark.django_db

READ = """query($id: ID!) { order(id: $id) { updatedAt displayFinancialStatus cancelledAt
  totalRefundedSet { presentmentMoney { amount } }
  refunds(first: 50) { id note totalRefundedSet { presentmentMoney { amount } }
    transactions(first: 10) { nodes { id status } } } } }"""
CANCEL = """mutation($orderId: ID!, $method: OrderCancelRefundMethodInput, $staffNote: String) {
  orderCancel(orderId: $orderId, reason: OTHER, restock: true, refundMethod: $method,
              staffNote: $staffNote) {
    job { id } jobResult { id done status } orderCancelUserErrors { message } } }"""
REFUND = """mutation($input: RefundInput!, $idempotencyKey: String!) {
  refundCreate(input: $input) @idempotent(key: $idempotencyKey) {
    refund { id } userErrors { message } } }"""
JOB = """query($id: ID!) { node(id: $id) { ... on OrderCancelJobResult {
  status done errors { message } } } }"""


@pytest.fixture
def slow_jobs(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancellations wait for the test to move the shop's clock."""
    monkeypatch.setattr(cancellation, "JOB_SECONDS", 60.0)


def read(shop: Shop, order: Order) -> Any:
    return shop.graphql(READ, {"id": order.id})["data"]["order"]


def refund_by_staff(shop: Shop, order: Order, amount: str, times: int = 1) -> None:
    for _ in range(times):
        shop.act(lambda c: staff_actions.refund(c, order, Decimal(amount)))


def refund(shop: Shop, order: Order, amount: str = "5.00", key: str = "k") -> dict[str, Any]:
    move = {
        "orderId": order.id,
        "parentId": order.transactions[0].id,
        "kind": "REFUND",
        "gateway": "shopify_payments",
        "amount": amount,
    }
    data = {"orderId": order.id, "note": "why [ax:abc]", "transactions": [move]}
    return shop.graphql(REFUND, {"input": data, "idempotencyKey": key})


def cancel(shop: Shop, order: Order, *, refunds: bool = True) -> str:
    """Accepted; returns the id of its result."""
    variables = {
        "orderId": order.id,
        "staffNote": "gone [ax:abc]",
        "method": {"originalPaymentMethodsRefund": refunds},
    }
    answer = shop.graphql(CANCEL, variables)["data"]["orderCancel"]
    assert answer["orderCancelUserErrors"] == []
    found: str = answer["jobResult"]["id"]
    return found


def job(shop: Shop, result_id: str) -> Any:
    return shop.graphql(JOB, {"id": result_id})["data"]["node"]


def sums(order: dict[str, Any]) -> tuple[str, str]:
    """An order's own sum, and that of the refunds beside it."""
    own = Decimal(order["totalRefundedSet"]["presentmentMoney"]["amount"])
    parts = [Decimal(r["totalRefundedSet"]["presentmentMoney"]["amount"]) for r in order["refunds"]]
    return f"{own:.2f}", f"{sum(parts, Decimal(0)):.2f}"


# Replicas


@pytest.mark.parametrize(("lag", "refunds"), [(1, 4), (3, 2), (5, 0), (99, 0)])
def test_a_stale_read_is_so_many_changes_behind_or_all_that_are_kept(
    shop: Shop, lag: int, refunds: int
) -> None:
    order = shop.place()
    shop.fault(operation="order", phase="stale_read", lag=lag)
    refund_by_staff(shop, order, "1.00", times=5)
    found = read(shop, order)
    assert len(found["refunds"]) == refunds
    assert sums(found) == (f"{refunds}.00", f"{refunds}.00"), "an older state, and a whole one"


def test_a_change_to_another_order_causes_no_lag(shop: Shop) -> None:
    order, other = shop.place(), shop.place(email="b@example.com")
    shop.fault(operation="order", phase="stale_read")
    refund_by_staff(shop, order, "1.00")
    refund_by_staff(shop, other, "1.00", times=3)
    assert read(shop, order)["refunds"] == []


def test_replicas_lag_now_and_then_but_not_for_ever(shop: Shop) -> None:
    order = shop.place()
    shop.conditions(lagging_reads=0.5, lag=5, lag_s=30)
    refund_by_staff(shop, order, "1.00", times=6)
    seen = [len(read(shop, order)["refunds"]) for _ in range(40)]
    assert set(seen) == {1, 2, 3, 4, 5, 6}
    shop.advance(31)
    assert {len(read(shop, order)["refunds"]) for _ in range(40)} == {6}


def test_replicas_are_off_unless_a_shop_is_said_to_have_them(shop: Shop) -> None:
    order = shop.place()
    refund_by_staff(shop, order, "1.00", times=3)
    assert {len(read(shop, order)["refunds"]) for _ in range(10)} == {3}


def test_changes_within_a_second_share_their_time(shop: Shop, monkeypatch: Any) -> None:
    order = shop.place()
    moment = shop.store.world.now()
    monkeypatch.setattr(type(shop.store.world), "now", lambda _self: moment)
    shop.fault(operation="order", phase="stale_read", times=1)
    refund_by_staff(shop, order, "1.00", times=2)
    before, after = read(shop, order), read(shop, order)
    assert (len(before["refunds"]), len(after["refunds"])) == (1, 2)
    assert before["updatedAt"] == after["updatedAt"]


def test_a_lagging_list_is_of_one_moment_and_lacks_what_is_newer(shop: Shop) -> None:
    first = shop.place()
    shop.fault(operation="orders", phase="stale_read", lag=2)
    second = shop.place(email="b@example.com", paid=False)
    refund_by_staff(shop, first, "1.00")
    query = "{ orders(first: 9) { nodes { id refunds { id } } } }"
    assert shop.graphql(query)["data"]["orders"]["nodes"] == [{"id": first.id, "refunds": []}]
    shop.fault(operation="orders", phase="stale_read", lag=1)
    nodes = shop.graphql(query)["data"]["orders"]["nodes"]
    assert nodes == [{"id": first.id, "refunds": []}, {"id": second.id, "refunds": []}]


def test_an_order_read_by_its_id_is_never_older_than_itself(shop: Shop) -> None:
    shop.fault(operation="order", phase="stale_read", lag=99)
    order = shop.place(paid=False)
    shop.act(lambda c: staff_actions.pay(c, order))
    assert read(shop, order)["displayFinancialStatus"] == "PENDING", "placed, not yet paid"


@pytest.mark.usefixtures("slow_jobs")
def test_a_job_lags_with_its_order(shop: Shop) -> None:
    order = shop.place()
    shop.fault(operation="node", phase="stale_read")
    result = cancel(shop, order)
    shop.advance(60)
    assert job(shop, result)["status"] == "STARTED"
    shop.store.faults.set([])
    assert job(shop, result)["status"] == "SUCCEEDED"


def test_a_refund_is_found_by_its_id_and_not_yet_on_a_replica(shop: Shop) -> None:
    order = shop.place()
    shop.fault(operation="refund", phase="stale_read", times=1)
    made = refund(shop, order)["data"]["refundCreate"]["refund"]["id"]
    query = """query($id: ID!) { refund(id: $id) { id note order { id }
      totalRefundedSet { presentmentMoney { amount } } transactions(first: 5) { nodes { status } } } }"""
    assert shop.graphql(query, {"id": made})["data"]["refund"] is None
    found = shop.graphql(query, {"id": made})["data"]["refund"]
    assert found == {
        "id": made,
        "note": "why [ax:abc]",
        "order": {"id": order.id},
        "totalRefundedSet": {"presentmentMoney": {"amount": "5.0"}},
        "transactions": {"nodes": [{"status": "SUCCESS"}]},
    }


def test_a_mutation_is_never_done_to_the_past(shop: Shop) -> None:
    order = shop.place()
    shop.fault(phase="stale_read", lag=9)
    refund(shop, order)
    assert len(order.refunds) == 1


def test_replicas_may_be_told_to_catch_up(shop: Shop) -> None:
    order = shop.place()
    shop.fault(operation="order", phase="stale_read", lag=9)
    refund_by_staff(shop, order, "1.00", times=3)
    shop.store.catch_up(DOMAIN, order.number_id)
    assert len(read(shop, order)["refunds"]) == 3
    refund_by_staff(shop, order, "1.00")
    assert len(read(shop, order)["refunds"]) == 3


# Lists


def test_lists_come_in_another_order_and_always_in_the_same(shop: Shop) -> None:
    order = shop.place(items=(("Mug", "20.00", 8),))
    line = order.lines[0].number_id
    for number in range(6):
        tracking = [Tracking(number=f"{number}{part}") for part in "abcdef"]
        shop.act(partial(staff_actions.ship, order=order, quantities={line: 1}, tracking=tracking))
        shop.act(lambda c: staff_actions.open_return(c, order, requested=True))
    refund_by_staff(shop, order, "1.00", times=6)
    query = """query($id: ID!, $first: Int!) { order(id: $id) { refunds(first: $first) { id }
      transactions(first: 9) { id } fulfillments(first: 9) { id trackingInfo(first: 9) { number } }
      returns(first: 9) { nodes { id } } } }"""

    def found(first: int = 9) -> Any:
        return shop.graphql(query, {"id": order.id, "first": first})["data"]["order"]

    def ids(rows: list[dict[str, str]], name: str = "id") -> list[str]:
        return [row[name] for row in rows]

    calm = found()
    shop.conditions(shuffled=True, seed=3)
    shuffled = found()
    for name in ("refunds", "transactions", "fulfillments"):
        assert ids(shuffled[name]) != ids(calm[name])
        assert sorted(ids(shuffled[name])) == sorted(ids(calm[name]))
    assert ids(shuffled["returns"]["nodes"]) != ids(calm["returns"]["nodes"])
    numbers = [ids(f["trackingInfo"], "number") for f in shuffled["fulfillments"]]
    assert any(row != sorted(row) for row in numbers)
    assert shuffled == found()
    assert ids(found(2)["refunds"]) == ids(shuffled["refunds"])[:2], "cut at whatever comes first"


# Cancel and refund apart


@pytest.mark.usefixtures("slow_jobs")
@pytest.mark.parametrize(
    ("course", "at_once", "later"),
    [
        ("together", ("REFUNDED", "SUCCEEDED"), ("REFUNDED", "SUCCEEDED")),
        ("job_open", ("PAID", "STARTED"), ("REFUNDED", "SUCCEEDED")),
        ("job_done", ("PAID", "SUCCEEDED"), ("REFUNDED", "SUCCEEDED")),
        ("no_refund", ("PAID", "SUCCEEDED"), ("PAID", "SUCCEEDED")),
        ("no_refund_failed", ("PAID", "FAILED"), ("PAID", "FAILED")),
    ],
)
def test_a_cancellation_may_refund_later_or_never(
    shop: Shop, course: Any, at_once: tuple[str, str], later: tuple[str, str]
) -> None:
    order = shop.place()
    shop.conditions(cancels=(course,), refund_after_s=30)
    result = cancel(shop, order)
    assert read(shop, order)["cancelledAt"] is None

    def state() -> tuple[str, str]:
        found = read(shop, order)
        assert found["cancelledAt"]
        return found["displayFinancialStatus"], job(shop, result)["status"]

    shop.advance(60)
    assert state() == at_once
    shop.advance(31)
    assert state() == later
    assert len(order.refunds) == (1 if later[0] == "REFUNDED" else 0)


@pytest.mark.usefixtures("slow_jobs")
def test_what_is_due_on_the_way_happens_at_its_own_time(shop: Shop) -> None:
    order = shop.place()
    shop.conditions(cancels=("job_done",), refund_after_s=30)
    cancel(shop, order)
    shop.advance(7200)
    assert order.cancelled_at
    gap = order.refunds[0].created_at - order.cancelled_at
    assert timedelta(seconds=29) <= gap <= timedelta(seconds=32)
    assert shop.store.is_idle()


@pytest.mark.usefixtures("slow_jobs")
def test_a_job_may_fail_and_leave_the_order_as_it_was(shop: Shop) -> None:
    order = shop.place()
    shop.conditions(cancels=("failed",))
    result = cancel(shop, order)
    shop.advance(60)
    found = job(shop, result)
    assert (found["status"], found["done"], len(found["errors"])) == ("FAILED", True, 1)
    assert read(shop, order)["cancelledAt"] is None


@pytest.mark.usefixtures("slow_jobs")
def test_a_job_is_forgotten_after_a_while(shop: Shop) -> None:
    order = shop.place()
    shop.conditions(jobs_kept_s=100)
    result = cancel(shop, order)
    shop.advance(60)
    assert job(shop, result)["status"] == "SUCCEEDED"
    shop.advance(60)
    assert job(shop, result) is None


def test_what_a_shop_owes_outlives_its_process(tmp_path: Any, monkeypatch: Any) -> None:
    """A refund that a cancellation still owes, and one that a bank has not answered."""
    from practice_store.faults.lasting import Conditions

    monkeypatch.setattr(cancellation, "JOB_SECONDS", 60.0)
    first = Store([DOMAIN], state_file=tmp_path / "store.json")
    first.set_conditions(
        Conditions(cancels=("job_done",), refund_after_s=3600, refunds=("pending_failure",))
    )

    def place(context: Any, email: str) -> Order:
        price = {"shopMoney": {"amount": "9.00", "currencyCode": "EUR"}}
        item = {"title": "Mug", "quantity": 1, "requiresShipping": True, "priceSet": price}
        order = staff_actions.place(
            context, email=email, lineItems=[item], financialStatus="PENDING"
        )
        staff_actions.pay(context, order)
        return order

    canceled = first.act(DOMAIN, lambda c: place(c, "a@example.com"))
    refunded = first.act(DOMAIN, lambda c: place(c, "b@example.com"))
    first.act(DOMAIN, lambda c: staff_actions.cancel(c, canceled, reason="OTHER", refund_all=True))
    first.advance(61)
    first.run_due()
    first.act(DOMAIN, lambda c: staff_actions.refund(c, refunded, Decimal("9.00")))
    assert (canceled.cancelled_at is None, canceled.refunds) == (False, [])
    first.save()

    second = Store([DOMAIN], state_file=tmp_path / "store.json")
    second.start()
    second.advance(3600)
    second.run_due()
    second.stop()
    orders = second.world.shops[DOMAIN].orders
    assert len(orders[canceled.number_id].refunds) == 1
    assert orders[refunded.number_id].transactions[-1].status == "FAILURE"


# Banks


def statuses(shop: Shop, order: Order) -> list[str]:
    return [t["status"] for r in read(shop, order)["refunds"] for t in r["transactions"]["nodes"]]


@pytest.mark.parametrize(
    ("course", "at_once", "later"),
    [
        ("success", "SUCCESS", "SUCCESS"),
        ("pending_success", "PENDING", "SUCCESS"),
        ("pending_failure", "PENDING", "FAILURE"),
        ("failure", "FAILURE", "FAILURE"),
        ("half_failure", "SUCCESS", "SUCCESS"),
    ],
)
def test_a_bank_takes_its_time(shop: Shop, course: Any, at_once: str, later: str) -> None:
    order = shop.place()
    shop.conditions(refunds=(course,), bank_s=600)
    refund(shop, order)
    assert statuses(shop, order) == [at_once]
    shop.held.clear()
    shop.advance(601)
    assert statuses(shop, order) == [later]
    told = {topic for _shop, topic, _body, _headers in shop.held}
    assert ("order_transactions/create" in told) == (at_once != later)


def two_payments(shop: Shop) -> Order:
    order = shop.place(paid=False)
    for gateway in ("gift_card", "shopify_payments"):
        shop.act(partial(staff_actions.pay, order=order, amount=Decimal("20.00"), gateway=gateway))
    return order


@pytest.mark.usefixtures("slow_jobs")
def test_half_of_a_refund_may_fail(shop: Shop) -> None:
    order = two_payments(shop)
    shop.conditions(refunds=("half_failure",))
    cancel(shop, order)
    shop.advance(61)
    assert statuses(shop, order) == ["SUCCESS", "FAILURE"]
    assert sums(read(shop, order)) == ("20.00", "20.00")
    moved = shop.ledger()["refunds"][0]
    assert moved["amount"] == "40.0", "what was booked"
    assert [t["status"] for t in moved["transactions"]] == ["SUCCESS", "FAILURE"]


@pytest.mark.usefixtures("slow_jobs")
def test_a_refund_at_the_bank_is_no_payment_that_could_still_come(shop: Shop) -> None:
    """Neither a cancellation nor a payment ends it: it arrives, and is not paid again."""
    order = shop.place(paid=False)
    shop.act(lambda c: staff_actions.pay(c, order, Decimal("30.00")))
    shop.conditions(refunds=("pending_success",), bank_s=600)
    refund(shop, order)
    shop.act(lambda c: staff_actions.pay(c, order, Decimal("10.00")))
    cancel(shop, order)
    shop.advance(61)
    assert statuses(shop, order)[0] == "PENDING"
    shop.advance(601)
    assert set(statuses(shop, order)) == {"SUCCESS"}
    assert sums(read(shop, order)) == ("40.00", "40.00")


def test_store_credit_knows_no_bank(shop: Shop) -> None:
    order = shop.place()
    shop.conditions(refunds=("failure",))
    credit = {"storeCreditRefund": {"amount": {"amount": "5.00", "currencyCode": "EUR"}}}
    data = {"orderId": order.id, "refundMethods": [credit]}
    shop.graphql(REFUND, {"input": data, "idempotencyKey": "k"})
    assert statuses(shop, order) == ["SUCCESS"]


# The 60 days


def test_an_order_falls_out_of_the_window_with_all_that_is_its_own(shop: Shop) -> None:
    order = shop.place()
    order.created_at -= timedelta(days=59, hours=23)
    state = shop.store.world.shops[DOMAIN]
    state.scopes = [scope for scope in state.scopes if scope != "read_all_orders"]
    made = refund(shop, order)["data"]["refundCreate"]["refund"]["id"]
    assert read(shop, order) is not None
    shop.advance(7200)
    assert read(shop, order) is None
    query = "query($id: ID!) { refund(id: $id) { id } node(id: $id) { id } }"
    assert shop.graphql(query, {"id": made})["data"] == {"refund": None, "node": None}
    answer = refund(shop, order, key="other")["data"]["refundCreate"]
    assert (answer["refund"], len(answer["userErrors"])) == (None, 1)
    assert len(order.refunds) == 1


# Who did it


@pytest.mark.usefixtures("slow_jobs")
def test_the_ledger_tells_whose_refunds_and_cancellations_are_whose(shop: Shop) -> None:
    ours, staffs, jobs = (shop.place(email=f"{n}@example.com") for n in range(3))
    refund(shop, ours)
    shop.act(lambda c: staff_actions.refund(c, staffs, Decimal("5.00"), "for [ax:abc]"))
    shop.act(lambda c: staff_actions.cancel(c, staffs, reason="OTHER", refund_all=True))
    cancel(shop, jobs)
    shop.advance(61)
    ledger = shop.ledger()
    assert [(r["order"], r["made_by"], r["cancel_note"]) for r in ledger["refunds"]] == [
        (ours.id, "app", None),
        (staffs.id, "staff", None),
        (staffs.id, "staff", None),
        (jobs.id, "app", "gone [ax:abc]"),
    ]
    made_by = {c["order"]: c["made_by"] for c in ledger["cancelations"]}
    assert made_by == {staffs.id: "staff", jobs.id: "app"}


# Responses that aren't listed


@pytest.mark.parametrize(
    ("rule", "is_booked", "answer"),
    [
        ({"phase": "error_before"}, False, {"codes": ["TIMEOUT"]}),
        ({"phase": "error_after"}, True, {"codes": ["TIMEOUT"]}),
        (
            {"phase": "error_after", "codes": ["ACCESS_DENIED", "TIMEOUT"]},
            True,
            {"codes": ["ACCESS_DENIED", "TIMEOUT"]},
        ),
        (
            {"phase": "error_after", "codes": ["SERVICE_UNAVAILABLE"], "with_null": True},
            True,
            {"codes": ["SERVICE_UNAVAILABLE"], "data": {"refundCreate": None}},
        ),
        ({"phase": "null_payload_before"}, False, {"data": {"refundCreate": None}}),
        ({"phase": "null_payload"}, True, {"data": {"refundCreate": None}}),
        ({"phase": "no_user_errors_before"}, False, {"data": {"refundCreate": {"order": None}}}),
    ],
)
def test_unknown_errors_come_before_and_after_the_work(
    shop: Shop, rule: dict[str, Any], is_booked: bool, answer: dict[str, Any]
) -> None:
    order = shop.place()
    shop.fault(operation="refundCreate", **rule)
    found = refund(shop, order)
    assert bool(order.refunds) == is_booked
    assert [e["extensions"]["code"] for e in found.get("errors", [])] == answer.get("codes", [])
    assert found.get("data") == answer.get("data")


@pytest.mark.parametrize("status", ["400", "404", "408", "409", "422"])
def test_client_errors_come_before_and_after_the_work(shop: Shop, status: str) -> None:
    order = shop.place()
    for phase, booked in ((status, 0), (f"commit_then_{status}", 1)):
        shop.fault(operation="refundCreate", phase=phase)
        assert refund(shop, order, key=phase) == {"errors": "fault"}
        assert shop.ledger()["requests"][-1]["status"] == int(status)
        assert len(order.refunds) == booked


def test_payloads_may_lack_their_errors_or_have_them_beside_a_result(shop: Shop) -> None:
    order = shop.place()
    shop.fault(operation="refundCreate", phase="no_user_errors")
    payload = refund(shop, order, key="a")["data"]["refundCreate"]
    assert set(payload) == {"refund"}
    assert payload["refund"]["id"]
    shop.fault(operation="refundCreate", phase="user_errors_and_result")
    payload = refund(shop, order, key="b")["data"]["refundCreate"]
    assert (bool(payload["refund"]["id"]), len(payload["userErrors"])) == (True, 1)
    assert len(order.refunds) == 2


def test_an_order_may_be_null_just_once(shop: Shop) -> None:
    order = shop.place()
    shop.fault(operation="order", phase="null_order", times=1)
    assert [read(shop, order) is None for _ in range(3)] == [True, False, False]


def test_what_was_turned_away_at_the_door_is_in_the_log(shop: Shop) -> None:
    order = shop.place()
    shop.store.world.shops[DOMAIN].locked_status = 402
    refund(shop, order)
    entry = shop.ledger()["requests"][-1]
    assert (entry["operation"], entry["status"], entry["key"]) == ("refundCreate", 402, "k")
    assert (entry["order"], entry["note"]) == (order.id, "why [ax:abc]")
    assert entry["arrived"] <= entry["at"]


# The control


def test_conditions_are_set_over_http(shop: Shop) -> None:
    import json

    import urllib3

    def post(body: Any) -> int:
        answer = urllib3.request(
            "POST", f"{shop.origin}/_practice/faults", body=json.dumps(body), retries=False
        )
        return answer.status

    told = {"lagging_reads": 0.3, "lag": 5, "cancels": ["job_open", "job_done"]}
    assert post({"shop": DOMAIN, "conditions": told}) == 200
    assert shop.store.conditions(DOMAIN).cancels == ("job_open", "job_done")
    assert shop.store.conditions("second.myshopify.com").lagging_reads == 0
    assert post([{"phase": "drop_before"}]) == 200
    assert shop.store.conditions(DOMAIN).lag == 5, "rules leave the conditions"
    assert post({"conditions": {"cancels": ["explode"]}}) == 400
    assert post({"conditions": {"lagg": 5}}) == 400
    assert post({"shop": "unknown", "conditions": {}}) == 400
    assert post({"nothing": 1}) == 400
    assert post({"conditions": {}}) == 200
    assert shop.store.conditions(DOMAIN).lagging_reads == 0


def test_a_shop_stops_at_once_and_takes_its_writers_along(shop: Shop) -> None:
    """A bulk operation under way when the shop goes dies with it, and not in a thread."""
    import threading

    failures: list[Any] = []
    hook, threading.excepthook = threading.excepthook, failures.append
    try:
        for _ in range(5):
            own = Shop()
            for number in range(60):
                own.place(email=f"{number}@example.com", paid=False)
            query = "{ orders { edges { node { id } } } }"
            own.graphql(
                "mutation($q: String!) { bulkOperationRunQuery(query: $q) { userErrors { message } } }",
                {"q": query},
            )
            own.stop()
            own.store.run_due()
    finally:
        threading.excepthook = hook
    assert failures == []
