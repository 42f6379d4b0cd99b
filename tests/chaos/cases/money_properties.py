"""T11: in every currency, parsing, splitting and formatting lose no digit."""

from __future__ import annotations

from decimal import Decimal

from orders.errors import InvalidMoney
from orders.money import Money, allocate, digits, total
from practice_store.graphql.scalars import schema
from tests.chaos.case import Case, Outcome, Run
from tests.chaos.installation import Installation

SAMPLES = 100_000


def properties(world: Installation, run: Run) -> Outcome:
    rng = run.random
    currencies = sorted(schema().type_map["CurrencyCode"].values)  # type: ignore[attr-defined]
    broken: list[str] = []
    for number in range(run.size(SAMPLES, least=2000)):
        currency = currencies[number % len(currencies)]
        places = digits(currency)
        money = Money(Decimal(rng.randrange(10 ** rng.randint(1, 12))).scaleb(-places), currency)
        if Money.from_wire(money.plain(), currency) != money:
            broken.append(f"{money}: the wire changed it")
        if Money.parse(money.plain(), currency) != money:
            broken.append(f"{money}: typing it changed it")
        if not money.format():
            broken.append(f"{money}: it cannot be shown")
        limits = [Money(Decimal(rng.randrange(10**6)).scaleb(-places), currency) for _ in range(3)]
        whole = total(limits, currency)
        part = Money(
            Decimal(rng.randrange(int(whole.amount.scaleb(places)) + 1)).scaleb(-places), currency
        )
        shares = allocate(part, limits)
        if run.mutant:
            shares = tuple(
                Money(share.amount / 3 * 3 + Decimal("0.001"), currency) for share in shares
            )
        if total(shares, currency) != part:
            broken.append(f"{part}: its parts are {total(shares, currency)}")
        if any(s > most for s, most in zip(shares, limits, strict=True)):
            broken.append(f"{part}: a share above its payment")
        for bad in ("1,2,3", "NaN", "Infinity", "1e5", "-1", "0x10", "1.23456"):
            try:
                Money.parse(bad, currency)
            except InvalidMoney:
                continue
            broken.append(f"{bad} passed for {currency}")
    return Outcome(
        figures={"samples": run.size(SAMPLES, least=2000), "currencies": len(currencies)},
        broken=broken,
        of=run.size(SAMPLES, least=2000),
    )


CASES = [
    Case(
        id="T11",
        title="money in every currency",
        run=properties,
        mutants={"exact shares": 0.5},
        mutant_scale=0.05,
    )
]
