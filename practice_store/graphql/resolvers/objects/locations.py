"""The shop's locations."""

from __future__ import annotations

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.state import gid


def location(context: Context, number: int | None = None) -> JsonObject:
    """Return a location of the shop; None means the one that orders ship from."""
    locations = context.shop.locations
    found = number if number in locations else next(iter(locations))
    return {
        "__typename": "Location",
        "id": gid("Location", found),
        "name": locations[found],
        "isActive": True,
        "legacyResourceId": str(found),
    }
