"""The rows of an order's sums add up to its total, whatever it contains."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.money import Money
from orders.panels.totals import (
    beside_items,
    money_rows,
    suggestion_rows,
)
from orders.panels.types import MoneyRow
from orders.shopify_port import SuggestedRefund
from orders.snapshot import Fee, MoneyBag, OrderSnapshot, Refund, RefundTransaction
from tests.support.orders.snapshots import NOW, bag, order, payment

SUM = st.decimals(min_value=0, max_value=1000, places=2).map(str)


def with_money(base: OrderSnapshot | None = None, **sums: str) -> OrderSnapshot:
    base = base or order()
    return replace(base, money=replace(base.money, **{k: bag(v) for k, v in sums.items()}))


def shown(snapshot: OrderSnapshot) -> list[tuple[str, str]]:
    return [(row.label, row.amount.format()) for row in money_rows(snapshot)]


def until_total(rows: tuple[MoneyRow, ...]) -> tuple[list[Money], Money]:
    """The summands before the total, and the total."""
    place = next(i for i, row in enumerate(rows) if row.is_total)
    return [row.amount for row in rows[:place] if not row.is_included], rows[place].amount


@given(
    goods=SUM,
    shipping=SUM,
    tax=SUM,
    tip=SUM,
    duties=st.none() | SUM,
    fees=st.lists(SUM, max_size=3),
    discount=SUM,
    on_shipping=SUM,
    taxes_included=st.booleans(),
    duties_included=st.booleans(),
    unknown=st.sampled_from(["0", "0", "7.77", "-3.33"]),
)
def test_the_rows_add_up_to_the_total(
    goods: str,
    shipping: str,
    tax: str,
    tip: str,
    duties: str | None,
    fees: list[str],
    discount: str,
    on_shipping: str,
    taxes_included: bool,
    duties_included: bool,
    unknown: str,
) -> None:
    less = min(Decimal(on_shipping), Decimal(shipping))
    total = Decimal(goods) + Decimal(shipping) - less + Decimal(tip) + Decimal(unknown)
    total += sum(map(Decimal, fees), Decimal(0))
    total += Decimal(0) if taxes_included else Decimal(tax)
    total += Decimal(0) if duties_included or duties is None else Decimal(duties)
    snapshot = with_money(
        replace(
            order(),
            taxes_included=taxes_included,
            duties_included=duties_included,
            fees=tuple(
                Fee(name=f"Fee {n}", amount=Money(Decimal(f), "EUR")) for n, f in enumerate(fees)
            ),
        ),
        subtotal=goods,
        shipping=shipping,
        tax=tax,
        tips=tip,
        total=str(total),
        discounts=str(Decimal(discount) + less),
        **({"duties": duties} if duties else {}),
    )
    parts, whole = until_total(money_rows(snapshot))
    assert sum((part.amount for part in parts), Decimal(0)) == whole.amount == total


def test_an_order_with_duties_and_a_tip() -> None:
    """108.90 goods + 4.90 shipping + 20.69 tax + 3.00 tip + 20.00 duties = 157.49."""
    snapshot = with_money(
        order(paid="157.49"),
        subtotal="108.90",
        shipping="4.90",
        tax="20.69",
        tips="3.00",
        duties="20.00",
        total="157.49",
        current_total="157.49",
        outstanding="0",
    )
    assert shown(snapshot) == [
        ("Subtotal", "€108.90"),
        ("Shipping", "€4.90"),
        ("Tax", "€20.69"),
        ("Duties", "€20.00"),
        ("Tip", "€3.00"),
        ("Total", "€157.49"),
        ("Paid", "€157.49"),
    ]
    assert [row.label for row in beside_items(snapshot)] == ["Tip"]


def test_what_is_in_the_prices_is_named_and_not_added() -> None:
    snapshot = with_money(
        replace(order(), taxes_included=True, duties_included=True),
        subtotal="20.00",
        tax="3.19",
        duties="1.00",
    )
    assert shown(snapshot) == [
        ("Subtotal", "€20.00"),
        ("Total", "€20.00"),
        ("incl. tax", "€3.19"),
        ("incl. duties", "€1.00"),
        ("Paid", "€20.00"),
    ]
    assert beside_items(snapshot) == ()


def test_a_discount_on_shipping_is_a_discount() -> None:
    snapshot = with_money(subtotal="18.00", discounts="6.90", shipping="4.90", total="18.00")
    assert shown(snapshot)[:4] == [
        ("Subtotal", "€20.00"),
        ("Discounts", "-€6.90"),
        ("Shipping", "€4.90"),
        ("Total", "€18.00"),
    ]


def test_what_nothing_explains_is_a_row_of_its_own() -> None:
    assert ("Other", "€1.23") in shown(with_money(total="21.23"))
    assert ("Other", "-€1.23") in shown(with_money(total="18.77"))


def test_cash_rounding_is_shown() -> None:
    rows = shown(with_money(received="20.00", rounding="-0.02", refund_rounding="0.01"))
    assert ("Cash rounding", "-€0.02") in rows
    assert ("Cash rounding of refunds", "€0.01") in rows
    assert all("rounding" not in label for label, _sum in shown(with_money(rounding="0")))


def test_shares_of_gift_card_and_card() -> None:
    """134.49 paid, 50.00 of it by gift card."""
    snapshot = with_money(
        replace(
            order(paid="134.49", refunded="60.00"),
            transactions=(
                payment(amount=bag("84.49"), gateway_label="Visa", account_number="•••• 4242"),
                payment(
                    gid="p2", amount=bag("50.00"), gateway="gift_card", gateway_label="Gift Card"
                ),
            ),
            refunds=(refund("60.00", "cards"),),
        ),
        outstanding="0",
    )
    rows = [(r.label, r.amount.format(), r.is_included) for r in money_rows(snapshot)]
    assert rows[-4:] == [
        ("Paid", "€134.49", False),
        ("Visa •••• 4242", "€84.49", True),
        ("Gift card", "€50.00", True),
        ("Refunded", "€60.00", False),
    ]


def refund(amount: str, *gateways: str, status: str = "SUCCESS") -> Refund:
    return Refund(
        gid="r",
        created_at=NOW,
        total=bag(amount),
        transactions=tuple(
            RefundTransaction(gid=g, status=status, gateway=g, amount=bag(amount)) for g in gateways
        ),
    )


def test_what_went_to_store_credit_is_told() -> None:
    base = order(refunded="5.00")
    rows = shown(replace(base, refunds=(refund("5.00", "shopify_store_credit"),)))
    assert rows[rows.index(("Refunded", "€5.00")) + 1] == ("Store credit", "€5.00")
    rows = shown(replace(base, refunds=(refund("5.00", "shopify_store_credit", status="FAILURE"),)))
    assert ("Store credit", "€5.00") not in rows


@pytest.mark.parametrize("currency", ["EUR", "USD"])
def test_payments_of_several_currencies_are_not_added(currency: str) -> None:
    money = Money(Decimal(5), currency)
    own = payment(gid="p2", gateway="cards", amount=MoneyBag(shop=money, presentment=money))
    rows = shown(replace(order(), transactions=(payment(), own)))
    assert (len(rows) > len(shown(order()))) == (currency == "USD")


def suggestion(amount: str, subtotal: str, **more: Any) -> SuggestedRefund:
    def eur(name: str) -> Money:
        return Money(Decimal(more.get(name, "0")), "EUR")

    whole = Money(Decimal(amount), "EUR")
    return SuggestedRefund(
        amount=whole,
        maximum=whole,
        subtotal=Money(Decimal(subtotal), "EUR"),
        tax=eur("tax"),
        shipping=eur("shipping"),
        shipping_maximum=eur("shipping"),
        duties=eur("duties"),
        lines=(),
        transactions=(),
    )


@given(
    amount=SUM,
    subtotal=SUM,
    tax=SUM,
    shipping=SUM,
    duties=SUM,
    taxes_included=st.booleans(),
    duties_included=st.booleans(),
)
def test_the_rows_of_a_calculation_add_up_to_it(
    amount: str,
    subtotal: str,
    tax: str,
    shipping: str,
    duties: str,
    taxes_included: bool,
    duties_included: bool,
) -> None:
    snapshot = replace(order(), taxes_included=taxes_included, duties_included=duties_included)
    found = suggestion(amount, subtotal, tax=tax, shipping=shipping, duties=duties)
    rows = suggestion_rows(snapshot, found)
    parts = [row.amount.amount for row in rows if not row.is_included]
    assert sum(parts, Decimal(0)) == Decimal(amount)


def test_what_went_back_before_is_a_row_of_a_calculation() -> None:
    rows = suggestion_rows(order(), suggestion("1140.00", "1200.00"))
    assert [(row.label, row.amount.format()) for row in rows] == [
        ("Items", "€1,200.00"),
        ("Already refunded, or kept", "-€60.00"),
    ]
