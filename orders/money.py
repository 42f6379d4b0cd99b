"""Money: an exact amount with its currency, and nothing that could make it inexact.

Digits per currency and formatting come from Babel's CLDR tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from functools import lru_cache
from typing import Final, Self

from babel.core import Locale, UnknownLocaleError
from babel.numbers import format_currency, get_currency_precision
from django.utils import translation

from orders.errors import InvalidMoney

_PLAIN_AMOUNT: Final = re.compile(r"\A[0-9]{1,15}(?:\.[0-9]{1,6})?\Z")
# Shopify's own wire amounts may be negative (discrepancies) and carry more digits.
_WIRE_AMOUNT: Final = re.compile(r"\A-?[0-9]{1,15}(?:\.[0-9]{1,12})?\Z")


@lru_cache(maxsize=512)
def digits(currency: str) -> int:
    """Decimal places of a currency: JPY 0, EUR 2, KWD 3; unknown codes count as 2."""
    return int(get_currency_precision(currency))


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount of one currency. Adding or comparing two currencies raises ValueError."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal) or not self.amount.is_finite():
            raise InvalidMoney(f"{self.amount!r} is not an exact amount.")

    @classmethod
    def zero(cls, currency: str) -> Self:
        return cls(Decimal(0), currency)

    @classmethod
    def from_wire(cls, amount: str, currency: str) -> Self:
        """Read Shopify's decimal text ("15.0"). Raises InvalidMoney for anything else."""
        if not isinstance(amount, str):
            raise InvalidMoney(f"Shopify sent {amount!r} where an amount was expected.")
        return cls(_wire_amount(amount), currency)

    @classmethod
    def parse(cls, text: str, currency: str) -> Self:
        """Read what a person typed: "12.50". Refuses signs, exponents, commas, extra digits."""
        text = text.strip()
        if not _PLAIN_AMOUNT.match(text):
            example = cls(Decimal("12.5"), currency).plain()
            raise InvalidMoney(f"Enter an amount such as {example}, with a point for decimals.")
        amount = Decimal(text)
        if amount != amount.quantize(quantum(currency), rounding=ROUND_DOWN):
            places = digits(currency)
            allowed = f"at most {places} decimals" if places else "no decimals"
            raise InvalidMoney(f"{currency} amounts have {allowed}.")
        return cls(amount, currency)

    def plain(self) -> str:
        """The amount for a form field or the wire: quantized, a point, no grouping."""
        return str(self.amount.quantize(quantum(self.currency)))

    def format(self, locale: str | None = None) -> str:
        """The amount for people, in the active or the given locale: "€12.50"."""
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
    """A back-fill reads the same zeros and prices a million times."""
    if not _WIRE_AMOUNT.match(amount):
        raise InvalidMoney(f"Shopify sent {amount!r} where an amount was expected.")
    return Decimal(amount)


@lru_cache(maxsize=512)
def quantum(currency: str) -> Decimal:
    """The smallest amount of a currency: 1 JPY, 0.01 EUR, 0.001 KWD."""
    return Decimal(1).scaleb(-digits(currency))


def total(parts: Iterable[Money], currency: str) -> Money:
    """Sum of parts, all of `currency`; zero of it for none."""
    result = Money.zero(currency)
    for part in parts:
        result += part
    return result


def allocate(amount: Money, limits: Sequence[Money]) -> tuple[Money, ...]:
    """Split an amount over limits, in their order, none above its limit.

    Raises InvalidMoney when the limits together do not hold it.
    """
    left = amount
    parts = []
    for limit in limits:
        part = min(left, limit, key=lambda money: money.amount)
        parts.append(part)
        left -= part
    if left:
        raise InvalidMoney(f"{amount.plain()} {amount.currency} is more than can be refunded.")
    return tuple(parts)


@lru_cache(maxsize=64)
def _parsed_locale(code: str) -> Locale:
    try:
        return Locale.parse(code.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale.parse("en")


@lru_cache(maxsize=4096)
def _formatted(amount: Decimal, currency: str, language: str) -> str:
    """A page shows the same sums many times, and CLDR patterns are slow to apply."""
    return format_currency(amount, currency, locale=_parsed_locale(language))
