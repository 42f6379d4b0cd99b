"""A webhook delivery as both doors see it, and what may be answered to one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

HEADER_LENGTH: Final = 100


# What Shopify asks once an app is gone; compliance answers each.
ALWAYS_HEARD: Final = frozenset(
    {"app/uninstalled", "customers/data_request", "customers/redact", "shop/redact"}
)


class Answer(Enum):
    """What a delivery is answered: HTTP status, header X-Webhook, the tally's column."""

    STORED = (200, "stored", "stored")
    KNOWN = (200, "known", "duplicates")
    MALFORMED = (400, "X-Shopify-Webhook-Id or X-Shopify-Topic is missing", "malformed")
    BROKEN_OFF = (400, "the body did not arrive", "malformed")
    TOO_LARGE = (413, "", "malformed")
    UNAUTHORIZED = (401, "", "unauthorized")
    # Shopify sends it again: nothing was promised.
    UNAVAILABLE = (503, "", "unavailable")

    def __init__(self, status: int, text: str, column: str) -> None:
        self.status, self.text, self.column = status, text, column


@dataclass(frozen=True, slots=True)
class Keys:
    """Whose secrets a shop's deliveries may be signed with. Without a store: it is not ours.

    `read_at` is the monotonic time before the database was asked.
    """

    store_id: int | None
    is_active: bool
    secrets: tuple[bytes, ...]
    read_at: float


@dataclass(frozen=True, slots=True)
class Delivery:
    """One signed delivery, every field of a length and content that its column holds."""

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
        """Whether it is acted on: a store that is switched off is only obeyed in these."""
        return self.is_active or self.topic in ALWAYS_HEARD


def header_text(value: str) -> str:
    """A header as printable text of bounded length; anything else is as good as absent."""
    return value if len(value) <= HEADER_LENGTH and value.isprintable() else ""
