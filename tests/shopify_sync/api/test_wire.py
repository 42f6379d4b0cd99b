"""Requests to Shopify and what responses mean, at the transport, without a shop."""

from __future__ import annotations

import io
import json
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import urllib3
from django.utils import timezone

from core.encryption import Secret
from orders.models import Store
from shopify_sync.api import client as client_module
from shopify_sync.api.client import (
    AdminClient,
    Budget,
)
from shopify_sync.api.errors import (
    NeedsAdmin,
    OutcomeUnknown,
    ShopifyError,
    Throttled,
    Unreachable,
)
from shopify_sync.models import ConnectionMethod, ShopConnection
from shopify_sync.stores import tokens
from tests.shopify_sync.api.test_client import Server

DOMAIN = "demo.myshopify.com"
GOOD = json.dumps({"data": {"shop": {"name": "Demo"}}}).encode()


@dataclass
class Answer:
    status: int
    data: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Pool:
    """In the place of urllib3's: gives these answers, one after the other, the last for ever."""

    answers: list[Answer | Exception]
    asked: list[dict[str, Any]] = field(default_factory=list)
    connection_pool_kw: dict[str, Any] = field(
        default_factory=lambda: {"timeout": urllib3.Timeout(connect=2.0, read=10.0)}
    )

    def request(self, method: str, url: str, **more: Any) -> urllib3.HTTPResponse:
        self.asked.append({"method": method, "url": url, **more})
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return urllib3.HTTPResponse(
            body=io.BytesIO(answer.data),
            status=answer.status,
            headers=answer.headers,
            preload_content=False,
        )


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch, settings: Any, db: None) -> Any:
    """answering(...): what Shopify answers from now on, to queries and to requests for tokens."""
    settings.TESTING_IN_TRANSACTION = True

    def answering(*answers: Answer | Exception) -> Pool:
        pool = Pool(list(answers))
        monkeypatch.setattr(client_module, "_pool", lambda: pool)
        monkeypatch.setattr(tokens, "_pool", lambda: pool)
        return pool

    client_module._budgets.clear()
    return answering


def ask(**more: Any) -> dict[str, Any]:
    return AdminClient(domain=DOMAIN, token=Secret("shpat_1"), **more).execute("ShopInfo", {})


@pytest.mark.parametrize(
    "status",
    [
        201,
        202,
        203,
        204,
        206,
        226,
        300,
        301,
        302,
        303,
        304,
        307,
        308,
        500,
        501,
        502,
        503,
        504,
        520,
        530,
        599,
    ],
)
def test_only_200_is_an_answer_whatever_the_body_says(answering: Any, status: int) -> None:
    """A proxy's error page or redirect may carry JSON that looks like data."""
    answering(Answer(status, GOOD))
    with pytest.raises(OutcomeUnknown):
        ask()


def test_200_with_the_same_body_is_an_answer(answering: Any) -> None:
    """Negative control of the test above."""
    answering(Answer(200, GOOD))
    assert ask() == {"shop": {"name": "Demo"}}


@pytest.mark.parametrize("origin", ["", "http://127.0.0.1:9"])
def test_a_query_goes_to_the_shop_itself_unless_the_settings_name_another(
    answering: Any, settings: Any, origin: str
) -> None:
    settings.SHOPIFY_ADMIN_ORIGIN = origin
    pool = answering(Answer(200, GOOD))
    ask()
    (asked,) = pool.asked
    version = settings.SHOPIFY_API_VERSION
    assert asked["url"] == f"{origin or f'https://{DOMAIN}'}/admin/api/{version}/graphql.json"
    assert asked["method"] == "POST"
    assert asked["redirect"] is False, "a redirect would carry the token elsewhere"
    assert asked["headers"]["Host"] == DOMAIN
    assert asked["headers"]["X-Shopify-Access-Token"] == "shpat_1"


