"""Edge cases of money: signs, limits, digits, and texts that are almost an amount."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from orders.errors import InvalidMoney
from orders.money import Money, allocate, quantum, total


def eur(amount: str) -> Money:
    return Money(Decimal(amount), "EUR")


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity", "sNaN"])
def test_an_amount_is_finite(amount: str) -> None:
    with pytest.raises(InvalidMoney, match="not an exact amount"):
        Money(Decimal(amount), "EUR")


@pytest.mark.parametrize("amount", [1, "1", None, 1.0])
def test_an_amount_is_a_decimal(amount: Any) -> None:
    with pytest.raises(InvalidMoney, match="not an exact amount"):
        Money(amount, "EUR")


@pytest.mark.parametrize(
    ("text", "amount"),
    [("15.0", "15.0"), ("-3.25", "-3.25"), ("0", "0"), ("1.123456789012", "1.123456789012")],
)
def test_shopifys_amounts_are_read_to_the_last_digit(text: str, amount: str) -> None:
    assert Money.from_wire(text, "EUR") == eur(amount)


@pytest.mark.parametrize("text", ["", "1,5", "1e3", "NaN", " 1", "1\n", "+1", "1.", ".5", "--1"])
def test_what_shopify_cannot_mean_is_refused(text: str) -> None:
    with pytest.raises(InvalidMoney, match="where an amount was expected"):
        Money.from_wire(text, "EUR")


@pytest.mark.parametrize("value", [None, 1, 1.5, True, ["1"]])
def test_an_amount_on_the_wire_is_a_text(value: Any) -> None:
    with pytest.raises(InvalidMoney, match="where an amount was expected"):
        Money.from_wire(value, "EUR")


def test_a_typed_amount_may_have_blanks_around_it() -> None:
    assert Money.parse(" 12.50 ", "EUR") == eur("12.50")
    assert Money.parse("1.500", "EUR") == eur("1.5"), "zeros are no decimals"


@pytest.mark.parametrize(
    ("currency", "words"), [("JPY", "no decimal places"), ("EUR", "at most 2 decimal places")]
)
def test_too_many_decimals_say_how_many_there_may_be(currency: str, words: str) -> None:
    with pytest.raises(InvalidMoney, match=words):
        Money.parse("1.555", currency)


def test_an_amount_in_a_form_has_its_currencys_digits() -> None:
    assert eur("12.5").plain() == "12.50"
    assert Money(Decimal("12.0000"), "JPY").plain() == "12"
    assert Money(Decimal(1), "KWD").plain() == "1.000"
    assert quantum("JPY") == 1


def test_only_a_zero_amount_is_falsy() -> None:
    assert not Money.zero("EUR")
    assert not eur("0.00")
    assert eur("0.01")
    assert eur("-0.01")
    assert Money.zero("EUR") == eur("0")


def test_sums_and_differences() -> None:
    assert eur("1.50") + eur("2.25") == eur("3.75")
    assert eur("1.50") - eur("2.25") == eur("-0.75")
    assert total([eur("1"), eur("2"), eur("3")], "EUR") == eur("6")
    assert total([], "JPY") == Money.zero("JPY")
    with pytest.raises(ValueError, match="do not mix"):
        total([eur("1"), Money(Decimal(1), "USD")], "EUR")


def test_comparisons_hold_at_the_border() -> None:
    one, same, two = eur("1.00"), eur("1"), eur("2")
    assert (one < two, two < one, one < same) == (True, False, False)
    assert (one <= two, two <= one, one <= same) == (True, False, True)
    assert (one > two, two > one, one > same) == (False, True, False)
    assert (one >= two, two >= one, one >= same) == (False, True, True)


@pytest.mark.parametrize("operator", ["__add__", "__sub__", "__lt__", "__le__", "__gt__", "__ge__"])
def test_nothing_mixes_two_currencies(operator: str) -> None:
    with pytest.raises(ValueError, match="EUR and USD do not mix"):
        getattr(eur("1"), operator)(Money(Decimal(1), "USD"))


def test_shares_are_taken_in_order_up_to_each_limit() -> None:
    limits = [eur("2"), eur("3"), eur("4")]
    assert allocate(eur("6"), limits) == (eur("2"), eur("3"), eur("1"))
    assert allocate(eur("9"), limits) == (eur("2"), eur("3"), eur("4"))
    assert allocate(eur("1"), limits) == (eur("1"), eur("0"), eur("0"))
    with pytest.raises(InvalidMoney, match=r"€9\.01 is more than can be refunded"):
        allocate(eur("9.01"), limits)
    with pytest.raises(InvalidMoney):
        allocate(eur("0.01"), [])


def test_an_unknown_language_is_shown_in_english() -> None:
    assert eur("1234.5").format("xx-nonsense") == "€1,234.50"
    assert eur("1234.5").format("pt-br") == "€\xa01.234,50"
    assert str(eur("1.5")) == "€1.50"
