"""Amounts as people type them in their language; ambiguous ones are asked about."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.errors import InvalidMoney
from orders.money import Money
from orders.previews.amount_input import (
    read,
    write,
)

LANGUAGES = st.sampled_from(["en", "de", "ar", "fr", "sv", "pt-br", "de-ch", "hi"])
CURRENCIES = st.sampled_from(["EUR", "USD", "JPY", "KWD", "RSD", "ISK", "CLF"])


@given(LANGUAGES, CURRENCIES, st.decimals(min_value=0, max_value=10**12, places=6))
def test_what_is_prefilled_is_read_back_the_same(
    language: str, currency: str, amount: Decimal
) -> None:
    money = Money(amount, currency)
    typed = write(money, language)
    assert read(typed, currency, places=money.places, language=language) == money


@given(LANGUAGES, CURRENCIES, st.text(alphabet="0123456789.,' \u066b\u066c١٢٣-e+", max_size=12))
def test_what_is_read_is_one_amount_or_refused(language: str, currency: str, text: str) -> None:
    try:
        money = read(text, currency, language=language)
    except InvalidMoney:
        return
    assert money.amount >= 0
    # Another language may ask, but never reads another amount.
    for other in ("en", "de", "ar"):
        try:
            again = read(text, currency, language=other)
        except InvalidMoney:
            continue
        if currency not in {"KWD", "CLF", "JPY", "ISK"}:
            assert again == money


@pytest.mark.parametrize("language", ["de", "en", "ar"])
@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("12,50", "12.50"),
        ("12.50", "12.50"),
        ("12,5", "12.5"),
        ("12", "12"),
        ("1.234,56", "1234.56"),
        ("1,234.56", "1234.56"),
        ("1 234,56", "1234.56"),
        ("1\u202f234,56", "1234.56"),
        ("1’234.50", "1234.5"),
        ("1.234.567", "1234567"),
        ("12,34,567.80", "1234567.8"),
        ("0,500", "0.5"),
        (" 12,50 ", "12.5"),
        ("١٢٫٥٠", "12.5"),
        ("١٬٢٣٤٫٥٦", "1234.56"),
        ("۱۲٫۵", "12.5"),
        ("\u200f12.50", "12.5"),
        ("１２．５０", "12.5"),
    ],
)
def test_a_typed_comma_or_point_are_both_fine(language: str, text: str, amount: str) -> None:
    """Every common way to type an amount is read, in each language."""
    assert read(text, "EUR", language=language) == Money(Decimal(amount), "EUR")


@pytest.mark.parametrize(
    ("text", "language", "question"),
    [
        ("1.000", "en", "“1.000” can be read two ways. Enter 1.00 or 1000.00."),
        ("1,000", "en", "“1,000” can be read two ways. Enter 1.00 or 1000.00."),
        ("1.000", "de", "“1.000” can be read two ways. Enter 1,00 or 1000,00."),
        ("1.234", "de", "“1.234” can be read two ways. Enter 1234,00 if that’s what you mean."),
        ("١٬٠٠٠", "ar", None),
    ],
)
def test_what_could_be_two_amounts_is_asked_about(
    text: str, language: str, question: str | None
) -> None:
    if question is None:
        assert read(text, "EUR", language=language).amount == 1000, "that mark only parts thousands"
        return
    with pytest.raises(InvalidMoney) as asked:
        read(text, "EUR", language=language)
    assert str(asked.value) == question


def test_three_decimals_are_decimals_where_the_currency_has_three() -> None:
    assert read("1.000", "KWD", language="en").amount == 1
    assert read("1,000", "KWD", language="de").amount == 1
    with pytest.raises(InvalidMoney, match="two ways"):
        read("1,000", "KWD", language="en")


def test_thousands_are_thousands_where_there_are_no_decimals() -> None:
    assert read("1,000", "JPY", language="en").amount == 1000
    assert read("1.000", "JPY", language="de").amount == 1000
    with pytest.raises(InvalidMoney, match="two ways"):
        read("1.000", "JPY", language="en")


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", "1e3", "NaN", "0x10", "1.2.3", "12 50", ".5", "5.", "½", "1" * 30, "€5"],
)
def test_what_is_no_amount_is_refused_with_an_example_of_the_language(text: str) -> None:
    with pytest.raises(InvalidMoney, match=r"such as 12,50\."):
        read(text, "EUR", language="de")


def test_an_amount_is_refused_and_not_rounded() -> None:
    for text, currency, words in (
        ("12,505", "EUR", "two ways"),
        ("1234,505", "EUR", "at most 2 decimal places"),
        ("12,5", "JPY", "no decimal places"),
        ("0,0005", "KWD", "at most 3 decimal places"),
    ):
        with pytest.raises(InvalidMoney, match=words):
            read(text, currency, language="de")
