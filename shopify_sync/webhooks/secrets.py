"""Read the shops' webhook secrets, for both endpoints."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from core.encryption import UndecryptableSecret
from shopify_sync.models import ShopConnection
from shopify_sync.webhooks.delivery import Keys

logger = logging.getLogger(__name__)


def read_keys(domains: Iterable[str]) -> dict[str, Keys | None]:
    """Return each shop's keys; None if they cannot be decrypted.

    Then a signature can be neither accepted nor rejected. Raises DatabaseError.
    """
    read_at = time.monotonic()
    wanted = list(dict.fromkeys(domains))
    found: dict[str, Keys | None] = {name: Keys(None, False, (), read_at) for name in wanted}
    rows = ShopConnection.objects.select_related("store").filter(store__domain__in=wanted)
    for row in rows:
        store = row.store
        try:
            found[store.domain] = Keys(store.pk, store.is_active, row.secrets, read_at)
        except UndecryptableSecret:
            # One shop's lost encryption key must not shut out the others.
            logger.exception("cannot decrypt the secrets of %s", store.domain)
            found[store.domain] = None
    return found
