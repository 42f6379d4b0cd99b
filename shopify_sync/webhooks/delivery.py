"""A webhook delivery and the answers to it, shared by the Django view and the ASGI receiver."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

HEADER_LENGTH: Final = 100


# Topics that are processed even if the store is switched off: Shopify still sends them once the
# app is gone. reading.compliance has a handler for each.
ALWAYS_HEARD: Final = frozenset(
    {"app/uninstalled", "customers/data_request", "customers/redact", "shop/redact"}
)


class Answer(Enum):
    """How a delivery is answered: HTTP status, X-Webhook header, column of the tally."""

    STORED = (200, "stored", "stored")
    KNOWN = (200, "known", "duplicates")
    MALFORMED = (400, "X-Shopify-Webhook-Id or X-Shopify-Topic is missing", "malformed")
    BROKEN_OFF = (400, "the body did not arrive", "malformed")
    TOO_LARGE = (413, "", "malformed")
    UNAUTHORIZED = (401, "", "unauthorized")
    # Nothing was acknowledged, so Shopify delivers again.
    UNAVAILABLE = (503, "", "unavailable")

    def __init__(self, status: int, text: str, column: str) -> None:
        self.status, self.text, self.column = status, text, column


@dataclass(frozen=True, slots=True)
class Keys:
    """The secrets a shop's deliveries may be signed with; `store_id` is None for an unknown shop.

    `read_at` is the monotonic time just before they were read.
    """

    store_id: int | None
    is_active: bool
    secrets: tuple[bytes, ...]
    read_at: float


@dataclass(frozen=True, slots=True)
class Delivery:
    """One verified delivery; every field fits its database column."""

    store_id: int
    is_active: bool
    webhook_id: str
    event_id: str
    topic: str
    api_version: str
    triggered_at: str
    body: bytes

    @property
    def is_heard(self) -> bool:
        """Return whether to process it, rather than only store it.

        For a store that is switched off, that's true of ALWAYS_HEARD only.
        """
        return self.is_active or self.topic in ALWAYS_HEARD


def header_text(value: str) -> str:
    """Return the header if it's short and printable, else "", as if it were absent."""
    return value if len(value) <= HEADER_LENGTH and value.isprintable() else ""
