"""Every list is read to its end, or the order says that it wasn't."""

from __future__ import annotations

from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from orders import rules
from orders.money import total
from orders.snapshot import OrderSnapshot
from orders.statuses import badges
from practice_store.state import (
    FulfillmentOrder,
    FulfillmentOrderLine,
    Order,
)
from shopify_sync.api.errors import (
    NeedsAdmin,
    Refused,
    Unreachable,
)
from shopify_sync.reading import complete_order
from tests.support.shop.reading import AT, DirectClient

MANY = st.integers(0, 300)
# Around what is asked for at first, and around all that can be.
EDGES = st.sampled_from(
    [0, 1, 9, 10, 11, 14, 15, 16, 19, 20, 21, 24, 25, 26, 49, 50, 51, 249, 250, 300]
)
SOME = st.one_of(MANY, EDGES)


@pytest.fixture(scope="module")
def client() -> DirectClient:
    return DirectClient()


def order_with(client: DirectClient, *, parcels: int, undelivered: int, refunds: int) -> Order:
    """One line, a unit a parcel; refunds of 1.00 each, of 1000.00."""
    order = client.place("1000.00")
    order.lines[0].quantity = max(1, parcels)
    order.transactions[0].amount = Decimal(1000)
    for place in range(parcels):
        client.ship(order, 1, delivered=place < parcels - undelivered)
    for _ in range(refunds):
        client.give_back(order, "1.00")
    return order


@pytest.mark.slow
@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parcels=SOME, undelivered=st.integers(0, 3), refunds=SOME)
def test_a_status_and_a_sum_are_true_or_the_order_is_incomplete(
    client: DirectClient, parcels: int, undelivered: int, refunds: int
) -> None:
    order = order_with(client, parcels=parcels, undelivered=undelivered, refunds=refunds)
    read = client.snapshot(order)
    delivered = parcels > 0 and min(undelivered, parcels) == 0
    if not read.unread:
        assert len(read.fulfillments) == parcels
        assert len(read.refunds) == refunds
        assert len(read.transactions) == 1 + refunds
        assert rules.is_delivered(read, now=AT) == delivered
    assert read.is_incomplete == (max(parcels, refunds, refunds + 1) >= complete_order.MOST)
    badge = badges.fulfillment_badges(read, now=AT, zone=UTC)[-1]
    assert (badge.raw == "DELIVERED") == (delivered and "fulfillments" not in read.unread)
    assert rules.net_paid(read).amount == 1000 - refunds
    gone = total((r.total.presentment for r in read.refunds), "EUR").amount
    assert gone == refunds or "refunds" in read.unread
    for refusal in (rules.cancel_refusal(read, now=AT), rules.refund_refusal(read)):
        if read.unread:
            assert refusal is not None
            assert refusal.code == "incomplete"


@pytest.mark.slow
@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lines=st.one_of(st.integers(1, 300), st.just(260)), inner=SOME, trackings=SOME, work=SOME)
def test_lists_within_lists_are_read_to_their_end(
    client: DirectClient, lines: int, inner: int, trackings: int, work: int
) -> None:
    order = client.place(*["1.00"] * lines)
    order.lines[0].quantity = max(1, inner)
    parcel = client.ship(order, 0, trackings=trackings)
    parcel.lines = parcel.lines * 0
    for _ in range(inner):
        client.ship(order, 1)
        parcel.lines += order.fulfillments.pop().lines
    client.give_back(order, "0.50", lines=inner)
    for _ in range(work):
        order.fulfillment_orders.append(
            FulfillmentOrder(
                number_id=client.shop.new_id(),
                order_number=order.number_id,
                created_at=AT,
                updated_at=AT,
            )
        )
    if work:
        order.fulfillment_orders[0].lines = [
            FulfillmentOrderLine(
                number_id=client.shop.new_id(),
                total_quantity=1,
                line_number=order.lines[0].number_id,
                remaining_quantity=1,
            )
            for _ in range(inner)
        ]
    read = client.snapshot(order)
    assert read.is_incomplete == (trackings >= complete_order.MOST)
    assert len(read.lines) == lines
    assert sum(part.quantity for part in read.fulfillments[0].lines) == inner
    assert len(read.refunds[0].lines) == inner
    assert len(read.fulfillment_orders) == work
    if work:
        assert len(read.fulfillment_orders[0].lines) == inner
    if not read.is_incomplete:
        assert len(read.fulfillments[0].tracking) == trackings


