"""The audit log is append-only, and tampering is detected."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from threading import Thread

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import csv_export
from orders import audit
from orders.audit import sealing
from orders.models import AuditEntry, AuditKind, AuditSeal
from tests.support.database.copies import without_triggers
from tests.support.database.plans import plans


def entries(count: int) -> list[AuditEntry]:
    return [audit.record(AuditKind.STORE, actor=None, after=str(n), row=n) for n in range(count)]


@pytest.mark.django_db
def test_a_whole_log_verifies_and_sealing_again_changes_nothing() -> None:
    entries(5)
    assert audit.seal(at_most=3) == 3
    entries(1)
    assert audit.seal() == 3
    assert audit.seal() == 0
    found = audit.verify()
    assert (found.entries, found.sealed, found.problems) == (6, 6, ())
    call_command("audit_verify", head=found.head)


def _change() -> None:
    AuditEntry.objects.filter(after="1").update(after="9")


def _delete() -> None:
    AuditEntry.objects.filter(after="1").delete()


def _unlink() -> None:
    AuditSeal.objects.filter(seq=2).delete()


def _rewrite() -> None:
    AuditSeal.objects.filter(seq=2).update(hash="f" * 64)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("attack", "said"),
    [
        (_change, "was changed"),
        (_delete, "was deleted"),
        (_unlink, "Seal 2 is missing"),
        (_rewrite, "was changed"),
    ],
)
def test_tampering_with_the_triggers_away_is_found(attack: Callable[[], None], said: str) -> None:
    entries(3)
    audit.seal()
    with without_triggers(connection):
        attack()
    assert any(said in problem for problem in audit.verify().problems)
    with pytest.raises(CommandError):
        call_command("audit_verify")


@pytest.mark.django_db
def test_an_end_cut_off_is_found_by_a_head_kept_elsewhere() -> None:
    entries(3)
    audit.seal()
    head = audit.verify().head
    with without_triggers(connection):
        AuditEntry.objects.filter(after="2").delete()
        AuditSeal.objects.filter(seq=3).delete()
    assert audit.verify().problems == ()
    assert "cut off" in audit.verify(head=head).problems[0]


@pytest.mark.django_db
def test_an_entry_that_is_never_sealed_is_found() -> None:
    entry = entries(1)[0]
    assert audit.verify().problems == ()
    with without_triggers(connection):
        AuditEntry.objects.filter(pk=entry.pk).update(at=timezone.now() - timedelta(hours=1))
    assert "never sealed" in audit.verify().problems[0]


@pytest.mark.django_db(transaction=True)
def test_two_sealers_at_once_make_one_chain() -> None:
    entries(60)

    def work() -> None:
        for _ in range(20):
            audit.seal(at_most=5)
        connections.close_all()

    threads = [Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while audit.seal():
        pass
    assert (audit.verify().sealed, audit.verify().problems) == (60, ())


@pytest.mark.django_db
def test_an_entry_goes_with_its_transaction() -> None:
    with transaction.atomic():
        entries(1)
        transaction.set_rollback(True)
    assert not AuditEntry.objects.exists()


@pytest.mark.django_db
def test_log_ins_are_written_with_their_request(alice: User) -> None:
    client = Client()
    client.post("/login/", {"username": "alice", "password": "wrong"})
    answer = client.post(
        "/login/", {"username": "alice", "password": "demo"}, headers={"X-Request-ID": "r-1"}
    )
    client.post("/inbox/logout/")
    assert answer["X-Request-ID"] == "r-1"
    # A single wrong password is counted elsewhere (inbox.accounts.login.throttling).
    kinds = [AuditKind.LOG_IN, AuditKind.LOG_OUT]
    found = AuditEntry.objects.filter(kind__in=kinds).order_by("pk")
    assert list(found.values_list("kind", flat=True)) == kinds
    entry = found.get(kind=AuditKind.LOG_IN)
    assert (entry.actor, entry.request_id, entry.ip) == ("alice", "r-1", "127.0.0.1")
    assert entry.detail == {"proofs": ["password"]}
    assert "wrong" not in str(list(found.values()))


@pytest.mark.django_db
def test_a_forged_request_id_is_replaced(client: Client) -> None:
    answer = client.get("/login/", headers={"X-Request-ID": "a b<script>"})
    assert len(answer["X-Request-ID"]) == 32


@pytest.mark.django_db
def test_new_powers_are_written(alice: User) -> None:
    before = AuditEntry.objects.filter(kind=AuditKind.PERMISSIONS).count()
    alice.groups.add(Group.objects.create(name="bosses"))
    alice.is_superuser = True
    alice.save()
    assert AuditEntry.objects.filter(kind=AuditKind.PERMISSIONS).count() == before + 2


@pytest.mark.parametrize(
    "payload",
    [
        "=1+1",
        "+1",
        "-1+cmd|' /C calc'!A0",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "  +1",
        "\u00a0=1",
        "\ufeff=1",
        '=HYPERLINK("http://evil")',
        "=cmd|'/C calc'!A0",
        "\uff1d1",
        "\uff0b1",
        "\uff0d1",
        "\uff20x",
        "=IMPORTXML(CONCAT(1))",
        "+cmd|' /C notepad'!'A1'",
    ],
)
def test_a_csv_cell_cannot_become_a_formula(payload: str) -> None:
    assert csv_export.harmless(payload).startswith("'")


def test_ordinary_csv_cells_are_unchanged() -> None:
    cells = ("a=b", "12.50", None, 3, "")
    assert [csv_export.harmless(cell) for cell in cells] == ["a=b", "12.50", "", "3", ""]


@pytest.mark.django_db
def test_the_export_is_written_down_and_the_admin_changes_nothing(client: Client) -> None:
    admin = User.objects.create_superuser("admin", password="x")
    client.force_login(admin)
    entry = AuditEntry.objects.create(kind=AuditKind.STORE, after="=1+1")
    data = {"action": "download_csv", "_selected_action": [entry.pk]}
    answer = client.post("/admin/orders/auditentry/", data)
    text = answer.getvalue().decode()
    assert '"\'=1+1"' in text
    assert AuditEntry.objects.filter(kind=AuditKind.EXPORT, actor="admin").exists()
    assert client.post(f"/admin/orders/auditentry/{entry.pk}/change/", {}).status_code == 403
    assert client.post(f"/admin/orders/auditentry/{entry.pk}/delete/", {}).status_code == 403
    assert client.get("/admin/orders/auditentry/add/").status_code == 403


def _many(count: int, *, minutes_ago: float = 0.0) -> None:
    at = timezone.now() - timedelta(minutes=minutes_ago)
    AuditEntry.objects.bulk_create(
        [AuditEntry(kind=AuditKind.STORE, after=str(n), at=at) for n in range(count)]
    )


@pytest.mark.django_db
def test_a_long_log_is_sealed_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "_SLICE", 7)
    _many(50)
    rounds = 0
    while audit.seal(at_most=9):
        rounds += 1
    assert rounds == 6
    assert (audit.verify().sealed, audit.verify().problems) == (50, ())


@pytest.mark.slow
@pytest.mark.django_db
def test_a_seal_costs_the_same_however_long_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither more statements nor longer ones: what is older than an hour is not looked at."""
    monkeypatch.setattr(sealing, "_SLICE", 100)
    _many(3000, minutes_ago=600)
    _many(10, minutes_ago=300)
    while audit.seal():
        pass
    _many(10)
    with CaptureQueriesContext(connection) as asked:
        assert audit.seal() == 10
    assert len(asked) <= 12, [q["sql"][:80] for q in asked]
    with CaptureQueriesContext(connection) as asked:
        assert audit.seal() == 0
    for sql in (str(q["sql"]) for q in asked):
        assert "NOT IN" not in sql
        assert "EXISTS" not in sql


