"""The test database: copied instead of migrated; and what only an administrator could do to it."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings

_ROOT = Path(__file__).resolve().parents[3]
_APPS = ("core", "inbox", "orders", "shopify_sync")


def copy_what_was_migrated(connection: Any) -> None:
    """From now on a test database begins as a copy of the first one that this code migrated.

    Any change to the code of the apps, or to what is installed, means migrating again: the
    lists of models, permissions and roles come from more than the migrations."""
    settings.VAR_DIR.mkdir(exist_ok=True)
    creation = type(connection.creation)
    template = _SqliteTemplate() if connection.vendor == "sqlite" else _PostgresTemplate()
    create, prepare = creation.create_test_db, creation._create_test_db

    def create_test_db(self: Any, *args: Any, **kwargs: Any) -> Any:
        with (settings.VAR_DIR / "test-template.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if template.exists(self):
                fcntl.flock(lock, fcntl.LOCK_UN)
                return create(self, *args, **kwargs)
            name = create(self, *args, **kwargs)
            template.save(self, name)
            return name

    def _create_test_db(self: Any, *args: Any, **kwargs: Any) -> Any:
        if template.exists(self):
            return template.copy(self, lambda: prepare(self, *args, **kwargs))
        return prepare(self, *args, **kwargs)

    if connection.vendor == "postgresql":
        creation._destroy_test_db = _drop
    creation.create_test_db = create_test_db
    creation._create_test_db = _create_test_db


def _drop(creation: Any, name: str, _verbosity: int) -> None:
    """With FORCE, as a thread that a test left waiting may still be connected."""
    with creation._nodb_cursor() as cursor:
        cursor.execute(f"DROP DATABASE {creation.connection.ops.quote_name(name)} WITH (FORCE)")


def _fingerprint() -> str:
    found = hashlib.sha256()
    files = [path for app in _APPS for path in sorted((_ROOT / app).rglob("*.py"))]
    for path in [*files, _ROOT / "requirements.txt"]:
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


class _SqliteTemplate:
    def __init__(self) -> None:
        self.path = settings.VAR_DIR / f"test-template-{_fingerprint()}.sqlite3"

    def exists(self, _creation: Any) -> bool:
        return bool(self.path.exists())

    def copy(self, _creation: Any, prepare: Any) -> Any:
        name = prepare()
        shutil.copyfile(self.path, name)
        return name

    def save(self, creation: Any, _name: str) -> None:
        for old in settings.VAR_DIR.glob("test-template-*.sqlite3*"):
            old.unlink()
        unfinished = self.path.with_suffix(".sqlite3-unfinished")
        with creation.connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(unfinished)])
        unfinished.rename(self.path)


class _PostgresTemplate:
    def __init__(self) -> None:
        self.name = f"test_template_{_fingerprint()}"

    def exists(self, creation: Any) -> bool:
        with creation._nodb_cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [self.name])
            return cursor.fetchone() is not None

    def copy(self, creation: Any, prepare: Any) -> Any:
        creation.connection.settings_dict["TEST"]["TEMPLATE"] = self.name
        return prepare()

    def save(self, creation: Any, name: str) -> None:
        creation.connection.close()
        quote = creation.connection.ops.quote_name
        with creation._nodb_cursor() as cursor:
            cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE 'test_template_%'")
            for (old,) in cursor.fetchall():
                cursor.execute(f"DROP DATABASE {quote(old)}")
            cursor.execute(f"CREATE DATABASE {quote(self.name)} TEMPLATE {quote(name)}")


@contextmanager
def without_triggers(connection: Any) -> Iterator[None]:
    """Inside, the database refuses nothing its triggers would."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SET session_replication_role = DEFAULT")
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = cursor.fetchall()
        for name, _sql in triggers:
            cursor.execute(f'DROP TRIGGER "{name}"')
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            for _name, sql in triggers:
                cursor.execute(sql)
