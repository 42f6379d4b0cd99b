"""`./run migrate` on a database that is large and in use."""

from __future__ import annotations

import time
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.core.management.commands import migrate
from django.db import OperationalError, connection
from django.db.models.signals import pre_migrate

from orders.management.commands import migrate as ours

pytestmark = pytest.mark.django_db(transaction=True)
on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has no such limits"
)


class LockNotAvailable(Exception):
    sqlstate = "55P03"


class Canceled(Exception):
    sqlstate = "57014"


def limits() -> list[str]:
    found = []
    with connection.cursor() as cursor:
        for name in ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout"):
            cursor.execute(f"SHOW {name}")
            found.append(cursor.fetchone()[0])
    return found


@on_postgresql
def test_migrating_may_take_its_time_and_waits_for_no_lock() -> None:
    seen: list[list[str]] = []

    def look(**_: Any) -> None:
        seen.append(limits())

    pre_migrate.connect(look, sender=apps.get_app_config("orders"))
    try:
        call_command("migrate", verbosity=0)
    finally:
        pre_migrate.disconnect(look, sender=apps.get_app_config("orders"))
    assert seen == [["0", "0", "3s"]]
    assert limits() == ["15s", "20s", "3s"]


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> list[type[Exception]]:
    """What goes wrong at each try, the next one last."""
    left: list[type[Exception]] = []

    def handle(self: Any, *_: Any, **__: Any) -> None:
        if left:
            raise OperationalError("no") from left.pop()("no")

    monkeypatch.setattr(migrate.Command, "handle", handle)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    return left


def test_a_table_that_is_in_use_is_tried_again(busy: list[type[Exception]]) -> None:
    busy += [LockNotAvailable] * 3
    out = StringIO()
    call_command("migrate", stdout=out)
    assert busy == []
    assert out.getvalue().count("A table is in use") == 3


def test_a_table_that_stays_in_use_ends_it_with_what_to_do(busy: list[type[Exception]]) -> None:
    busy += [LockNotAvailable] * 50
    with pytest.raises(CommandError, match="Stop the web servers and workers"):
        call_command("migrate", stdout=StringIO())
    assert len(busy) == 50 - len(ours._AGAIN_AFTER_S) - 1


def test_any_other_trouble_is_told_at_once(busy: list[type[Exception]]) -> None:
    busy += [Canceled] * 2
    with pytest.raises(OperationalError):
        call_command("migrate", stdout=StringIO())
    assert len(busy) == 1