@pytest.fixture
def row(db: None) -> ShopConnection:
    """An app of the merchant's own, which has no token yet."""
    store = Store.objects.create(domain=DOMAIN, name="Demo", currency="EUR")
    return ShopConnection.objects.create(
        store=store,
        method=ConnectionMethod.CLIENT_CREDENTIALS,
        client_id="app-1",
        api_secret=Secret("shpss_1"),
    )


def token_answer(**more: Any) -> Answer:
    content = {"access_token": "shpat_new", "scope": "read_orders", "expires_in": 3600, **more}
    return Answer(200, json.dumps(content).encode())


@pytest.mark.parametrize("origin", ["", "http://127.0.0.1:9"])
def test_a_token_is_asked_of_the_shop_itself_unless_the_settings_name_another(
    answering: Any, settings: Any, row: ShopConnection, origin: str
) -> None:
    """In production no origin is set, and everywhere else one is."""
    settings.SHOPIFY_ADMIN_ORIGIN = origin
    pool = answering(token_answer())
    assert tokens.renew(row, used=Secret("")).reveal() == "shpat_new"
    (asked,) = pool.asked
    assert asked["url"] == f"{origin or f'https://{DOMAIN}'}/admin/oauth/access_token"
    assert asked["method"] == "POST"
    assert asked["redirect"] is False, "a redirect would carry the secret elsewhere"
    assert asked["headers"]["Host"] == DOMAIN
    assert json.loads(asked["body"]) == {
        "client_id": "app-1",
        "client_secret": "shpss_1",
        "grant_type": "client_credentials",
    }


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, b""),
        Answer(302, token_answer().data),
        Answer(202, token_answer().data),
        Answer(200, b"<html>"),
        Answer(200, b"[]"),
        Answer(200, b"null"),
        Answer(200, b"{}"),
        Answer(200, b'{"access_token": ""}'),
        urllib3.exceptions.ReadTimeoutError(None, "", "late"),  # type: ignore[arg-type]
    ],
)
def test_a_response_without_a_token_is_rejected(
    answering: Any, row: ShopConnection, answer: Answer | Exception
) -> None:
    answering(answer)
    with pytest.raises(Unreachable):
        tokens.renew(row, used=Secret(""))
    row.refresh_from_db()
    assert not row.access_token
    assert row.renewal_lease_until is None, "free for the next try"


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refused_grant_tells_an_administrator(
    answering: Any, row: ShopConnection, status: int
) -> None:
    answering(Answer(status, b"{}"))
    with pytest.raises(NeedsAdmin, match="Reconnect the store"):
        tokens.renew(row, used=Secret(""))
    with pytest.raises(NeedsAdmin, match="didn't accept the installation"):
        tokens.exchange(row, "code-1")


def test_a_stored_token_is_used_until_it_is_nearly_over(
    answering: Any, row: ShopConnection, time_machine: Any
) -> None:
    pool = answering(token_answer(), token_answer(access_token="shpat_newer"))
    began = timezone.now()
    time_machine.move_to(began, tick=False)
    assert tokens.current(row).reveal() == "shpat_new"
    row.refresh_from_db()
    assert row.access_token_expires_at == began + timedelta(seconds=3600)
    assert row.scopes == ["read_orders"]
    assert tokens.current(row).reveal() == "shpat_new"
    assert len(pool.asked) == 1
    time_machine.move_to(row.access_token_expires_at - tokens.EARLY, tick=False)
    assert tokens.current(row).reveal() == "shpat_newer"
    assert len(pool.asked) == 2


def test_a_token_without_an_end_is_never_renewed_by_itself(
    answering: Any, row: ShopConnection
) -> None:
    pool = answering(token_answer(expires_in=None))
    tokens.current(row)
    row.refresh_from_db()
    assert row.access_token_expires_at is None
    assert tokens.current(row).reveal() == "shpat_new"
    assert len(pool.asked) == 1


def test_a_token_typed_by_an_administrator_is_used_as_it_is(
    answering: Any, row: ShopConnection
) -> None:
    pool = answering(token_answer())
    row.method = ConnectionMethod.ADMIN_TOKEN
    row.access_token = Secret("shpat_typed")
    row.access_token_expires_at = timezone.now()
    row.save()
    assert tokens.current(row).reveal() == "shpat_typed"
    with pytest.raises(NeedsAdmin, match="no longer valid"):
        tokens.renew(row, used=Secret("shpat_typed"))
    assert pool.asked == []


