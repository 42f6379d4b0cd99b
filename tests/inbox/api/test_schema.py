"""The REST API against its own schema: generated calls, and bodies made to break it.

In CI a small number. In full: `API_CALLS=5000 HOSTILE_BODIES=2000 ./run test -m slow
tests/inbox/api/test_schema.py`. Prints how many calls got which status.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from django.contrib.auth.models import Group, User
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings, strategies

from inbox.channels import keys
from inbox.models import Channel, Contact, Conversation
from orders.models import Order, Policy
from tests.flows.actions.test_api_clicks import preview
from tests.support.people.tokens import api_token, bearing
from tests.support.shop.in_process import Shop

schemathesis = pytest.importorskip("schemathesis")
from schemathesis import checks  # noqa: E402
from schemathesis.core.failures import FailureGroup  # noqa: E402
from schemathesis.specs.openapi import checks as openapi_checks  # noqa: E402

Seen = Callable[[], Order]
pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
CALLS: Final = int(os.environ.get("API_CALLS", "90"))
HOSTILE: Final = int(os.environ.get("HOSTILE_BODIES", "60"))
CHECKS: Final = (
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
)
_quick: Final = settings(
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True)
def _no_limits(settings: Any) -> None:
    settings.API_REQUESTS_PER_MINUTE = settings.CHANNEL_MESSAGES_PER_MINUTE = 0
    # As in production: a fault is a 500, not an exception of the test.
    settings.DEBUG_PROPAGATE_EXCEPTIONS = False


@pytest.fixture
def order(shop: Shop, seen: Seen, conversation: Conversation) -> Order:
    shop.place()
    return seen()


@pytest.fixture
def schema(alice: User) -> Any:
    """As programs read it, behind the login."""
    assert Client().get("/api/schema/").status_code == 401
    return schemathesis.openapi.from_wsgi(
        "/api/schema/?format=json", WSGIHandler(), headers=bearing(api_token(alice, name="Schema"))
    )


def known_ids(order: Order, channel: Channel) -> dict[str, int]:
    contact = Contact.objects.get()
    return {
        "order_id": order.pk,
        "action_id": 1,
        "channel_id": channel.pk,
        "contact_id": contact.pk,
    }


def called(schema: Any, headers: dict[str, str], ids: dict[str, int], calls: int) -> Counter[int]:
    """Call every operation, so many times in all, and check each answer. Half of the calls use IDs
    that exist."""
    codes: Counter[int] = Counter()
    operations = [found.ok() for found in schema.get_all_operations()]
    operations = [one for one in operations if one.path.startswith("/api/v1/")]
    assert len(operations) >= 15
    for operation in operations:

        @settings(_quick, max_examples=max(1, calls // len(operations)))
        @given(case=operation.as_strategy(), is_known=strategies.booleans())
        def call(case: Any, is_known: bool) -> None:
            if is_known:
                case.path_parameters = {n: ids.get(n, v) for n, v in case.path_parameters.items()}
            answer = case.call(headers=headers)
            codes[answer.status_code] += 1
            case.validate_response(answer, checks=CHECKS)

        call()
    return codes


@pytest.mark.parametrize("who", ["agent", "manager", "reader", "anonymous", "channel"])
def test_generated_calls_get_documented_answers(
    schema: Any, order: Order, channel: Channel, alice: User, who: str
) -> None:
    Policy.objects.create(role=alice.groups.get(), refund_up_to="20", approval_disputed=True)
    manager = User.objects.create_user("mona", is_staff=True)
    manager.groups.set(Group.objects.filter(name__in=["agents", "auditors"]))
    headers = {
        "agent": bearing(api_token(alice)),
        "manager": bearing(api_token(manager)),
        "reader": bearing(api_token(alice, "read", name="Reader")),
        "anonymous": {},
        "channel": {"Authorization": f"Bearer {keys.new_key(channel)}"},
    }[who]
    codes = called(schema, headers, known_ids(order, channel), CALLS // 4)
    sys.stdout.write(f"\n{who}: {dict(sorted(codes.items()))}\n")
    assert not [code for code in codes if code >= 500 and code != 503]
    if who == "anonymous":
        assert set(codes) <= {401, 405}


# --- Hostile bodies -----------------------------------------------------------------------------------
def hostile() -> Iterator[bytes]:
    """Bodies that break parsers, over and over with other words in them."""
    wish = {"kind": "refund", "reason": "goodwill", "amount": "1.00"}
    nasty = [
        "\x00",
        "\ud800",
        "9" * 400,
        "-1",
        "1e400",
        "NaN",
        "٣",
        "1,5",
        "' OR 1=1 --",
        "{{7*7}}",
        "../../etc",
        "<script>",
        "\u202e",
        "a" * 70_000,
        "gid://shopify/LineItem/" + "9" * 40,
        "%00",
        "\r\nX: y",
        "𝟏.𝟎𝟎",
    ]
    others: list[Any] = [None, True, -1, 10**400, 1e308, [], {}, [[]], {"a": {}}, "", *nasty]
    for other in others:
        for name in (
            "kind",
            "reason",
            "amount",
            "lines",
            "shipping",
            "method",
            "restock",
            "through",
            "staff_note",
            "token",
            "note",
            "external_id",
            "sender",
            "text",
            "sent_at",
        ):
            yield json.dumps(wish | {name: other}).encode()
            yield json.dumps({name: other}).encode()
        yield json.dumps(wish | {"lines": [{"line": other, "quantity": other}] * 2}).encode()
        yield json.dumps(other).encode()
    raw = (
        b"",
        b"{",
        b"}",
        b"[",
        b"null",
        b'"',
        b"\xff\xfe",
        b"\x00",
        b"[" * 50_000,
        b'{"a":' * 50_000,
        b'{"token": "a", "token": "b"}',
        b"\xef\xbb\xbf{}",
        b"1" * 5000,
        b"-",
        b"[1,]",
        b"{'a': 1}",
        b'{"a": \xed\xa0\x80}',
        b"a=b&c=d",
        b"\x1f\x8b\x08\x00",
        b'{"\\ud800": 1}',
    )
    yield from raw


HOW: Final = (
    "application/json",
    "application/json; charset=zlib",
    "application/json; charset=utf-16",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "",
)


def attacked(order: Order, channel: Channel, agent: User, count: int) -> Counter[int]:
    """Send so many of the bodies to every address that takes one."""
    api, own = bearing(api_token(agent)), {"Authorization": f"Bearer {keys.new_key(channel)}"}
    doors = [
        (f"/api/v1/orders/{order.pk}/previews/", api),
        (f"/api/v1/orders/{order.pk}/actions/", api | {"Idempotency-Key": "k-\u00e9"}),
        ("/api/v1/actions/1/approve/", api),
        ("/api/v1/actions/1/decline/", api),
        ("/api/v1/actions/1/withdraw/", api),
        (f"/api/v1/channels/{channel.pk}/messages/", own),
    ]
    bodies = list(hostile())
    codes: Counter[int] = Counter()
    client = Client(raise_request_exception=False)
    for number in range(count):
        # Strides without a common factor, so that everything meets everything.
        path, headers = doors[number % len(doors)]
        body = bodies[number * 101 % len(bodies)]
        how = HOW[0] if number % 3 else HOW[number // 3 % len(HOW)]
        answer = client.generic("POST", path, body, content_type=how, headers=headers)
        codes[answer.status_code] += 1
        where = (path, how, body[:80])
        assert answer.status_code < 500, where
        if answer.status_code >= 400:
            assert answer["Content-Type"] == "application/problem+json", where
            assert answer.json()["status"] == answer.status_code, where
    return codes


def test_no_body_breaks_it(order: Order, channel: Channel, alice: User) -> None:
    preview(Client(headers=bearing(api_token(alice, name="2"))), order, "1.00")
    codes = attacked(order, channel, alice, HOSTILE)
    sys.stdout.write(f"\nhostile: {dict(sorted(codes.items()))}\n")
    assert sum(codes.values()) == HOSTILE


# --- Negative controls ----------------------------------------------------------------------------------
def test_an_answer_beside_the_schema_is_noticed(
    schema: Any, order: Order, channel: Channel, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inbox.api.orders import as_json

    real = as_json.brief
    monkeypatch.setattr(as_json, "brief", lambda found: real(found) | {"id": "one"})
    with pytest.raises((FailureGroup, BaseExceptionGroup)):
        called(schema, bearing(api_token(alice)), known_ids(order, channel), 400)


def test_a_fault_is_noticed(
    schema: Any, order: Order, channel: Channel, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inbox.api.orders import as_json

    monkeypatch.setattr(as_json, "full", lambda *_: 1 / 0)
    with pytest.raises((FailureGroup, BaseExceptionGroup)):
        called(schema, bearing(api_token(alice)), known_ids(order, channel), 90)
