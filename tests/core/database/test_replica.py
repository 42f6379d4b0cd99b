"""A standby answers lists, search and reports, and nobody sees less for it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connections
from psycopg.errors import QueryCanceled

from core.database import replica
from settings import env
from tests.support.servers.postgres_and_redis import Postgres
from tests.support.servers.started import PATIENCE_S, ROOT, environment


@pytest.mark.slow
def test_on_a_streaming_replica(postgres: Postgres, database: str, tmp_path: Path) -> None:
    """Up to date, behind, gone, and another server: see on_a_replica, which runs all of it."""
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder) / "standby"
        inner.mkdir()
        standby = postgres.standby(inner)
        try:
            pid = (inner / "pg" / "data" / "postmaster.pid").read_text().split()[0]
            given = environment(database, "redis://127.0.0.1:1/0", tmp_path, 1)
            made = subprocess.run(
                [sys.executable, "-m", "tests.core.database.on_a_replica", pid, str(postgres.port)],
                cwd=ROOT,
                env=given
                | {
                    "DJANGO_SETTINGS_MODULE": "settings.production",
                    "DATABASE_REPLICA_URL": standby.url(urlsplit(database).path.lstrip("/")),
                },
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
        finally:
            standby.stop()
    assert made.stdout == "all of it\n", made.stderr


class Asked:
    """A function that a replica answers, as if there were one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *errors: Exception | None) -> None:
        self.by: list[str] = []
        self._errors = list(errors)
        monkeypatch.setattr(replica, "_may_be_asked", lambda: not replica._reading.get())
        monkeypatch.setattr(replica, "_rest", lambda error: self.by.append("rests"))
        self.call = replica._routed(self._answer, lambda: True)

    def _answer(self) -> str:
        self.by.append(replica.Router().db_for_read(None))
        if self._errors and (error := self._errors.pop(0)):
            raise error
        return "answer"


@pytest.mark.django_db(transaction=True)
def test_the_primary_answers_what_the_replica_fails_at(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, OperationalError("terminating connection"))
    assert asked.call() == "answer"
    assert asked.by == ["replica", "rests", "default"]
    assert replica.Router().db_for_read(None) == "default", "only while such a function runs"


@pytest.mark.django_db(transaction=True)
def test_what_takes_too_long_is_not_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    error = OperationalError("canceling statement due to statement timeout")
    error.__cause__ = QueryCanceled()
    asked = Asked(monkeypatch, error)
    with pytest.raises(OperationalError):
        asked.call()
    assert asked.by == ["replica"]


@pytest.mark.django_db
def test_a_transaction_reads_the_primary(monkeypatch: pytest.MonkeyPatch) -> None:
    assert connections["default"].in_atomic_block
    asked = Asked(monkeypatch)
    asked.call()
    assert asked.by == ["default"]


def test_writes_and_migrations_are_the_primarys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "_reading", type("On", (), {"get": staticmethod(lambda: True)}))
    router = replica.Router()
    assert router.db_for_write(None) == "default"
    assert (
        router.allow_migrate("default", "orders"),
        router.allow_migrate("replica", "orders"),
    ) == (
        True,
        False,
    )


def test_without_a_replica_nothing_is_asked(settings: Any) -> None:
    assert replica.ALIAS not in settings.DATABASES
    assert not replica._may_be_asked()


def test_the_replicas_address_opens_it_for_reading_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_REPLICA_URL", "postgres://inbox@standby.example.com/inbox")
    found = env.replica("DATABASE_REPLICA_URL")
    assert "default_transaction_read_only=on" in found["OPTIONS"]["options"]
    monkeypatch.setenv("DATABASE_REPLICA_URL", "sqlite:///other.sqlite3")
    with pytest.raises(ImproperlyConfigured, match="a standby"):
        env.replica("DATABASE_REPLICA_URL")
