"""`./run backup`: a whole, private, described file, or none."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from core.operations import backup_files, postgres
from orders import audit
from orders.models import AuditKind, AuditSeal, Store

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "not-for-a-command-line"


def backup(path: Path) -> str:
    out = StringIO()
    call_command("backup", str(path), stdout=out)
    return out.getvalue()


@pytest.fixture
def instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a script in place of one of PostgreSQL's programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def put(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return put


def test_a_backup_is_whole_private_and_described(tmp_path: Path) -> None:
    audit.record(AuditKind.STORE, actor=None, after="before the backup")
    audit.seal()
    said = backup(tmp_path)
    (archive,) = tmp_path.glob("*.dump")
    beside = Path(f"{archive}.json")
    assert sorted(tmp_path.iterdir()) == [archive, beside]
    assert [path.stat().st_mode & 0o777 for path in (archive, beside)] == [0o600, 0o600]
    found = json.loads(beside.read_text())
    assert found["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert found["size"] == archive.stat().st_size
    assert found["facts"]["audit_head"]["hash"] == AuditSeal.objects.get().hash
    assert found["migrations"] == backup_files.last_migrations(connection)
    assert backup_files.unknown_migrations(found["migrations"]) == []
    listed = subprocess.run(["pg_restore", "--list", archive], capture_output=True, check=True)
    assert b"TABLE DATA public orders_order " in listed.stdout
    assert all(name in said for name in backup_files.NOT_INCLUDED)


def test_the_archive_shows_the_moment_that_its_description_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is changed until pg_dump begins is in neither."""
    real = postgres.dump

    def slowly(*args: Any, **kwargs: Any) -> None:
        subprocess.run(
            ["psql", postgres.conninfo(connection), "-qc", "DELETE FROM orders_store"], check=True
        )
        real(*args, **kwargs)

    Store.objects.create(domain="kept.myshopify.com")
    monkeypatch.setattr(postgres, "dump", slowly)
    backup(tmp_path / "a.dump")
    assert not Store.objects.exists()
    data = subprocess.run(
        ["pg_restore", "--data-only", "--table=orders_store", "--file=-", tmp_path / "a.dump"],
        capture_output=True,
        check=True,
    )
    assert b"kept.myshopify.com" in data.stdout


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.dump"
    path.write_text("of last year")
    with pytest.raises(CommandError, match="never overwrites"):
        backup(path)
    assert path.read_text() == "of last year"


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="doesn't exist"):
        backup(tmp_path / "nowhere" / "a.dump")


def test_a_missing_program_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match="apt-get install postgresql-client"):
        backup(tmp_path / "a.dump")


def test_a_program_older_than_the_server_is_refused(tmp_path: Path, instead: Any) -> None:
    instead("pg_dump", "echo 'pg_dump (PostgreSQL) 9.6.24'")
    server = connection.pg_version // 10000  # type: ignore[attr-defined]
    with pytest.raises(CommandError, match=f"postgresql-client-{server}"):
        backup(tmp_path / "a.dump")


@pytest.mark.parametrize(
    ("program", "says", "told"),
    [
        ("pg_dump", "could not write to output file: No space left on device", "A disk is full"),
        ("pg_dump", "aborted", "pg_dump failed"),
        ("pg_restore", "did not find magic string in file header", "can't be read"),
    ],
)
def test_a_backup_that_fails_leaves_nothing(
    tmp_path: Path, instead: Any, program: str, says: str, told: str
) -> None:
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    asked = f"[ \"$1\" = --version ] && echo '{version.stdout.strip()}' && exit"
    instead(program, f"{asked}\necho '{says}' >&2; exit 1")
    with pytest.raises(CommandError, match=told):
        backup(tmp_path / "a.dump")
    assert list(tmp_path.iterdir()) == [tmp_path / "bin"]


def test_the_password_is_on_no_command_line(
    tmp_path: Path, instead: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict, "PASSWORD", PASSWORD)
    version = subprocess.run(["pg_dump", "--version"], capture_output=True, text=True, check=True)
    instead(
        "pg_dump",
        f"[ \"$1\" = --version ] && echo '{version.stdout.strip()}' && exit\n"
        'echo "arguments: $*, environment: $PGPASSWORD" >&2; exit 1',
    )
    with pytest.raises(CommandError) as refused:
        backup(tmp_path / "a.dump")
    arguments, _, environment = str(refused.value).partition("environment: ")
    assert PASSWORD not in arguments
    assert environment.strip() == PASSWORD


def test_what_a_killed_backup_left_is_overwritten_but_not_that_of_a_running_one(
    tmp_path: Path,
) -> None:
    left = tmp_path / "a.dump.partial"
    left.write_text("half")
    with left.open() as running:
        fcntl.flock(running, fcntl.LOCK_EX)
        with pytest.raises(CommandError, match="Another backup"):
            backup(tmp_path / "a.dump")
        assert left.read_text() == "half"
    backup(tmp_path / "a.dump")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.dump", "a.dump.json"]


def test_on_sqlite_it_is_refused_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "vendor", "sqlite")
    with pytest.raises(CommandError, match="PostgreSQL"):
        backup(tmp_path)


def test_what_is_not_in_it_is_explained_anywhere() -> None:
    page = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
    kept = page.partition("## What a backup lacks")[2].partition("\n## ")[0]
    assert [name for name in backup_files.NOT_INCLUDED if f"`{name}`" not in kept] == []
