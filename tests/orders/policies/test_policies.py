"""Policies: allow, require a note, require approval, or refuse."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User

from orders import policies
from orders.models import ActionKind, CancelRule, Order, Policy, Store
from orders.money import Money
from orders.snapshot import MoneyBag, encode
from tests.support.orders import snapshots


def judge(amount: str | None, *, spent: str = "0", note: bool = False, **limits: Any) -> str:
    """ "ok", the refusal's code, or "approval x n"."""
    ruling = policies.judge(
        Policy(**{k: Decimal(v) if k != "cancel" else v for k, v in limits.items()}),
        kind=ActionKind.REFUND if amount else ActionKind.CANCEL,
        amount=Money(Decimal(amount), "EUR") if amount else None,
        spent=Decimal(spent),
        has_note=note,
    )
    if ruling.refusal:
        return ruling.refusal.code
    return f"approval x {ruling.approvals}" if ruling.approvals else "ok"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"amount": "999999"}, "ok"),
        ({"amount": "50", "refund_up_to": "50"}, "ok"),
        ({"amount": "50.01", "refund_up_to": "50"}, "approval x 1"),
        ({"amount": "0.01", "refund_up_to": "0"}, "approval x 1"),
        ({"amount": "10", "spent": "290", "refund_per_day": "300"}, "ok"),
        ({"amount": "10.01", "spent": "290", "refund_per_day": "300"}, "approval x 1"),
        ({"amount": "500.01", "approval_up_to": "500"}, "above_limit"),
        ({"amount": "20.01", "note_above": "20"}, "note_missing"),
        ({"amount": "20.01", "note_above": "20", "note": True}, "ok"),
        ({"amount": "20", "note_above": "20"}, "ok"),
        ({"amount": "600", "refund_up_to": "50", "two_approvers_above": "500"}, "approval x 2"),
        ({"amount": "60", "refund_up_to": "50", "two_approvers_above": "500"}, "approval x 1"),
        ({"amount": "500", "refund_up_to": "50", "two_approvers_above": "500"}, "approval x 1"),
        # Above the two-approver amount, yet within one's own limit: no approval is needed.
        ({"amount": "60", "refund_up_to": "99", "two_approvers_above": "50"}, "ok"),
        ({"amount": None}, "ok"),
        ({"amount": None, "cancel": CancelRule.DENY}, "cancel_denied"),
        ({"amount": None, "cancel": CancelRule.NOTE}, "note_missing"),
        ({"amount": None, "cancel": CancelRule.NOTE, "note": True}, "ok"),
        ({"amount": None, "cancel": CancelRule.APPROVAL}, "approval x 1"),
    ],
)
def test_each_policy_limit_decides_as_the_table_says(words: dict[str, Any], expected: str) -> None:
    assert judge(**words) == expected


def test_no_policy_is_no_limit() -> None:
    ruling = policies.judge(
        None,
        kind=ActionKind.REFUND,
        amount=Money(Decimal(10**9), "EUR"),
        spent=Decimal(0),
        has_note=False,
    )
    assert ruling == policies.ALLOWED


def refund_up_to(user: User, store: Store) -> Decimal | None:
    policy = policies.policy_of(user, store)
    assert policy is not None
    limit: Decimal | None = policy.refund_up_to
    return limit


@pytest.mark.django_db
def test_the_stores_own_policy_and_the_most_generous_role_count(alice: User) -> None:
    here, there = (Store.objects.create(domain=f"{n}.myshopify.com") for n in ("a", "b"))
    agents, seniors = alice.groups.get(), Group.objects.create(name="seniors")
    Policy.objects.create(role=agents, refund_up_to=50)
    Policy.objects.create(role=agents, store=here, refund_up_to=20)
    assert refund_up_to(alice, here) == 20
    assert refund_up_to(alice, there) == 50
    Policy.objects.create(role=seniors, refund_up_to=None)
    alice.groups.add(seniors)
    assert refund_up_to(alice, here) is None


