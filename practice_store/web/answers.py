"""What the store answers over HTTP."""

from __future__ import annotations

import json


def plain(value: object) -> bytes:
    """Encode a value as JSON; Decimals and times become strings."""
    return json.dumps(value, ensure_ascii=False, default=str).encode()
