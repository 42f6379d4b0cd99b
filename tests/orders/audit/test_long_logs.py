"""Sealing and verifying a long log: in slices, in constant memory, and to be gone on with."""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.database.sql import insert
from orders import audit
from orders.audit import link_lookup, restores, sealing, verification
from orders.models import AuditEntry, AuditKind, AuditScan, AuditSeal
from tests.support.database.copies import without_triggers

pytestmark = pytest.mark.django_db
# The claimed size is 300,000, which takes minutes; the memory is the same.
COUNT = int(os.environ.get("AUDIT_TEST_ENTRIES", "50000"))


def fill(count: int) -> None:
    """One entry each second up to now."""
    now = timezone.now()
    for begin in range(0, count, 10_000):
        insert(
            AuditEntry,
            [
                {
                    "kind": AuditKind.STORE,
                    "after": str(n),
                    "at": now - timedelta(seconds=count - n),
                    "detail": {"row": n},
                }
                for n in range(begin, min(begin + 10_000, count))
            ],
        )


def rss_mb() -> float:
    """The memory this process holds right now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def test_verifying_goes_on_behind_a_link() -> None:
    fill(30)
    audit.seal()
    reached: list[tuple[int, str]] = []
    audit.verify(progress=lambda seq, head: reached.append((seq, head)))
    middle = AuditSeal.objects.get(seq=20).hash
    found = audit.verify(since=middle)
    assert (found.sealed, found.problems, found.head) == (10, (), reached[-1][1])
    with without_triggers(connection):
        AuditEntry.objects.filter(after="25").update(after="x")
        AuditEntry.objects.filter(after="5").update(after="x")
    assert len(audit.verify(since=middle).problems) == 1
    assert len(audit.verify().problems) == 2
    assert "no link" in audit.verify(since="f" * 64).problems[0]
    # A head noted before that link was met by the run that verified up to it.
    early = AuditSeal.objects.get(seq=10).hash
    assert not any(early in problem for problem in audit.verify(head=early, since=middle).problems)


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl+C while the third slice of ten links is checked."""
    monkeypatch.setattr(verification, "_SLICE", 10)
    checked = verification._check

    def check(walk: Any, part: Any) -> None:
        if part[0].seq > 20:
            raise KeyboardInterrupt
        checked(walk, part)

    monkeypatch.setattr(verification, "_check", check)


def test_an_interrupted_run_says_from_where_to_go_on(interrupted: None) -> None:
    fill(30)
    audit.seal()
    reached = AuditSeal.objects.get(seq=20).hash
    with pytest.raises(CommandError, match=f"No problem so far.*--since {reached}") as stopped:
        call_command("audit_verify")
    assert stopped.value.returncode == 1


@pytest.mark.parametrize(("changed", "sound"), [("15", 10), ("5", None)])
def test_an_interrupted_run_keeps_the_problems_it_found(
    interrupted: None, capsys: pytest.CaptureFixture[str], changed: str, sound: int | None
) -> None:
    """And doesn't send the next run past them."""
    fill(30)
    audit.seal()
    with without_triggers(connection):
        AuditEntry.objects.filter(after=changed).update(after="x")
    with pytest.raises(CommandError, match="damaged: 1 problems so far") as stopped:
        call_command("audit_verify")
    assert stopped.value.returncode == 1
    assert capsys.readouterr().err.count("was changed") == 1
    begin = f"--since {AuditSeal.objects.get(seq=sound).hash}" if sound else "from the beginning"
    assert begin in str(stopped.value)


def test_each_problem_is_told_once_and_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    fill(3)
    audit.seal()
    with without_triggers(connection):
        AuditEntry.objects.filter(after="1").update(after="x")
    told: list[str] = []
    assert audit.verify(report=told.append).problems == tuple(told)
    with pytest.raises(CommandError, match="damaged: 1 problems"):
        call_command("audit_verify")
    assert capsys.readouterr().err.splitlines() == told


def test_looking_up_heads_takes_a_few_queries_however_many_there_are(
    settings: Any, tmp_path: Path
) -> None:
    fill(40)
    audit.seal()
    hashes = list(AuditSeal.objects.values_list("hash", flat=True))
    path = tmp_path / "heads.jsonl"
    settings.AUDIT_HEADS_FILE = str(path)
    rows = [json.dumps({"seq": n, "hash": hash_, "at": "now"}) for n, hash_ in enumerate(hashes)]
    path.write_text("\n".join([*rows, ""]))
    with CaptureQueriesContext(connection) as asked:
        assert audit.verify(since=hashes[30]).problems == ()
    assert len(asked) < 20
    with CaptureQueriesContext(connection) as asked, pytest.raises(restores.NothingLost):
        restores.record_restore(reason="none")
    assert len(asked) < 10
    for head in (hashes[0], hashes[20], hashes[-1]):
        link = link_lookup.find(head)
        assert link is not None
        assert link.hash == head
    assert link_lookup.find("f" * 64) is None
    assert link_lookup.present([*hashes, "f" * 64], before=21) == set(hashes[:20])


def test_problems_without_end_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_NAMED", 5)
    fill(20)
    audit.seal()
    with without_triggers(connection):
        AuditEntry.objects.update(after="x")
    assert audit.verify().problems[-1] == "… and 15 more."


def test_the_daily_scan_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "_SLICE", 10)
    fill(30)
    sealed = 0
    for turn in range(1, 4):
        sealed += audit.seal_for(0, whole=True)
        assert sealed == turn * 10
    assert AuditScan.objects.get().next_id == AuditEntry.objects.latest("pk").pk + 1
    assert audit.seal_for(0, whole=True) == 0
    assert AuditScan.objects.get().next_id == 1


def test_each_turn_seals_something_however_much_the_hour_has_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With no time at all, and the sealed part of the hour in front of what waits."""
    monkeypatch.setattr(sealing, "_SLICE", 10)
    fill(50)
    assert [audit.seal_for(0) for _ in range(6)] == [10, 10, 10, 10, 10, 0]


@pytest.mark.slow
def test_a_long_log_is_sealed_and_verified_in_constant_memory() -> None:
    """And the control: read at once, the same entries take many times as much."""
    size = COUNT
    fill(size)
    gc.collect()
    began, mb, blocks = (rss_mb(), sys.getallocatedblocks()), 0.0, 0

    def look(*_: object) -> None:
        nonlocal mb, blocks
        mb = max(mb, rss_mb() - began[0])
        blocks = max(blocks, sys.getallocatedblocks() - began[1])

    sealed = 0
    while part := audit.seal_for(1):
        sealed += part
        look()
    assert sealed == size
    found = audit.verify(progress=look)
    assert (found.sealed, found.problems) == (size, ())
    assert mb < 30
    # Earlier tests may have left the process memory to use again. That can't hide these.
    assert blocks < 30_000
    kept = list(AuditEntry.objects.all()[:50_000])
    assert (sys.getallocatedblocks() - began[1]) / len(kept) * 300_000 > 1_000_000