def test_a_refused_token_is_replaced_once_and_the_same_bytes_go_again(answering: Any) -> None:
    pool = answering(Answer(401, b""), Answer(200, GOOD))
    given = []

    def renew(used: Secret) -> Secret:
        given.append(used.reveal())
        return Secret("shpat_2")

    assert ask(renew=renew) == {"shop": {"name": "Demo"}}
    first, second = pool.asked
    assert given == ["shpat_1"]
    assert first["body"] == second["body"]
    assert second["headers"]["X-Shopify-Access-Token"] == "shpat_2"
    pool.answers[:] = [Answer(401, b"")]
    with pytest.raises(NeedsAdmin):
        ask(renew=renew)
    assert len(pool.asked) == 4
    with pytest.raises(NeedsAdmin):
        ask()
    assert len(pool.asked) == 5


# --- the budget


def with_budget(available: float, **more: Any) -> Answer:
    status = {"maximumAvailable": 2000.0, "currentlyAvailable": available, "restoreRate": 100.0}
    content = {"data": {"shop": {}}, "extensions": {"cost": {"throttleStatus": status, **more}}}
    return Answer(200, json.dumps(content).encode())


def test_background_reads_leave_half_of_the_budget_to_the_agents(answering: Any) -> None:
    pool = answering(with_budget(900.0), with_budget(1000.0))
    background = AdminClient(domain=DOMAIN, token=Secret("t"), is_background=True)
    foreground = AdminClient(domain=DOMAIN, token=Secret("t"))
    background.read("ShopInfo", {})
    assert background.headroom == (900.0, 2000.0)
    with pytest.raises(Throttled) as caught:
        background.read("ShopInfo", {})
    assert 0 < caught.value.retry_after_s <= 1.0, "a hundred points at a hundred a second"
    assert len(pool.asked) == 1, "unsent"
    foreground.read("ShopInfo", {})
    background.read("ShopInfo", {})
    assert len(pool.asked) == 3


def test_the_budget_refills_at_shopifys_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    budget = Budget(seen_at=now)
    budget.learn(
        {
            "throttleStatus": {
                "maximumAvailable": 2000,
                "currentlyAvailable": 500,
                "restoreRate": 100,
            }
        }
    )
    assert budget.wait_s(500) == 0.0
    assert budget.wait_s(700) == 2.0
    assert budget.background_wait_s() == 5.0
    now = 1003.0
    assert budget.background_wait_s() == 2.0
    now = 1010.0
    assert budget.background_wait_s() == 0.0
    budget.learn({"throttleStatus": {"restoreRate": 0}})
    assert (budget.maximum, budget.available, budget.restore_rate) == (2000, 500, 50)
    budget.learn({})
    assert budget.available == 500


def test_a_budget_is_not_read_while_another_thread_updates_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Here the other thread's update ends just before the lock is free."""
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    budget = Budget(available=1000.0, restore_rate=50.0, seen_at=1000.0)

    class Lock:
        def __enter__(self) -> None:
            budget.available, budget.restore_rate = 0.0, 100.0

        def __exit__(self, *_: object) -> None:
            pass

    budget.lock = Lock()  # type: ignore[assignment]
    assert budget.wait_s(500) == 5.0


def test_a_throttled_answer_says_when_there_will_be_enough(answering: Any) -> None:
    error = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
    status = {"maximumAvailable": 2000.0, "currentlyAvailable": 0.0, "restoreRate": 100.0}
    cost = {"requestedQueryCost": 300, "throttleStatus": status}
    answering(Answer(200, json.dumps({"errors": [error], "extensions": {"cost": cost}}).encode()))
    with pytest.raises(Throttled) as caught:
        ask()
    assert 3.0 <= caught.value.retry_after_s <= 3.6


