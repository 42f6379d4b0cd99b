"""Verifying: recompute the chain from its beginning, or from a link verified earlier.

Reads links and entries in slices, so memory doesn't depend on the length of the log.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.utils import timezone

from orders.audit import approval_signatures, chain, heads, link_lookup, restores, sealing
from orders.models import AuditEntry, AuditKind, AuditSeal

# The sealing job has run several times by then.
_SEALED_WITHIN: Final = timedelta(minutes=10)
# Links per slice.
_SLICE: Final = 1000
# Problems that are kept word for word; the rest are counted.
_NAMED: Final = 200
# What the entry of a new passkey says was changed.
PASSKEY_ADDED: Final = "passkey added"
# The kinds of entries by which later ones are judged.
_REMEMBERED: Final = (AuditKind.RESTORE, AuditKind.PERMISSIONS, AuditKind.APPROVAL)


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of checking the log. `head` is the last hash in the chain.

    `problems` holds one sentence per problem; empty means the log is intact. `notes` says what an
    operator should know although it is no problem. `unkeyed`: links in the old format without key.
    `signed`: approvals signed with a passkey, all of which were checked. `required`: heads that had
    to be in the chain because they were noted or given.
    """

    entries: int
    sealed: int
    unkeyed: int
    signed: int
    required: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    head: str


class _Link(NamedTuple):
    """A row of AuditSeal, in the order of its fields."""

    seq: int
    entry_id: int
    prev_hash: str
    hash: str
    version: int
    key_id: str


@dataclass(slots=True)
class _Walk:
    """What one pass over the chain has found so far."""

    previous: str = chain.GENESIS
    seq: int = 0
    sealed: int = 0
    unkeyed: int = 0
    was_keyed: bool = False
    # Heads that must be in the chain and haven't been met yet, each with where it is from.
    wanted: dict[str, str] = field(default_factory=dict)
    # Heads that a restored backup took away, each with the restore's date and reason.
    lost: dict[str, str] = field(default_factory=dict)
    seen: approval_signatures.Seen = field(default_factory=approval_signatures.Seen)
    signed: int = 0
    problems: list[str] = field(default_factory=list)
    unnamed: int = 0
    # Told of each problem that is kept, at once.
    report: Callable[[str], None] | None = None

    def found(self, problem: str) -> None:
        if len(self.problems) < _NAMED:
            self._keep(problem)
        else:
            self.unnamed += 1

    def count_unnamed(self) -> None:
        if self.unnamed:
            self._keep(f"… and {self.unnamed} more.")

    def _keep(self, problem: str) -> None:
        self.problems.append(problem)
        if self.report:
            self.report(problem)


def verify(
    *,
    head: str = "",
    since: str = "",
    progress: Callable[[int, str], None] | None = None,
    report: Callable[[str], None] | None = None,
) -> Verification:
    """Recompute the chain.

    `head`, a hash noted earlier, must be one of its links, as must those in AUDIT_HEADS_FILE.
    `since` is the hash of a link up to which the chain was verified before; the work goes on behind
    it. `progress` is called after each slice with the number and hash of the last link checked.
    `report` is called with each problem as soon as it is found.
    """
    walk = _Walk(report=report)
    _require_noted_heads(walk)
    if head:
        walk.wanted[head] = "given"
    required = len(walk.wanted)
    if since:
        _begin_behind(walk, since)
    for part in _slices(walk.seq):
        _check(walk, part)
        if progress:
            progress(walk.seq, walk.previous)
    waiting = _check_unsealed(walk)
    notes = _account_for_heads(walk)
    walk.count_unnamed()
    if walk.unkeyed:
        notes.append(f"{walk.unkeyed} links are in the old format without a key.")
    return Verification(
        entries=walk.sealed + waiting,
        sealed=walk.sealed,
        unkeyed=walk.unkeyed,
        signed=walk.signed,
        required=required,
        problems=tuple(walk.problems),
        notes=tuple(notes),
        head=walk.previous,
    )


def _require_noted_heads(walk: _Walk) -> None:
    """Want every head in the file; a file that should have some and doesn't is a problem."""
    path = settings.AUDIT_HEADS_FILE
    try:
        noted = heads.noted()
    except OSError as error:
        walk.found(
            f"AUDIT_HEADS_FILE ({path}) can't be read: {error.strerror}. Without its heads, a chain "
            "whose end was cut off looks whole. Verify as a user who may read it."
        )
        return
    if not noted and heads.are_due():
        state = "has no head" if Path(path).exists() else "doesn't exist"
        walk.found(
            f"AUDIT_HEADS_FILE ({path}) {state}, although the sealing job has noted some by now. "
            "Without them, a chain whose end was cut off looks whole. Verify where the workers' "
            "file is, and bring back a file that was lost or moved."
        )
    walk.wanted.update((hash_, f"noted {at}") for hash_, at in noted.items())


