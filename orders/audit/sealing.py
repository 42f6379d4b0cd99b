"""Sealing: a job appends the entries that have no seal yet to the chain.

The log is read in slices of IDs and sealed one slice per transaction, so memory and the length of a
transaction don't depend on how long the log is or how much of it waits.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.db import IntegrityError, transaction

from orders.audit import chain, heads
from orders.models import AuditEntry, AuditScan, AuditSeal

# No transaction that writes an entry stays open longer; the database would end it.
_LATEST_COMMIT: Final = timedelta(hours=1)
# IDs per slice, and so links per transaction.
_SLICE: Final = 1000


def seal(*, at_most: int = 1000, whole: bool = False) -> int:
    """Append up to `at_most` entries that have no seal yet to the hash chain; return how many.

    Safe to run concurrently: the loser of a race writes nothing. Looks only at recent entries, so
    the cost doesn't grow with the log. `whole` scans all of it, which also finds an entry that
    became visible more than _LATEST_COMMIT after its neighbors.
    """
    count = 0
    for _end, waiting in unsealed_slices(1 if whole else _first_id_to_check()):
        part = waiting[: at_most - count]
        if not _append(part):
            return count
        count += len(part)
        if count >= at_most:
            return count
    return count


def seal_for(seconds: float, *, whole: bool = False) -> int:
    """Seal what waits for at most this long; return how many entries were sealed.

    With `whole`, a scan of a log that is too long for one turn goes on where the last turn stopped.
    """
    until, count = time.monotonic() + seconds, 0
    scan = AuditScan.objects.get_or_create(pk=1)[0] if whole else None
    for end, waiting in unsealed_slices(scan.next_id if scan else _first_id_to_check()):
        if not _append(waiting):
            return count
        count += len(waiting)
        if scan:
            AuditScan.objects.filter(pk=1).update(next_id=end + 1)
        # Without a place to go on from, only a turn that has sealed something may end: passing over
        # a busy hour's sealed entries must not use up every turn.
        if (waiting or scan) and time.monotonic() >= until:
            return count
    if scan:
        AuditScan.objects.filter(pk=1).update(next_id=1)
    return count


def unsealed_slices(begin: int) -> Iterator[tuple[int, list[int]]]:
    """Yield slices of the log from this ID on: its last ID, and the IDs in it that have no seal.

    A single anti-join over both tables degrades to comparing every entry with every seal once they
    outgrow the database's work_mem; it then hits the statement timeout on every run, and sealing
    stops for good.
    """
    while True:
        rows = AuditEntry.objects.filter(pk__gte=begin).order_by("pk")
        ids = list(rows.values_list("pk", flat=True)[:_SLICE])
        if not ids:
            return
        seals = AuditSeal.objects.filter(entry_id__gte=ids[0], entry_id__lte=ids[-1])
        sealed = set(seals.values_list("entry_id", flat=True))
        yield ids[-1], [pk for pk in ids if pk not in sealed]
        begin = ids[-1] + 1


def _append(ids: list[int]) -> bool:
    """Append these entries to the chain; False if another process sealed some of them first."""
    if not ids:
        return True
    last = AuditSeal.objects.order_by("-seq").first()
    seq, head = (last.seq, last.hash) if last else (0, chain.GENESIS)
    key_id, key = chain.current_key()
    links = []
    for entry in AuditEntry.objects.filter(pk__in=ids).order_by("pk").values(*chain.READ):
        seq, previous = seq + 1, head
        head = chain.keyed_hash(key, seq, previous, entry)
        links.append(
            AuditSeal(
                seq=seq,
                entry_id=entry["id"],
                prev_hash=previous,
                hash=head,
                version=chain.KEYED,
                key_id=key_id,
            )
        )
    try:
        with transaction.atomic():
            AuditSeal.objects.bulk_create(links)
    except IntegrityError:
        return False
    if links and (last is None or _hour(last) != _hour(links[-1])):
        heads.note(seq, head, at=links[-1].sealed_at)
    return True


def _hour(link: AuditSeal) -> str:
    return f"{link.sealed_at:%Y-%m-%d %H}"


def _first_id_to_check() -> int:
    """Return the lowest ID that may still lack a seal.

    IDs rise with time, except that a transaction may still have been open while later entries were
    sealed. No transaction stays open for _LATEST_COMMIT, which also exceeds any clock skew between
    two machines.
    """
    last = AuditSeal.objects.order_by("-seq").first()
    if last is None:
        return 1
    newest = AuditEntry.objects.filter(pk=last.entry_id).first()
    if newest is None:
        return 1  # the entry was deleted: `verify` reports that, and sealing must go on
    begin = AuditEntry.objects.filter(at__gte=newest.at - _LATEST_COMMIT).order_by("at", "pk")
    found = begin.values_list("pk", flat=True).first()
    return min(found or newest.pk, newest.pk)
