"""Restored backups: the end of the chain that a restore took away, recorded as such.

A chain that has lost its end looks the same whether an operator restored a backup or someone cut
it off. What tells them apart is this record: it is signed with the audit key, so write access to
the database isn't enough to make one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.auth.models import User

from orders.audit import chain, heads, link_lookup
from orders.audit.entries import record
from orders.models import AuditEntry, AuditKind, AuditSeal


class NothingLost(Exception):
    """Every head is in the chain, so no restore took anything away."""


def record_restore(*, reason: str, given: Sequence[str] = (), by: User | None = None) -> list[str]:
    """Record that a restored backup lacks these heads, and those of the file that it lacks.

    Returns them. Raises NothingLost if the chain has all of them, and OSError if the file with the
    noted heads can't be read.
    """
    known = list(dict.fromkeys([*heads.noted(), *given]))
    accounted_for = link_lookup.present(known) | _recorded_already()
    lost = [head for head in known if head not in accounted_for]
    if not lost:
        raise NothingLost
    last = AuditSeal.objects.order_by("-seq").first()
    key_id, key = chain.current_key()
    said: dict[str, Any] = {
        "lost": lost,
        "kept_seq": last.seq if last else 0,
        "kept_hash": last.hash if last else chain.GENESIS,
        "reason": reason,
        "key_id": key_id,
    }
    record(AuditKind.RESTORE, actor=by, proof=chain.mac(key, _text(said)), **said)
    return lost


def heads_lost(detail: object) -> frozenset[str]:
    """Return the heads that a restore's entry accounts for; none if its proof doesn't hold."""
    if not isinstance(detail, Mapping):
        return frozenset()
    said = {name: value for name, value in detail.items() if name != "proof"}
    key = chain.keys().get(str(said.get("key_id")))
    if key is None or chain.mac(key, _text(said)) != detail.get("proof"):
        return frozenset()
    seq, kept = said.get("kept_seq"), said.get("kept_hash")
    # The record counts only in the chain it was made for.
    if seq and not AuditSeal.objects.filter(seq=seq, hash=kept).exists():
        return frozenset()
    return frozenset(said["lost"])


def _recorded_already() -> frozenset[str]:
    rows = AuditEntry.objects.filter(kind=AuditKind.RESTORE).values_list("detail", flat=True)
    return frozenset(head for detail in rows for head in heads_lost(detail))


def _text(said: Mapping[str, object]) -> str:
    return "restore:" + json.dumps(said, sort_keys=True, separators=(",", ":"))
