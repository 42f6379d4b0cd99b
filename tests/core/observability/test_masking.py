"""Secrets and personal data stay out of logs, error reports, the admin and repr."""

from __future__ import annotations

import io
import json
import logging
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, RequestFactory
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from core.change_origin import origin
from core.observability import metrics, sentry
from core.observability.masked_error_reports import (
    MaskingReporter,
    MaskingReporterFilter,
)
from core.observability.masking import (
    JsonFormatter,
    MaskingFilter,
    mask,
    masked_event,
)
from orders.models import Store
from settings import base
from shopify_sync.models import ShopConnection

TOKEN = "shpat_c4n4ryc4n4ryc4n4ry"
SECRET = "shpss_c4n4rysecretc4n4ry"
KEY = "axk_1234abcd_c4n4rykeyc4n4rykey"
HMAC = "c4n4ryHmac/8hR2+k0Yt3w9Zq="
BARE = "c4n4rybarevalue99"
EMAIL = "jane.canary@example.com"
PHONE = "+49 151 5550 1234"
CANARIES = (TOKEN, SECRET, KEY, HMAC, BARE, EMAIL, PHONE)
# However a library or a traceback may write them down.
TEXTS = (
    f"headers: {{'X-Shopify-Access-Token': '{BARE}'}}",
    f"X-Shopify-Access-Token: {BARE}",
    f"X-Shopify-Hmac-Sha256: {HMAC}",
    f"'HTTP_X_SHOPIFY_HMAC_SHA256': '{HMAC}'",
    f"GET /shopify/callback/?code=1&hmac={BARE}&shop=demo",
    f"Authorization: Bearer {BARE}",
    f"Authorization: Token {BARE}",
    f'{{"access_token": "{BARE}", "scope": "read_orders"}}',
    f'{{\\"refresh_token\\": \\"{BARE}\\"}}',
    f"client_secret=&#x27;{BARE}&#x27;",
    f"('authorization', b'{BARE}')",
    f"postgres://inbox:{BARE}@127.0.0.1/inbox",
    f"redis://:{BARE}@redis:6379/0",
    f"password={BARE}",
    f"{TOKEN} {SECRET} {KEY}",
    f"sent to {EMAIL}, to {EMAIL.upper()} and to {EMAIL.replace('@', '%40')}",
    f"{{'phone': '{PHONE}'}} tel:{PHONE.replace(' ', '')}",
    '{"phone": "0151 5550 1234"}',
)


def leaks(text: str) -> list[str]:
    spellings = (*CANARIES, EMAIL.upper(), EMAIL.replace("@", "%40"), PHONE.replace(" ", ""))
    return [canary for canary in (*spellings, "5550 1234") if canary in text]


@pytest.mark.parametrize("text", TEXTS)
def test_every_shape_is_masked_and_stays_so(text: str) -> None:
    assert leaks(text), "the test shows nothing"
    assert leaks(mask(text)) == []
    assert mask(mask(text)) == mask(text)


@pytest.mark.parametrize(
    "text",
    [
        "action 17 step 2: gid://shopify/Order/5123456789012 was refunded 48.60 EUR",
        "2026-11-25T21:37:04.123+00:00 order #1043 at demo.myshopify.com, version 2026-10",
        "the secrets of demo.myshopify.com cannot be decrypted",
        'Traceback (most recent call last): File "/app/orders/policies.py", line 120, in judge',
        "sum +12.50 and -3, token is missing; sha 9f86d081884c7d659a2feaa0c55ad015",
    ],
)
def test_values_that_help_debugging_are_not_masked(text: str) -> None:
    assert mask(text) == text


