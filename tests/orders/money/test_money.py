"""Amounts are exact and have one currency; anything else is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from orders.errors import InvalidMoney
from orders.money import Money, allocate, digits, quantum, total

CURRENCIES = st.sampled_from(["EUR", "USD", "JPY", "KWD", "VND", "BHD", "GBP", "CLF"])


@pytest.mark.parametrize(("currency", "places"), [("JPY", 0), ("EUR", 2), ("KWD", 3)])
def test_a_currency_has_its_own_number_of_decimals(currency: str, places: int) -> None:
    assert digits(currency) == places


@given(CURRENCIES, st.integers(min_value=0, max_value=10**12))
def test_what_is_printed_is_read_back_the_same(currency: str, units: int) -> None:
    money = Money(units * quantum(currency), currency)
    assert Money.parse(money.plain(), currency) == money


@pytest.mark.parametrize(
    "text", ["", "-1", "1,5", "1e3", "NaN", "Infinity", "0x10", "1.2.3", " ", "١٢", "1" * 30, "+1"]
)
def test_what_is_no_plain_amount_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidMoney, match=r"such as 12\.50"):
        Money.parse(text, "EUR")


@pytest.mark.parametrize(
    ("text", "currency"), [("1.5", "JPY"), ("1.005", "EUR"), ("1.0005", "KWD")]
)
def test_more_decimals_than_the_currency_has_are_refused_not_rounded(
    text: str, currency: str
) -> None:
    with pytest.raises(InvalidMoney, match="decimal places"):
        Money.parse(text, currency)


def test_two_currencies_do_not_mix() -> None:
    with pytest.raises(ValueError, match="do not mix"):
        Money(Decimal(1), "EUR") + Money(Decimal(1), "USD")


def test_a_float_is_rejected_as_an_amount() -> None:
    with pytest.raises(InvalidMoney):
        Money(1.5, "EUR")  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=6), st.data())
def test_the_shares_of_an_amount_add_up_to_it(limits: list[int], data: st.DataObject) -> None:
    bounds = [Money(Decimal(n) / 100, "EUR") for n in limits]
    whole = Money(Decimal(data.draw(st.integers(0, sum(limits)))) / 100, "EUR")
    shares = allocate(whole, bounds)
    assert total(shares, "EUR") == whole
    assert all(share <= bound for share, bound in zip(shares, bounds, strict=True))


def test_more_than_the_limits_hold_is_refused() -> None:
    with pytest.raises(InvalidMoney):
        allocate(Money(Decimal(3), "EUR"), [Money(Decimal(2), "EUR")])


def test_amounts_follow_the_language() -> None:
    money = Money(Decimal("1234.5"), "EUR")
    with translation.override("de"):
        assert money.format() == "1.234,50\xa0€"
    assert Money(Decimal(500), "JPY").format("en") == "¥500"


# Currencies for which CLDR, made for prices, gives fewer decimals than Shopify uses.
SHORTENED = [
    "AFN",
    "ALL",
    "IQD",
    "IRR",
    "LAK",
    "LBP",
    "MGA",
    "MMK",
    "RSD",
    "SLL",
    "SOS",
    "STD",
    "SYP",
    "YER",
]


@pytest.mark.parametrize("currency", SHORTENED)
def test_no_digit_is_lost_of_currencies_people_show_without_decimals(currency: str) -> None:
    """The decimals survive parsing, formatting and sending."""
    money = Money.from_wire("1234.56", currency)
    wire = money.plain()
    assert Money.from_wire(wire, currency) == money
    assert wire.startswith("1234.56")
    for language, shown in (("en", "1,234.56"), ("de", "1.234,56"), ("ar", "1,234.56")):
        assert shown in money.format(language)
    assert Money.parse("1234.56", currency) == money


@given(
    st.sampled_from([*SHORTENED, "EUR", "JPY", "KWD", "ISK", "CLF"]),
    st.decimals(min_value=0, max_value=10**12, places=6),
)
def test_every_digit_shopify_wrote_is_shown_and_sent(currency: str, amount: Decimal) -> None:
    money = Money(amount, currency)
    assert Decimal(money.plain()) == amount
    figures = "".join(c for c in money.format("en") if c.isdigit() or c == ".")
    assert Decimal(figures) == amount


def test_decimals_are_shown_where_there_are_some() -> None:
    assert Money(Decimal("1234.00"), "RSD").format("en") == "RSD\xa01,234"
    assert Money(Decimal("1234.5"), "RSD").format("en") == "RSD\xa01,234.50"
    assert Money(Decimal("12.5"), "JPY").format("en") == "¥12.5"
    assert Money(Decimal("1.2345"), "EUR").format("en") == "€1.2345"


def test_an_amount_may_have_the_decimals_of_the_one_it_is_a_part_of() -> None:
    whole = Money(Decimal("1234.5"), "JPY")
    assert Money.parse("1234.5", "JPY", places=whole.places) == whole
    with pytest.raises(InvalidMoney, match="no decimal places"):
        Money.parse("1234.5", "JPY")