@pytest.mark.django_db
def test_an_entry_that_committed_late_is_sealed_later() -> None:
    entries(3)
    late = AuditEntry.objects.latest("pk")
    with without_triggers(connection):
        late.delete()
    assert audit.seal() == 2
    entries(2)
    assert audit.seal() == 2
    late.save(force_insert=True)
    assert audit.seal() == 1
    assert audit.verify().problems == ()


@pytest.mark.django_db
def test_the_daily_look_finds_what_was_hours_late() -> None:
    old = AuditEntry(kind=AuditKind.STORE, at=timezone.now() - timedelta(hours=5))
    old.save()
    with without_triggers(connection):
        AuditEntry.objects.filter(pk=old.pk).delete()
    entries(3)
    assert audit.seal() == 3
    old.save(force_insert=True)
    assert audit.seal() == 0
    assert "never sealed" in audit.verify().problems[0]
    assert audit.seal(whole=True) == 1
    assert audit.verify().problems == ()


@pytest.mark.django_db
def test_a_backlog_of_days_is_sealed_to_its_end() -> None:
    for day in range(5, 0, -1):
        _many(20, minutes_ago=day * 1440)
    while audit.seal(at_most=7):
        pass
    assert (audit.verify().sealed, audit.verify().problems) == (100, ())


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    connection.vendor != "postgresql", reason="the limit was PostgreSQL's working memory"
)
def test_sealing_goes_on_where_working_memory_ends() -> None:
    """The limit at 262,000 entries, scaled: 64 kB hold some 2,000 ids."""
    _many(20_000)
    while audit.seal(at_most=5000):
        pass
    _many(5)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE orders_auditentry, orders_auditseal; SET work_mem = '64kB'")
    try:
        asked = plans(lambda: audit.seal(whole=True))
        assert asked
        assert [plan for _sql, plan in asked if looks_through_a_list_for_each_row(plan)] == []
        assert audit.verify().sealed == 20_005
        sealed = AuditSeal.objects.values("entry_id")
        before = AuditEntry.objects.exclude(pk__in=sealed).order_by("pk")[:10]
        control = before.explain()  # what was asked before; it would take minutes
        assert looks_through_a_list_for_each_row(control), control
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET work_mem")


def looks_through_a_list_for_each_row(plan: str) -> bool:
    """A list that doesn't fit into working memory is read from its beginning for every row."""
    return bool(re.search(r"(?<!hashed )SubPlan \d", plan.partition("\n")[2]))
