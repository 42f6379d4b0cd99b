"""What may come back from Shopify, sorted by what it means for a request that was sent.

Class A, NotApplied: certain that nothing happened. Class B, OutcomeUnknown: it may have.
Anything that is an answer (class C) is no error and is read by the caller.
"""

from __future__ import annotations


class ShopifyError(Exception):
    """Base. `request_id` is Shopify's X-Request-ID, for its support."""

    def __init__(self, message: str, *, request_id: str = "") -> None:
        super().__init__(message)
        self.request_id = request_id


class NotApplied(ShopifyError):
    """Class A: Shopify did nothing. Sending again is safe."""


class Unreachable(NotApplied):
    """No connection was made: no byte left."""


class Throttled(NotApplied):
    """Over the rate limit."""

    def __init__(self, message: str, *, retry_after_s: float, request_id: str = "") -> None:
        super().__init__(message, request_id=request_id)
        self.retry_after_s = retry_after_s


class NeedsAdmin(NotApplied):
    """Token, scope, or the shop itself: only an administrator can unlock it.

    `status`: the HTTP status that said so; 0: there was none."""

    def __init__(self, message: str, *, request_id: str = "", status: int = 0) -> None:
        super().__init__(message, request_id=request_id)
        self.status = status


class Refused(NotApplied):
    """Shopify did not understand or accept the request: a bug of ours, or a retired version."""


class OutcomeUnknown(ShopifyError):
    """Class B: sent, and no readable answer. Read Shopify before sending anything again."""
