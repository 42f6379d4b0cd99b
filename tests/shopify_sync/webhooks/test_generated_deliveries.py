"""Whatever reaches the webhook endpoint is answered, and never with a 500.

What it promised to keep is kept, and what is kept never blocks other deliveries. The suite sends
50 deliveries through each receiver; for a long run, set GENERATED_DELIVERIES=10000.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, Phase, event, find, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from orders.models import Store
from shopify_sync.models import EventState, ShopConnection, WebhookEvent
from shopify_sync.webhooks import (
    counters,
    processing,
    storage,
)
from shopify_sync.webhooks.signing import sign
from tests.support.shop.doors import Door, ViewDoor, native_door

EXAMPLES = int(os.environ.get("GENERATED_DELIVERIES", "50"))
DOMAIN = "demo.myshopify.com"
SECRET = b"shpss_secret"
TOPICS = (
    "orders/create",
    "orders/updated",
    "orders/delete",
    "refunds/create",
    "fulfillments/update",
    "app/uninstalled",
    "app/scopes_update",
    "customers/redact",
    "customers/data_request",
    "shop/redact",
    "bulk_operations/finish",
    "no/such_topic",
)
ORDER = json.dumps(
    {
        "id": 820982911946154508,
        "admin_graphql_api_id": "gid://shopify/Order/820982911946154508",
        "email": "jon@example.com",
        "created_at": "2026-11-23T10:00:00-05:00",
        "currency": "EUR",
        "total_price": "403.00",
        "line_items": [{"id": 1, "quantity": 2, "title": "Überraschung"}],
        "customer": {"id": 115310627314723954, "first_name": None},
        "shop_domain": DOMAIN,
    }
).encode()

# Everything JSON may hold that databases and parsers stumble over.
odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["\x00", "\ud800", "9" * 500, 2**70, -(2**63) - 1, "820982911946154508"]),
)
json_like = st.recursive(
    odd,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["id", "order_id", "order", "shop_domain", "customer", "orders_to_redact", "x"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@st.composite
def torn_order(draw: st.DrawFn) -> bytes:
    """A true body with a piece of it lost or overwritten."""
    start = draw(st.integers(0, len(ORDER)))
    end = draw(st.integers(start, min(len(ORDER), start + 40)))
    return ORDER[:start] + draw(st.binary(max_size=20)) + ORDER[end:]


bodies = st.one_of(
    st.binary(max_size=300),
    torn_order(),
    json_like.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
    st.integers(1, 3000).map(lambda deep: b'{"id":' * deep),
    st.integers(1, 5000).map(lambda digits: b'{"id": ' + b"9" * digits + b"}"),
)
# What a client can put on the wire at all: no line ends, and one byte a character.
strange = st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=120)
rarely = st.integers(0, 2).map(lambda n: n == 0)
SIGNED, OLD, WRONG, ABSENT = "signed", "old", "wrong", "absent"


@dataclass(frozen=True)
class Generated:
    body: bytes
    way: str
    headers: dict[str, str]


@st.composite
def deliveries(draw: st.DrawFn) -> Generated:
    body = draw(bodies)
    way = draw(st.sampled_from([SIGNED, SIGNED, SIGNED, OLD, WRONG, ABSENT]))
    usual = {
        "X-Shopify-Topic": draw(st.sampled_from(TOPICS)),
        "X-Shopify-Shop-Domain": DOMAIN,
        "X-Shopify-Webhook-Id": draw(st.sampled_from(["new", "new", "same again", "é"])),
        "X-Shopify-Event-Id": "e-1",
        "X-Shopify-API-Version": "2026-10",
        "X-Shopify-Triggered-At": "2026-11-23T10:00:00.000000000Z",
    }
    # Most come as Shopify sends them; of some a header or two is strange, or lost.
    spoilt = draw(st.sets(st.sampled_from(sorted(usual)), max_size=2)) if draw(rarely) else set()
    headers = {
        name: draw(strange) if name in spoilt else value
        for name, value in usual.items()
        if name not in spoilt or draw(st.booleans())
    }
    if way in {SIGNED, OLD}:
        headers["X-Shopify-Hmac-Sha256"] = sign(body, SECRET if way == SIGNED else b"old")
    elif way == WRONG:
        headers["X-Shopify-Hmac-Sha256"] = draw(strange)
    return Generated(body, way, headers)


@pytest.fixture(
    params=[
        pytest.param("view", marks=pytest.mark.django_db(transaction=True)),
        pytest.param("native", marks=pytest.mark.django_db(transaction=True)),
    ]
)
def door(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    monkeypatch.setattr("core.queue.enqueue", lambda *_, **__: True)
    counters._counts.clear()
    if request.param == "view":
        yield ViewDoor()
        return
    with native_door() as native:
        yield native


@pytest.fixture
def connected(door: Door, settings: Any) -> Store:
    # Requests to Shopify fail at once, since nothing is listening.
    settings.SHOPIFY_ADMIN_ORIGIN = "http://127.0.0.1:9"
    store = Store.objects.create(domain=DOMAIN)
    ShopConnection.objects.create(
        store=store, access_token="t", api_secret=SECRET.decode(), previous_api_secret="old"
    )
    return store


numbers = itertools.count()


def _newest() -> int:
    return WebhookEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def judge(door: Door, one: Generated) -> str:
    """Send it, and hold the answer against what is there afterwards. Raises AssertionError."""
    headers = dict(one.headers)
    if headers.get("X-Shopify-Webhook-Id") == "new":
        headers["X-Shopify-Webhook-Id"] = f"w-{next(numbers)}"
    before = _newest()
    answer = door.post(one.body, headers)
    status, said = answer.status_code, answer.headers.get("X-Webhook", "")
    assert status in {200, 400, 401}, (status, one)
    kept = WebhookEvent.objects.filter(pk__gt=before).count()
    assert kept == (1 if said == "stored" else 0), (status, said, one)
    if status == 200:
        assert one.way in {SIGNED, OLD}, one
    if said == "stored":
        assert WebhookEvent.objects.get(pk__gt=before).body_bytes == one.body
    elif one.way in {SIGNED, OLD} and headers.get("X-Shopify-Shop-Domain") == DOMAIN:
        # Signed and ours: only a name that cannot be stored is a reason not to.
        assert status == 400 or said == "known", (status, one)
    return said or str(status)


def work_off() -> None:
    WebhookEvent.objects.filter(state=EventState.WAITING).update(next_attempt_at=timezone.now())
    processing.work_off()
    # No event keeps its neighbors from being looked at.
    assert not WebhookEvent.objects.filter(state=EventState.WAITING, attempts=0).exists()


sizes = hypothesis_settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@given(one=deliveries())
@sizes
def test_every_delivery_is_answered_and_every_200_is_stored(
    connected: Store, door: Door, one: Generated
) -> None:
    event(f"answered {judge(door, one)}")
    work_off()


def test_a_receiver_that_parses_bodies_would_break(
    connected: Store, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: read as JSON before it is kept, some delivery of these gets a 500."""
    real = storage._row

    def parsing(one: Any) -> Any:
        json.loads(one.body)["id"]
        return real(one)

    monkeypatch.setattr(storage, "_row", parsing)

    def breaks(one: Generated) -> bool:
        try:
            judge(door, one)
        except Exception:  # noqa: BLE001  Django's test client raises instead of a 500
            return True
        return False

    few = hypothesis_settings(max_examples=200, deadline=None, phases=[Phase.generate])
    assert isinstance(find(deliveries(), breaks, settings=few), Generated)
