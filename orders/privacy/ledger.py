"""The ledger of redacted people: keyed hashes, asked by every projection.

It is kept a second time in a file beside the database (REDACTION_LEDGER_FILE), because a
restored backup has lost the rows written after it; `replay_redactions` reads it back. Others keep
there what has to outlive a backup as well: entries of kinds of their own.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import IO, Final

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_datetime

from core.sql import select
from orders.models import RedactedIdentity, RedactedKind, Store
from orders.snapshot import CustomerDetails, OrderSnapshot

logger = logging.getLogger(__name__)

_KINDS: Final = tuple(kind.value for kind in RedactedKind)
_INSERTED_AT_ONCE: Final = 500


@cache
def _keys(privacy_key: str, field_keys: tuple[str, ...]) -> tuple[bytes, ...]:
    """The key to hash with, and older ones an entry may have been hashed with."""
    words = (privacy_key, *field_keys) if privacy_key else field_keys
    return tuple(hashlib.sha256(b"privacy:" + word.encode()).digest() for word in words)


def digests(text: str) -> list[str]:
    """Keyed SHA-256 of an identifier, by the current key first and then by older ones."""
    keys = _keys(settings.PRIVACY_KEY, tuple(settings.FIELD_ENCRYPTION_KEYS))
    normal = text.strip().lower().encode()
    return [hmac.new(key, normal, hashlib.sha256).hexdigest() for key in keys]


def remember(
    store: Store, identifiers: Iterable[tuple[RedactedKind, str]], *, at: datetime
) -> list[str]:
    """Enter identifiers into the ledger; returns their hashes. Expects the caller's transaction.

    One that is there already takes the later time.
    """
    rows = {
        (kind, digests(text)[0]): RedactedIdentity(
            store=store, kind=kind, digest=digests(text)[0], redacted_at=at
        )
        for kind, text in identifiers
        if text
    }
    _upsert(rows.values())
    return [digest for _kind, digest in rows]


def enter(rows: Iterable[RedactedIdentity]) -> int:
    """Add entries read from the file to the ledger; how many there were. The latest time counts."""
    latest: dict[tuple[int, str, str], RedactedIdentity] = {}
    for row in [*rows, *RedactedIdentity.objects.select_related("store")]:
        key = (row.store_id, row.kind, row.digest)
        if key not in latest or latest[key].redacted_at < row.redacted_at:
            latest[key] = row
    _upsert(
        RedactedIdentity(
            store=row.store, kind=row.kind, digest=row.digest, redacted_at=row.redacted_at
        )
        for row in latest.values()
    )
    return len(latest)


def _upsert(rows: Iterable[RedactedIdentity]) -> None:
    RedactedIdentity.objects.bulk_create(
        rows,
        batch_size=_INSERTED_AT_ONCE,
        update_conflicts=True,
        unique_fields=["store", "kind", "digest"],
        update_fields=["redacted_at"],
    )


def covers(store_id: int, snapshot: OrderSnapshot) -> bool:
    """Whether the order is of somebody whose data of that time was redacted. One query.

    An order placed after the redaction is a new beginning and stays readable.
    """
    customer = snapshot.customer
    return covers_person(
        store_id,
        gid=customer.gid if customer else "",
        emails=[snapshot.email, customer.email if customer else ""],
        phones=[snapshot.phone, customer.phone if customer else ""],
        orders=[snapshot.gid],
        since=snapshot.placed_at,
    )


def covers_person(
    store_id: int,
    *,
    gid: str,
    emails: Iterable[str],
    phones: Iterable[str],
    orders: Iterable[str] = (),
    since: datetime,
) -> bool:
    """Whether somebody of these names was redacted after this moment. One query."""
    identifiers = {
        RedactedKind.ORDER: orders,
        RedactedKind.CUSTOMER: [gid],
        RedactedKind.EMAIL: emails,
        RedactedKind.PHONE: phones,
    }
    named = {
        (kind.value, digest)
        for kind, texts in identifiers.items()
        for text in texts
        if text
        for digest in digests(text)
    }
    ledger = select(
        RedactedIdentity,
        "kind",
        "digest",
        "redacted_at",
        store_id=store_id,
        kind=list(_KINDS),
        digest=sorted({digest for _kind, digest in named}),
    )
    return any((kind, word) in named and at > since for kind, word, at in ledger)


def covers_customer(store_id: int, details: CustomerDetails) -> bool:
    """Whether the person was redacted; one who became a customer later is a new beginning."""
    identifiers = {
        RedactedKind.CUSTOMER: [details.gid],
        RedactedKind.EMAIL: [details.email],
        RedactedKind.PHONE: [details.phone],
    }
    ledger = _entries(store_id, identifiers)
    if details.customer_since is not None:
        ledger = ledger.filter(redacted_at__gt=details.customer_since)
    return ledger.exists()


def _entries(
    store_id: int, identifiers: Mapping[RedactedKind, Iterable[str]]
) -> QuerySet[RedactedIdentity]:
    match = Q(pk__in=[])
    for kind, texts in identifiers.items():
        hashes = [digest for text in texts if text for digest in digests(text)]
        if hashes:
            match |= Q(kind=kind, digest__in=hashes)
    return RedactedIdentity.objects.filter(match, store_id=store_id)


def covered(store_id: int, snapshots: Iterable[OrderSnapshot]) -> set[str]:
    """The gids among these orders that `covers` covers. One query where nobody was redacted."""
    if not RedactedIdentity.objects.filter(store_id=store_id).exists():
        return set()
    return {snapshot.gid for snapshot in snapshots if covers(store_id, snapshot)}


def append_to_file(rows: Iterable[RedactedIdentity]) -> None:
    """Add ledger rows to the file and force them to the disk. Repeats are harmless."""
    append_entries(_entry(row) for row in rows)


def append_entries(entries: Iterable[Mapping[str, str]]) -> None:
    """The same for those of another kind. No names and no addresses."""
    path = Path(settings.REDACTION_LEDGER_FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        # Workers of several hosts write here, perhaps over a network.
        fcntl.flock(file, fcntl.LOCK_EX)
        lines = [json.dumps(entry).encode() + b"\n" for entry in entries]
        file.write((b"" if _ends_with_a_line(file) else b"\n") + b"".join(lines))
        file.flush()
        os.fsync(file.fileno())


def _ends_with_a_line(file: IO[bytes]) -> bool:
    """Not after a full disk or a crash: the next entry must not be lost with that line."""
    end = file.seek(0, os.SEEK_END)
    if not end:
        return True
    file.seek(end - 1)
    return file.read(1) == b"\n"


def read_file(path: Path) -> Iterator[RedactedIdentity]:
    """The file's entries as unsaved rows, those of unknown stores left out. Raises OSError, and
    ValueError or KeyError for an entry that is none of ours. A line cut off by a crash or a full
    disk is passed over and logged: whoever wrote it was told that it is not there."""
    stores = {store.domain: store for store in Store.objects.all()}
    for entry in _entries_of(path):
        if entry["kind"] not in _KINDS:
            continue
        at = parse_datetime(entry["redacted_at"])
        if at is None:
            raise ValueError(f"no time: {entry['redacted_at']}")
        if store := stores.get(entry["store"]):
            yield RedactedIdentity(
                store=store, kind=entry["kind"], digest=entry["digest"], redacted_at=at
            )


def other_entries(path: Path) -> Iterator[dict[str, str]]:
    """Those that are of no redacted person. Raises as read_file does."""
    return (entry for entry in _entries_of(path) if entry["kind"] not in _KINDS)


def _entries_of(path: Path) -> Iterator[dict[str, str]]:
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            entry: dict[str, str] = json.loads(line)
        except ValueError:
            logger.warning("%s: line %d was cut off and is passed over", path, number)
            continue
        yield entry


def _entry(row: RedactedIdentity) -> dict[str, str]:
    return {
        "store": row.store.domain,
        "kind": row.kind,
        "digest": row.digest,
        "redacted_at": row.redacted_at.isoformat(),
    }
