"""Who asked us for no more marketing: at our own address, with one click of a mail program.

Mail programs show a button for mail with these two headers (RFC 8058) and POST to the address
themselves, without a log-in; a GET must change nothing, as scanners follow every link. Shopify's
own record of consent is not ours to write: the app has no right to change customers there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from django.conf import settings
from django.core import signing
from django.urls import reverse
from django.utils import timezone

from inbox.models import OptOut
from orders.privacy.ledger import (
    append_entries,
    digests,
)

_SALT: Final = "inbox.optout"
# In the file beside the database, for after a backup was restored.
_KIND: Final = "opt_out"
_KEPT_AT_ONCE: Final = 500


def headers(address: str) -> dict[str, str]:
    """Of a marketing e-mail; none where we do not know our own address."""
    if not settings.PUBLIC_URL:
        return {}
    url = settings.PUBLIC_URL + reverse("unsubscribe", args=[token_of(address)])
    return {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def token_of(address: str) -> str:
    """Good for ever, as mail is kept for ever; it holds a hash and not the address."""
    return signing.dumps(digests(address)[0], salt=_SALT, compress=False)


def is_token(token: str) -> bool:
    try:
        signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        return False
    return True


def record(token: str) -> None:
    """May be called again. Raises BadSignature."""
    OptOut.objects.get_or_create(digest=signing.loads(token, salt=_SALT))


def keep() -> None:
    """Write those that are new to the file beside the database, from which `enter_again` has them
    after a backup was restored. By workers alone: web servers need not have that disk. A crash in
    between writes some twice, which is harmless. Raises OSError."""
    rows = list(OptOut.objects.filter(kept_at=None).order_by("pk")[:_KEPT_AT_ONCE])
    if not rows:
        return
    append_entries({"kind": _KIND, "digest": row.digest} for row in rows)
    OptOut.objects.filter(pk__in=[row.pk for row in rows]).update(kept_at=timezone.now())


def enter_again(entries: Iterable[Mapping[str, str]]) -> None:
    """What a restored backup does not know of."""
    for entry in entries:
        if entry["kind"] == _KIND:
            OptOut.objects.get_or_create(
                digest=entry["digest"], defaults={"kept_at": timezone.now()}
            )


def has(address: str) -> bool:
    return OptOut.objects.filter(digest__in=digests(address)).exists()
