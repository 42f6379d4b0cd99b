"""Who can write to the database alone can't build the chain again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from orders import audit, checks
from orders.audit import chain, heads
from orders.models import AuditEntry, AuditKind, AuditSeal
from tests.support.database.copies import without_triggers

pytestmark = pytest.mark.django_db


def entries(count: int, word: str = "") -> None:
    for n in range(count):
        audit.record(AuditKind.STORE, actor=None, after=f"{word}{n}", row=n)


def build_again(hashed: Any, **columns: Any) -> None:
    """What an intruder with the database would do: seal everything again, consistently."""
    rows = list(AuditEntry.objects.order_by("pk").values(*chain.READ))
    with without_triggers(connection):
        AuditSeal.objects.all().delete()
        previous = chain.GENESIS
        for seq, entry in enumerate(rows, 1):
            found = hashed(seq, previous, entry)
            AuditSeal.objects.create(
                seq=seq, entry_id=entry["id"], prev_hash=previous, hash=found, **columns
            )
            previous = found


def without_key(_seq: int, previous: str, entry: Any) -> str:
    """The first format, as any program can compute it."""
    return chain.unkeyed_hash(previous, entry)


def test_a_chain_built_again_with_another_key_is_found() -> None:
    entries(3)
    audit.seal()
    key_id = AuditSeal.objects.get(seq=1).key_id
    with without_triggers(connection):
        AuditEntry.objects.filter(after="1").update(after="9")
    guessed = b"not the key"
    build_again(
        lambda seq, previous, entry: chain.keyed_hash(guessed, seq, previous, entry),
        version=chain.KEYED,
        key_id=key_id,
    )
    assert len(audit.verify().problems) == 3
    # The control: with the key, it is what the sealing job itself would have made.
    key = chain.keys()[key_id]
    build_again(
        lambda seq, previous, entry: chain.keyed_hash(key, seq, previous, entry),
        version=chain.KEYED,
        key_id=key_id,
    )
    assert audit.verify().problems == ()


def test_a_chain_built_again_without_a_key_is_found_by_the_noted_heads(
    settings: Any, tmp_path: Path
) -> None:
    settings.AUDIT_HEADS_FILE = str(tmp_path / "heads.jsonl")
    entries(3)
    audit.seal()
    build_again(without_key)
    entries(1, "later")
    audit.seal()
    assert "built again" in audit.verify().problems[0]
    # The control: without the file, nothing tells it from a chain that is older than the keys.
    settings.AUDIT_HEADS_FILE = ""
    found = audit.verify()
    assert (found.problems, found.unkeyed) == ((), 3)


def test_links_without_a_key_stay_verifiable_and_end_where_the_keyed_begin() -> None:
    entries(2)
    build_again(without_key)
    entries(2, "new")
    audit.seal()
    found = audit.verify()
    assert (found.sealed, found.unkeyed, found.problems) == (4, 2, ())
    with without_triggers(connection):
        last = AuditSeal.objects.get(seq=4)
        entry = AuditEntry.objects.filter(pk=last.entry_id).values(*chain.READ).get()
        AuditSeal.objects.filter(seq=4).update(
            version=chain.UNKEYED, key_id="", hash=chain.unkeyed_hash(last.prev_hash, entry)
        )
    assert "no key although earlier ones do" in audit.verify().problems[0]


def test_the_old_format_is_what_earlier_versions_wrote() -> None:
    """Computed here by hand, so that a change of the code can't change both."""
    entries(1)
    entry = AuditEntry.objects.values(*chain.READ).get()
    content = {name: entry[name] for name in entry if name not in {"at", "amount"}}
    content |= {"at": entry["at"].isoformat(), "amount": None}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    expected = hashlib.sha256(f"{chain.GENESIS}{text}".encode()).hexdigest()
    assert chain.unkeyed_hash(chain.GENESIS, entry) == expected


def test_a_new_key_seals_and_the_old_one_still_verifies(settings: Any) -> None:
    entries(1)
    audit.seal()
    settings.AUDIT_KEYS = ["the second secret, which is long enough to be one"]
    entries(1, "second")
    audit.seal()
    settings.AUDIT_KEYS = ["the third secret, which is long enough, too", *settings.AUDIT_KEYS]
    entries(1, "third")
    audit.seal()
    assert len(set(AuditSeal.objects.values_list("key_id", flat=True))) == 3
    assert audit.verify().problems == ()
    # The control: a key that is taken away is named.
    settings.AUDIT_KEYS = settings.AUDIT_KEYS[:1]
    assert "neither in AUDIT_KEYS" in audit.verify().problems[0]