@pytest.mark.parametrize(
    ("header", "seconds"), [("7.5", 7.5), ("", 2.0), ("soon", 2.0), (None, 2.0)]
)
@pytest.mark.parametrize("status", [429, 430])
def test_a_throttled_status_says_how_long(
    answering: Any, status: int, header: str | None, seconds: float
) -> None:
    answering(Answer(status, b"", {} if header is None else {"Retry-After": header}))
    with pytest.raises(Throttled) as caught:
        ask()
    assert caught.value.retry_after_s == seconds


# --- the way there


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (urllib3.exceptions.NewConnectionError(None, "no"), Unreachable),  # type: ignore[arg-type]
        (urllib3.exceptions.ConnectTimeoutError(), Unreachable),
        (urllib3.exceptions.SSLError(), OutcomeUnknown),
        (urllib3.exceptions.ReadTimeoutError(None, "", "late"), OutcomeUnknown),  # type: ignore[arg-type]
        (urllib3.exceptions.ProtocolError("reset"), OutcomeUnknown),
    ],
)
def test_what_was_not_connected_was_not_sent_and_all_else_may_have_been(
    answering: Any, error: Exception, expected: type[Exception]
) -> None:
    answering(error)
    with pytest.raises(expected) as caught:
        ask()
    assert type(caught.value) is expected


@pytest.mark.parametrize(
    "body",
    [
        {
            "errors": [
                {"message": "x", "path": ["order"], "extensions": {"code": "ACCESS_DENIED"}}
            ],
            "data": {"order": {"id": 1}},
        },
        {"errors": [{"message": "x", "path": ["order", "email"]}], "data": {"order": {"id": 1}}},
        {"errors": ["x"], "data": {"order": {"id": 1}}},
        {"errors": "x", "data": {"order": {"id": 1}}},
        {
            "errors": [
                {
                    "message": "x",
                    "path": ["order", "email"],
                    "extensions": {"code": "ACCESS_DENIED"},
                },
                {"message": "y", "path": ["order", "note"]},
            ],
            "data": {"order": {"id": 1}},
        },
    ],
)
def test_errors_beside_data_fail_the_call_unless_they_hide_fields(
    answering: Any, body: dict[str, Any]
) -> None:
    answering(Answer(200, json.dumps(body).encode()))
    with pytest.raises(ShopifyError):
        ask()


def test_a_huge_answer_is_not_read(answering: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_MAX_ANSWER_BYTES", len(GOOD))
    answering(Answer(200, GOOD))
    assert ask()
    monkeypatch.setattr(client_module, "_MAX_ANSWER_BYTES", len(GOOD) - 1)
    with pytest.raises(OutcomeUnknown):
        ask()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_carries_a_token_or_a_secret_elsewhere(
    settings: Any, row: ShopConnection, status: int
) -> None:
    settings.TESTING_IN_TRANSACTION = True
    other, shop = Server(), Server()
    try:
        other.body = GOOD
        settings.SHOPIFY_ADMIN_ORIGIN = shop.origin
        shop.status, shop.headers = status, {"Location": f"{other.origin}/elsewhere"}
        with pytest.raises(OutcomeUnknown):
            ask()
        with pytest.raises(Unreachable):
            tokens.renew(row, used=Secret(""))
        assert len(shop.seen) == 2
        assert other.seen == []
    finally:
        for server in (other, shop):
            server.http.shutdown()
            server.http.server_close()


def test_a_response_may_have_at_most_twenty_mebibytes(answering: Any) -> None:
    most = 20 * 1024 * 1024
    answering(Answer(200, b" " * (most - len(GOOD)) + GOOD))
    assert ask() == {"shop": {"name": "Demo"}}
    answering(Answer(200, b" " * (most - len(GOOD) + 1) + GOOD))
    with pytest.raises(OutcomeUnknown):
        ask()


def test_shopify_has_two_seconds_to_connect_and_ten_to_respond() -> None:
    made = client_module._pool.__wrapped__()
    timeout = made.connection_pool_kw["timeout"]
    assert (timeout.connect_timeout, timeout.read_timeout) == (2.0, 10.0)
