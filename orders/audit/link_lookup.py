"""Looking up links of the chain by their hashes.

`hash` has no index, but the next link repeats it in `prev_hash`, which has one. So a link is found
through the one behind it, and the last link by itself: no look-up reads the whole chain.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from orders.models import AuditSeal

# Hashes per query.
_CHUNK: Final = 500


def find(hash_: str) -> AuditSeal | None:
    """Return the link with this hash; None if the chain has none."""
    seq = _numbers([hash_]).get(hash_)
    return AuditSeal.objects.filter(seq=seq).first() if seq is not None else None


def present(hashes: Iterable[str], *, before: int | None = None) -> set[str]:
    """Return those that are the hash of a link; with `before`, of a link with a lower number."""
    wanted, found = list(hashes), set()
    for begin in range(0, len(wanted), _CHUNK):
        numbers = _numbers(wanted[begin : begin + _CHUNK]).items()
        found |= {hash_ for hash_, seq in numbers if before is None or seq < before}
    return found


def _numbers(wanted: list[str]) -> dict[str, int]:
    """Return the number of each link that has one of these hashes. Takes three queries."""
    behind = AuditSeal.objects.filter(prev_hash__in=wanted).values_list("seq", flat=True)
    numbers = [seq - 1 for seq in behind]
    last = AuditSeal.objects.order_by("-seq").values_list("seq", flat=True).first()
    if last is not None:
        numbers.append(last)
    # The row itself decides: what the next one says of it may have been tampered with.
    rows = AuditSeal.objects.filter(seq__in=numbers, hash__in=wanted)
    return dict(rows.values_list("hash", "seq"))