@pytest.mark.parametrize("sum_", ["received", "refunded", "outstanding", "capturable"])
def test_limits_count_in_the_shops_currency_by_any_sum_told_in_both(sum_: str) -> None:
    """An order whose total is nothing any more still says what its money is worth."""
    two = MoneyBag(shop=Money(Decimal(10), "EUR"), presentment=Money(Decimal(20), "USD"))
    zero = MoneyBag(shop=Money.zero("EUR"), presentment=Money.zero("USD"))
    base = snapshots.order()
    names = [f.name for f in dataclasses.fields(base.money)]
    money = dataclasses.replace(base.money, **dict.fromkeys(names, zero) | {sum_: two})
    snapshot = dataclasses.replace(base, money=money, currency="USD", transactions=())
    order = Order(document=encode(snapshot), currency="USD", shop_currency="EUR")
    assert policies.in_shop_currency(Money(Decimal(5), "USD"), order).amount == Decimal("2.5")


def test_limits_count_by_a_payment_where_no_sum_is_left() -> None:
    two = MoneyBag(shop=Money(Decimal(10), "EUR"), presentment=Money(Decimal(20), "USD"))
    base = snapshots.order()
    zero = MoneyBag(shop=Money.zero("EUR"), presentment=Money.zero("USD"))
    names = [f.name for f in dataclasses.fields(base.money)]
    money = dataclasses.replace(base.money, **dict.fromkeys(names, zero))
    snapshot = dataclasses.replace(
        base, money=money, currency="USD", transactions=(snapshots.payment(amount=two),)
    )
    order = Order(document=encode(snapshot), currency="USD", shop_currency="EUR")
    assert policies.in_shop_currency(Money(Decimal(5), "USD"), order).amount == Decimal("2.5")


@pytest.mark.parametrize(("theirs", "shop"), [("EUR", "EUR"), ("USD", "USD"), ("GBP", "EUR")])
def test_a_payment_in_other_currencies_names_no_rate(theirs: str, shop: str) -> None:
    """As after the shop changed its currency. Without a rate, an amount counts as it stands."""
    base = snapshots.order()
    zero = MoneyBag(shop=Money.zero("EUR"), presentment=Money.zero("USD"))
    names = [f.name for f in dataclasses.fields(base.money)]
    money = dataclasses.replace(base.money, **dict.fromkeys(names, zero))
    other = MoneyBag(shop=Money(Decimal(10), shop), presentment=Money(Decimal(20), theirs))
    snapshot = dataclasses.replace(
        base, money=money, currency="USD", transactions=(snapshots.payment(amount=other),)
    )
    order = Order(document=encode(snapshot), currency="USD", shop_currency="EUR")
    assert policies.in_shop_currency(Money(Decimal(5), "USD"), order).amount == Decimal(5)


def test_a_sum_below_one_names_a_rate() -> None:
    order = Order(
        currency="USD", shop_currency="EUR", total=Decimal("0.80"), total_shop=Decimal("0.40")
    )
    assert policies.in_shop_currency(Money(Decimal(5), "USD"), order).amount == Decimal("2.5")


def test_a_sum_of_nothing_in_one_currency_names_no_rate() -> None:
    order = Order(
        currency="USD",
        shop_currency="EUR",
        total=Decimal(0),
        total_shop=Decimal(5),
        net_payment=Decimal(20),
        net_payment_shop=Decimal(10),
    )
    assert policies.in_shop_currency(Money(Decimal(5), "USD"), order).amount == Decimal("2.5")


def test_a_foreign_amount_is_rounded_up_into_the_shops_currency() -> None:
    order = Order(currency="USD", shop_currency="EUR", total=Decimal(3), total_shop=Decimal(1))
    assert policies.in_shop_currency(Money(Decimal(1), "USD"), order) == Money(
        Decimal("0.3334"), "EUR"
    )


@pytest.mark.parametrize(
    ("highest", "amount", "code"),
    [
        ("0", "1", "not_approver"),
        ("100", "100", None),
        ("100", "100.01", "above_limit"),
        (None, "9999", None),
    ],
)
def test_who_may_approve(highest: str | None, amount: str, code: str | None) -> None:
    policy = Policy(may_approve_up_to=Decimal(highest) if highest is not None else None)
    refusal = policies.may_approve(policy, Money(Decimal(amount), "EUR"))
    assert (refusal.code if refusal else None) == code
    refusal = policies.may_approve(None, Money(Decimal(1), "EUR"))
    assert refusal is not None
    assert refusal.code == "not_approver"


