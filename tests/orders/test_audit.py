"""Row G07: what is written stays, and a change of it is found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Thread

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.test import Client
from django.utils import timezone

from orders import audit, spreadsheets
from orders.models import AuditEntry, AuditKind, AuditSeal
from tests.support.database import without_triggers


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
    [(_change, "was changed"), (_delete, "was deleted"), (_unlink, "Seal 2 is missing"),
     (_rewrite, "was changed")],
)  # fmt: skip
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
    kinds = [AuditKind.LOG_IN_FAILED, AuditKind.LOG_IN, AuditKind.LOG_OUT]
    found = AuditEntry.objects.filter(kind__in=kinds).order_by("pk")
    assert list(found.values_list("kind", flat=True)) == kinds
    entry = found.get(kind=AuditKind.LOG_IN)
    assert (entry.actor, entry.request_id, entry.ip) == ("alice", "r-1", "127.0.0.1")
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
        "=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "  +1",
        "\u00a0=1", "\ufeff=1", "=HYPERLINK(\"http://evil\")", "=cmd|'/C calc'!A0", "\uff1d1",
        "\uff0b1", "\uff0d1", "\uff20x", "=IMPORTXML(CONCAT(1))", "+cmd|' /C notepad'!'A1'",
    ],
)  # fmt: skip
def test_a_cell_cannot_be_a_formula(payload: str) -> None:
    assert spreadsheets.harmless(payload).startswith("'")


def test_ordinary_cells_stay() -> None:
    cells = ("a=b", "12.50", None, 3, "")
    assert [spreadsheets.harmless(cell) for cell in cells] == ["a=b", "12.50", "", "3", ""]


@pytest.mark.django_db
def test_the_export_is_written_down_and_the_admin_changes_nothing(client: Client) -> None:
    admin = User.objects.create_superuser("admin", password="x")
    client.force_login(admin)
    entry = AuditEntry.objects.create(kind=AuditKind.STORE, after="=1+1")
    data = {"action": "download_csv", "_selected_action": [entry.pk]}
    answer = client.post("/admin/orders/auditentry/", data)
    text = b"".join(answer.streaming_content).decode()
    assert '"\'=1+1"' in text
    assert AuditEntry.objects.filter(kind=AuditKind.EXPORT, actor="admin").exists()
    assert client.post(f"/admin/orders/auditentry/{entry.pk}/change/", {}).status_code == 403
    assert client.post(f"/admin/orders/auditentry/{entry.pk}/delete/", {}).status_code == 403
    assert client.get("/admin/orders/auditentry/add/").status_code == 403
