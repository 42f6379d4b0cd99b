"""This app's errors, as data. Views and API endpoints turn them into messages and status codes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an action isn't possible, and what would unlock it.

    `code` is stable and part of the API; `reason` and `hint` are sentences for people.
    """

    code: str
    reason: str
    hint: str = ""

    def __str__(self) -> str:
        return self.reason


class OrdersError(Exception):
    """Base of this app's errors."""


class ActionRefused(OrdersError):
    """A rule forbids it. Not a failure: nothing was written and nothing was sent."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


class StalePreview(OrdersError):
    """The order changed after its preview was shown: show the new preview and ask again.

    `outcome` (a models.Outcome) is how the requested action would have ended; "" if it has none.
    """

    def __init__(self, message: str, *, outcome: str = "") -> None:
        super().__init__(message)
        self.outcome = outcome


class InvalidMoney(OrdersError, ValueError):
    """Text that isn't an amount of the currency; the message says what to type instead.

    `field` names the dialog field it is about; "" is the amount field.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class ShopUnreachable(OrdersError):
    """Shopify could not be read right now; nothing was sent.

    `hint` says what to do. `is_lasting` means a retry won't help, because the order wasn't found or
    the app was uninstalled.
    """

    def __init__(
        self, message: str, *, hint: str = "Try again in a moment.", is_lasting: bool = False
    ) -> None:
        super().__init__(message)
        self.hint = hint
        self.is_lasting = is_lasting
