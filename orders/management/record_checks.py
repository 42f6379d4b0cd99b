"""Whether what must outlive the database is there: the audit log's heads, the redaction ledger."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connection
from django.utils import timezone

from core.operations.findings import Finding, ok, problem, warning
from orders.audit import heads, link_lookup
from orders.management import restore_mark
from orders.models import (
    ActionState,
    AuditEntry,
    AuditSeal,
    OrderAction,
    RedactedIdentity,
    Store,
)

# The sealing job runs every minute.
_SEALED_WITHIN: Final = timedelta(minutes=10)


def look() -> Iterator[Finding]:
    """Look at a migrated database and the files that belong to it."""
    if mark := restore_mark.read(connection):
        yield problem(
            "Restore",
            f"The restore of {mark.file} isn't finished.",
            "Run ./run restore with that file again.",
        )
    yield _heads()
    yield from _sealing()
    yield _ledger()
    yield from _waiting()


def _heads() -> Finding:
    """Compare the newest noted head with the chain; `audit_verify` recomputes all of it."""
    path = settings.AUDIT_HEADS_FILE
    if not path:
        return warning("Audit log", "AUDIT_HEADS_FILE is empty.", "Set it: docs/audit.md says why.")
    try:
        noted = list(heads.noted())
    except OSError as error:
        return problem(
            "Audit log",
            f"AUDIT_HEADS_FILE ({path}) can't be read: {error.strerror}.",
            "Run this as the servers' user.",
        )
    if noted and not link_lookup.present(noted[-1:]):
        return problem(
            "Audit log",
            "Its end is missing: it lacks the newest hash in AUDIT_HEADS_FILE.",
            "If a backup was restored, run manage.py audit_restored; if not, someone cut it off: "
            "run manage.py audit_verify.",
        )
    if not noted and heads.are_due():
        return problem(
            "Audit log",
            f"AUDIT_HEADS_FILE ({path}) has no hash.",
            "Bring the file back, and check that the workers may write to it.",
        )
    return ok("Audit log", f"It has the newest of {len(noted)} noted hashes.")


def _sealing() -> Iterator[Finding]:
    last = AuditSeal.objects.order_by("-seq").first()
    waiting = AuditEntry.objects.filter(at__lt=timezone.now() - _SEALED_WITHIN)
    if last is not None:
        waiting = waiting.filter(pk__gt=last.entry_id)
    if waiting.exists():
        yield problem(
            "Audit log",
            "Entries of more than ten minutes ago aren't sealed.",
            "Start the scheduler and the workers: they seal every minute.",
        )


def _ledger() -> Finding:
    path = Path(settings.REDACTION_LEDGER_FILE)
    if RedactedIdentity.objects.exists() and not path.is_file():
        return problem(
            "Redaction ledger",
            f"REDACTION_LEDGER_FILE ({path}) doesn't exist, although people were deleted: after a "
            "restore they would come back.",
            "Bring the file back, and check that the setting is the one of the workers.",
        )
    place = path if path.exists() else path.parent
    if not os.access(place, os.W_OK):
        return problem(
            "Redaction ledger",
            f"{place} can't be written by this user.",
            "Run this as the servers' user, or give that user the right to write.",
        )
    return ok("Redaction ledger", f"{path} can be written.")


def _waiting() -> Iterator[Finding]:
    for store in Store.objects.active().filter(is_frozen=True):
        yield warning(
            f"{store.domain}",
            "The store is frozen: nothing is sent to Shopify.",
            "Unfreeze it on its page in the admin once you know why it was frozen.",
        )
    if count := OrderAction.objects.filter(state=ActionState.NEEDS_HUMAN).count():
        yield warning(
            "Decisions",
            f"{count} cancellations or refunds have an outcome that reading Shopify can't settle.",
            "A supervisor finds them under Decisions.",
        )