def _begin_behind(walk: _Walk, since: str) -> None:
    link = link_lookup.find(since)
    if link is None:
        walk.found(f"The chain has no link {since} to go on from.")
        return
    walk.previous, walk.seq = link.hash, link.seq
    walk.was_keyed = link.version == chain.KEYED
    walk.wanted.pop(since, None)
    # What was met in the earlier run isn't met again: look it up.
    for met in link_lookup.present(walk.wanted, before=link.seq):
        del walk.wanted[met]
    for part in _slices(0, until=link.seq):
        numbers = {link.entry_id: link.seq for link in part}
        rows = AuditEntry.objects.filter(pk__in=numbers, kind__in=_REMEMBERED).values(*chain.READ)
        for entry in sorted(rows, key=lambda row: numbers[row["id"]]):
            _remember(walk, entry)


def _slices(seq: int, *, until: int | None = None) -> Iterator[list[_Link]]:
    """Yield the links behind this number, up to and including `until`."""
    rows = AuditSeal.objects.order_by("seq")
    if until is not None:
        rows = rows.filter(seq__lte=until)
    while True:
        part = [
            _Link(*row) for row in rows.filter(seq__gt=seq).values_list(*_Link._fields)[:_SLICE]
        ]
        if not part:
            return
        yield part
        seq = part[-1].seq


def _check(walk: _Walk, part: list[_Link]) -> None:
    rows = AuditEntry.objects.filter(pk__in=[link.entry_id for link in part])
    entries: dict[int, Any] = {entry["id"]: entry for entry in rows.values(*chain.READ)}
    for link in part:
        walk.sealed += 1
        if link.seq != walk.seq + 1:
            walk.found(f"Seal {walk.seq + 1} is missing.")
        if link.prev_hash != walk.previous:
            walk.found(f"Seal {link.seq} does not follow the one before it.")
        entry = entries.get(link.entry_id)
        if entry is None:
            walk.found(f"Entry {link.entry_id} was deleted.")
        else:
            _check_hash(walk, link, entry)
            _take_in(walk, entry)
        walk.seq, walk.previous = link.seq, link.hash
        walk.wanted.pop(link.hash, None)


def _check_hash(walk: _Walk, link: _Link, entry: chain.Entry) -> None:
    if link.version == chain.UNKEYED:
        walk.unkeyed += 1
        if walk.was_keyed:
            walk.found(f"Seal {link.seq} has no key although earlier ones do.")
        expected = chain.unkeyed_hash(link.prev_hash, entry)
    else:
        walk.was_keyed = True
        key = chain.keys().get(link.key_id)
        if key is None:
            walk.found(
                f"Seal {link.seq} was made with key {link.key_id}, which is neither in AUDIT_KEYS "
                "nor derived from FIELD_ENCRYPTION_KEYS."
            )
            return
        expected = chain.keyed_hash(key, link.seq, link.prev_hash, entry)
    if not hmac.compare_digest(expected, link.hash):
        walk.found(f"Entry {link.entry_id} was changed.")


def _take_in(walk: _Walk, entry: chain.Entry) -> None:
    """Judge a signed approval, and remember what later entries are judged by."""
    if entry["kind"] == AuditKind.APPROVAL and "signature" in entry["detail"]:
        walk.signed += 1
        if problem := approval_signatures.problem_of(entry, walk.seen):
            walk.found(f"The signature of approval {entry['id']} is not valid. {problem}")
    _remember(walk, entry)


def _remember(walk: _Walk, entry: chain.Entry) -> None:
    """Remember what later entries are judged by: restores, passkeys and used signatures."""
    detail = entry["detail"]
    if entry["kind"] == AuditKind.RESTORE:
        _remember_restore(walk, entry)
    elif entry["kind"] == AuditKind.PERMISSIONS and detail.get("change") == PASSKEY_ADDED:
        owner = (detail.get("user"), detail.get("public_key"))
        walk.seen.passkeys[detail.get("credential_id")] = owner
    elif entry["kind"] == AuditKind.APPROVAL and "signature" in detail:
        approval_signatures.remember(entry, walk.seen)


def _remember_restore(walk: _Walk, entry: chain.Entry) -> None:
    for lost in restores.heads_lost(entry["detail"]):
        reason = entry["detail"].get("reason", "")
        walk.lost[lost] = f"{entry['at']:%Y-%m-%d} by {entry['actor'] or 'the system'}: {reason}"


def _check_unsealed(walk: _Walk) -> int:
    """Count the entries without a seal, and report those that should have one by now."""
    overdue, waiting = timezone.now() - _SEALED_WITHIN, 0
    for _end, ids in sealing.unsealed_slices(1):
        waiting += len(ids)
        late = AuditEntry.objects.filter(pk__in=ids, at__lt=overdue) if ids else None
        for pk in late.values_list("pk", flat=True) if late is not None else ():
            walk.found(f"Entry {pk} was never sealed.")
    return waiting


def _account_for_heads(walk: _Walk) -> list[str]:
    notes = []
    told = set()
    for wanted, origin in walk.wanted.items():
        restore = walk.lost.get(wanted)
        if restore is None:
            walk.found(
                f"The chain has no link {wanted} ({origin}): its end was cut off, or it was built "
                "again."
            )
        elif restore not in told:
            told.add(restore)
            notes.append(f"The end of the chain was lost to a restored backup, {restore}")
    return notes