def test_an_ordinary_order_is_one_cheap_request(client: DirectClient) -> None:
    order = client.place("10.00", "20.00")
    client.ship(order, 1)
    client.give_back(order, "5.00")
    client.snapshot(order)
    assert client.asked == ["OrderForPanel"]
    # As much as before its lists had ends: 95 points, and what was added since.
    assert client.costs[0] <= 105


def test_twelve_parcels(client: DirectClient) -> None:
    """Ten of twelve parcels are delivered, and two are in transit."""
    order = order_with(client, parcels=12, undelivered=2, refunds=0)
    read = client.snapshot(order)
    assert client.asked == ["OrderForPanel"]
    badge = badges.fulfillment_badges(read, now=AT, zone=UTC)[-1]
    assert badge.label == "In transit"
    assert sum(len(parcel.tracking) for parcel in read.fulfillments) == 12
    refusal = rules.cancel_refusal(read, now=AT)
    assert refusal is not None
    assert refusal.code == "partly_delivered"


def test_two_hundred_and_sixty_lines(client: DirectClient) -> None:
    """Every line of an order with 260 lines is read."""
    read = client.snapshot(client.place(*["1.00"] * 260))
    assert [line.title for line in read.lines] == [f"Item {n}" for n in range(260)]
    assert client.asked == ["OrderForPanel", "OrderLines", "OrderVersion"]


