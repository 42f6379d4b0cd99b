"""From a proposal in our words to the exact requests, before anything is sent.

Documents and variables are frozen once and stored: every later try sends the same bytes with the
same key, which is what Shopify's idempotency asks for, also after an upgrade.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from django.conf import settings

from orders.models import ActionKind, OrderAction, RefundMethod
from orders.money import Money
from orders.previews import Proposal, decode_proposal
from orders.previews.returns import (
    ReturnUnits,
    ThroughReturn,
)
from orders.progress import Goal
from orders.shopify_port import Step
from shopify_sync.api.documents import load

SHOPIFY_NOTE_LENGTH: Final = 255
_MARKER: Final = re.compile(r"\[ax:[^\]\s]{0,40}\]?")


def plan(action: OrderAction) -> list[Step]:
    """The steps of an unsaved action, in the order in which they are to be sent.

    Cancel first, refund second where the amount is not the full one or something was refunded
    before: Shopify cancels with all of the money or none, its refusals then cost nothing, and the
    money step has the exact amount and the key.
    """
    proposal = decode_proposal(action.proposal)
    if action.kind == ActionKind.REFUND:
        return [
            _refund(action, proposal)
            if proposal.through is None
            else _through_return(action, proposal, proposal.through)
        ]
    steps = [
        _step(Goal.CANCEL_SHIPMENT, gid, "FulfillmentCancel", {"id": gid})
        for gid in proposal.shipments_to_cancel
    ]
    steps.append(_cancel(action, proposal))
    if proposal.amount is not None and not proposal.is_full_refund:
        steps.append(_refund(action, proposal))
    return steps


def _cancel(action: OrderAction, proposal: Proposal) -> Step:
    variables: dict[str, Any] = {
        "orderId": action.order.gid,
        "reason": proposal.reason,
        "restock": proposal.restock,
        "refundMethod": _cancel_method(proposal),
        "notifyCustomer": proposal.notify,
        "staffNote": _with_marker(proposal.staff_note, action.note_marker),
    }
    return _step(Goal.CANCEL_ORDER, action.order.gid, "OrderCancel", variables)


def _cancel_method(proposal: Proposal) -> dict[str, Any]:
    """All of the money or none, as orderCancel knows no amount; exactly one key, as it demands."""
    if proposal.is_full_refund and proposal.method == RefundMethod.STORE_CREDIT:
        # Empty is allowed: all it could hold is a date of expiry, and nobody here names one.
        return {"storeCreditRefund": {}}
    return {"originalPaymentMethodsRefund": proposal.is_full_refund}


def _refund(action: OrderAction, proposal: Proposal) -> Step:
    if proposal.amount is None:
        raise ValueError("a refund without an amount")
    order_gid = action.order.gid
    refund: dict[str, Any] = {
        "orderId": order_gid,
        "currency": proposal.amount.currency,
        "note": _with_marker(proposal.staff_note or proposal.reason_label, action.note_marker),
        # A cancel before it has told the customer already.
        "notify": proposal.notify and action.kind == ActionKind.REFUND,
        **_ways_back(order_gid, proposal),
    }
    if proposal.lines:
        refund["refundLineItems"] = _refund_lines(proposal)
    if proposal.duties:
        refund["refundDuties"] = refund_duties(proposal.duties)
    if proposal.discrepancy_reason:
        refund["discrepancyReason"] = proposal.discrepancy_reason
    if proposal.shipping:
        refund["shipping"] = {"amount": proposal.shipping.plain()}
    variables = {"input": refund, "idempotencyKey": str(action.idempotency_key)}
    return _step(Goal.REFUND, order_gid, "RefundCreate", variables)


def refund_duties(gids: Iterable[str]) -> list[dict[str, str]]:
    """RefundDutyInputs: of each the share of the units that are refunded."""
    return [{"dutyId": gid, "refundType": "PROPORTIONAL"} for gid in gids]


def _refund_lines(proposal: Proposal) -> list[dict[str, Any]]:
    """RefundLineItemInputs: units of a line that go back to stock in two ways are two of them."""
    if not proposal.restocks:
        return [
            {"lineItemId": line.line_gid, "quantity": line.quantity, "restockType": "NO_RESTOCK"}
            for line in proposal.lines
        ]
    return [
        {"lineItemId": part.line_gid, "quantity": part.quantity, "restockType": part.kind}
        | ({"locationId": part.place_gid} if part.place_gid else {})
        for part in proposal.restocks
    ]


def _through_return(action: OrderAction, proposal: Proposal, found: ThroughReturn) -> Step:
    """Goods and money in one request, without a key: there is none for it at Shopify."""
    if proposal.amount is None:
        raise ValueError("a refund without an amount")
    transfer: dict[str, Any] = {"orderTransactions": [], **_ways_back_through_return(proposal)}
    process: dict[str, Any] = {
        "returnId": found.gid,
        "returnLineItems": [_return_line(unit) for unit in found.units],
        "financialTransfer": {"issueRefund": transfer},
        "note": _with_marker(proposal.staff_note or proposal.reason_label, action.note_marker),
        "notifyCustomer": proposal.notify,
    }
    if shipping := return_shipping(proposal.shipping):
        process["refundShipping"] = shipping
    return _step(Goal.RETURN, found.gid, "ReturnProcess", {"input": process})


def return_shipping(shipping: Money | None) -> dict[str, Any] | None:
    """A RefundShippingInput; None for nothing."""
    return {"shippingRefundAmount": _money(shipping)} if shipping else None


def _return_line(unit: ReturnUnits) -> dict[str, Any]:
    line: dict[str, Any] = {"id": unit.gid, "quantity": unit.quantity}
    if unit.bookings:
        line["dispositions"] = [
            {
                "reverseFulfillmentOrderLineItemId": booking.reverse_gid,
                "quantity": booking.quantity,
                "dispositionType": booking.kind,
                **({"locationId": booking.location_gid} if booking.location_gid else {}),
            }
            for booking in unit.bookings
        ]
    return line


def _ways_back_through_return(proposal: Proposal) -> dict[str, Any]:
    """The money part of a ReturnProcessRefundInput."""
    if proposal.method == RefundMethod.STORE_CREDIT:
        return _as_credit(proposal)
    return {
        "orderTransactions": [
            {"parentId": target.parent_gid, "transactionAmount": _money(target.amount)}
            for target in proposal.targets
        ]
    }


def _money(amount: Money) -> dict[str, str]:
    return {"amount": amount.plain(), "currencyCode": amount.currency}


def _step(goal: Goal, target: str, document: str, variables: dict[str, Any]) -> Step:
    return Step(
        goal=goal,
        target=target,
        document=document,
        query=load(document),
        api_version=settings.SHOPIFY_API_VERSION,
        variables=variables,
    )


def _ways_back(order_gid: str, proposal: Proposal) -> dict[str, Any]:
    """The money part of a RefundInput: as store credit, or to each payment its share."""
    if proposal.method == RefundMethod.STORE_CREDIT:
        return _as_credit(proposal)
    return {
        "transactions": [
            {
                "orderId": order_gid,
                "parentId": target.parent_gid,
                "gateway": target.gateway,
                "kind": "REFUND",
                "amount": target.amount.plain(),
            }
            for target in proposal.targets
        ]
    }


def _as_credit(proposal: Proposal) -> dict[str, Any]:
    # In the currency the customer paid in, like every other sum of a refund: Shopify does
    # not say which it takes where the shop's differs, and a refusal moves no money.
    return {
        "refundMethods": [
            {"storeCreditRefund": {"amount": _money(target.amount)}} for target in proposal.targets
        ]
    }


def _with_marker(note: str, marker: str) -> str:
    """The agent's note with the marker at its end, within Shopify's 255 characters. Markers of
    other actions that were typed or pasted go: a marker takes credit for what it is found on."""
    note = _MARKER.sub("", note)
    room = SHOPIFY_NOTE_LENGTH - len(marker) - 1
    return f"{note[:room].strip()} {marker}".strip()
