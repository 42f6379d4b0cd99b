"""After `rotate_keys`, the new key alone decrypts everything."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet, InvalidToken
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from standardwebhooks import Webhook

from core.encryption import EncryptedTextField, SealedTextField, UndecryptableSecret
from inbox.channels import keys
from inbox.conversations import services
from inbox.frames import authentication
from inbox.models import Channel, Conversation, DeliveryState, HelpDeskFrame, WebhookEndpoint
from inbox.outgoing_webhooks import endpoints as webhook_endpoints
from inbox.tasks import sweep_outbox
from orders import privacy
from orders.models import PrivacyKind, PrivacyRequest, Store
from orders.privacy.registry import Scope
from shopify_sync.management.commands import rotate_keys
from shopify_sync.models import ShopConnection
from tests.support.servers.webhooks import endpoint

pytestmark = pytest.mark.django_db(transaction=True)
_SEALED = re.compile(r"gAAAA[\w-]{60,}=*")


@pytest.fixture
def secrets(store: Store, channel: Channel, alice: User, settings: Any) -> str:
    """Something in every encrypted column, and a new key before the old one, which is returned."""
    authentication.new_secret(
        HelpDeskFrame.objects.create(
            name="Desk", kind="generic", origins="https://desk.example.com"
        )
    )
    ShopConnection.objects.update(
        refresh_token="shprt_new",
        previous_refresh_token="shprt_old",
        previous_api_secret="shpss_old",
    )
    made, _secret = endpoint(alice)
    webhook_endpoints.new_secret(made, by=alice, now=timezone.now())
    privacy.ask(
        store=store,
        kind=PrivacyKind.DATA_REQUEST,
        fingerprint="f",
        now=timezone.now(),
        scope=Scope(store_id=store.pk),
    )
    [old] = settings.FIELD_ENCRYPTION_KEYS
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), old]
    return str(old)


def sealed() -> Iterator[tuple[str, str]]:
    """(table.column, ciphertext) of all that the database holds, whatever the program thinks."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608  our own names
            names = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                for name, value in zip(names, row, strict=True):
                    yield from ((f"{table}.{name}", found) for found in _SEALED.findall(str(value)))


def left_behind(key: str) -> set[str]:
    """The columns with something that this key does not open."""
    found = set()
    for column, text in sealed():
        try:
            Fernet(key.encode()).decrypt(text.encode())
        except InvalidToken:
            found.add(column)
    return found


@contextmanager
def messenger() -> Iterator[tuple[str, list[tuple[bytes, dict[str, str]]]]]:
    """A messenger's callback: its address, and what was POSTed to it."""
    heard: list[tuple[bytes, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append((body, {k.lower(): v for k, v in self.headers.items()}))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", heard
    finally:
        server.shutdown()
        server.server_close()


def test_nothing_is_left_under_the_old_key(secrets: str, settings: Any) -> None:
    kinds = (EncryptedTextField, SealedTextField)
    fields = [f for m in apps.get_models() for f in m._meta.fields if isinstance(f, kinds)]
    every = {f"{field.model._meta.db_table}.{field.column}" for field in fields}
    new = settings.FIELD_ENCRYPTION_KEYS[0]
    assert left_behind(secrets) == set()
    assert left_behind(new) == every
    call_command("rotate_keys")
    assert left_behind(new) == set()
    assert left_behind(secrets) == every


def test_a_kind_of_column_that_the_command_does_not_know_is_found(
    secrets: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control."""
    monkeypatch.setattr(rotate_keys, "SealedTextField", type("Unknown", (), {}))
    call_command("rotate_keys")
    assert left_behind(settings.FIELD_ENCRYPTION_KEYS[0]) == {
        "inbox_channel.sealed_secret",
        "orders_privacyrequest.sealed_scope",
    }
    settings.FIELD_ENCRYPTION_KEYS = settings.FIELD_ENCRYPTION_KEYS[:1]
    with pytest.raises(UndecryptableSecret):
        keys.signing_secret(Channel.objects.get())


def test_nothing_encrypts_past_the_columns_that_the_command_knows() -> None:
    root = Path(rotate_keys.__file__).parents[3]
    sources = [
        path
        for app in ("core", "settings", "inbox", "shopify_sync", "orders")
        for path in (root / app).rglob("*.py")
    ]
    users = {str(p.relative_to(root)) for p in sources if "cryptography" in p.read_text()}
    assert users == {
        "core/encryption.py",
        # Asks whether a key is one.
        "shopify_sync/checks.py",
        # Papers that are handed out and kept nowhere, under SECRET_KEY.
        "inbox/frames/tokens.py",
        # Opens a frame's token, which lives for minutes.
        "inbox/live/events.py",
        # In a session, where what no key opens any more is left out.
        "inbox/panel/recent_searches.py",
        # Checks signatures with public keys, and encrypts nothing.
        "orders/audit/approval_signatures.py",
    }


def test_a_channel_still_signs_its_callbacks_once_the_old_key_is_dropped(
    secrets: str, settings: Any, channel: Channel, conversation: Conversation, alice: User
) -> None:
    signing = keys.signing_secret(channel)
    call_command("rotate_keys")
    settings.FIELD_ENCRYPTION_KEYS = settings.FIELD_ENCRYPTION_KEYS[:1]
    settings.DEBUG = True  # A callback on this machine.
    with messenger() as (url, heard):
        Channel.objects.update(callback_url=url)
        conversation.channel.refresh_from_db()
        reply = services.reply(conversation=conversation, by=alice, text="On its way.")
        sweep_outbox()
    reply.refresh_from_db()
    assert reply.delivery_state == DeliveryState.SENT
    [(body, headers)] = heard
    assert Webhook(signing).verify(body, headers)["data"]["text"] == "On its way."


def test_a_secret_with_a_lost_key_is_reported_and_its_row_stays_readable(
    secrets: str, settings: Any
) -> None:
    PrivacyRequest.objects.all().delete()
    ShopConnection.objects.all().delete()
    HelpDeskFrame.objects.all().delete()
    WebhookEndpoint.objects.all().delete()
    settings.FIELD_ENCRYPTION_KEYS = settings.FIELD_ENCRYPTION_KEYS[:1]
    assert Channel.objects.get().name == "Messenger"
    with pytest.raises(CommandError, match=r"inbox\.Channel .* not in FIELD_ENCRYPTION_KEYS"):
        call_command("rotate_keys")
