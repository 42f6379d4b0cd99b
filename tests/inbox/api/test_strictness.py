"""The REST API refuses whatever it would have to guess, ignore or count twice, and names it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.cache.backends.locmem import LocMemCache
from django.test import Client
from django.utils import timezone

from core.cache import RedisOrMemory
from inbox.api import limits
from inbox.channels import keys
from inbox.models import Channel, Conversation, Message
from orders import previews
from orders.errors import ActionRefused
from orders.models import Order, OrderAction
from orders.snapshot import LineQuantity
from tests.conftest import logged_in
from tests.support.people.tokens import api_token, bearing
from tests.support.shop.in_process import Shop

Seen = Callable[[], Order]
JSON = "application/json"


@pytest.fixture
def order(shop: Shop, seen: Seen, conversation: Conversation) -> Order:
    shop.place()
    return seen()


@pytest.fixture
def api(alice: User) -> Client:
    return Client(headers=bearing(api_token(alice)))


def ask(api: Client, order: Order, raw: str | None = None, **wish: Any) -> Any:
    path = f"/api/v1/orders/{order.pk}/previews/"
    return api.post(path, wish if raw is None else raw, content_type=JSON)


def problem(answer: Any, *named: str) -> None:
    """It is a 400 of the documented form that names these fields."""
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    body = answer.json()
    assert body["status"] == 400
    assert set(named) <= set(body.get("errors", ())), body


# --- The same line twice --------------------------------------------------------------------------
def twice(order: Order) -> list[dict[str, Any]]:
    line = next(line for line in order.snapshot.lines if line.refundable_quantity)
    return [{"line": line.gid, "quantity": line.refundable_quantity}] * 2


@pytest.mark.django_db(transaction=True)
def test_a_line_listed_twice_is_refused(api: Client, order: Order) -> None:
    answer = ask(api, order, kind="refund", reason="damaged", lines=twice(order))
    problem(answer, "lines")
    assert "listed twice" in json.dumps(answer.json()["errors"])
    once = ask(api, order, kind="refund", reason="damaged", lines=twice(order)[:1])
    assert once.status_code == 200, once.json()


@pytest.mark.django_db(transaction=True)
def test_so_it_is_by_the_engine_itself(order: Order, alice: User) -> None:
    """Whatever lets it through, such as a page or a later API."""
    with pytest.raises(ActionRefused, match="twice"):
        previews.preview_refund(
            order,
            previews.RefundChoice(
                reason="damaged",
                lines=tuple(
                    LineQuantity(line_gid=one["line"], quantity=one["quantity"])
                    for one in twice(order)
                ),
            ),
            by=alice,
            now=timezone.now(),
        )


# --- Unknown, ignored, ambiguous --------------------------------------------------------------------
REFUND = {"kind": "refund", "reason": "goodwill", "amount": "5.00"}
CANCEL = {"kind": "cancel", "reason": "customer"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("wish", "name"),
    [
        (REFUND | {"amonut": "5.00"}, "amonut"),
        (REFUND | {"cancel_shipments": True}, "cancel_shipments"),
        (REFUND | {"discrepancy_reason": "OTHER"}, "discrepancy_reason"),
        (REFUND | {"restock": True}, "restock"),
        (REFUND | {"through": "gid://shopify/Return/1"}, "through"),
        (CANCEL | {"amount": "5.00"}, "amount"),
        (CANCEL | {"lines": [{"line": "gid://shopify/LineItem/1", "quantity": 1}]}, "lines"),
        (CANCEL | {"returned": "received"}, "returned"),
        (CANCEL | {"method": "store_credit"}, "method"),
        (CANCEL | {"kind": "cancel_and_refund", "shipping": "1.00"}, "shipping"),
        (REFUND | {"amount": 5}, "amount"),
        (REFUND | {"amount": 5.0}, "amount"),
        (REFUND | {"amount": ["5.00"]}, "amount"),
        (REFUND | {"notify": "yes"}, "notify"),
        (REFUND | {"notify": 1}, "notify"),
        (REFUND | {"reason": True}, "reason"),
        (REFUND | {"staff_note": {"a": 1}}, "staff_note"),
        (REFUND | {"kind": 1}, "kind"),
        (REFUND | {"lines": {"line": 1}}, "lines"),
        (
            {"kind": "refund", "reason": "goodwill", "lines": [{"line": "x", "quantity": "1"}]},
            "lines",
        ),
        (
            {"kind": "refund", "reason": "goodwill", "lines": [{"line": "x", "quantity": True}]},
            "lines",
        ),
        (
            {"kind": "refund", "reason": "goodwill", "lines": [{"line": "x", "quantity": 1.0}]},
            "lines",
        ),
        (
            {"kind": "refund", "reason": "goodwill", "lines": [{"line": "x", "quantity": 10**30}]},
            "lines",
        ),
        (
            {
                "kind": "refund",
                "reason": "goodwill",
                "lines": [{"line": "x", "quantity": 1, "of": 2}],
            },
            "lines",
        ),
        ({"reason": "goodwill"}, "kind"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_would_be_ignored_or_converted_is_refused(
    api: Client, order: Order, wish: dict[str, Any], name: str
) -> None:
    problem(ask(api, order, **wish), name)


@pytest.mark.django_db(transaction=True)
def test_what_says_nothing_may_be_sent(api: Client, order: Order) -> None:
    answer = ask(
        api,
        order,
        **REFUND,
        lines=[],
        shipping=None,
        restock=None,
        notify=False,
        cancel_shipments=False,
        method="original",
        staff_note="",
    )
    assert answer.status_code == 200, answer.json()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (
            '{"kind": "refund", "reason": "goodwill", "amount": "5.00", "amount": "9.00"}',
            ["amount"],
        ),
        ('{"kind": "refund", "lines": [{"line": "x", "line": "y", "quantity": 1}]}', ["line"]),
        ("{", []),
        ("", []),
        ("[]", []),
        ("null", []),
        ('"text"', []),
        ("NaN", []),
        ('{"kind": Infinity}', []),
        ('{"kind": 1e999}', ["kind"]),
        ('{"kind": ' + "9" * 5000 + "}", []),
        ('{"\\ud800": 1}', []),
        ('{"kind": "\\udfff"}', []),
        ('{"kind": "\\u0000"}', []),
        ("[" * 100_000, []),
        ('{"a":' * 5000 + "1" + "}" * 5000, []),
    ],
)
def test_a_body_that_could_mean_two_things_is_refused(
    api: Client, order: Order, raw: str, named: list[str]
) -> None:
    problem(ask(api, order, raw), *named)


@pytest.mark.django_db(transaction=True)
def test_bodies_and_parameters_nobody_asked_for_are_refused(order: Order, alice: User) -> None:
    # Waits for approval, so that each of these could still change it.
    api = Client(headers=bearing(api_token(alice, "propose", name="2")))
    token = ask(api, order, **REFUND).json()["token"]
    path = f"/api/v1/orders/{order.pk}/actions/"
    headers = {"Idempotency-Key": "k-1"}
    wish = {"token": token, "amount": "1.00"}
    problem(api.post(path, wish, content_type=JSON, headers=headers), "amount")
    assert not OrderAction.objects.exists()
    made = api.post(path, {"token": token}, content_type=JSON, headers=headers).json()
    action = f"/api/v1/actions/{made['id']}/"
    api = Client(headers=bearing(api_token(alice, name="3")))
    problem(api.post(f"{action}approve/", {"force": True}, content_type=JSON), "force")
    problem(api.post(f"{action}withdraw/", {"force": True}, content_type=JSON), "force")
    problem(api.post(f"{action}decline/", {"nota": "no"}, content_type=JSON), "nota")
    problem(api.post(f"{action}withdraw/?force=1"), "force")
    problem(api.get("/api/v1/orders/?q=1001&limit=5"), "limit")
    problem(api.get("/api/v1/orders/?q=1001&q=1002"), "q")
    assert OrderAction.objects.get().state == "awaiting_approval"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"attachement": []}, "attachement"),
        ({"external_id": 7}, "external_id"),
        ({"text": ["Hello"]}, "text"),
        ({"sent_at": 1732356000}, "sent_at"),
        ({"sender": "Jane"}, "sender"),
        ({"sender": {"external_id": "u-1", "mail": "jane@example.com"}}, "sender"),
        ({"sender": {"external_id": "u-1", "verified": "email"}}, "sender"),
        ({"attachments": [{"name": "a", "link": "https://example.com"}]}, "attachments"),
    ],
)
def test_the_channel_api_is_as_strict(channel: Channel, changes: dict[str, Any], name: str) -> None:
    said = {"external_id": "m-1", "conversation": "c-1", "sender": {"external_id": "u-1"}}
    path = f"/api/v1/channels/{channel.pk}/messages/"
    headers = {"Authorization": f"Bearer {keys.new_key(channel)}"}
    problem(Client().post(path, said | changes, content_type=JSON, headers=headers), name)
    assert not Message.objects.exists()
    answer = Client().post(path, said, content_type=JSON, headers=headers)
    assert answer.status_code == 201, "what is optional may be left out"


@pytest.mark.django_db
def test_a_body_above_the_limit_is_not_read(alice: User, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    body = json.dumps({"token": "x" * 2000})
    answer = logged_in(alice).post(
        "/api/v1/orders/1/previews/", body, content_type=JSON, headers=bearing(api_token(alice))
    )
    assert answer.status_code in {404, 413}


# --- Rate limits ------------------------------------------------------------------------------------
@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request comes in the same minute."""
    cache.clear()
    monkeypatch.setattr(time, "time", lambda: 1_000_000_005.0)


