"""The hourly check: does the connection still work, and are all webhooks subscribed?"""

from __future__ import annotations

import logging

from django.utils import timezone

from orders import services
from orders.models import Store
from shopify_sync.setup import doctor
from shopify_sync.sync import (
    backfill,
    reconcile,
)

logger = logging.getLogger(__name__)


def watch(store: Store) -> list[doctor.Tick]:
    """Examine and repair the connection, then read what may have been missed while it was broken.

    Also starts another back-fill if read_all_orders was granted since the last one.
    """
    ticks = doctor.examine(store, repair=True)
    for tick in ticks:
        if not tick.is_ok:
            logger.error("%s: %s: %s", store.domain, tick.name, tick.todo)
    services.mark_awaiting_banks(store, now=timezone.now())
    if all(tick.is_ok for tick in ticks):
        reconcile.take_turn(store.pk)
        if backfill.wants_more(store):
            backfill.begin(store)
    return ticks
