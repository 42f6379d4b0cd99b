"""The audit log: written in the caller's transaction, sealed by one job, verified by anyone."""

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

from core.request_id import current_origin
from orders.models import AuditEntry, AuditKind, AuditSeal
from orders.money import Money

logger = logging.getLogger(__name__)

GENESIS: Final = "0" * 64
# By then the sealing job has been there, several times.
_SEALED_WITHIN: Final = timedelta(minutes=10)
# A transaction that writes an entry has ended by then; the database ends a longer one.
_LATEST_COMMIT: Final = timedelta(hours=1)
# Rows looked at by one statement.
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
    """`problems`: each as a sentence; none: the log is whole. `head` is the last hash."""

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
    """Add an entry, in the caller's transaction: it is there if and only if what it tells is.

    `actor` None: the system. `detail`: plain data, no names, addresses or texts of customers.
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
    """Chain the entries that have no seal yet; returns how many. Two at once do no harm.

    Looks at what is new, and costs the same however long the log has grown. `whole`: at all of
    it, which also finds an entry that became visible longer than _LATEST_COMMIT after others.
    """
    last = AuditSeal.objects.order_by("-seq").first()
    seq, head = (last.seq, last.hash) if last else (0, GENESIS)
    links = []
    for entry in islice(_unsealed(1 if whole else _new_from(last)), at_most):
        seq, previous = seq + 1, head
        head = _hash(previous, entry)
        links.append(AuditSeal(seq=seq, entry_id=entry.pk, prev_hash=previous, hash=head))
    try:
        with transaction.atomic():
            AuditSeal.objects.bulk_create(links)
    except IntegrityError:
        return 0
    if links and (last is None or last.sealed_at.date() != links[-1].sealed_at.date()):
        # Kept with the logs, elsewhere: with it a cut-off end is found (audit_verify --head).
        logger.info("audit log: head %s at %s entries", head, seq)
    return len(links)


def verify(*, head: str = "") -> Verification:
    """Recompute the whole chain. `head`, a hash noted earlier, must be one of its links."""
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


def _new_from(last: AuditSeal | None) -> int:
    """The id from which on entries may lack a seal.

    Ids rise with time, but for transactions that were open while others were sealed. None stays
    open for _LATEST_COMMIT, which two machines' clocks do not differ by either.
    """
    if last is None:
        return 1
    newest = AuditEntry.objects.filter(pk=last.entry_id).first()
    if newest is None:
        return 1  # somebody deleted it: the chain's own proof says so, and sealing goes on
    begin = AuditEntry.objects.filter(at__gte=newest.at - _LATEST_COMMIT).order_by("at", "pk")
    found = begin.values_list("pk", flat=True).first()
    return min(found or newest.pk, newest.pk)


def _unsealed(begin: int) -> Iterator[AuditEntry]:
    """Entries from this id on without a seal, the oldest first; read a slice of ids at a time.

    One statement over all of it compared every entry with every seal once they no longer fit
    into the database's working memory, and was then ended for its length, for good.
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
    # The column has four places, a fresh Decimal may have fewer.
    content["amount"] = None if entry.amount is None else f"{entry.amount:.4f}"
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(f"{previous}{text}".encode()).hexdigest()
