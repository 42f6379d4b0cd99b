"""Sample orders and actions for the design pages: values, never database rows.

They go through the same functions as real ones, so what /design/ shows can't drift from what
agents see.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.contrib.auth.models import User

from inbox.models import Contact, Conversation, Via
from inbox.outbox import Draft
from orders import (
    panels,
    previews,
)
from orders.errors import Refusal
from orders.models import (
    ActionKind,
    ActionState,
    Order,
    OrderAction,
    Outcome,
    RefundMethod,
    Store,
)
from orders.money import Money
from orders.panels import ActionNotice, OrderCard, OrdersPanel
from orders.panels.filters import Selection
from orders.snapshot import (
    Fulfillment,
    LineItem,
    LineQuantity,
    MoneyBag,
    OrderMoney,
    OrderSnapshot,
    Tracking,
    Transaction,
    encode,
)
from orders.statuses import badges as statuses
from orders.statuses.badges import Badge

CURRENCY: Final = "EUR"


def snapshot(now: datetime, **changes: Any) -> OrderSnapshot:
    """Return a paid, unshipped order of two mugs, with `changes` applied."""
    zero, sum_ = _bag("0"), _bag("128.40")
    base = OrderSnapshot(
        gid="gid://shopify/Order/5000000001043",
        legacy_id=5000000001043,
        name="#1043",
        created_at=now - timedelta(days=5),
        processed_at=now - timedelta(days=5),
        updated_at=now,
        financial_status="PAID",
        fulfillment_status="UNFULFILLED",
        is_refundable=True,
        currency=CURRENCY,
        shop_currency=CURRENCY,
        money=OrderMoney(
            total=sum_,
            current_total=sum_,
            subtotal=_bag("119.90"),
            tax=zero,
            discounts=zero,
            shipping=_bag("8.50"),
            received=sum_,
            refunded=zero,
            net_payment=sum_,
            outstanding=zero,
            capturable=zero,
            tips=zero,
        ),
        lines=(
            LineItem(
                gid="line-1",
                title="Red mug",
                variant_title="350 ml",
                sku="MUG-RED",
                quantity=2,
                current_quantity=2,
                refundable_quantity=2,
                unfulfilled_quantity=2,
                unit_price=sum_.shop,
                total=sum_.shop,
            ),
        ),
        transactions=(
            Transaction(
                gid="payment-1",
                kind="SALE",
                status="SUCCESS",
                gateway="shopify_payments",
                gateway_label="Visa",
                account_number="•••• 4242",
                amount=sum_,
            ),
        ),
    )
    return replace(base, **changes)


def canceled(now: datetime) -> dict[str, Any]:
    """Return the changes to `snapshot` for an order that is canceled and fully refunded."""
    back = {"refunded": _bag("128.40"), "net_payment": _bag("0")}
    money = replace(snapshot(now).money, **back)
    return {"cancelled_at": now, "financial_status": "REFUNDED", "money": money}


def parcel(now: datetime, status: str, **changes: Any) -> Fulfillment:
    """Return a fulfillment of the sample order. `status` is Shopify's display status."""
    base = Fulfillment(
        gid="parcel-1",
        status="SUCCESS",
        display_status=status,
        created_at=now - timedelta(days=2),
        tracking=(Tracking(number="JD014600003", company="DHL", url="https://www.dhl.de/"),),
        lines=(LineQuantity(line_gid="line-1", quantity=2),),
    )
    return replace(base, **changes)


def badges(now: datetime) -> list[tuple[str, tuple[Badge, ...]]]:
    """Return every badge there is, grouped by what it is about."""
    store = _store()
    plain = snapshot(now)
    due = {"estimated_delivery_at": now + timedelta(days=1)}
    late = {"estimated_delivery_at": now - timedelta(days=3)}
    # ON_ICE stands for a status that Shopify may add one day.
    parcels = [parcel(now, status) for status in (*statuses.PARCEL_WORDS, "ON_ICE")]
    parcels += [parcel(now, "IN_TRANSIT", **due), parcel(now, "IN_TRANSIT", **late)]
    order_states: tuple[dict[str, Any], ...] = (
        {},
        {"closed_at": now},
        {"cancelled_at": now},
        {"cancelled_at": now - timedelta(days=1), "closed_at": now},
    )
    return [
        (
            "Order",
            _once(b for s in order_states for b in statuses.order_badges(replace(plain, **s))),
        ),
        (
            "Payment",
            _once(
                statuses.payment_badge(replace(plain, financial_status=status))
                for status in (*statuses.PAYMENT_WORDS, "ON_ICE")
            ),
        ),
        (
            "Fulfillment",
            _once(
                statuses.fulfillment_badge(
                    replace(plain, fulfillment_status=status), now=now, zone=store.zone
                )
                for status in (*statuses.FULFILLMENT_WORDS, "ON_ICE")
            ),
        ),
        ("Parcel", _once(statuses.parcel_badge(p, now=now, zone=store.zone) for p in parcels)),
    ]


