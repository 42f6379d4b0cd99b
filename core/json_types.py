"""Names for decoded JSON, whose values can be of any type until a mapping has checked them."""

from __future__ import annotations

from typing import Any

JsonObject = dict[str, Any]
