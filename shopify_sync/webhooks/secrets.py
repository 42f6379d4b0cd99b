"""The secrets of shops, as the webhook doors need them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from core.encryption import UndecryptableSecret
from shopify_sync.models import ShopConnection
from shopify_sync.webhooks.delivery import Keys

logger = logging.getLogger(__name__)


def read_keys(domains: Iterable[str]) -> dict[str, Keys | None]:
    """The keys of each shop. None: they cannot be read, so nothing can be said of a signature.

    Raises DatabaseError.
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
            # One shop whose key was lost must not shut the door on the others.
            logger.exception("the secrets of %s cannot be decrypted", store.domain)
            found[store.domain] = None
    return found
