"""Send signed webhooks to every subscription of the topic, and to --deliver-to.

--deliver-to acts like a subscription from the app's own configuration. With --through, every delivery
goes to that server, as from a proxy that has ended its TLS. Failed deliveries are
retried 8 times over 4 hours of the store's clock, with the original body; a subscription that
failed 8 times in a row is deleted, as at Shopify.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import hmac
import json
import logging
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import urllib3

from core.json_types import JsonObject
from practice_store.faults.rules import Faults
from practice_store.state import (
    Shop,
    Subscription,
    World,
)

logger = logging.getLogger(__name__)

RETRY_AFTER_S: Final = (10, 60, 300, 900, 1800, 3600, 3600, 4200)
FAILURES_UNTIL_DELETED: Final = 8


@dataclass(order=True)
class Delivery:
    """A queued delivery, ordered by when it is due."""

    due: float
    serial: int
    shop: str = field(compare=False)
    topic: str = field(compare=False)
    url: str = field(compare=False)
    body: bytes = field(compare=False)
    headers: dict[str, str] = field(compare=False)
    subscription: int | None = field(compare=False, default=None)
    tries: int = field(compare=False, default=0)


class Courier:
    """Deliver webhooks with a few background threads; `log` has the result of each try."""

    def __init__(
        self,
        world: World,
        faults: Faults,
        *,
        deliver_to: str = "",
        through: str = "",
        threads: int = 4,
    ) -> None:
        self._world, self._faults, self._deliver_to = world, faults, deliver_to
        self._through = through.rstrip("/")
        self._queue: list[Delivery] = []
        self._wake = threading.Condition()
        self._serial = 0
        self._stopped = False
        self._pool = urllib3.PoolManager(
            maxsize=threads, retries=False, timeout=urllib3.Timeout(connect=1.0, read=5.0)
        )
        self.log: list[JsonObject] = []
        self._threads = [
            threading.Thread(target=self._work, daemon=True, name=f"courier-{n}")
            for n in range(threads)
        ]

    def start(self) -> None:
        """Start the threads; deliveries may be queued before."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads; what is still queued is lost."""
        with self._wake:
            self._stopped = True
            self._wake.notify_all()

    def clock_moved(self) -> None:
        """Check for due deliveries again, after the store's clock moved."""
        with self._wake:
            self._wake.notify_all()

    def send(self, shop: Shop, emitted: list[tuple[str, JsonObject]]) -> None:
        """Queue the webhooks of one merchant action; they all share one event ID."""
        event_id = str(uuid.uuid4())
        for topic, content in emitted:
            body = json.dumps(content, ensure_ascii=False, default=str).encode()
            constant = topic.replace("/", "_").upper()
            targets: list[tuple[str, int | None]] = [
                (s.uri, s.number_id) for s in shop.subscriptions.values() if s.topic == constant
            ]
            if self._deliver_to and not any(uri == self._deliver_to for uri, _ in targets):
                targets.append((self._deliver_to, None))
            for url, subscription in targets:
                self._queue_one(shop, topic, url, body, event_id, subscription)

    def _queue_one(
        self, shop: Shop, topic: str, url: str, body: bytes, event_id: str, subscription: int | None
    ) -> None:
        now = self._now()
        delivery = Delivery(
            due=now,
            serial=0,
            shop=shop.domain,
            topic=topic,
            url=url,
            body=body,
            headers=headers(shop, topic, body, event_id, self._world.now()),
            subscription=subscription,
        )
        rule = self._faults.pick(("webhook",), shop.domain)
        if rule and rule.phase == "lose":
            return
        if rule and rule.phase in {"delay", "reorder"}:
            delivery.due += rule.seconds if rule.phase == "delay" else 0.5
        self._put(delivery)
        if rule and rule.phase == "duplicate":
            self._put(delivery)

    def _put(self, delivery: Delivery) -> None:
        with self._wake:
            self._serial += 1
            delivery = Delivery(**{**delivery.__dict__, "serial": self._serial})
            heapq.heappush(self._queue, delivery)
            self._wake.notify()

    def _now(self) -> float:
        return time.time() + self._world.ahead_s

    def _work(self) -> None:
        while (delivery := self._take()) is not None:
            self._attempt(delivery)

    def _take(self) -> Delivery | None:
        with self._wake:
            while not self._stopped:
                if self._queue and self._queue[0].due <= self._now():
                    return heapq.heappop(self._queue)
                wait = self._queue[0].due - self._now() if self._queue else 5.0
                self._wake.wait(timeout=max(0.005, min(wait, 5.0)))
        return None

    def _attempt(self, delivery: Delivery) -> None:
        url, headers = delivery.url, delivery.headers
        if self._through:
            parts = urlsplit(url)
            url = f"{self._through}{parts.path}"
            headers = headers | {"Host": parts.netloc, "X-Forwarded-Proto": parts.scheme}
        try:
            answer = self._pool.request(
                "POST", url, body=delivery.body, headers=headers, redirect=False
            )
            status = answer.status
        except urllib3.exceptions.HTTPError:
            status = 0
        self.log.append(
            {
                "topic": delivery.topic,
                "id": delivery.headers["X-Shopify-Webhook-Id"],
                "status": status,
                "try": delivery.tries + 1,
            }
        )
        shop = self._world.shops.get(delivery.shop)
        row = shop.subscriptions.get(delivery.subscription or 0) if shop else None
        if 200 <= status < 300:
            if row:
                row.failures = 0
            return
        if shop and row:
            self._count_failure(shop, row)
        if delivery.tries < len(RETRY_AFTER_S):
            delivery.due = self._now() + RETRY_AFTER_S[delivery.tries]
            delivery.tries += 1
            self._put(delivery)

    def _count_failure(self, shop: Shop, row: Subscription) -> None:
        row.failures += 1
        if row.failures >= FAILURES_UNTIL_DELETED:
            shop.subscriptions.pop(row.number_id, None)
            logger.warning("subscription %s of %s deleted after 8 failures", row.topic, shop.domain)


def headers(shop: Shop, topic: str, body: bytes, event_id: str, now: datetime) -> dict[str, str]:
    """Return Shopify's headers for a delivery, with a new webhook ID and the body's signature."""
    signature = hmac.digest(shop.secret.encode(), body, hashlib.sha256)
    return {
        "Content-Type": "application/json",
        "X-Shopify-Topic": topic,
        "X-Shopify-Hmac-Sha256": base64.b64encode(signature).decode(),
        "X-Shopify-Shop-Domain": shop.domain,
        "X-Shopify-API-Version": "2026-10",
        "X-Shopify-Webhook-Id": str(uuid.uuid4()),
        "X-Shopify-Event-Id": event_id,
        "X-Shopify-Triggered-At": now.strftime("%Y-%m-%dT%H:%M:%S.000000000Z"),
    }
