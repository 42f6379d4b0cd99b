"""The audit log: written in the caller's transaction, sealed by a job, verifiable by anyone."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any, Final

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from core.request_origin import current_origin
from orders.models import AuditEntry, AuditKind, AuditSeal
from orders.money import Money

logger = logging.getLogger(__name__)

GENESIS: Final = "0" * 64
# The sealing job has run several times by then.
_SEALED_WITHIN: Final = timedelta(minutes=10)
# No transaction that writes an entry stays open longer; the database would end it.
_LATEST_COMMIT: Final = timedelta(hours=1)
# Rows per statement.
_SLICE: Final = 5000
_COLUMNS: Final = (
    "id",
    "kind",
    "actor_id",
    "actor",
    "roles",
    "store_id",
    "order_id",
    "action_id",
    "before",
    "after",
    "currency",
    "request_id",
    "ip",
    "detail",
)


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of checking the log. `head` is the last hash in the chain.

    `problems` holds one sentence per problem; empty means the log is intact.
    """

    entries: int
    sealed: int
    problems: tuple[str, ...]
    head: str


def record(
    kind: AuditKind,
    *,
    actor: User | None,
    store_id: int | None = None,
    order_id: int | None = None,
    action_id: int | None = None,
    before: str = "",
    after: str = "",
    amount: Money | None = None,
    **detail: Any,
) -> AuditEntry:
    """Add an entry in the caller's transaction, so it commits together with what it records.

    `actor` is None for the system. `detail` must be plain JSON data without customers' names,
    addresses or texts: entries can never be changed or erased.
    """
    roles = ",".join(sorted(g.name for g in actor.groups.all())) if actor else ""
    origin = current_origin()
    return AuditEntry.objects.create(
        kind=kind,
        actor_id=actor.pk if actor else None,
        actor=actor.get_username() if actor else "",
        roles=roles[:255],
        store_id=store_id,
        order_id=order_id,
        action_id=action_id,
        before=before,
        after=after,
        amount=amount.amount if amount else None,
        currency=amount.currency if amount else "",
        request_id=origin.request_id,
        ip=origin.ip,
        detail=detail,
    )


def seal(*, at_most: int = 1000, whole: bool = False) -> int:
    """Append the entries that have no seal yet to the hash chain; return how many.

    Safe to run concurrently: the loser of a race writes nothing. Looks only at recent entries, so
    the cost doesn't grow with the log. `whole` scans all of it, which also finds an entry that
    became visible more than _LATEST_COMMIT after its neighbors.
    """
    last = AuditSeal.objects.order_by("-seq").first()
    seq, head = (last.seq, last.hash) if last else (0, GENESIS)
    links = []
    for entry in islice(_unsealed(1 if whole else _first_id_to_check(last)), at_most):
        seq, previous = seq + 1, head
        head = _hash(previous, entry)
        links.append(AuditSeal(seq=seq, entry_id=entry.pk, prev_hash=previous, hash=head))
    try:
        with transaction.atomic():
            AuditSeal.objects.bulk_create(links)
    except IntegrityError:
        # Another process sealed these entries first.
        return 0
    if links and (last is None or last.sealed_at.date() != links[-1].sealed_at.date()):
        # Logs are kept elsewhere, so with this hash `audit_verify --head` can detect a chain
        # whose end was cut off.
        logger.info("audit log: head %s at %s entries", head, seq)
    return len(links)


def verify(*, head: str = "") -> Verification:
    """Recompute the whole chain.

    If `head`, a hash noted earlier, is given, it must be one of the chain's links.
    """
    problems: list[str] = []
    previous, expected_seq, count, has_head = GENESIS, 0, 0, not head
    for links in _slices(AuditSeal.objects.order_by("seq").iterator(chunk_size=_SLICE)):
        entries = AuditEntry.objects.in_bulk([link.entry_id for link in links])
        for link in links:
            expected_seq += 1
            count += 1
            if link.seq != expected_seq:
                problems.append(f"Seal {expected_seq} is missing.")
                expected_seq = link.seq
            if link.prev_hash != previous:
                problems.append(f"Seal {link.seq} does not follow the one before it.")
            entry = entries.get(link.entry_id)
            if entry is None:
                problems.append(f"Entry {link.entry_id} was deleted.")
            elif _hash(link.prev_hash, entry) != link.hash:
                problems.append(f"Entry {link.entry_id} was changed.")
            previous = link.hash
            has_head = has_head or link.hash == head
    overdue, waiting = timezone.now() - _SEALED_WITHIN, 0
    for entry in _unsealed(1):
        waiting += 1
        if entry.at < overdue:
            problems.append(f"Entry {entry.pk} was never sealed.")
    if not has_head:
        problems.append(f"The chain has no link {head}: its end was cut off.")
    return Verification(count + waiting, count, tuple(problems), previous)


def _first_id_to_check(last: AuditSeal | None) -> int:
    """Return the lowest ID that may still lack a seal.

    IDs rise with time, except that a transaction may still have been open while later entries were
    sealed. No transaction stays open for _LATEST_COMMIT, which also exceeds any clock skew between
    two machines.
    """
    if last is None:
        return 1
    newest = AuditEntry.objects.filter(pk=last.entry_id).first()
    if newest is None:
        return 1  # the entry was deleted: `verify` reports that, and sealing must go on
    begin = AuditEntry.objects.filter(at__gte=newest.at - _LATEST_COMMIT).order_by("at", "pk")
    found = begin.values_list("pk", flat=True).first()
    return min(found or newest.pk, newest.pk)


def _unsealed(begin: int) -> Iterator[AuditEntry]:
    """Yield entries from this ID on that have no seal, oldest first, one slice of IDs at a time.

    A single anti-join over both tables degrades to comparing every entry with every seal once they
    outgrow the database's work_mem; it then hits the statement timeout on every run, and sealing
    stops for good.
    """
    while True:
        ids = AuditEntry.objects.filter(pk__gte=begin).order_by("pk")
        part = list(ids.values_list("pk", flat=True)[:_SLICE])
        if not part:
            return
        seals = AuditSeal.objects.filter(entry_id__gte=part[0], entry_id__lte=part[-1])
        sealed = set(seals.values_list("entry_id", flat=True))
        missing = [pk for pk in part if pk not in sealed]
        yield from AuditEntry.objects.filter(pk__in=missing).order_by("pk") if missing else ()
        begin = part[-1] + 1


def _slices(links: Iterator[AuditSeal]) -> Iterator[list[AuditSeal]]:
    while part := list(islice(links, _SLICE)):
        yield part


def _hash(previous: str, entry: AuditEntry) -> str:
    content: dict[str, Any] = {name: getattr(entry, name) for name in _COLUMNS}
    content["at"] = entry.at.isoformat()
    # The column has four decimal places; a Decimal not read back from it may have fewer.
    content["amount"] = None if entry.amount is None else f"{entry.amount:.4f}"
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(f"{previous}{text}".encode()).hexdigest()