def test_the_key_is_not_in_the_database(settings: Any) -> None:
    entries(1)
    audit.seal()
    key_id, key = chain.current_key()
    assert AuditSeal.objects.get().key_id == key_id
    assert key_id not in key.hex()
    assert settings.FIELD_ENCRYPTION_KEYS[0] not in key_id


def test_a_restored_backup_is_recorded_and_then_accepted(
    settings: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.AUDIT_HEADS_FILE = str(tmp_path / "heads.jsonl")
    entries(2)
    audit.seal()
    entries(1, "after the backup")
    audit.seal()
    head = audit.verify().head
    with without_triggers(connection):
        AuditSeal.objects.filter(seq__gt=2).delete()
        AuditEntry.objects.filter(after__startswith="after").delete()
    with pytest.raises(CommandError):
        call_command("audit_verify", head=head)
    call_command("audit_restored", reason="disk full", head=[head])
    call_command("audit_verify", head=head)
    assert "lost to a restored backup" in capsys.readouterr().out
    # Said once: a second record would cover what someone cuts off later.
    with pytest.raises(CommandError, match="Nothing was written"):
        call_command("audit_restored", reason="again", head=[head])
    with pytest.raises(CommandError):
        call_command("audit_verify", head="f" * 64)


@pytest.mark.parametrize("forged", ["proof", "lost", "kept_hash"])
def test_a_restore_made_up_in_the_database_is_not_believed(forged: str) -> None:
    entries(2)
    audit.seal()
    lost = "f" * 64
    call_command("audit_restored", reason="disk full", head=[lost])
    assert audit.verify(head=lost).problems == ()
    detail = AuditEntry.objects.get(kind=AuditKind.RESTORE).detail
    other = "e" * 64
    value: Any = {"proof": other, "lost": [other], "kept_hash": other}[forged]
    with without_triggers(connection):
        AuditEntry.objects.filter(kind=AuditKind.RESTORE).update(detail=detail | {forged: value})
        # The intruder lets the sealing job do its work on the entry.
        AuditSeal.objects.filter(seq=3).delete()
    audit.seal()
    for head in (lost, other):
        assert audit.verify(head=head).problems


def test_the_heads_file_is_for_its_owner_and_survives_a_torn_line(
    settings: Any, tmp_path: Path
) -> None:
    path = tmp_path / "heads.jsonl"
    settings.AUDIT_HEADS_FILE = str(path)
    entries(1)
    audit.seal()
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text(f'{path.read_text()}{{"seq": 2, "ha')
    assert audit.verify().problems == ()
    # The next head begins a line of its own.
    _let_an_hour_pass()
    entries(1, "later")
    audit.seal()
    assert list(heads.noted()) == list(AuditSeal.objects.values_list("hash", flat=True))
    found = audit.verify()
    assert (found.required, found.problems) == (2, ())


def _let_an_hour_pass() -> None:
    with without_triggers(connection):
        for link in AuditSeal.objects.all():
            earlier = link.sealed_at - timedelta(hours=2)
            AuditSeal.objects.filter(seq=link.seq).update(sealed_at=earlier)


def _lose(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_text("")


def _replace_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("happen", "said"),
    [
        (_lose, "doesn't exist"),
        (_empty, "has no head"),
        (_replace_by_a_folder, "can't be read: Is a directory"),
    ],
)
def test_noted_heads_that_are_gone_are_a_problem(
    settings: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    happen: Callable[[Path], None],
    said: str,
) -> None:
    path = tmp_path / "heads.jsonl"
    settings.AUDIT_HEADS_FILE = str(path)
    entries(2)
    audit.seal()
    _let_an_hour_pass()
    call_command("audit_verify")
    assert "1 noted heads required." in capsys.readouterr().out
    happen(path)
    with pytest.raises(CommandError, match="1 problems"):
        call_command("audit_verify")
    assert said in capsys.readouterr().err


def test_a_first_install_has_no_noted_heads_yet(settings: Any, tmp_path: Path) -> None:
    settings.AUDIT_HEADS_FILE = str(tmp_path / "heads.jsonl")
    assert audit.verify().problems == ()
    entries(1)
    audit.seal()
    _lose(tmp_path / "heads.jsonl")
    found = audit.verify()
    assert (found.required, found.problems) == (0, ())


def test_a_heads_file_that_cannot_be_written_stops_no_sealing(
    settings: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings.AUDIT_HEADS_FILE = str(tmp_path / "missing" / "heads.jsonl")
    entries(1)
    assert audit.seal() == 1
    assert "can't be written" in caplog.text


def test_a_short_key_stops_the_start(settings: Any) -> None:
    settings.AUDIT_KEYS = ["x" * 32]
    assert checks.audit_keys_are_long(None) == []
    settings.AUDIT_KEYS.append("secret")
    assert checks.audit_keys_are_long(None)[0].id == "orders.E001"
