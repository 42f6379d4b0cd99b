"""The practice store in this process, over HTTP, holding its webhooks for the test."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import urllib3
from django.test import Client
from django.utils import timezone

from orders.models import Customer, Order, OrderAction
from orders.tasks import end_overdue_actions, sweep_actions
from practice_store.changes import staff_actions
from practice_store.context import Context
from practice_store.faults import courier
from practice_store.faults.lasting import Conditions
from practice_store.sales import (
    cancellation,
    checkouts,
)
from practice_store.state import Checkout as ShopCheckout
from practice_store.state import Order as ShopOrder
from practice_store.state import Shop as ShopState
from practice_store.store import Store
from practice_store.web.server import start_in_thread
from shopify_sync import tasks

DOMAIN = "demo.myshopify.com"
SECOND = "second.myshopify.com"


class Shop:
    """`shop.place(...)`, `shop.deliver(client)`; `shop.store` is the store itself."""

    def __init__(self) -> None:
        self.store = Store([DOMAIN, SECOND], allow_http=True)
        self.held: list[tuple[ShopState, str, bytes, dict[str, str]]] = []
        self.store.courier.send = self._hold  # type: ignore[method-assign]
        self.server = start_in_thread(self.store)
        self.origin = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._pool = urllib3.PoolManager(retries=False)

    def _hold(self, shop: ShopState, emitted: list[tuple[str, dict[str, Any]]]) -> None:
        for topic, content in emitted:
            body = json.dumps(content, default=str).encode()
            headers = courier.headers(shop, topic, body, "event", self.store.world.now())
            self.held.append((shop, topic, body, headers))

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.store.stop()

    def act(self, work: Callable[[Context], Any], domain: str = DOMAIN) -> Any:
        return self.store.act(domain, work)

    def place(
        self,
        *,
        email: str | None = "jane@example.com",
        items: tuple[tuple[str, str, int], ...] = (("Red mug", "20.00", 2),),
        paid: bool = True,
        domain: str = DOMAIN,
        **more: Any,
    ) -> ShopOrder:
        """An order of (title, price, quantity) items; unpaid ones are pending."""

        def work(context: Context) -> ShopOrder:
            currency = more.pop("currency", context.shop.currency)
            data: dict[str, Any] = {
                "email": email,
                "currency": currency,
                "lineItems": [
                    {
                        "title": title,
                        "quantity": quantity,
                        "requiresShipping": True,
                        "priceSet": {"shopMoney": {"amount": price, "currencyCode": currency}},
                    }
                    for title, price, quantity in items
                ],
                "financialStatus": "PENDING",
                **more,
            }
            if email:
                data["customer"] = {"toUpsert": {"email": email, "firstName": "Jane"}}
            order = staff_actions.place(context, **data)
            if paid:
                staff_actions.pay(context, order)
            return order

        order: ShopOrder = self.act(work, domain)
        return order

    def check_out(
        self, *, email: str = "jane@example.com", accepts: bool = True, hours_ago: float = 0
    ) -> ShopCheckout:
        """A customer begins a checkout, so many hours ago by the shop's clock."""
        self.store.world.ahead_s -= hours_ago * 3600
        try:
            found: ShopCheckout = self.act(
                lambda c: checkouts.begin(
                    c, email=email, items=[("Kettle", "1234.50", 1)], accepts_marketing=accepts
                )
            )
        finally:
            self.store.world.ahead_s += hours_ago * 3600
        return found

    def deliver(self, client: Client, *, times: int = 1) -> list[int]:
        """Send what is held to the webhook door, each `times` times; the answers' codes.

        They are worked on together afterwards, as behind a broker: one at a time, as without
        one, each would reread its order."""
        codes = []
        with patch.object(tasks.process_webhooks, "apply_async"):
            while self.held:
                _shop, _topic, body, headers = self.held.pop(0)
                for _ in range(times):
                    answer = client.post(
                        "/webhooks/shopify/", body, content_type="application/json", headers=headers
                    )
                    codes.append(answer.status_code)
        tasks.process_webhooks()
        fetch_dirty()
        return codes

    def fault(self, **rule: Any) -> None:
        self.store.faults.set([rule])

    def conditions(self, **changes: Any) -> None:
        """From now on the shop is like this by itself; nothing: calm again."""
        self.store.set_conditions(Conditions(**changes), DOMAIN)

    def advance(self, seconds: float) -> None:
        """Move the shop's clock; what is due on the way happens at its own time."""
        self.store.live_through(seconds)

    def graphql(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self._pool.request(
            "POST",
            f"{self.origin}/admin/api/2026-10/graphql.json",
            body=json.dumps({"query": query, "variables": variables or {}}).encode(),
            headers={"Host": DOMAIN, "X-Shopify-Access-Token": "shpat_practice_demo"},
        )
        found: dict[str, Any] = json.loads(answer.data)
        return found

    def ledger(self) -> dict[str, Any]:
        return self.store.ledger(DOMAIN)


def fetch_dirty() -> None:
    """What the scheduler's sweeps would do, now."""
    Order.objects.dirty().update(fetch_after=None)
    tasks.sweep_dirty_orders()


def read_customers() -> None:
    """What the sweep over customers would do, now."""
    Customer.objects.dirty().update(fetch_after=None)
    tasks.sweep_dirty_customers()


def work_off(shop: Shop, client: Client, *, rounds: int = 40) -> None:
    """Let actions, jobs and webhooks run until nothing is under way."""
    for _ in range(rounds):
        OrderAction.objects.active().update(next_attempt_at=None)
        end_overdue_actions()
        sweep_actions()
        shop.deliver(client)
        if not OrderAction.objects.active().exists() and not shop.held:
            return
        time.sleep(0.02)
    states = list(OrderAction.objects.active().values_list("state", "message"))
    raise AssertionError(f"still under way at {timezone.now()}: {states}")


def quicken(monkeypatch: Any) -> None:
    """Shopify's own cancellation takes a second; here a moment."""
    monkeypatch.setattr(cancellation, "JOB_SECONDS", 0.01)
