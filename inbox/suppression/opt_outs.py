"""One-click opt-outs from marketing email (RFC 8058).

Mail programs show an unsubscribe button for mail with these two headers and POST to the URL
themselves, without a login. A GET must change nothing, because scanners follow every link.
Opt-outs are kept here because the app has no permission to change customers in Shopify.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from django.conf import settings
from django.core import signing
from django.urls import reverse
from django.utils import timezone

from inbox.models import OptOut
from orders.privacy.ledger import (
    append_entries,
    digests,
    other_entries,
)

_SALT: Final = "inbox.optout"
# The kind of these entries in the ledger file, which survives restoring a backup.
_KIND: Final = "opt_out"
_KEPT_AT_ONCE: Final = 500


def headers(address: str) -> dict[str, str]:
    """Return the unsubscribe headers of a marketing email; none if PUBLIC_URL isn't set."""
    if not settings.PUBLIC_URL:
        return {}
    url = settings.PUBLIC_URL + reverse("unsubscribe", args=[token_of(address)])
    return {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def token_of(address: str) -> str:
    """Return the token of an unsubscribe link.

    It never expires, because mail is kept forever, and holds a hash instead of the address.
    """
    return signing.dumps(digests(address)[0], salt=_SALT, compress=False)


def is_token(token: str) -> bool:
    """Return whether we signed this token."""
    try:
        signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        return False
    return True


def record(token: str) -> None:
    """Record the opt-out behind a token. Safe to repeat. Raises BadSignature."""
    OptOut.objects.get_or_create(digest=signing.loads(token, salt=_SALT))


def keep() -> None:
    """Append new opt-outs to the ledger file, from which `enter_again` restores them.

    Only workers call this, because web servers may not have that disk. A crash halfway writes some
    entries twice, which is harmless. Raises OSError.
    """
    rows = list(OptOut.objects.filter(kept_at=None).order_by("pk")[:_KEPT_AT_ONCE])
    if not rows:
        return
    append_entries({"kind": _KIND, "digest": row.digest} for row in rows)
    OptOut.objects.filter(pk__in=[row.pk for row in rows]).update(kept_at=timezone.now())


def recheck() -> int:
    """Have opt-outs that the ledger file lacks appended again; returns how many.

    The file may have been lost, cut short or moved since. Reads all of it, so this is for a
    nightly task. Raises OSError.
    """
    path = Path(settings.REDACTION_LEDGER_FILE)
    kept = {entry["digest"] for entry in other_entries(path)} if path.exists() else set()
    rows = OptOut.objects.exclude(kept_at=None).values_list("pk", "digest")
    missing = [pk for pk, digest in rows.iterator() if digest not in kept]
    for start in range(0, len(missing), _KEPT_AT_ONCE):
        some = missing[start : start + _KEPT_AT_ONCE]
        OptOut.objects.filter(pk__in=some).update(kept_at=None)
    return len(missing)


def enter_again(entries: Iterable[Mapping[str, str]]) -> None:
    """Restore the opt-outs that a restored backup lacks."""
    for entry in entries:
        if entry["kind"] == _KIND:
            OptOut.objects.get_or_create(
                digest=entry["digest"], defaults={"kept_at": timezone.now()}
            )


def has(address: str) -> bool:
    """Return whether the owner of this address has opted out."""
    # All digests: the opt-out may have been recorded under an older key.
    return OptOut.objects.filter(digest__in=digests(address)).exists()
