"""What a refund moved, one transaction at a time, without guessing."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from orders.money import Money
from orders.snapshot import MoneyBag, Refund, RefundTransaction
from orders.statuses.money_moved import (
    any_failed,
    any_waiting,
    has_failed,
    has_moved,
    is_waiting,
    parts,
)
from tests.support.orders.snapshots import NOW, bag

# As `enum OrderTransactionStatus` of the schema has them, and one that it does not have yet.
WORDS = (
    "SUCCESS",
    "PENDING",
    "AWAITING_RESPONSE",
    "UNKNOWN",
    "FAILURE",
    "ERROR",
    "HELD_BY_BANK",
    "",
)


def refund(total: str, *paid: tuple[str, str]) -> Refund:
    return Refund(
        gid="r",
        created_at=NOW,
        total=bag(total),
        transactions=tuple(
            RefundTransaction(gid=f"t{n}", status=status, amount=bag(amount))
            for n, (status, amount) in enumerate(paid)
        ),
    )


def divided(of: Refund) -> tuple[str, str, str]:
    found = parts(of)
    for each in (found.moved, found.waiting, found.failed):
        assert each.shop == each.presentment
    sums = (found.moved, found.waiting, found.failed)
    first, second, third = (each.presentment.plain() for each in sums)
    return first, second, third


def test_each_status_is_one_of_three_and_an_unknown_word_is_no_end() -> None:
    found = {
        word: [
            name
            for name, holds in (
                ("moved", has_moved),
                ("waiting", is_waiting),
                ("failed", has_failed),
            )
            if holds(word)
        ]
        for word in WORDS
    }
    assert found == {
        "SUCCESS": ["moved"],
        "PENDING": ["waiting"],
        "AWAITING_RESPONSE": ["waiting"],
        "UNKNOWN": ["waiting"],
        "HELD_BY_BANK": ["waiting"],
        "": ["waiting"],
        "FAILURE": ["failed"],
        "ERROR": ["failed"],
    }


@pytest.mark.parametrize(
    ("total", "paid", "expected"),
    [
        ("15", [("SUCCESS", "15")], ("15.00", "0.00", "0.00")),
        # Half of it failed. Shopify's total with the failed half, and without it.
        ("15", [("SUCCESS", "10"), ("FAILURE", "5")], ("10.00", "0.00", "5.00")),
        ("10", [("SUCCESS", "10"), ("ERROR", "5")], ("10.00", "0.00", "5.00")),
        ("0", [("FAILURE", "5")], ("0.00", "0.00", "5.00")),
        ("5", [("FAILURE", "5")], ("0.00", "0.00", "5.00")),
        # A second try of a part that failed.
        ("15", [("FAILURE", "15"), ("SUCCESS", "15")], ("15.00", "0.00", "15.00")),
        ("15", [("SUCCESS", "10"), ("PENDING", "5")], ("10.00", "5.00", "0.00")),
        ("15", [("SUCCESS", "10"), ("UNKNOWN", "3"), ("FAILURE", "2")], ("10.00", "3.00", "2.00")),
        ("15", [("HELD_BY_BANK", "15")], ("0.00", "15.00", "0.00")),
        # No transaction was read: a back-fill, or store credit and cash that have none.
        ("15", [], ("15.00", "0.00", "0.00")),
        ("0", [], ("0.00", "0.00", "0.00")),
        # A list that was cut.
        ("15", [("SUCCESS", "10")], ("15.00", "0.00", "0.00")),
        ("15", [("FAILURE", "10")], ("5.00", "0.00", "10.00")),
    ],
)
def test_the_sum_is_divided(
    total: str, paid: list[tuple[str, str]], expected: tuple[str, str, str]
) -> None:
    assert divided(refund(total, *paid)) == expected


def test_the_shops_currency_is_divided_by_itself() -> None:
    def both(shop: str, presentment: str) -> MoneyBag:
        return MoneyBag(
            shop=Money(Decimal(shop), "EUR"), presentment=Money(Decimal(presentment), "USD")
        )

    of = replace(
        refund("0", ("SUCCESS", "0"), ("FAILURE", "0")),
        total=both("9.10", "10"),
    )
    first, second = of.transactions
    of = replace(
        of,
        transactions=(
            replace(first, amount=both("6.07", "6.67")),
            replace(second, amount=both("3.03", "3.33")),
        ),
    )
    found = parts(of)
    assert found.moved == both("6.07", "6.67")
    assert found.failed == both("3.03", "3.33")
    assert found.waiting == both("0", "0")


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (("SUCCESS", "SUCCESS"), ("15.00", "0.00", "0.00")),
        (("FAILURE", "ERROR"), ("0.00", "0.00", "15.00")),
        (("SUCCESS", "FAILURE"), ("0.00", "15.00", "0.00")),
        (("SUCCESS", "PENDING"), ("0.00", "15.00", "0.00")),
    ],
)
def test_sums_of_two_currencies_are_not_added(
    statuses: tuple[str, str], expected: tuple[str, str, str]
) -> None:
    of = refund("15", *((status, "7.50") for status in statuses))
    strange = replace(of.transactions[1], amount=bag("9", "GBP"))
    assert divided(replace(of, transactions=(of.transactions[0], strange))) == expected


def test_whether_any_of_it_failed_or_waits() -> None:
    half = refund("15", ("SUCCESS", "10"), ("FAILURE", "5"))
    assert (any_failed(half), any_waiting(half)) == (True, False)
    waits = refund("15", ("SUCCESS", "10"), ("HELD_BY_BANK", "5"))
    assert (any_failed(waits), any_waiting(waits)) == (False, True)
    assert not any_failed(refund("15"))
    assert not any_waiting(refund("15"))