@pytest.mark.django_db
def test_each_token_has_its_limit(alice: User, bob: User, settings: Any, early: None) -> None:
    settings.API_REQUESTS_PER_MINUTE = 3
    first, second, bobs = api_token(alice), api_token(alice, name="2"), api_token(bob)

    def ask(text: str) -> Any:
        return Client().get("/api/v1/orders/?q=1", headers=bearing(text))

    assert [ask(first).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    late = ask(first)
    assert late["Content-Type"] == "application/problem+json"
    assert late["Retry-After"] == "15"
    assert ask(second).status_code == 200
    assert ask(bobs).status_code == 200
    # People who use it with their session have one, too.
    assert [logged_in(alice).get("/api/v1/orders/?q=1").status_code for _ in range(4)][3] == 429
    settings.API_REQUESTS_PER_MINUTE = 0
    assert ask(first).status_code == 200


@pytest.mark.django_db
def test_the_next_minute_begins_anew(
    alice: User, settings: Any, early: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.API_REQUESTS_PER_MINUTE = 1
    headers = bearing(api_token(alice))
    assert Client().get("/api/v1/orders/?q=1", headers=headers).status_code == 200
    assert Client().get("/api/v1/orders/?q=1", headers=headers).status_code == 429
    monkeypatch.setattr(time, "time", lambda: 1_000_000_041.0)
    assert Client().get("/api/v1/orders/?q=1", headers=headers).status_code == 200


@pytest.mark.django_db
def test_each_channel_has_its_limit(channel: Channel, settings: Any, early: None) -> None:
    settings.CHANNEL_MESSAGES_PER_MINUTE = 2
    other = Channel.objects.create(name="Other")
    texts = {one.pk: keys.new_key(one) for one in (channel, other)}

    def push(to: Channel, number: int) -> Any:
        said = {
            "external_id": f"m-{to.pk}-{number}",
            "conversation": "c-1",
            "sender": {"external_id": "u-1"},
        }
        return Client().post(
            f"/api/v1/channels/{to.pk}/messages/",
            said,
            content_type=JSON,
            headers={"Authorization": f"Bearer {texts[to.pk]}"},
        )

    assert [push(channel, n).status_code for n in range(3)] == [201, 201, 429]
    assert "Retry-After" in push(channel, 4)
    assert push(other, 1).status_code == 201
    assert Message.objects.count() == 3


@pytest.mark.django_db
def test_a_cache_that_fails_between_two_steps_starts_to_count_again(
    alice: User, settings: Any, early: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis took the key and then went down: this process's own memory doesn't have it."""
    settings.API_REQUESTS_PER_MINUTE = 1
    reached, memory = RedisOrMemory("redis://127.0.0.1:1/0", {}), LocMemCache("reached", {})
    monkeypatch.setattr(limits, "cache", reached)
    monkeypatch.setattr(reached, "add", memory.add)
    headers = bearing(api_token(alice))
    codes = [Client().get("/api/v1/orders/?q=1", headers=headers).status_code for _ in range(3)]
    assert codes == [200, 429, 429]
