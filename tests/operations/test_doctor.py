"""`./run doctor`: each thing that can be wrong is named, with what to do, and nothing else is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from core.operations import database_checks, server_checks
from core.server.processes import POOLS
from orders import audit
from orders.management import restore_mark
from orders.models import AuditKind, RedactedIdentity, RedactedKind, Store
from shopify_sync.models import ShopConnection, SyncCursor
from tests.support.servers.postgres_and_redis import Redis, free_port

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]
CANARY = "canary-that-must-not-be-shown"


def doctor() -> str:
    out = StringIO()
    try:
        call_command("doctor", stdout=out)
    except CommandError as told:
        return f"{out.getvalue()}\n{told}"
    return out.getvalue()


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture(autouse=True)
def _well(store: Store, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that was read just now, a sealed log, and the files beside the database."""
    settings.VAR_DIR = tmp_path
    settings.AUDIT_HEADS_FILE = str(tmp_path / "heads.jsonl")
    settings.REDACTION_LEDGER_FILE = str(tmp_path / "redactions.jsonl")
    settings.EMAIL_BACKEND = "inbox.channels.smtp.EmailBackend"
    settings.DEFAULT_FROM_EMAIL = "Inbox <inbox@example.com>"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=100, free=50))
    now = timezone.now()
    ShopConnection.objects.update(credentials_ok_at=now, webhooks_ok_at=now)
    SyncCursor.objects.update_or_create(store=store, defaults={"finished_at": now})
    audit.record(AuditKind.STORE, actor=None, after="connected")
    audit.seal()


def a_key_was_lost(settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]


def a_restore_was_killed(settings: Any) -> None:
    execute(restore_mark.freeze_and_mark(restore_mark.Mark(sha256="0", file="a.dump")))


def the_log_was_cut_off(settings: Any) -> None:
    with Path(settings.AUDIT_HEADS_FILE).open("a") as file:
        file.write('{"seq": 9, "hash": "lost", "at": "2026-11-28T03:00:00Z"}\n')


def the_ledger_was_lost(settings: Any) -> None:
    RedactedIdentity.objects.create(
        store=Store.objects.get(), kind=RedactedKind.EMAIL, digest="0", redacted_at=timezone.now()
    )


def a_newer_version_migrated(settings: Any) -> None:
    execute(
        "INSERT INTO django_migrations (app, name, applied) VALUES ('orders', '9999_future', now())"
    )


def the_secret_key_is_short(settings: Any) -> None:
    settings.SECRET_KEY = "short"


def a_store_is_frozen(settings: Any) -> None:
    Store.objects.update(is_frozen=True)


def shopify_refused_the_token(settings: Any) -> None:
    late = timezone.now() + timedelta(seconds=1)
    ShopConnection.objects.update(last_error=f"No access: shpat_{CANARY}", last_error_at=late)


def nothing_was_read_for_hours(settings: Any) -> None:
    SyncCursor.objects.update(finished_at=timezone.now() - timedelta(hours=2))


def statements_are_unlimited(settings: Any) -> None:
    execute("SET statement_timeout = 0")


def the_scheduler_stopped(settings: Any) -> None:
    file = settings.VAR_DIR / "schedule"
    file.touch()
    os.utime(file, (0, 0))


