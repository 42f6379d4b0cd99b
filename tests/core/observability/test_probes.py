"""/livez, /readyz and /metrics, over HTTP."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client
from django.utils import timezone

from core.server.asgi_types import Message, Scope
from orders.models import ActionKind, Order, OrderAction, Store
from settings import asgi
from shopify_sync.models import EventState, WebhookEvent, WebhookTally

pytestmark = pytest.mark.django_db


def figures(**headers: Any) -> dict[str, float]:
    answer = Client().get("/metrics", **headers)
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in answer.content.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def probe(path: str, method: str = "GET") -> tuple[int, bytes]:
    """Ask the whole application, as the web server does for a load balancer."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": "http",
        "scheme": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"10.0.0.7:8000")],
    }
    asyncio.run(asgi.application(scope, receive, send))
    start, body = sent
    return start["status"], body["body"]


@pytest.mark.django_db(transaction=True)
def test_probes_answer_any_host_and_without_https(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["inbox.example"]
    settings.SECURE_SSL_REDIRECT = True
    assert probe("/livez") == (200, b"ok")
    assert probe("/readyz") == (200, b"ready")
    assert probe("/readyz", "HEAD")[0] == 200
    assert probe("/livez", "POST")[0] == 405
    host = {"host": "10.0.0.7:8000"}
    assert Client().get("/metrics", headers=host).status_code == 200
    assert Client().post("/metrics", headers=host).status_code == 405
    # And nothing else does.
    assert Client().get("/login/", headers=host).status_code == 400


def test_without_its_database_a_server_lives_but_is_not_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fall(self: BaseDatabaseWrapper) -> None:
        raise DatabaseError("gone")

    # Of every thread: probes ask the database on their own.
    monkeypatch.setattr(BaseDatabaseWrapper, "cursor", fall)
    assert probe("/readyz") == (503, b"The database doesn't respond.")
    assert probe("/livez") == (200, b"ok")


def test_the_metrics_report_late_and_dead_work(alice: Any) -> None:
    store = Store.objects.create(domain="demo.myshopify.com", currency="EUR")
    order = Order.objects.create(store=store, gid="gid://shopify/Order/1", legacy_id=1)
    action = OrderAction.objects.create(
        order=order, kind=ActionKind.CANCEL, requested_by=alice, proposal={}, steps=[]
    )
    asked = timezone.now() - timedelta(seconds=90)
    OrderAction.objects.filter(pk=action.pk).update(requested_at=asked)
    for n, state in enumerate((EventState.DEAD, EventState.WAITING, EventState.DONE)):
        WebhookEvent.objects.create(
            store=store, webhook_id=f"w{n}", topic="orders/updated", body=b"{}", state=state
        )
    for slot in (0, 1):
        WebhookTally.objects.create(
            store=store, hour=timezone.now(), slot=slot, requests=5, stored=3, unauthorized=2
        )
    found = figures()
    assert found['agent_inbox_actions{state="queued"}'] == 1
    assert found['agent_inbox_actions{state="needs_human"}'] == 0
    assert 89 <= found["agent_inbox_oldest_due_action_seconds"] < 600
    assert found['agent_inbox_webhook_events{state="dead"}'] == 1
    assert found['agent_inbox_webhooks_total{answer="stored"}'] == 6
    assert found['agent_inbox_webhooks_total{answer="unauthorized"}'] == 4
    assert found['agent_inbox_drift_last_hour{store="demo.myshopify.com"}'] == 0
    assert found['agent_inbox_conversations{scope="open"}'] == 0


def test_the_metrics_cost_a_fixed_number_of_queries(django_assert_num_queries: Any) -> None:
    Store.objects.create(domain="demo.myshopify.com")
    figures()  # also adds up the tallies of past hours, once a day
    with django_assert_num_queries(17):
        figures()


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "status"),
    [
        (False, "127.0.0.1", "", 200),
        (False, "::1", "", 200),
        (False, "::ffff:127.0.0.1", "", 200),
        (False, "10.1.2.3", "", 200),
        (False, "203.0.113.9", "", 403),
        # An undeclared proxy on this machine would make every client "loopback".
        (False, "127.0.0.1", "203.0.113.9", 403),
        (True, "127.0.0.1", "203.0.113.9", 403),
        # Only the proxy's own observation, the last, counts.
        (True, "127.0.0.1", "127.0.0.1, 203.0.113.9", 403),
        (True, "127.0.0.1", "203.0.113.9, 10.1.2.3", 200),
        (True, "127.0.0.1", "nonsense", 403),
        (False, "", "", 403),
    ],
)
def test_only_allowed_addresses_read_the_metrics(
    settings: Any, trusted: bool, peer: str, forwarded: str, status: int
) -> None:
    settings.TRUSTED_PROXY = trusted
    settings.METRICS_ALLOW = [ip_network(n) for n in ("127.0.0.1", "::1", "10.0.0.0/8")]
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    answer = Client().get("/metrics", headers=headers, REMOTE_ADDR=peer)
    assert answer.status_code == status
    assert ("agent_inbox_" in answer.content.decode()) is (status == 200)
