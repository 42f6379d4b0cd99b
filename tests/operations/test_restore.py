"""`./run restore`: all or nothing, into an empty database, with every store frozen."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from core.operations import postgres
from orders import audit
from orders.management import restore_mark, restores
from orders.models import AuditEntry, AuditKind, Store
from shopify_sync.models import Comparison
from tests.operations.databases import new_database

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def restore(path: Path, *options: str) -> str:
    out = StringIO()
    call_command("restore", str(path), *options, stdout=out)
    return out.getvalue()


@pytest.fixture
def archive(tmp_path: Path, settings: Any) -> Path:
    """A backup of two stores, one of them frozen, and of one session."""
    settings.REDACTION_LEDGER_FILE = str(tmp_path / "redactions.jsonl")
    settings.AUDIT_HEADS_FILE = str(tmp_path / "heads.jsonl")
    Path(settings.REDACTION_LEDGER_FILE).touch()
    Store.objects.create(domain="calm.myshopify.com")
    Store.objects.create(domain="frozen.myshopify.com", is_frozen=True)
    Session.objects.create(session_key="k", session_data="", expire_date=timezone.now())
    audit.record(AuditKind.STORE, actor=None, after="before the backup")
    audit.seal()
    call_command("backup", str(tmp_path / "a.dump"), stdout=StringIO())
    return tmp_path / "a.dump"


@pytest.fixture
def elsewhere(archive: Path) -> Iterator[None]:
    with new_database("restored"):
        yield


@pytest.fixture(autouse=True)
def _no_one_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six seconds each time, to see who else uses the database."""
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)


def domains() -> dict[str, bool]:
    return dict(Store.objects.values_list("domain", "is_frozen"))


def test_it_brings_everything_back_frozen(archive: Path, elsewhere: None) -> None:
    said = restore(archive)
    assert domains() == {"calm.myshopify.com": True, "frozen.myshopify.com": True}
    assert "Frozen in the backup already: frozen.myshopify.com." in said
    assert not Session.objects.exists()
    assert Comparison.objects.filter(next_step_at__isnull=False).count() == 2
    entry = AuditEntry.objects.get(kind=AuditKind.RESTORE)
    assert "a.dump" in entry.detail["reason"]
    call_command("audit_verify", stdout=StringIO())
    call_command("migrate", check_unapplied=True, stdout=StringIO())


def test_a_database_that_is_not_empty_is_refused(archive: Path) -> None:
    with pytest.raises(CommandError, match="isn't empty"):
        restore(archive)
    assert domains()["calm.myshopify.com"] is False


def test_replacing_needs_the_databases_name(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "another")
    with pytest.raises(CommandError, match="Nothing was changed"):
        restore(archive, "--replace")
    assert domains()["calm.myshopify.com"] is False


def test_replacing_leaves_nothing_of_what_was_there(
    archive: Path, elsewhere: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore(archive)
    Store.objects.create(domain="later.myshopify.com")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE of_a_newer_version (id int)")
    monkeypatch.setattr("builtins.input", lambda _: connection.settings_dict["NAME"])
    restore(archive, "--replace")
    assert sorted(domains()) == ["calm.myshopify.com", "frozen.myshopify.com"]
    assert "of_a_newer_version" not in connection.introspection.table_names()


def test_a_connected_worker_is_named(archive: Path, elsewhere: None) -> None:
    with psycopg.connect(postgres.conninfo(connection), application_name="worker"):
        with pytest.raises(CommandError, match=r"\(worker\): 1"):
            restore(archive)
        assert restores.is_empty(connection)


def _is_connected(pid: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [pid])
        return bool(cursor.fetchone()[0])


def test_a_worker_that_connects_now_and_then_keeps_its_database(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As workers do: a connection for each task, and none in between."""

    def meanwhile(_seconds: float) -> None:
        with psycopg.connect(postgres.conninfo(connection)) as worker:
            pid = worker.info.backend_pid
        while _is_connected(pid):
            pass

    monkeypatch.setattr(time, "sleep", meanwhile)
    with pytest.raises(CommandError, match="connected to this database 1 times"):
        restore(archive, "--replace")
    assert domains()["calm.myshopify.com"] is False


def test_a_damaged_archive_is_refused(archive: Path, elsewhere: None) -> None:
    content = bytearray(archive.read_bytes())
    content[-200] ^= 1
    archive.write_bytes(content)
    with pytest.raises(CommandError, match="SHA-256 differs"):
        restore(archive)
    assert restores.is_empty(connection)


def test_an_archive_that_ends_early_changes_nothing(
    archive: Path, elsewhere: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pg_restore fails in the middle of the rows: psql, which read them, must not commit."""
    monkeypatch.setattr("core.operations.backup_files.check_hash", lambda *_: None)
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(CommandError, match="pg_restore failed"):
        restore(archive)
    assert restores.is_empty(connection)


def test_what_stands_in_the_way_is_told(archive: Path, elsewhere: None) -> None:
    """psql ends at its first error, while pg_restore still has much to say."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE FUNCTION orders_append_only() RETURNS int LANGUAGE sql RETURN 1")
    with pytest.raises(CommandError, match=r"(?s)psql failed.*already exists"):
        restore(archive)
    assert restores.is_empty(connection)


def test_a_backup_of_a_newer_version_is_refused(archive: Path, elsewhere: None) -> None:
    beside = Path(f"{archive}.json")
    said = json.loads(beside.read_text())
    said["migrations"]["orders"] = "9999_from_the_future"
    beside.write_text(json.dumps(said))
    with pytest.raises(CommandError, match=r"newer version.*orders\.9999_from_the_future"):
        restore(archive)
    assert restores.is_empty(connection)


def test_without_the_ledger_it_is_refused(archive: Path, elsewhere: None, settings: Any) -> None:
    Path(settings.REDACTION_LEDGER_FILE).unlink()
    with pytest.raises(CommandError, match="people who were deleted"):
        restore(archive)
    assert restores.is_empty(connection)
    assert "What remains" in restore(archive, "--without-ledger")


STEPS = ["migrate", "replay_redactions", "skip_old_news", "reconcile_orders"]


@pytest.mark.parametrize("step", STEPS)
def test_one_that_was_killed_goes_on(
    archive: Path, elsewhere: None, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Until then nothing may start, and the stores are frozen already."""

    class Killed(BaseException):
        pass

    real = call_command

    def until(name: str, *args: Any, **options: Any) -> None:
        if name == step:
            raise Killed
        real(name, *args, **options)

    monkeypatch.setattr(restores, "call_command", until)
    with pytest.raises(Killed):
        restore(archive)
    assert set(domains().values()) == {True}
    with pytest.raises(CommandError, match="isn't finished"):
        call_command("migrate", check_unapplied=True)
    monkeypatch.setattr(restores, "call_command", real)
    assert "Going on" in restore(archive)
    assert restore_mark.read(connection) is None
    assert AuditEntry.objects.filter(kind=AuditKind.RESTORE, detail__has_key="restore").count() == 1


def test_another_file_does_not_finish_it(
    archive: Path, elsewhere: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restores, "finish", lambda *_, **__: None)
    restore(archive)
    beside = json.loads(Path(f"{archive}.json").read_text())
    other = archive.with_name("other.dump")
    other.write_bytes(archive.read_bytes() + b"x")
    beside |= {"size": beside["size"] + 1}
    Path(f"{other}.json").write_text(json.dumps(beside | {"sha256": "0" * 64}))
    monkeypatch.setattr("core.operations.backup_files.check_hash", lambda *_: None)
    with pytest.raises(CommandError, match=r"restore of a\.dump into .* isn't finished"):
        restore(other)
