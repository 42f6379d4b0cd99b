"""Who asked us for no more marketing: at our own address, with one click of a mail program.

Mail programs show a button for mail with these two headers (RFC 8058) and POST to the address
themselves, without a log-in; a GET must change nothing, as scanners follow every link. Shopify's
own record of consent is not ours to write: the app has no right to change customers there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from django.conf import settings
from django.core import signing
from django.urls import reverse

from inbox.models import OptOut
from orders.redactions import append_entries, digests, other_entries

logger = logging.getLogger(__name__)

_SALT: Final = "inbox.optout"
# In the file beside the database, for after a backup was restored.
_KIND: Final = "opt_out"


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
    digest = signing.loads(token, salt=_SALT)
    _found, is_new = OptOut.objects.get_or_create(digest=digest)
    if not is_new:
        return
    try:
        append_entries([_entry(digest)])
    except OSError:
        # A web server may have no such disk; whoever unsubscribes does so all the same.
        logger.warning(
            "an opt-out is not in the ledger's file yet: a worker adds it", exc_info=True
        )


def complete_file() -> int:
    """Add the opt-outs that are not in the ledger's file: of web servers that could not write it,
    or from before it held any. Their number. Raises OSError."""
    path = Path(settings.REDACTION_LEDGER_FILE)
    kept = {entry["digest"] for entry in other_entries(path)} if path.exists() else set()
    missing = [
        digest
        for digest in OptOut.objects.order_by("pk").values_list("digest", flat=True).iterator()
        if digest not in kept
    ]
    if missing:
        append_entries(_entry(digest) for digest in missing)
    return len(missing)


def _entry(digest: str) -> dict[str, str]:
    return {"kind": _KIND, "digest": digest}


def enter_again(entries: Iterable[Mapping[str, str]]) -> None:
    """What a restored backup does not know of."""
    for entry in entries:
        if entry["kind"] == _KIND:
            OptOut.objects.get_or_create(digest=entry["digest"])


def has(address: str) -> bool:
    return OptOut.objects.filter(digest__in=digests(address)).exists()