@pytest.mark.parametrize("kind", ActionKind)
@pytest.mark.parametrize("rule", CancelRule)
@pytest.mark.parametrize("has_note", [False, True])
@pytest.mark.parametrize("amount", ["5", "15", "25", "35", "45"])
def test_every_kind_rule_note_and_amount(
    kind: ActionKind, rule: CancelRule, has_note: bool, amount: str
) -> None:
    """The rules one by one, in the words of the page that sets them, against the ruling."""
    policy = Policy(
        cancel=rule,
        note_above=Decimal(10),
        refund_up_to=Decimal(20),
        two_approvers_above=Decimal(30),
        approval_up_to=Decimal(40),
    )
    moves, cancels = kind != ActionKind.CANCEL, kind != ActionKind.REFUND
    sum_ = Decimal(amount) if moves else Decimal(0)
    codes = set()
    if cancels and rule == CancelRule.DENY:
        codes.add("cancel_denied")
    if not has_note and ((cancels and rule == CancelRule.NOTE) or sum_ > 10):
        codes.add("note_missing")
    if sum_ > 40:
        codes.add("above_limit")
    approvals = int(sum_ > 20 or (cancels and rule == CancelRule.APPROVAL))
    approvals += bool(approvals and sum_ > 30)
    ruling = policies.judge(
        policy,
        kind=kind,
        amount=Money(sum_, "EUR") if moves else None,
        spent=Decimal(0),
        has_note=has_note,
    )
    if codes:
        assert ruling.refusal is not None
        assert ruling.refusal.code in codes
        assert ruling.refusal.reason
    else:
        assert (ruling.refusal, ruling.approvals) == (None, approvals)
        assert bool(ruling.why) == bool(approvals)


def test_a_note_is_asked_of_a_cancellation_with_a_refund_too() -> None:
    """By its own words, whatever the sum."""
    ruling = policies.judge(
        Policy(cancel=CancelRule.NOTE),
        kind=ActionKind.CANCEL_AND_REFUND,
        amount=Money(Decimal(1), "EUR"),
        spent=Decimal(0),
        has_note=False,
    )
    assert ruling.refusal is not None
    assert ruling.refusal.reason == "Canceling requires a staff note."


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("groups", "words", "code"),
    [
        (["agents"], {}, None),
        (["supervisors"], {}, None),
        (["agents", "auditors"], {}, None),
        ([], {}, "no_acting_role"),
        (["admins", "auditors"], {}, "no_acting_role"),
        ([], {"is_superuser": True, "is_staff": True}, "no_acting_role"),
        (["agents"], {"is_superuser": True, "is_staff": True}, None),
        (["agents"], {"is_active": False}, "account_inactive"),
        (["supervisors"], {"is_active": False, "is_superuser": True}, "account_inactive"),
        ([], {"is_active": False}, "account_inactive"),
    ],
)
def test_who_may_move_money_at_all(
    groups: list[str], words: dict[str, Any], code: str | None
) -> None:
    user = User.objects.create_user("ann", **words)
    user.groups.set(Group.objects.get_or_create(name=name)[0] for name in groups)
    refusal = policies.acting_refusal(user)
    assert (refusal.code if refusal else None) == code


@pytest.mark.django_db
def test_a_role_or_an_account_that_is_taken_away_ends_at_once(
    alice: User, sara: User, django_assert_num_queries: Any
) -> None:
    """Asked of a row that was read before: the database answers, in one query."""
    with django_assert_num_queries(1):
        assert policies.acting_refusal(alice) is None
    User.objects.get(pk=alice.pk).groups.clear()
    assert policies.acting_refusal(alice) is not None
    assert policies.is_supervisor(sara)
    User.objects.filter(pk=sara.pk).update(is_active=False)
    assert policies.acting_refusal(sara) is not None
    assert not policies.is_supervisor(sara)
    assert policies.acting_refusal(AnonymousUser()) is not None
    assert not policies.is_supervisor(AnonymousUser())


def test_an_order_without_any_sum_converts_one_to_one() -> None:
    """Its rate is unknown; nothing on it can be refunded, so no limit can be exceeded."""
    order = Order(currency="USD", shop_currency="EUR", total=0, total_shop=0)
    assert policies.in_shop_currency(Money(Decimal(5), "USD"), order) == Money(Decimal(5), "EUR")
