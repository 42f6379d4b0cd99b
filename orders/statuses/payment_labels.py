"""Shopify's payment enums as readable labels. Pure.

A value that's missing from the tables is kept and made readable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy, pgettext_lazy

from orders.statuses.badges import Tone

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise as _StrPromise

_KINDS: Final[dict[str, _StrPromise]] = {
    "AUTHORIZATION": gettext_lazy("Authorization"),
    "EMV_AUTHORIZATION": gettext_lazy("Card terminal authorization"),
    "CAPTURE": gettext_lazy("Capture"),
    "SALE": gettext_lazy("Payment"),
    "REFUND": pgettext_lazy("noun", "Refund"),
    "VOID": gettext_lazy("Authorization released"),
    "CHANGE": gettext_lazy("Change given"),
}
_STATES: Final[dict[str, tuple[_StrPromise, Tone]]] = {
    "SUCCESS": (gettext_lazy("Succeeded"), Tone.DEFAULT),
    "PENDING": (gettext_lazy("Pending"), Tone.INFO),
    "AWAITING_RESPONSE": (gettext_lazy("Waiting for a response"), Tone.INFO),
    "FAILURE": (gettext_lazy("Failed"), Tone.CRITICAL),
    "ERROR": (gettext_lazy("Failed"), Tone.CRITICAL),
    "UNKNOWN": (gettext_lazy("Unknown"), Tone.WARNING),
}
# Why a payment provider refuses: those of Shopify's error codes that a refund can get.
_REASONS: Final[dict[str, _StrPromise]] = {
    "AMOUNT_TOO_LARGE": gettext_lazy("amount too large"),
    "AMOUNT_TOO_SMALL": gettext_lazy("amount too small"),
    "AUTHENTICATION_FAILED": gettext_lazy("authentication failed"),
    "CALL_ISSUER": gettext_lazy("the card issuer has to be called"),
    "CANCELLED_PAYMENT": gettext_lazy("the payment was canceled"),
    "CARD_DECLINED": gettext_lazy("the card was declined"),
    "CONFIG_ERROR": gettext_lazy("the payment provider isn’t set up correctly"),
    "DO_NOT_HONOR": gettext_lazy("the card issuer refused"),
    "EXPIRED_CARD": gettext_lazy("the card has expired"),
    "FRAUD_SUSPECTED": gettext_lazy("suspected fraud"),
    "GENERIC_ERROR": gettext_lazy("no reason given"),
    "INSTRUMENT_DECLINED": gettext_lazy("the payment method was declined"),
    "INSUFFICIENT_FUNDS": gettext_lazy("insufficient funds"),
    "INVALID_AMOUNT": gettext_lazy("invalid amount"),
    "INVALID_PAYMENT_METHOD": gettext_lazy("invalid payment method"),
    "MERCHANT_ACCOUNT_ERROR": gettext_lazy("there’s a problem with the shop’s account"),
    "PAYMENT_METHOD_UNAVAILABLE": gettext_lazy("the payment method isn’t available"),
    "PAYMENT_PROVIDER_ERROR": gettext_lazy("the payment provider had a problem"),
    "PROCESSING_ERROR": gettext_lazy("it couldn’t be processed"),
}


def kind_label(raw: str) -> str:
    """Return the label of a transaction's kind."""
    return str(_KINDS[raw]) if raw in _KINDS else readable(raw)


def state_label(raw: str) -> tuple[str, Tone]:
    """Return the label and tone of a transaction's status."""
    if raw not in _STATES:
        return readable(raw), Tone.WARNING
    label, tone = _STATES[raw]
    return str(label), tone


def bank_reason(code: str) -> str:
    """Say why a payment provider refused, phrased to follow a colon."""
    return str(_REASONS[code]) if code in _REASONS else readable(code).lower()


def readable(raw: str) -> str:
    """Turn an enum value no table has, such as AMAZON_PAYMENTS_STALE, into plain text."""
    return raw.replace("_", " ").capitalize()
