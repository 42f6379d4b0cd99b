"""The ledger of redacted people: keyed hashes that every projection checks.

A second copy is kept in a file outside the database (REDACTION_LEDGER_FILE), because a restored
backup lacks the rows written after it was made; `replay_redactions` reads the file back. Other apps
store entries of their own kinds there if they, too, must survive a restore.
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

from core.database.sql import select
from orders.models import RedactedIdentity, RedactedKind, Store
from orders.snapshot import CustomerDetails, OrderSnapshot

logger = logging.getLogger(__name__)

_KINDS: Final = tuple(kind.value for kind in RedactedKind)
_INSERT_BATCH: Final = 500


@cache
def _keys(privacy_key: str, field_keys: tuple[str, ...]) -> tuple[bytes, ...]:
    """Return the current hashing key, followed by older ones that entries may have used."""
    secrets = (privacy_key, *field_keys) if privacy_key else field_keys
    return tuple(hashlib.sha256(b"privacy:" + secret.encode()).digest() for secret in secrets)


def digests(text: str) -> list[str]:
    """Return an identifier's HMAC-SHA-256, with the current key first, then with older ones."""
    keys = _keys(settings.PRIVACY_KEY, tuple(settings.FIELD_ENCRYPTION_KEYS))
    normal = text.strip().lower().encode()
    return [hmac.new(key, normal, hashlib.sha256).hexdigest() for key in keys]


def remember(
    store: Store, identifiers: Iterable[tuple[RedactedKind, str]], *, at: datetime
) -> list[str]:
    """Add identifiers to the ledger; return their hashes. Expects the caller's transaction.

    An identifier that is already there gets the new time.
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
    """Merge entries read from the file into the ledger; return how many the ledger now has.

    If an entry exists twice, the latest time wins.
    """
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
        batch_size=_INSERT_BATCH,
        update_conflicts=True,
        unique_fields=["store", "kind", "digest"],
        update_fields=["redacted_at"],
    )


def covers(store_id: int, snapshot: OrderSnapshot) -> bool:
    """Whether the order belongs to someone redacted after it was placed. One query.

    An order placed after the redaction is a new start and stays readable.
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
    """Whether anyone with one of these identifiers was redacted after `since`. One query."""
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
    return any((kind, digest) in named and at > since for kind, digest, at in ledger)


def covers_customer(store_id: int, details: CustomerDetails) -> bool:
    """Whether the person was redacted. Someone who became a customer later is a new start."""
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
    """Return the gids of those orders that `covers` covers. One query if the ledger is empty."""
    if not RedactedIdentity.objects.filter(store_id=store_id).exists():
        return set()
    return {snapshot.gid for snapshot in snapshots if covers(store_id, snapshot)}


def append_to_file(rows: Iterable[RedactedIdentity]) -> None:
    """Append ledger rows to the file and fsync it. Writing an entry twice is harmless."""
    append_entries(_entry(row) for row in rows)


def append_entries(entries: Iterable[Mapping[str, str]]) -> None:
    """Like `append_to_file`, for entries of other kinds. No names and no addresses in them."""
    path = Path(settings.REDACTION_LEDGER_FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        # Workers on several hosts may write here at once, perhaps over a network file system.
        fcntl.flock(file, fcntl.LOCK_EX)
        lines = [json.dumps(entry).encode() + b"\n" for entry in entries]
        file.write((b"" if _ends_with_a_line(file) else b"\n") + b"".join(lines))
        file.flush()
        os.fsync(file.fileno())


def _ends_with_a_line(file: IO[bytes]) -> bool:
    """Whether the file ends with a newline.

    It may not, after a full disk or a crash; appending directly would then corrupt the next entry
    as well.
    """
    end = file.seek(0, os.SEEK_END)
    if not end:
        return True
    file.seek(end - 1)
    return file.read(1) == b"\n"


def read_file(path: Path) -> Iterator[RedactedIdentity]:
    """Yield the file's entries as unsaved rows, skipping unknown stores.

    Raises OSError, and ValueError or KeyError for an entry that isn't ours. A line cut off by a
    crash or a full disk is skipped and logged: its writer got an error, so nothing relies on it.
    """
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
    """Yield the entries of kinds other than redacted people. Raises like `read_file`."""
    return (entry for entry in _entries_of(path) if entry["kind"] not in _KINDS)


def _entries_of(path: Path) -> Iterator[dict[str, str]]:
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            entry: dict[str, str] = json.loads(line)
        except ValueError:
            logger.warning("%s: skipping line %d, which was cut off", path, number)
            continue
        yield entry


def _entry(row: RedactedIdentity) -> dict[str, str]:
    return {
        "store": row.store.domain,
        "kind": row.kind,
        "digest": row.digest,
        "redacted_at": row.redacted_at.isoformat(),
    }
