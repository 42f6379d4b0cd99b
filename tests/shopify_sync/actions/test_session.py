"""What a read of an action looks at beside the order: its own refund, and its job."""

from __future__ import annotations

from typing import Any

import pytest

from orders.models import Order, OrderAction, Store
from orders.shopify_port import ActionRead, Job
from shopify_sync.actions import session
from shopify_sync.reading import orders
from tests.support.orders import snapshots

OWN = "gid://shopify/Refund/9"


class Client:
    """Has no refund to return, as after it was just made, and this job."""

    def __init__(self, job: dict[str, Any] | None = None) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.job = job

    def read(self, name: str, variables: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((name, variables))
        return {"refund": None, "node": self.job}


@pytest.mark.django_db
def test_an_order_is_read_even_if_its_own_refund_is_not_found_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, cut = Client(), snapshots.order(unread=("refunds",))
    monkeypatch.setattr(session, "client_for", lambda _store: client)
    monkeypatch.setattr(orders, "read_snapshot", lambda _client, _gid: cut)
    action = OrderAction(order=Order(store=Store(pk=1), gid=cut.gid), refund_gid=OWN)
    found = session.ShopifyActionSession(action, renew=lambda: True).read()
    assert isinstance(found, ActionRead)
    assert found.snapshot == cut
    assert client.asked == [("Refund", {"id": OWN})]


CANCEL_JOB = "gid://shopify/OrderCancelJobResult/7"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("job_gid", "node", "expected"),
    [
        pytest.param(CANCEL_JOB, {"status": "STARTED"}, Job.OPEN, id="started"),
        pytest.param(CANCEL_JOB, {"status": "SUCCEEDED"}, Job.SUCCEEDED, id="succeeded"),
        pytest.param(CANCEL_JOB, {"status": "FAILED"}, Job.FAILED, id="failed"),
        pytest.param(CANCEL_JOB, {"status": "PAUSED"}, Job.NONE, id="an unknown status"),
        pytest.param(CANCEL_JOB, None, Job.NONE, id="no longer there"),
        pytest.param("gid://shopify/Job/7", {"status": "FAILED"}, Job.NONE, id="another job"),
        pytest.param("", {"status": "FAILED"}, Job.NONE, id="no job"),
    ],
)
def test_a_cancellations_job_is_read_before_its_order(
    monkeypatch: pytest.MonkeyPatch, job_gid: str, node: dict[str, Any] | None, expected: Job
) -> None:
    client, whole = (
        Client(node and node | {"errors": [{"message": "No."}, None]}),
        snapshots.order(),
    )
    monkeypatch.setattr(session, "client_for", lambda _store: client)
    monkeypatch.setattr(orders, "read_snapshot", lambda _client, _gid: whole)
    action = OrderAction(order=Order(store=Store(pk=1), gid=whole.gid), job_gid=job_gid)
    found = session.ShopifyActionSession(action, renew=lambda: True).read()
    assert isinstance(found, ActionRead)
    assert found.job == expected
    is_asked = job_gid == CANCEL_JOB
    assert client.asked == ([("OrderCancelJob", {"id": CANCEL_JOB})] if is_asked else [])
    assert found.job_message == ("No." if is_asked and node else "")
