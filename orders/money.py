"""Money: an exact amount with its currency, and nothing that could make it inexact.

The number of decimals follows ISO 4217, except that a digit Shopify sent is never dropped.
Formatting uses Babel's CLDR data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final, Self

from babel.core import Locale, UnknownLocaleError
from babel.numbers import get_currency_precision
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from orders.errors import InvalidMoney

_PLAIN_AMOUNT: Final = re.compile(r"\A[0-9]{1,15}(?:\.[0-9]{1,6})?\Z")
# Shopify's amounts may be negative (refund discrepancies) and carry more digits.
_WIRE_AMOUNT: Final = re.compile(r"\A-?[0-9]{1,15}(?:\.[0-9]{1,12})?\Z")
# CLDR puts a space between a currency code and the digits, which Babel omits: "RSD 5" but "€5".
_LETTER_BEFORE_FIGURE: Final = re.compile(r"(?<=[^\W\d_])(?=\d)")

# ISO 4217's minor units where they are not 2. CLDR's won't do: they describe how prices are
# displayed, and say 0 for RSD, IQD, LBP, MGA and others whose amounts have decimals.
_MINOR_UNITS: Final = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


def digits(currency: str) -> int:
    """Return a currency's decimal places: JPY 0, EUR 2, KWD 3. Unknown codes count as 2."""
    return _MINOR_UNITS.get(currency, 2)


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount in one currency. Adding or ordering two currencies raises ValueError."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal) or not self.amount.is_finite():
            raise InvalidMoney(f"{self.amount!r} is not an exact amount.")

    @classmethod
    def zero(cls, currency: str) -> Self:
        """Return 0 in this currency."""
        return cls(Decimal(0), currency)

    @classmethod
    def from_wire(cls, amount: str, currency: str) -> Self:
        """Read Shopify's decimal text ("15.0"). Raises InvalidMoney for anything else."""
        # A JSON number would have been through a float and may have lost digits.
        if not isinstance(amount, str):
            raise InvalidMoney(f"Shopify sent {amount!r} where an amount was expected.")
        return cls(_wire_amount(amount), currency)

    @classmethod
    def parse(cls, text: str, currency: str, *, places: int | None = None) -> Self:
        """Parse an amount sent by a program: "12.50".

        Raises InvalidMoney for signs, exponents, commas, and more decimals than `places` (by
        default the currency's). For amounts that people type, use orders.previews.amount_input.
        """
        text = text.strip()
        if not _PLAIN_AMOUNT.match(text):
            example = cls(Decimal("12.5"), currency).plain()
            raise InvalidMoney(
                _("Enter an amount such as %(example)s, with a decimal point.")
                % {"example": example}
            )
        return cls(Decimal(text), currency).with_at_most(places)

    def with_at_most(self, places: int | None = None) -> Self:
        """Return this amount unchanged, or raise InvalidMoney if it has too many decimals.

        The limit is the larger of `places` and the currency's own. Excess decimals are refused,
        never rounded away.
        """
        allowed = max(digits(self.currency), places or 0)
        if self.places <= allowed:
            return self
        if not self.currency:
            text = ngettext(
                "Use at most %(count)d decimal place.",
                "Use at most %(count)d decimal places.",
                allowed,
            )
            raise InvalidMoney(text % {"count": allowed})
        if not allowed:
            text = _("%(currency)s amounts have no decimal places.") % {"currency": self.currency}
            raise InvalidMoney(text)
        text = ngettext(
            "%(currency)s amounts have at most %(count)d decimal place.",
            "%(currency)s amounts have at most %(count)d decimal places.",
            allowed,
        )
        raise InvalidMoney(text % {"currency": self.currency, "count": allowed})

    @property
    def places(self) -> int:
        """Decimals to write it with: its currency's, or more if the amount has more."""
        return max(digits(self.currency), _significant_places(self.amount))

    def plain(self) -> str:
        """Format for programs and the wire: every digit, a decimal point, no grouping."""
        return f"{self.amount:.{self.places}f}"

    def format(self, locale: str | None = None) -> str:
        """Format for people, in the active or given locale: "€12.50"."""
        return _formatted(self.amount, self.currency, locale or translation.get_language() or "en")

    def __str__(self) -> str:
        return self.format()

    def __bool__(self) -> bool:
        return self.amount != 0

    def _same(self, other: Money) -> Decimal:
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} do not mix.")
        return other.amount

    def __add__(self, other: Money) -> Money:
        return Money(self.amount + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.amount - self._same(other), self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.amount <= self._same(other)

    def __gt__(self, other: Money) -> bool:
        return self.amount > self._same(other)

    def __ge__(self, other: Money) -> bool:
        return self.amount >= self._same(other)


@lru_cache(maxsize=8192)
def _wire_amount(amount: str) -> Decimal:
    """Parse and cache: a back-fill reads the same zeros and prices a million times."""
    if not _WIRE_AMOUNT.match(amount):
        raise InvalidMoney(f"Shopify sent {amount!r} where an amount was expected.")
    return Decimal(amount)


def _significant_places(amount: Decimal) -> int:
    """Count decimals, ignoring trailing zeros."""
    return len(f"{amount:f}".partition(".")[2].rstrip("0"))


@lru_cache(maxsize=512)
def quantum(currency: str) -> Decimal:
    """Return the smallest unit of a currency: 1 JPY, 0.01 EUR, 0.001 KWD."""
    return Decimal(1).scaleb(-digits(currency))


def total(parts: Iterable[Money], currency: str) -> Money:
    """Add up amounts, all in `currency`. The sum of no amounts is zero."""
    result = Money.zero(currency)
    for part in parts:
        result += part
    return result


def allocate(amount: Money, limits: Sequence[Money]) -> tuple[Money, ...]:
    """Split an amount over limits, filling each in order before the next.

    Raises InvalidMoney if the amount exceeds the limits' sum.
    """
    left = amount
    parts = []
    for limit in limits:
        part = min(left, limit, key=lambda money: money.amount)
        parts.append(part)
        left -= part
    if left:
        raise InvalidMoney(
            _("%(amount)s is more than can be refunded.") % {"amount": amount.format()}
        )
    return tuple(parts)


@lru_cache(maxsize=64)
def babel_locale(code: str) -> Locale:
    """Return the CLDR locale for a Django language code; English if CLDR doesn't know it."""
    try:
        return Locale.parse(code.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale.parse("en")


@lru_cache(maxsize=4096)
def _formatted(amount: Decimal, currency: str, language: str) -> str:
    """Format and cache: a page shows the same sums many times, and CLDR patterns are slow."""
    shown = int(get_currency_precision(currency))
    if (own := _significant_places(amount)) > shown:
        # CLDR's display precision hides decimals; an amount that has some must show all of them.
        shown = max(own, digits(currency))
    locale = babel_locale(language)
    pattern = copy(locale.currency_formats["standard"])
    pattern.frac_prec = (shown, shown)
    text = pattern.apply(amount, locale, currency=currency, currency_digits=False)
    return _LETTER_BEFORE_FIGURE.sub("\u00a0", text)
