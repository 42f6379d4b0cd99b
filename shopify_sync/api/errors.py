"""Shopify's errors, classified by what they mean for the request that was sent.

Class A, NotApplied: nothing happened, for certain. Class B, OutcomeUnknown: it may have happened.
Class C, a readable answer (userErrors included), is not an exception; the caller reads it.
"""

from __future__ import annotations


class ShopifyError(Exception):
    """Base class. `request_id` is Shopify's X-Request-ID, to quote to Shopify support."""

    def __init__(self, message: str, *, request_id: str = "") -> None:
        super().__init__(message)
        self.request_id = request_id


class NotApplied(ShopifyError):
    """Class A: Shopify did nothing, so sending again is safe."""


class Unreachable(NotApplied):
    """No connection was made, so not a byte was sent."""


class Throttled(NotApplied):
    """Over the rate limit; try again in `retry_after_s` seconds."""

    def __init__(self, message: str, *, retry_after_s: float, request_id: str = "") -> None:
        super().__init__(message, request_id=request_id)
        self.retry_after_s = retry_after_s


class NeedsAdmin(NotApplied):
    """The token, a scope or the shop itself is the problem, and only an administrator can fix it.

    `status` is the HTTP status of the answer, or 0 if no HTTP status said so.
    """

    def __init__(self, message: str, *, request_id: str = "", status: int = 0) -> None:
        super().__init__(message, request_id=request_id)
        self.status = status


class Refused(NotApplied):
    """Shopify rejected the request as a whole: a bug of ours, or a retired API version."""


class OutcomeUnknown(ShopifyError):
    """Class B: sent, but no readable answer. Read from Shopify before sending anything again."""