def no_email_leaves(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"


def the_password_goes_in_the_clear(settings: Any) -> None:
    settings.EMAIL_HOST_PASSWORD, settings.EMAIL_USE_TLS = CANARY, False


def redis_is_gone(settings: Any) -> None:
    settings.REDIS_URL = f"redis://:{CANARY}@127.0.0.1:1/0"


FAULTS: list[tuple[Callable[[Any], None], str]] = [
    (a_key_was_lost, "PROBLEM  Encryption keys: No key in FIELD_ENCRYPTION_KEYS decrypts"),
    (a_restore_was_killed, "PROBLEM  Restore: The restore of a.dump isn't finished"),
    (the_log_was_cut_off, "PROBLEM  Audit log: Its end is missing"),
    (the_ledger_was_lost, "PROBLEM  Redaction ledger: "),
    (a_newer_version_migrated, "PROBLEM  Migrations: The database is of a newer version"),
    (the_secret_key_is_short, "PROBLEM  Settings: Your SECRET_KEY has less than 50"),
    (a_store_is_frozen, "warning  demo.myshopify.com: The store is frozen"),
    (shopify_refused_the_token, "PROBLEM  demo.myshopify.com: Credentials: Shopify refused us"),
    (nothing_was_read_for_hours, "PROBLEM  demo.myshopify.com: Reading: Changes were last"),
    (statements_are_unlimited, "warning  Timeouts: The connection has no statement_timeout"),
    (the_scheduler_stopped, "PROBLEM  Scheduler: It has written nothing"),
    (no_email_leaves, "warning  Email: No email leaves"),
    (the_password_goes_in_the_clear, "warning  Email: The password is sent"),
    (redis_is_gone, "PROBLEM  Redis: It can't be used (ConnectionError)"),
]


@pytest.fixture
def undone() -> Iterator[None]:
    yield
    execute("DELETE FROM django_migrations WHERE name = '9999_future'")
    restore_mark.clear(connection)
    execute("RESET statement_timeout")


@pytest.mark.parametrize(
    ("fault", "said"), FAULTS, ids=lambda value: getattr(value, "__name__", "")
)
def test_what_is_wrong_is_named(
    fault: Callable[[Any], None], said: str, settings: Any, undone: None
) -> None:
    settings.SECRET_KEY = CANARY * 5
    assert said not in doctor()
    fault(settings)
    found = doctor()
    assert said in found
    line = found[found.index(said) :].splitlines()
    # The sentence that says what to do is behind it, or part of it.
    assert "→" in line[1] or line[0].count(".") > 1
    assert CANARY not in found


def test_a_missing_policy_is_a_warning(settings: Any) -> None:
    assert "warning  Rules: There are no policies" in doctor()


def test_a_role_without_rights_is_a_problem(settings: Any) -> None:
    role = "inbox_doctor_test"
    execute(f"CREATE ROLE {role}")
    try:
        execute(f"GRANT SELECT ON django_migrations TO {role}")
        execute(f"SET ROLE {role}")
        assert "can't read and write" in database_checks._rights(connection).text
    finally:
        execute("RESET ROLE")
        execute(f"DROP OWNED BY {role}")
        execute(f"DROP ROLE {role}")
    assert database_checks._rights(connection).level == "OK"


@pytest.mark.parametrize(
    ("ahead_s", "level"), [(0, "OK"), (30, "warning"), (-30, "warning"), (600, "PROBLEM")]
)
def test_a_wrong_clock_is_noticed(
    ahead_s: int, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = SimpleNamespace(now=lambda: timezone.now() + timedelta(seconds=ahead_s))
    monkeypatch.setattr(database_checks, "timezone", ahead)
    assert database_checks._clock(connection).level == level


@pytest.mark.parametrize(("free", "level"), [(50, "OK"), (10, "warning"), (2, "PROBLEM")])
def test_a_full_disk_is_noticed(free: int, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=100, free=free))
    assert server_checks.look_at_disk().level == level


def test_redis_that_may_delete_messages_is_a_problem(tmp_path: Path, settings: Any) -> None:
    broker = Redis(tmp_path, free_port(), is_embedded=True)
    try:
        settings.REDIS_URL = f"redis://127.0.0.1:{broker.port}/0"
        assert server_checks.look_at_redis().level == "OK"
        with redis.Redis(port=broker.port) as client:
            client.config_set("maxmemory", "64mb")
            client.config_set("maxmemory-policy", "allkeys-lru")
        assert "allkeys-lru" in server_checks.look_at_redis().text
    finally:
        broker.kill()


def test_a_pool_without_workers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    serving = {pool: [{"name": q} for q in POOLS[pool][0].split(",")] for pool in POOLS}
    inspected = SimpleNamespace(active_queues=lambda: serving)
    control = SimpleNamespace(inspect=lambda timeout: inspected)
    monkeypatch.setattr(server_checks, "current_app", SimpleNamespace(control=control))
    assert {one.level.value for one in server_checks.look_at_workers()} == {"OK"}
    serving["reading"].pop()
    (found,) = [one for one in server_checks.look_at_workers() if one.level != "OK"]
    assert "the pool reading" in found.text
    assert "./run worker reading" in found.todo


def test_it_exits_with_one_and_shows_no_traceback_if_a_setting_is_missing_anywhere() -> None:
    env = {k: v for k, v in os.environ.items() if k not in {"SECRET_KEY", "SECRET_KEY_FILE"}}
    env["DJANGO_SETTINGS_MODULE"] = "settings.production"
    found = subprocess.run(
        [sys.executable, "run", "doctor"], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert (found.returncode, found.stderr.strip()) == (
        1,
        "Set SECRET_KEY (or SECRET_KEY_FILE); see README.md.",
    )
