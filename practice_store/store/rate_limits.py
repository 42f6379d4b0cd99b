"""Shopify's rate limit of one shop."""

from __future__ import annotations

import time
from typing import Final

from core.json_types import JsonObject

# A Plus shop's rate limits; a Basic shop has a tenth of them.
BUCKET: Final = 20_000.0
RESTORE_RATE: Final = 1000.0


class Bucket:
    """Shopify's leaky bucket, one per shop."""

    def __init__(self) -> None:
        self.level, self.at = BUCKET, time.monotonic()

    def take(self, cost: float) -> bool:
        """Reserve this many points; return False if the bucket doesn't hold them."""
        now = time.monotonic()
        self.level = min(BUCKET, self.level + (now - self.at) * RESTORE_RATE)
        self.at = now
        if self.level < cost:
            return False
        self.level -= cost
        return True

    def give_back(self, cost: float) -> None:
        """Return points that were reserved but not used."""
        self.level = min(BUCKET, self.level + cost)

    def status(self) -> JsonObject:
        """Return the throttleStatus of a response."""
        return {
            "maximumAvailable": BUCKET,
            "currentlyAvailable": int(self.level),
            "restoreRate": RESTORE_RATE,
        }