def test_an_order_that_changes_while_it_is_read_is_reread(
    client: DirectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = client.place(*["1.00"] * 60)
    real, changes = client.read, [1]

    def read(name: str, variables: dict[str, Any]) -> dict[str, Any]:
        if name == "OrderLines" and changes:
            changes.pop()
            order.updated_at += timedelta(seconds=1)
        return real(name, variables)

    monkeypatch.setattr(client, "read", read)
    assert len(client.snapshot(order).lines) == 60
    assert client.asked == ["OrderForPanel", "OrderLines", "OrderVersion"] * 2


def test_an_order_that_keeps_changing_counts_as_unreachable(
    client: DirectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = client.place(*["1.00"] * 60)
    real = client.read

    def read(name: str, variables: dict[str, Any]) -> dict[str, Any]:
        order.updated_at += timedelta(seconds=1)
        return real(name, variables)

    monkeypatch.setattr(client, "read", read)
    with pytest.raises(Unreachable):
        client.snapshot(order)


@pytest.mark.parametrize("page", [{"hasNextPage": True}, {"hasNextPage": True, "endCursor": "a"}])
def test_a_useless_page_cursor_ends_the_read(
    client: DirectClient, monkeypatch: pytest.MonkeyPatch, page: dict[str, Any]
) -> None:
    order = client.place(*["1.00"] * 60)
    real = client.read

    def read(name: str, variables: dict[str, Any]) -> dict[str, Any]:
        answer = real(name, variables)
        if name in {"OrderForPanel", "OrderLines"}:
            answer["order"]["lineItems"]["pageInfo"] = page
        return answer

    monkeypatch.setattr(client, "read", read)
    read_ = client.snapshot(order)
    assert read_.unread == ("lines",)
    assert rules.unread_text(read_) == "This order has more items than could be read."


@pytest.mark.parametrize("name", ["OrderRefunds", "OrderParcels", "OrderTransactions"])
def test_a_list_that_may_not_be_read_on_is_incomplete(
    client: DirectClient, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Too costly, or an argument that Shopify takes no more."""
    order = order_with(client, parcels=30, undelivered=0, refunds=60)
    real = client.read

    def read(document: str, variables: dict[str, Any]) -> dict[str, Any]:
        if document == name:
            raise Refused("MAX_COST_EXCEEDED")
        return real(document, variables)

    monkeypatch.setattr(client, "read", read)
    unread = client.snapshot(order).unread
    assert unread == (
        {
            "OrderRefunds": "refunds",
            "OrderParcels": "fulfillments",
            "OrderTransactions": "transactions",
        }[name],
    )


def test_tracking_that_may_not_be_read_on_leaves_the_shipments_incomplete(
    client: DirectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = client.place("10.00")
    client.ship(order, 1, trackings=complete_order.TRACKING_READ + 1)
    real = client.read

    def read(document: str, variables: dict[str, Any]) -> dict[str, Any]:
        if document == "ParcelTracking":
            raise Refused("MAX_COST_EXCEEDED")
        return real(document, variables)

    monkeypatch.setattr(client, "read", read)
    assert client.snapshot(order).unread == ("fulfillments",)


def test_edits_without_a_page_cursor_are_asked_for_once(
    client: DirectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = client.place("10.00")
    real = client.read
    asked: list[dict[str, Any]] = []

    def read(name: str, variables: dict[str, Any]) -> dict[str, Any]:
        if name == "OrderEdits":
            asked.append(variables)
            return {"order": {"agreements": {"nodes": [], "pageInfo": {"hasNextPage": True}}}}
        answer = real(name, variables)
        answer["order"]["edited"] = True
        return answer

    monkeypatch.setattr(client, "read", read)
    assert client.snapshot(order).unread == ()
    assert asked == [{"id": order.id, "after": None}]


@pytest.mark.parametrize(("parcels", "unread"), [(30, ()), (75, ("fulfillments",))])
def test_what_costs_too_much_at_once_is_tried_with_fewer(
    client: DirectClient, monkeypatch: pytest.MonkeyPatch, parcels: int, unread: tuple[str, ...]
) -> None:
    order = order_with(client, parcels=parcels, undelivered=0, refunds=0)
    real = client.read

    def read(document: str, variables: dict[str, Any]) -> dict[str, Any]:
        if variables.get("first") == complete_order.MOST:
            raise Refused("MAX_COST_EXCEEDED")
        return real(document, variables)

    monkeypatch.setattr(client, "read", read)
    found = client.snapshot(order)
    assert (found.unread, len(found.fulfillments)) == (unread, parcels)


@pytest.mark.parametrize(
    ("change", "unread"),
    [
        (lambda o: o["fulfillments"].pop(), ("fulfillments",)),
        (lambda o: o["refunds"].pop(), ("refunds",)),
        (lambda o: o.update(fulfillments=None), ("fulfillments",)),
        (lambda o: None, ()),
    ],
)
def test_a_list_that_is_shorter_than_its_count_or_sum_is_incomplete(
    client: DirectClient, monkeypatch: pytest.MonkeyPatch, change: Any, unread: tuple[str, ...]
) -> None:
    """Cut below what was asked for."""
    order = order_with(client, parcels=3, undelivered=0, refunds=3)
    real = client.read

    def read(name: str, variables: dict[str, Any]) -> dict[str, Any]:
        answer = real(name, variables)
        change(answer["order"])
        return answer

    monkeypatch.setattr(client, "read", read)
    assert client.snapshot(order).unread == unread


def test_without_its_scope_a_dispute_is_not_asked_for(client: DirectClient) -> None:
    """The field is non-null: asked for without the scope, it hides the whole order."""
    order = client.place("10.00")
    order.dispute = "LOST"
    client.scopes = frozenset({"read_orders"})
    try:
        assert client.snapshot(order).disputes == ()
        assert client.asked == ["OrderForPanel"] * 2
        client.extras = {"disputes": False}
        client.snapshot(order)
        assert client.asked == ["OrderForPanel"]
        client.scopes |= {"read_shopify_payments_disputes"}
        client.extras = {"disputes": True}
        assert [d.status for d in client.snapshot(order).disputes] == ["LOST"]
    finally:
        client.scopes = frozenset()
        client.extras = {"disputes": True}


def test_what_an_app_may_not_read_at_all_is_still_told(
    client: DirectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = client.place("10.00")

    def read(name: str, variables: dict[str, Any]) -> dict[str, Any]:
        raise NeedsAdmin("frozen", status=402)

    monkeypatch.setattr(client, "read", read)
    with pytest.raises(NeedsAdmin):
        client.snapshot(order)


def test_an_order_that_could_not_be_read_says_why() -> None:
    from tests.support.orders import snapshots

    def text(*unread: str) -> str:
        found: OrderSnapshot = snapshots.order(unread=unread)
        return rules.unread_text(found)

    assert text() == ""
    assert text("fulfillments") == "This order has more shipments than could be read."
    assert text("refunds", "fulfillments").startswith("This order has more shipments")
    assert text("transactions") == "This order has more payments than could be read."
    assert text("fulfillment_orders") == "This order has more entries than could be read."