@pytest.fixture
def written() -> Iterator[tuple[logging.Logger, io.StringIO, logging.Handler]]:
    """A logger whose handler is made like the console's of production."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(MaskingFilter())
    logger = logging.getLogger("canary")
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, out, handler
    logger.removeHandler(handler)
    logger.propagate = True


def _log_everything(logger: logging.Logger) -> None:
    for text in TEXTS:
        logger.warning("shopify said: %s", text)
        try:
            raise ValueError(text)
        except ValueError:
            logger.exception("failed", stack_info=True)
    logger.warning("%d things", TOKEN)


def test_logs_hold_no_canary(written: Any) -> None:
    logger, out, _handler = written
    with origin("req-42", None):
        _log_everything(logger)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len(lines) == 2 * len(TEXTS) + 1
    assert {line["request_id"] for line in lines} == {"req-42"}
    assert any("ValueError" in line.get("traceback", "") for line in lines)
    assert leaks(out.getvalue()) == []


def test_a_text_with_line_breaks_is_one_line_and_forges_none(written: Any) -> None:
    logger, out, _handler = written
    ends = ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"]
    for end in ends:
        logger.warning('unknown topic: %s{"level": "INFO", "message": "forged"}', end)
    logger.warning("%s", "a forged field", extra={"request_id": 'r"}\n{"level": "INFO"'})
    lines = out.getvalue().splitlines()
    assert len(lines) == len(ends) + 1
    assert [json.loads(line)["level"] for line in lines] == ["WARNING"] * len(lines)
    assert [json.loads(line)["message"][15:].partition("{")[0] for line in lines[:-1]] == ends


def test_without_the_filter_the_canaries_are_in_the_log(written: Any) -> None:
    """The negative control."""
    logger, out, handler = written
    handler.filters.clear()
    handler.setFormatter(logging.Formatter("%(message)s"))
    for text in TEXTS:
        logger.warning("shopify said: %s", text)
    assert set(leaks(out.getvalue())) >= set(CANARIES)


def test_every_handler_and_every_noisy_server_has_the_filter() -> None:
    for name, handler in base.LOGGING["handlers"].items():
        assert "masking" in handler["filters"], name
    assert base.LOGGING["loggers"]["uvicorn"]["handlers"] == ["console"]


def _report(filter_class: Any, reporter_class: Any) -> str:
    request = RequestFactory().post(
        f"/x/?hmac={BARE}",
        {"access_token": TOKEN, "to": EMAIL},
        headers={
            "X-Shopify-Access-Token": BARE,
            "Authorization": f"Bearer {KEY}",
            "X-Shopify-Hmac-Sha256": HMAC,
        },
    )
    request.exception_reporter_filter = filter_class()
    try:
        body, api_secret, where = f"token {TOKEN} of {EMAIL}", SECRET, {"tel": PHONE}  # noqa: F841
        raise RuntimeError(f"{PHONE} could not be told; {KEY}")
    except RuntimeError:
        reporter = reporter_class(request, *sys.exc_info())
    return str(reporter.get_traceback_html() + reporter.get_traceback_text())


def test_an_error_report_holds_no_canary(settings: Any) -> None:
    for debug in (False, True):
        settings.DEBUG = debug
        text = _report(MaskingReporterFilter, MaskingReporter)
        assert "RuntimeError" in text
        assert leaks(text) == []


def test_djangos_own_report_would_show_them(settings: Any) -> None:
    """The negative control."""
    settings.DEBUG = False
    shown = leaks(_report(SafeExceptionReporterFilter, ExceptionReporter))
    assert {TOKEN, KEY, EMAIL, PHONE} <= set(shown)


def test_a_failing_page_shows_and_logs_no_canary(
    settings: Any, monkeypatch: pytest.MonkeyPatch, written: Any
) -> None:
    """By the door: the debug page of the demo, and the log line Django writes of it."""
    _logger, out, handler = written
    django_log = logging.getLogger("django.request")
    django_log.addHandler(handler)

    def fall(*args: Any) -> None:
        raise RuntimeError(f"{TOKEN} of {EMAIL}")

    monkeypatch.setattr(metrics, "render", fall)
    settings.DEBUG = True
    try:
        answer = Client(raise_request_exception=False).get("/metrics", {"hmac": BARE})
    finally:
        django_log.removeHandler(handler)
    assert answer.status_code == 500
    assert "RuntimeError" in answer.content.decode()
    assert "Internal Server Error" in out.getvalue()
    assert leaks(answer.content.decode() + out.getvalue()) == []


@pytest.mark.django_db
def test_secrets_are_write_only_in_the_admin_and_in_repr() -> None:
    store = Store.objects.create(domain="canary.myshopify.com")
    row = ShopConnection.objects.create(store=store, access_token=TOKEN, api_secret=SECRET)
    row.refresh_from_db()
    assert leaks(f"{row.access_token!r} {row.api_secret} {row.__dict__}") == []
    assert row.access_token.reveal() == TOKEN
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    for page in (f"{row.pk}/change/", "", f"{row.pk}/history/", f"{row.pk}/delete/"):
        answer = client.get(f"/admin/shopify_sync/shopconnection/{page}")
        assert answer.status_code in {200, 403}
        assert leaks(answer.content.decode()) == []


def test_an_event_for_sentry_is_masked_throughout() -> None:
    event = {
        "message": TEXTS[0],
        "request": {"headers": {"Authorization": BARE}, "query_string": f"hmac={BARE}"},
        "exception": {"values": [{"value": text} for text in TEXTS]},
        "extra": {"customer": BARE, "rows": (1, None, EMAIL)},
    }
    assert leaks(json.dumps(event))
    assert leaks(json.dumps(masked_event(event))) == []


def test_a_dsn_without_the_package_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    assert sentry.start("") is False
    with pytest.raises(ImproperlyConfigured, match="sentry-sdk is not installed"):
        sentry.start("https://key@sentry.example/1")


def test_a_dsn_starts_sentry_without_personal_data(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setitem(
        sys.modules, "sentry_sdk", types.SimpleNamespace(init=lambda **words: given.update(words))
    )
    assert sentry.start("https://key@sentry.example/1") is True
    assert given["send_default_pii"] is False
    assert given["include_local_variables"] is False
    assert leaks(json.dumps(given["before_send"]({"message": TOKEN}, {}))) == []
