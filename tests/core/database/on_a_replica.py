"""What test_replica runs in a process of its own, on a primary and its standby.

Arguments: the process ID of the standby's first process, the primary's port.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

import django

django.setup()

from django.conf import settings  # noqa: E402  Django is set up only now
from django.contrib.auth.models import Group, User  # noqa: E402
from django.db import connections, transaction  # noqa: E402

from core.database import replica  # noqa: E402
from core.operations import database_checks  # noqa: E402
from inbox.accounts import roles  # noqa: E402
from inbox.conversations import listing  # noqa: E402
from inbox.panel import search  # noqa: E402
from orders.models import Store  # noqa: E402
from orders.reports import totals  # noqa: E402

PRIMARY, REPLICA = "default", replica.ALIAS


@replica.up_to_date
def current() -> list[str]:
    return list(Store.objects.order_by("pk").values_list("domain", flat=True))


@replica.may_lag
def lately() -> list[str]:
    return list(Store.objects.order_by("pk").values_list("domain", flat=True))


def answered(function: Callable[[], object]) -> tuple[object, str]:
    """What it returns, and which of the two servers its tables were read from."""
    by = set()

    def noted(alias: str) -> Callable[..., object]:
        def note(execute: Callable[..., object], sql: str, *rest: object) -> object:
            found = execute(sql, *rest)
            if " FROM " in sql and "pg_" not in sql:
                by.add(alias)
            return found

        return note

    with (
        connections[PRIMARY].execute_wrapper(noted(PRIMARY)),
        connections[REPLICA].execute_wrapper(noted(REPLICA)),
    ):
        found = function()
    assert len(by) == 1, by
    return found, by.pop()


def tell(statement: str) -> None:
    """Control the standby, past the read-only option."""
    with connections[REPLICA].cursor() as cursor:
        cursor.execute(statement)


def doctor() -> str:
    return " ".join(f"{one.level} {one.text}" for one in database_checks.look_at_replica())


def reads_go_to_the_replica() -> None:
    sara = User.objects.create_user("sara")
    sara.groups.add(Group.objects.get(name=roles.SUPERVISORS))
    today = datetime.now(UTC).date()
    for function in (
        current,
        lately,
        lambda: listing.conversation_list(sara, scope="all", state="open", query="", after=""),
        lambda: listing.conversation_list(sara, scope="all", state="open", query="x", after=""),
        lambda: search.results(sara, "#1001"),
        lambda: totals.report(totals.Period(today, today, None)),
    ):
        time.sleep(0.2)
        replica.forget()
        assert answered(function)[1] == REPLICA


def what_was_just_written_is_seen() -> None:
    written = []
    for number in range(20):
        written.append(f"{number}.myshopify.com")
        Store.objects.create(domain=written[-1])
        assert current() == written
    with transaction.atomic():
        Store.objects.create(domain="inside.myshopify.com")
        assert answered(current) == ([*written, "inside.myshopify.com"], PRIMARY)
        transaction.set_rollback(True)


def rows_of_the_replica_are_saved_on_the_primary() -> None:
    @replica.up_to_date
    def first() -> Store:
        return Store.objects.order_by("pk")[0]

    replica.forget()
    time.sleep(0.2)
    store, by = answered(first)
    assert by == REPLICA
    assert isinstance(store, Store)
    store.name = "Renamed"
    store.save(update_fields=["name"])
    assert Store.objects.get(pk=store.pk).name == "Renamed"


def a_replica_that_is_behind_answers_reports_only() -> None:
    before = current()
    time.sleep(1)
    tell("SELECT pg_wal_replay_pause()")
    while _paused() != "paused":
        time.sleep(0.05)
    Store.objects.create(domain="late.myshopify.com")
    after = [*before, "late.myshopify.com"]
    replica.forget()
    assert answered(current) == (after, PRIMARY)
    replica.forget()
    assert answered(lately) == (before, REPLICA)
    settings.REPLICA_MAX_LAG_S = 1
    time.sleep(1.1)
    replica.forget()
    assert answered(lately) == (after, PRIMARY)
    assert "warning It is " in doctor()
    tell("SELECT pg_wal_replay_resume()")
    time.sleep(1.5)
    replica.forget()
    assert answered(current) == (after, REPLICA)
    assert "OK It has all that the primary has" in doctor()
    settings.REPLICA_MAX_LAG_S = 10


def _paused() -> str:
    with connections[REPLICA].cursor() as cursor:
        cursor.execute("SELECT pg_get_wal_replay_pause_state()")
        return str(cursor.fetchone()[0])


def nothing_is_written_there() -> None:
    try:
        Store.objects.using(REPLICA).create(domain="wrong.myshopify.com")
    except django.db.Error:
        return
    raise AssertionError("a write reached the replica")


def a_replica_that_is_gone_is_left_alone(pid: int) -> None:
    known = current()
    os.kill(pid, signal.SIGQUIT)
    time.sleep(1)
    replica.forget()
    assert answered(current) == (known, PRIMARY)
    assert answered(lately) == (known, PRIMARY)
    asked = time.monotonic()
    for _call in range(20):
        current()
    assert time.monotonic() - asked < 5, "it isn't asked again at once"
    assert "warning It can't be asked" in doctor()


def another_primary_is_no_replica(port: int) -> None:
    connections[REPLICA].close()
    connections[REPLICA].settings_dict["PORT"] = port
    replica.forget()
    assert answered(current)[1] == PRIMARY
    assert "PROBLEM It isn't a standby" in doctor()


if __name__ == "__main__":
    reads_go_to_the_replica()
    what_was_just_written_is_seen()
    rows_of_the_replica_are_saved_on_the_primary()
    a_replica_that_is_behind_answers_reports_only()
    nothing_is_written_there()
    a_replica_that_is_gone_is_left_alone(int(sys.argv[1]))
    another_primary_is_no_replica(int(sys.argv[2]))
    sys.stdout.write("all of it\n")