def drafts() -> list[Draft]:
    """Return one message that would be sent and one that would not."""
    return [
        Draft(
            via=Via.EMAIL,
            recipient="jane@example.com",
            subject="We are refunding €128.40",
            body="Hello Jane, …",
        ),
        Draft(via=Via.SMS, refusal="No SMS provider is set up."),
    ]


def conversation() -> Conversation:
    """Return an unsaved conversation for panels to stand beside."""
    return Conversation(pk=1, contact=Contact(pk=1, name="Jane Doe"))


def card(now: datetime, *, unreachable: bool = False, **changes: Any) -> OrderCard:
    """Return the card of an order without a row, and therefore without events and actions."""
    found = snapshot(now, **changes)
    order = Order(
        pk=0,
        store=_store(),
        gid=found.gid,
        legacy_id=found.legacy_id,
        name=found.name,
        currency=CURRENCY,
        document=encode(found),
        read_started_at=now,
        net_payment=found.money.net_payment.shop.amount,
    )
    resting = {order.store_id} if unreachable else set()
    return panels.order_cards([order], acting=None, now=now, open_ids={0}, unreachable=resting)[0]


def notices(now: datetime) -> list[ActionNotice]:
    """Return a notice for the undo window, for every state of an action, and for every outcome.

    The outcomes are those of actions that were not carried out.
    """
    found = [notice(state, now) for state in ActionState]
    ends = [notice(ActionState.REJECTED, now, outcome=outcome) for outcome in Outcome]
    found += [replace(end, action_id=100 + n) for n, end in enumerate(ends)]
    undo = replace(notice(ActionState.QUEUED, now), sends_at=now + timedelta(seconds=25))
    return [replace(undo, action_id=99), *found]


def notice(state: ActionState, now: datetime, *, outcome: str = "") -> ActionNotice:
    """Return the notice of a cancel-and-refund in this state."""
    action = OrderAction(
        pk=list(ActionState).index(state) + 1,
        kind=ActionKind.CANCEL_AND_REFUND,
        state=state,
        requested_by=User(username="sara", first_name="Sara"),
        amount=Decimal("128.40"),
        currency=CURRENCY,
        attempts=1,
        requested_at=now,
        outcome=outcome,
        proposal={},
        order=Order(pk=1, name="#1043", store=Store(name="Demo")),
    )
    return panels.action_notice(action)


def preview(now: datetime, **changes: Any) -> previews.Preview:
    """Return the summary of a refund, with `changes` applied."""
    sum_ = Money(Decimal("128.40"), CURRENCY)
    base = previews.Preview(
        order=Order(pk=1, name="#1043"),
        proposal=previews.Proposal(
            kind=ActionKind.REFUND,
            reason="damaged",
            reason_label="Damaged on arrival",
            amount=sum_,
            targets=(
                previews.Target(
                    parent_gid="payment-1",
                    gateway="shopify_payments",
                    label="Visa •••• 4242",
                    is_manual=False,
                    amount=sum_,
                ),
            ),
            is_full_refund=True,
            lines=(),
            shipping=None,
            restock=True,
            notify=False,
            staff_note="",
            returned="",
            shipments_to_cancel=(),
            facts={},
            method=RefundMethod.ORIGINAL,
        ),
        items=tuple(
            previews.SummaryItem(line=line, quantity=line.quantity) for line in snapshot(now).lines
        ),
        rows=(("Reason", "Damaged on arrival"), ("Restock items", "Yes")),
        total=sum_,
        paid=sum_,
        refunded_before=Money(Decimal(0), CURRENCY),
        kept=None,
        advice=(),
        confirm_label=f"Refund {sum_}",
        blocked=None,
        token="sample",  # noqa: S106
    )
    return replace(base, **changes)


def panel(now: datetime, *, unreachable: bool = False, **changes: Any) -> OrdersPanel:
    """Return the panel of a customer with one order."""
    spent = (Money(Decimal("128.40"), CURRENCY),)
    base = OrdersPanel(
        cards=(card(now, unreachable=unreachable),),
        summary=panels.CustomerSummary(order_count=1, spent=spent, refund_count=0, refunded=()),
        stores=(_store(),),
        has_more=False,
        as_of=now,
    )
    return replace(base, **changes)


def empty_panel(now: datetime, **changes: Any) -> OrdersPanel:
    """Return the panel of a customer without orders."""
    return panel(now, **({"cards": (), "as_of": None} | changes))


def narrowed() -> Selection:
    """Return a filter that hides some orders."""
    return Selection.read({"show": "attention"})


def refusal() -> Refusal:
    """Return the refusal for an order that changed in the meantime."""
    return Refusal(
        "stale",
        "The order changed while you were looking at it.",
        "Open it again: it shows what is left to refund.",
    )


def _store() -> Store:
    return Store(pk=1, name="Demo Store", domain="demo.myshopify.com", time_zone="Europe/Berlin")


def _bag(amount: str) -> MoneyBag:
    money = Money(Decimal(amount), CURRENCY)
    return MoneyBag(shop=money, presentment=money)


def _once(found: Any) -> tuple[Badge, ...]:
    """Drop badges that look the same; several of Shopify's statuses share a badge."""
    looks = {(badge.label, badge.tone, badge.pip): badge for badge in found}
    return tuple(looks.values())
