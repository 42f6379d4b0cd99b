"""What the store answers over HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec


class Answer(msgspec.Struct):
    """A response, and how it is to be sent."""

    status: int
    body: bytes
    content_type: str = "application/json; charset=utf-8"
    headers: dict[str, str] = {}
    file: Path | None = None
    # "whole", "half" (cut in the middle) or "dropped" (the connection is closed without a
    # response).
    sent: str = "whole"


def plain(value: object) -> bytes:
    """Encode a value as JSON; Decimals and times become strings."""
    return json.dumps(value, ensure_ascii=False, default=str).encode()
