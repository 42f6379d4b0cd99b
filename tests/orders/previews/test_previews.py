"""What a summary refuses, proposes and warns about, each rule with an order that breaks it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.utils import timezone

from orders import previews
from orders.errors import ActionRefused, InvalidMoney, StalePreview
from orders.models import ActionKind, Order, Policy, RefundMethod, Returned, Store
from orders.money import Money
from orders.previews import (
    CancelChoice,
    Preview,
    RefundChoice,
    build,
)
from orders.snapshot import CustomerSnapshot, Dispute, LineQuantity, OrderSnapshot, Refund
from tests.support.orders.snapshots import NOW, bag, line, order, parcel, payment, shipped
from tests.support.orders.stored import FakeGateway, eur, stored, suggested

pytestmark = pytest.mark.django_db
JANE = CustomerSnapshot(gid="gid://shopify/Customer/7", legacy_id=7, name="Jane")
DELIVERED = parcel(display_status="DELIVERED", delivered_at=NOW)


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    found = FakeGateway()
    monkeypatch.setattr(build, "get_gateway", lambda: found)
    return found


@pytest.fixture
def store() -> Store:
    """It gives store credit."""
    return Store.objects.create(
        domain="demo.myshopify.com", name="Demo", currency="EUR", allow_store_credit=True
    )


@pytest.fixture
def cancel(gateway: FakeGateway, store: Store, alice: User) -> Any:
    def cancel(snapshot: OrderSnapshot, **choice: Any) -> Preview:
        found = stored(snapshot, store)
        choice = {"reason": "CUSTOMER", **choice}
        return previews.preview_cancel(found, CancelChoice(**choice), by=alice, now=NOW)

    return cancel


@pytest.fixture
def refund(gateway: FakeGateway, store: Store, alice: User) -> Any:
    def refund(snapshot: OrderSnapshot, **choice: Any) -> Preview:
        found = stored(snapshot, store)
        choice = {"reason": "other", **choice}
        return previews.preview_refund(found, RefundChoice(**choice), by=alice, now=NOW)

    return refund


def refused(preview: Any, *words: Any, **choice: Any) -> str:
    with pytest.raises(ActionRefused) as caught:
        preview(*words, **choice)
    return caught.value.refusal.code


def codes(preview: Preview) -> list[str]:
    return [advice.code for advice in preview.advice]


@pytest.mark.parametrize(
    ("snapshot", "code"),
    [
        (order(paid="0"), "unpaid"),
        (order(refunded="20.00"), "fully_refunded"),
        (order(is_refundable=False), "not_refundable"),
    ],
)
def test_no_refund_where_there_is_nothing_to_give_back(
    refund: Any, snapshot: OrderSnapshot, code: str
) -> None:
    assert refused(refund, snapshot, amount=eur("5.00")) == code


@pytest.mark.parametrize("returned", [Returned.NOT_ASKED, "", "perhaps"])
def test_delivered_goods_are_not_refunded_without_a_word_on_their_return(
    refund: Any, returned: str
) -> None:
    assert refused(refund, shipped(DELIVERED), returned=returned) == "return_unanswered"


@pytest.mark.parametrize("returned", [Returned.RECEIVED, Returned.NOT_NEEDED])
def test_an_answer_about_the_return_is_kept_and_shown(refund: Any, returned: Returned) -> None:
    chosen = (LineQuantity(line_gid="line-1", quantity=1),)
    preview = refund(shipped(DELIVERED), lines=chosen, returned=returned)
    assert preview.proposal.returned == returned
    assert ("Has the item come back?", returned.label) in preview.rows


def test_an_undelivered_order_asks_no_question_about_a_return(refund: Any) -> None:
    preview = refund(order(), returned=Returned.RECEIVED)
    assert "Shipment records to cancel" not in dict(preview.rows)
    assert preview.proposal.returned == Returned.NOT_ASKED
    assert "Has the item come back?" not in dict(preview.rows)


def test_the_store_may_take_a_silent_parcel_for_delivered(refund: Any, store: Store) -> None:
    Store.objects.update(assume_delivered_after_days=2)
    store.refresh_from_db()
    silent = shipped(parcel(created_at=NOW - timedelta(days=3)))
    assert refused(refund, silent) == "return_unanswered"


@pytest.mark.parametrize(
    ("gid", "quantity"), [("line-1", 3), ("line-1", 0), ("line-1", -1), ("no-such-line", 1)]
)
def test_no_more_items_than_are_left_to_refund(refund: Any, gid: str, quantity: int) -> None:
    chosen = (LineQuantity(line_gid=gid, quantity=quantity),)
    assert refused(refund, order(), lines=chosen) == "quantity"


def test_as_many_items_as_are_left_may_be_refunded(refund: Any, gateway: FakeGateway) -> None:
    chosen = (LineQuantity(line_gid="line-1", quantity=2),)
    preview = refund(order(), lines=chosen, shipping=eur("1.00"))
    assert gateway.asked == [(chosen, eur("1.00"))]
    assert preview.proposal.lines == chosen
    assert preview.proposal.shipping == eur("1.00")
    assert [(item.line.gid, item.quantity) for item in preview.items] == [("line-1", 2)]
    assert preview.proposal.amount == eur("10.00"), "what Shopify suggests"


@pytest.mark.parametrize("amount", ["0", "-1.00", "20.01"])
def test_an_amount_is_above_nothing_and_up_to_what_is_held(
    refund: Any, cancel: Any, amount: str
) -> None:
    for preview in (refund, cancel):
        with pytest.raises(InvalidMoney, match=r"above 0 and up to €20\.00"):
            preview(order(), amount=eur(amount))


def test_an_amount_is_of_the_currency_that_was_paid(refund: Any, cancel: Any) -> None:
    for preview in (refund, cancel):
        with pytest.raises(InvalidMoney, match="Refund in EUR"):
            preview(order(), amount=Money(Decimal("5.00"), "USD"))


def test_money_that_no_payment_can_take_back_is_refused(refund: Any, gateway: FakeGateway) -> None:
    gateway.transactions = (suggested(maximum="4.00"), suggested("payment-2", "3.00"))
    with pytest.raises(InvalidMoney):
        refund(order(), amount=eur("7.01"))
    assert gateway.asked == [(None, None)], "of an amount no items are asked about"
    targets = refund(order(), amount=eur("5.00")).proposal.targets
    assert [(t.parent_gid, t.amount) for t in targets] == [
        ("payment-1", eur("4.00")),
        ("payment-2", eur("1.00")),
    ]
    targets = refund(order(), amount=eur("4.00")).proposal.targets
    assert [t.parent_gid for t in targets] == ["payment-1"], "no share of nothing"


def test_an_amount_goes_back_to_the_payments_where_shopify_suggests_none(
    refund: Any, gateway: FakeGateway
) -> None:
    """Shopify suggests refunds of items; an order may have none left, and its money still."""
    gateway.transactions = ()
    sums = {"first": "12.00", "second": "8.00"}
    paid = tuple(payment(gid=gid, amount=bag(s), gateway_label="Visa") for gid, s in sums.items())
    gone, failed = (
        payment(
            gid=f"back-{status}",
            kind="REFUND",
            status=status,
            parent_gid="first",
            amount=bag("5.00"),
        )
        for status in ("SUCCESS", "FAILURE")
    )
    snapshot = order(refunded="5.00", transactions=(*paid, gone, failed))
    targets = refund(snapshot, amount=eur("9.00")).proposal.targets
    assert [(t.parent_gid, t.label, t.amount) for t in targets] == [
        ("first", "Visa", eur("7.00")),
        ("second", "Visa", eur("2.00")),
    ]


def test_a_target_names_the_payment_as_people_know_it(refund: Any, gateway: FakeGateway) -> None:
    gateway.transactions = (suggested(gateway="cash", label="Cash", is_manual=True),)
    (target,) = refund(order(), amount=eur("5.00")).proposal.targets
    assert (target.gateway, target.label, target.is_manual) == ("cash", "Cash", True)


@pytest.mark.parametrize("reason", ["", "because"])
def test_a_reason_is_one_of_the_list(refund: Any, cancel: Any, reason: str) -> None:
    assert refused(refund, order(), reason=reason) == "reason_missing"
    assert refused(cancel, order(), reason=reason) == "reason_missing"


@pytest.mark.parametrize(
    ("snapshot", "code"),
    [
        (order(cancelled_at=NOW), "already_canceled"),
        (shipped(DELIVERED), "delivered"),
        (shipped(DELIVERED, parcel(gid="b")), "partly_delivered"),
    ],
)
def test_no_cancellation_that_the_rules_refuse(
    cancel: Any, snapshot: OrderSnapshot, code: str
) -> None:
    assert refused(cancel, snapshot) == code


def test_the_days_after_which_a_parcel_counts_as_delivered_are_the_stores(
    cancel: Any, store: Store
) -> None:
    silent = shipped(parcel(created_at=NOW - timedelta(days=3)))
    assert cancel(silent, cancel_shipments=True)
    Store.objects.update(assume_delivered_after_days=3)
    store.refresh_from_db()
    assert refused(cancel, silent, cancel_shipments=True) == "delivered"


def test_store_credit_requires_the_stores_permission_and_a_customer(
    refund: Any, cancel: Any, store: Store
) -> None:
    credit = {"method": RefundMethod.STORE_CREDIT, "amount": eur("5.00")}
    for preview in (refund, cancel):
        assert refused(preview, order(), **credit) == "store_credit_no_customer"
        shown = preview(order(customer=JANE), **credit)
        assert shown.proposal.method == RefundMethod.STORE_CREDIT
        (target,) = shown.proposal.targets
        assert (target.parent_gid, target.amount) == ("", eur("5.00"))
        assert ("Refund to", "Store credit") in shown.rows
    Store.objects.update(allow_store_credit=False)
    store.refresh_from_db()
    for preview in (refund, cancel):
        assert refused(preview, order(customer=JANE), **credit) == "store_credit_off"
        original = preview(order(customer=JANE), amount=eur("5.00"))
        assert original.proposal.method == RefundMethod.ORIGINAL
        assert "Refund to" not in dict(original.rows)


def test_canceling_without_money_is_no_refund(cancel: Any, gateway: FakeGateway) -> None:
    preview = cancel(order(customer=JANE), method=RefundMethod.STORE_CREDIT)
    proposal = preview.proposal
    assert (proposal.kind, proposal.amount, proposal.targets) == (ActionKind.CANCEL, None, ())
    assert not proposal.is_full_refund
    assert proposal.method == RefundMethod.ORIGINAL, "nothing goes back, by no way"
    assert gateway.asked == []
    assert preview.kept == eur("20.00")
    assert ("Refund", "Later") in preview.rows
    assert preview.confirm_label == "Cancel order"
    unpaid = cancel(order(paid="0"))
    assert "Refund" not in dict(unpaid.rows), "nothing was paid: none later either"
    assert unpaid.kept is None


def test_canceling_with_money_says_how_much_and_where_to(cancel: Any, gateway: FakeGateway) -> None:
    preview = cancel(order(), amount=eur("12.00"))
    assert preview.kind == ActionKind.CANCEL_AND_REFUND
    assert not preview.proposal.is_full_refund
    assert preview.kept == eur("8.00")
    assert preview.confirm_label == "Cancel order and refund €12.00"
    assert gateway.asked == [(None, None)], "over everything that is left"
    assert [t.amount for t in preview.proposal.targets] == [eur("12.00")]
    full = cancel(order(), amount=eur("20.00"))
    assert full.proposal.is_full_refund
    assert full.kept is None
    assert "Refund" not in dict(full.rows)


def test_what_was_refunded_before_makes_the_rest_a_request_of_its_own(cancel: Any) -> None:
    """Shopify warns of refunding twice where a refunded order is canceled with its money."""
    earlier = Refund(
        gid="gid://shopify/Refund/1",
        total=bag("5.00"),
        note="",
        created_at=NOW,
        transactions=(),
        lines=(),
    )
    rest = cancel(order(refunded="5.00", refunds=(earlier,)), amount=eur("15.00"))
    assert rest.proposal.amount == eur("15.00")
    assert rest.kept is None
    assert not rest.proposal.is_full_refund


def test_a_full_refund_is_told_from_a_part(refund: Any) -> None:
    full, part = refund(order(), amount=eur("20.00")), refund(order(), amount=eur("19.99"))
    assert full.proposal.is_full_refund
    assert not part.proposal.is_full_refund
    assert (full.kept, part.kept) == (None, eur("0.01"))
    assert part.confirm_label == "Refund €19.99"
    assert part.proposal.kind == ActionKind.REFUND
    assert part.proposal.shipments_to_cancel == ()


def test_a_standing_shipment_is_canceled_on_request_or_blocks(cancel: Any) -> None:
    preview = cancel(shipped(), cancel_shipments=True)
    assert preview.blocked is None
    assert preview.proposal.shipments_to_cancel == ("parcel-1",)
    assert ("Shipment records to cancel", "1") in preview.rows
    blocked = cancel(shipped())
    assert blocked.blocked
    assert blocked.blocked.code == "shipped"
    assert blocked.proposal.shipments_to_cancel == ()
    # Shopify cancels an unpaid order over its shipments: none of them needs canceling.
    unpaid = cancel(shipped(paid="0"), cancel_shipments=True)
    assert unpaid.proposal.shipments_to_cancel == ()
    assert cancel(shipped(paid="0")).blocked is None


def test_the_items_of_a_canceled_order_are_those_it_still_has(cancel: Any) -> None:
    (item,) = cancel(order(lines=(line(quantity=3, current_quantity=1),))).items
    assert item.quantity == 1


@pytest.mark.parametrize(
    ("returned", "restock", "is_restocked"),
    [
        (Returned.RECEIVED, True, True),
        (Returned.RECEIVED, False, False),
        (Returned.NOT_NEEDED, True, False),
    ],
)
def test_only_returned_items_are_restocked(
    refund: Any, returned: str, restock: bool, is_restocked: bool
) -> None:
    chosen = (LineQuantity(line_gid="line-1", quantity=2),)
    preview = refund(shipped(DELIVERED), lines=chosen, returned=returned, restock=restock)
    assert preview.proposal.restock is is_restocked
    stock = "2 items will be restocked at Shelf" if is_restocked else "No"
    assert dict(preview.rows)["Restock items"] == stock


def test_the_agents_words_and_ticks_are_kept(refund: Any, cancel: Any) -> None:
    for preview in (refund, cancel):
        shown = preview(order(), notify=True, restock=False, staff_note="Called.")
        assert (shown.proposal.notify, shown.proposal.staff_note) == (True, "Called.")
        assert not shown.proposal.restock
        rows = dict(shown.rows)
        assert rows["Shopify emails the customer"] == "Yes"
        assert rows["Staff note"] == "Called."
        silent = preview(order())
        assert dict(silent.rows)["Shopify emails the customer"] == "No"
        assert "Staff note" not in dict(silent.rows)


def test_a_summary_reads_the_order_first(refund: Any, cancel: Any, gateway: FakeGateway) -> None:
    refund(order())
    cancel(order())
    assert gateway.refreshed == [Order.objects.get().pk] * 2


RISKY: dict[str, Any] = {
    "disputes": (Dispute(gid="d", status="NEEDS_RESPONSE"),),
    "risk_level": "HIGH",
    "transactions": (payment(is_manual=True),),
    "customer": JANE,
}


def test_a_summary_warns_also_of_a_refund_as_store_credit(refund: Any, cancel: Any) -> None:
    credit = {"method": RefundMethod.STORE_CREDIT, "amount": eur("5.00")}
    for preview in (refund, cancel):
        by_card = set(codes(preview(order(**RISKY), amount=eur("5.00"))))
        assert {"dispute", "high_risk", "manual_gateway"} <= by_card
        # What Shopify credits isn't paid out manually; everything else stays.
        assert set(codes(preview(order(**RISKY), **credit))) == by_card - {"manual_gateway"}


def test_earlier_refunds_of_the_same_customer_are_counted(
    refund: Any, store: Store, alice: User
) -> None:
    from orders.models import OrderRefund

    found = stored(order(customer=JANE), store)
    other = Store.objects.create(domain="other.myshopify.com", currency="EUR")

    def book(store: Store, customer: str, amount: str, number: int) -> None:
        theirs = Order.objects.create(
            store=store,
            gid=f"gid://shopify/Order/{number}",
            legacy_id=number,
            customer_gid=customer,
        )
        OrderRefund.objects.create(
            order=theirs,
            gid=f"gid://shopify/Refund/{number}",
            amount=Decimal(amount),
            amount_shop=Decimal(amount),
            moved=Decimal(amount),
        )

    assert previews.earlier_refunds(found) == 0
    book(store, JANE.gid, "5.00", 100)
    assert previews.earlier_refunds(found) == 1
    book(store, "gid://shopify/Customer/8", "5.00", 101)
    book(other, JANE.gid, "5.00", 102)
    book(store, JANE.gid, "0.00", 103)
    assert previews.earlier_refunds(found) == 1, "theirs, here, and of money"
    book(store, JANE.gid, "0.50", 104)
    assert "repeated_refunds" in codes(refund(order(customer=JANE)))

    book(store, "", "5.00", 105)
    guest = replace(order(), gid="gid://shopify/Order/9", legacy_id=9)
    assert previews.earlier_refunds(stored(guest, store)) == 0, "guests are not one person"


@pytest.mark.parametrize(
    ("two_above", "words"), [(None, "A supervisor needs"), ("5", "Two people")]
)
def test_a_summary_says_who_has_to_approve(
    refund: Any, alice: User, two_above: str | None, words: str
) -> None:
    Policy.objects.create(
        role=alice.groups.get(),
        refund_up_to=5,
        two_approvers_above=Decimal(two_above) if two_above else None,
    )
    preview = refund(order(), amount=eur("6.00"))
    assert preview.advice[0].code == "approval"
    assert words in preview.advice[0].text
    assert "Above your limit of €5.00." in preview.advice[0].text
    assert preview.confirm_label == "Ask for approval: Refund €6.00"
    small = refund(order(), amount=eur("5.00"))
    assert "approval" not in codes(small)
    assert small.confirm_label == "Refund €5.00"


def test_a_policys_refusal_blocks_and_a_rule_goes_before_it(
    refund: Any, cancel: Any, alice: User
) -> None:
    Policy.objects.create(role=alice.groups.get(), approval_up_to=4, cancel="deny")
    assert refund(order(), amount=eur("5.00")).blocked.code == "above_limit"
    assert refund(order(), amount=eur("4.00")).blocked is None
    assert cancel(order()).blocked.code == "cancel_denied"
    assert cancel(shipped()).blocked.code == "shipped"


def test_a_note_of_only_spaces_counts_as_empty(refund: Any, alice: User) -> None:
    Policy.objects.create(role=alice.groups.get(), note_above=1)
    assert refund(order(), amount=eur("5.00"), staff_note="  ").blocked.code == "note_missing"
    assert refund(order(), amount=eur("5.00"), staff_note=" ok ").blocked is None


def test_the_sums_of_a_summary_are_the_orders(refund: Any) -> None:
    preview = refund(order(refunded="3.00"), amount=eur("5.00"))
    assert (preview.total, preview.paid) == (eur("20.00"), eur("20.00"))
    assert preview.refunded_before == eur("3.00")
    assert preview.kept == eur("12.00")


# --- tokens


def test_a_token_opens_to_what_was_shown(refund: Any, alice: User) -> None:
    preview = refund(order(), amount=eur("5.00"))
    opened = previews.open_token(preview.token, by=alice)
    assert opened.order_id == preview.order.pk
    assert opened.proposal == preview.proposal
    again = previews.open_token(preview.token, by=alice)
    assert (again.nonce, again.digest) == (opened.nonce, opened.digest)
    other = previews.open_token(refund(order(), amount=eur("6.00")).token, by=alice)
    assert other.nonce != opened.nonce
    assert other.digest != opened.digest


def test_a_summary_can_be_confirmed_only_by_its_author(refund: Any, bob: User) -> None:
    preview = refund(order(), amount=eur("5.00"))
    with pytest.raises(StalePreview, match="someone else"):
        previews.open_token(preview.token, by=bob)


def test_a_forged_truncated_or_foreign_token_is_rejected(refund: Any, alice: User) -> None:
    token = refund(order(), amount=eur("5.00")).token
    body, _, signature = token.rpartition(":")
    forged = [
        "",
        "nonsense",
        token[:-1],
        token[1:],
        f"{body}x:{signature}",
        signing.dumps({"user": alice.pk}, salt="another.use"),
        signing.dumps({"user": alice.pk}, salt="orders.preview"),
        signing.dumps("text", salt="orders.preview"),
        signing.dumps(
            {"user": alice.pk, "order": 1, "nonce": "n", "proposal": {}}, salt="orders.preview"
        ),
    ]
    for text in forged:
        with pytest.raises(StalePreview):
            previews.open_token(text, by=alice)


def test_a_token_is_good_for_two_hours(refund: Any, alice: User, time_machine: Any) -> None:
    token = refund(order(), amount=eur("5.00")).token
    began = timezone.now()
    time_machine.move_to(began + timedelta(hours=1, minutes=59), tick=False)
    assert previews.open_token(token, by=alice).order_id == Order.objects.get().pk
    time_machine.move_to(began + timedelta(hours=2, minutes=1), tick=False)
    with pytest.raises(StalePreview, match="too old"):
        previews.open_token(token, by=alice)


# --- again, on the order as it is now


def test_the_same_choice_again_says_what_changed(
    refund: Any, cancel: Any, alice: User, store: Store
) -> None:
    chosen = (LineQuantity(line_gid="line-1", quantity=1),)
    first = refund(
        shipped(DELIVERED, customer=JANE),
        lines=chosen,
        shipping=eur("1.00"),
        amount=eur("5.00"),
        method=RefundMethod.STORE_CREDIT,
        restock=True,
        notify=True,
        staff_note="Called.",
        returned=Returned.RECEIVED,
        discrepancy_reason="DAMAGE",
    )
    again = previews.preview_again(first.order, first.token, by=alice, now=NOW)
    assert again.proposal == first.proposal
    assert again.changes == ()
    paid_less = shipped(DELIVERED, customer=JANE, refunded="3.00", updated_at=NOW)
    later = stored(paid_less, store)
    again = previews.preview_again(later, first.token, by=alice, now=NOW)
    assert again.changes == ("The amount refunded changed: €0.00 → €3.00.",)
    assert again.proposal.amount == eur("5.00")


def test_shipping_alone_is_calculated_again(refund: Any, gateway: FakeGateway, alice: User) -> None:
    """Unlike an amount that was typed, it is what Shopify says of the order as it is now."""
    first = refund(order(), shipping=eur("4.00"))
    assert first.proposal.amount == eur("10.00"), "what Shopify suggests"
    gateway.suggestion = "4.00"
    again = previews.preview_again(first.order, first.token, by=alice, now=NOW)
    assert again.proposal.amount == eur("4.00")
    typed = refund(order(), amount=eur("6.00"))
    assert previews.preview_again(
        typed.order, typed.token, by=alice, now=NOW
    ).proposal.amount == eur("6.00")


def test_the_same_cancellation_again(cancel: Any, alice: User, store: Store) -> None:
    first = cancel(
        shipped(customer=JANE),
        amount=eur("5.00"),
        method=RefundMethod.STORE_CREDIT,
        restock=False,
        notify=True,
        staff_note="Called.",
        cancel_shipments=True,
    )
    again = previews.preview_again(first.order, first.token, by=alice, now=NOW)
    assert again.proposal == first.proposal
    plain = cancel(order())
    again = previews.preview_again(plain.order, plain.token, by=alice, now=NOW)
    assert again.proposal == plain.proposal


def test_a_summary_rests_on_facts_and_not_on_notes(store: Store) -> None:
    before = previews.facts(order())
    assert previews.changes(before, previews.facts(order(updated_at=NOW, name="#2"))) == ()
    others = {
        "canceled": order(cancelled_at=NOW),
        "payment": order(financial_status="PARTIALLY_REFUNDED"),
        "amount received": order(paid="30.00"),
        "amount refunded": order(refunded="1.00"),
        "shipments": order(fulfillments=(parcel(),)),
        "items": order(lines=(line(refundable_quantity=1),)),
        "another customer": order(customer=JANE),
    }
    for word, snapshot in others.items():
        told = previews.changes(before, previews.facts(snapshot))
        assert any(word in sentence for sentence in told), (word, told)


def test_a_fact_that_an_older_summary_lacks_has_not_changed() -> None:
    """A version before this one may have stored fewer facts with an action."""
    after = previews.facts(order())
    before = {key: value for key, value in after.items() if key != "disputes"}
    assert previews.changes(before, after | {"disputes": "dispute-1:NEEDS_RESPONSE"}) == ()


def test_facts_are_kept_with_an_action_so_their_form_is_fixed() -> None:
    """What one version wrote down, the next one compares."""
    assert previews.facts(order()) == {
        "canceled": "",
        "payment": "PAID",
        "received": "20.00 EUR",
        "refunded": "0.00 EUR",
        "shipments": "",
        "lines": "line-1:2:2",
        "returns": "",
        "return_units": "",
        "customer": "",
        "disputes": "",
    }
    full = shipped(DELIVERED, customer=JANE, cancelled_at=NOW, financial_status=None)
    facts = previews.facts(full)
    assert facts["canceled"] == "2026-11-24 12:00:00+00:00"
    assert facts["payment"] == ""
    assert facts["shipments"] == "parcel-1:SUCCESS:2026-11-24 12:00:00+00:00"
    assert previews.facts(shipped())["shipments"] == "parcel-1:SUCCESS:"
    assert facts["customer"] == JANE.gid


# --- an amount, and items for another one


def test_an_amount_touches_no_item_and_says_so(refund: Any) -> None:
    preview = refund(order(), amount=eur("5.00"), restock=True)
    proposal = preview.proposal
    assert (proposal.is_amount_only, proposal.lines, proposal.restocks) == (True, (), ())
    assert not proposal.restock
    assert (proposal.calculated, proposal.difference) == (None, None)
    rows = dict(preview.rows)
    assert rows["Items"] == "No items are marked as refunded, and stock stays the same"
    assert "Restock items" not in rows
    assert preview.items == ()


@pytest.mark.parametrize("amount", ["9.99", "10.01"])
def test_items_for_another_amount_need_a_reason(refund: Any, amount: str) -> None:
    chosen = (LineQuantity(line_gid="line-1", quantity=1),)
    wish = {"lines": chosen, "amount": eur(amount)}
    assert refused(refund, order(), **wish) == "discrepancy_reason_missing"
    assert refused(refund, order(), **wish, discrepancy_reason="so") == "discrepancy_reason_missing"
    preview = refund(order(), **wish, discrepancy_reason="DAMAGE")
    assert preview.proposal.calculated == eur("10.00")
    assert preview.proposal.difference == eur(amount) - eur("10.00")
    assert dict(preview.rows)["Why the amount differs"] == "Damaged items"


def test_the_calculated_amount_needs_none(refund: Any) -> None:
    chosen = (LineQuantity(line_gid="line-1", quantity=1),)
    for wish in ({}, {"amount": eur("10.00")}, {"discrepancy_reason": "OTHER"}):
        proposal = refund(order(), lines=chosen, **wish).proposal
        assert (proposal.amount, proposal.difference) == (eur("10.00"), None)
        assert proposal.discrepancy_reason == ""


@pytest.mark.parametrize(
    ("maximum", "words"),
    [("4.90", r"You can refund at most €4\.90 of the shipping\."), ("0", "no shipping left")],
)
def test_more_shipping_than_was_paid_is_refused_at_once(
    refund: Any, gateway: FakeGateway, maximum: str, words: str
) -> None:
    """The refusal belongs to the shipping field, and names the most that can be refunded."""
    gateway.shipping_maximum = maximum
    with pytest.raises(InvalidMoney, match=words) as refusal:
        refund(order(), shipping=eur("999"), amount=eur("5.00"), discrepancy_reason="OTHER")
    assert refusal.value.field == "shipping"
