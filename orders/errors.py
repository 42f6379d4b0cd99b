"""What may go wrong in this app, as data. Doors turn these into sentences and status codes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an action is not possible, and what would unlock it (row G02).

    `code` is stable and goes out by the API; `reason` and `hint` are for people.
    """

    code: str
    reason: str
    hint: str = ""

    def __str__(self) -> str:
        return self.reason


class OrdersError(Exception):
    """Base of this app's errors."""


class ActionRefused(OrdersError):
    """A rule, not a fault: nothing was written and nothing was sent."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


class StalePreview(OrdersError):
    """The order changed after its summary was shown: show the new summary and ask again.

    `outcome`: what the action it would have been came to (models.Outcome); "": there is none."""

    def __init__(self, message: str, *, outcome: str = "") -> None:
        super().__init__(message)
        self.outcome = outcome


class InvalidMoney(OrdersError, ValueError):
    """Text that is no amount of the currency; the message says what to type. `field`: the one of
    a dialog that it is about, "" for the amount."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class ShopUnreachable(OrdersError):
    """Shopify could not be read just now; nothing was sent. `hint` says what to do. `is_lasting`:
    trying again in a moment will not help (the order is not found, the app was removed)."""

    def __init__(
        self, message: str, *, hint: str = "Try again in a moment.", is_lasting: bool = False
    ) -> None:
        super().__init__(message)
        self.hint = hint
        self.is_lasting = is_lasting
