"""Turn a confirmed proposal into the exact requests, before anything is sent.

Documents and variables are frozen once and stored: every later attempt sends the same bytes with
the same key, even after an upgrade, because Shopify's idempotency requires that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from django.conf import settings

from core.json_types import JsonObject
from orders.models import ActionKind, OrderAction, RefundMethod
from orders.money import Money
from orders.previews import Proposal, decode_proposal
from orders.previews.return_refunds import (
    ReturnUnits,
    ThroughReturn,
)
from orders.shopify_port import Goal, Step
from shopify_sync.api.documents import load

SHOPIFY_NOTE_LENGTH: Final = 255
_MARKER: Final = re.compile(r"\[ax:[^\]\s]{0,40}\]?")


def plan(action: OrderAction) -> list[Step]:
    """Return the steps of an unsaved action in the order to send them. Pure.

    If the refund is partial, or something was refunded before, the cancellation comes first and
    refunds nothing, and a separate refund follows. orderCancel gives back all of the money or
    none; if it's refused, no money has moved; and the refund has an exact amount and a key.
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
    variables: JsonObject = {
        "orderId": action.order.gid,
        "reason": proposal.reason,
        "restock": proposal.restock,
        "refundMethod": _cancel_method(proposal),
        "notifyCustomer": proposal.notify,
        "staffNote": _with_marker(proposal.staff_note, action.note_marker),
    }
    return _step(Goal.CANCEL_ORDER, action.order.gid, "OrderCancel", variables)


def _cancel_method(proposal: Proposal) -> JsonObject:
    """Return orderCancel's refundMethod, which takes exactly one key and no amount."""
    if proposal.is_full_refund and proposal.method == RefundMethod.STORE_CREDIT:
        # Empty is allowed: it could only hold an expiration date, and we don't set one.
        return {"storeCreditRefund": {}}
    return {"originalPaymentMethodsRefund": proposal.is_full_refund}


def _refund(action: OrderAction, proposal: Proposal) -> Step:
    if proposal.amount is None:
        raise ValueError("a refund without an amount")
    order_gid = action.order.gid
    refund: JsonObject = {
        "orderId": order_gid,
        "currency": proposal.amount.currency,
        "note": _with_marker(proposal.staff_note or proposal.reason_label, action.note_marker),
        # If a cancellation comes first, it has already notified the customer.
        "notify": proposal.notify and action.kind == ActionKind.REFUND,
        **_refund_money(order_gid, proposal),
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
    """Return RefundDutyInputs: for each duty, the share of the refunded units."""
    return [{"dutyId": gid, "refundType": "PROPORTIONAL"} for gid in gids]


def _refund_lines(proposal: Proposal) -> list[JsonObject]:
    """Return RefundLineItemInputs; a line whose units are restocked in two ways gets two."""
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
    """Return the returnProcess step: goods and money in one request.

    Shopify offers no idempotency key for it.
    """
    if proposal.amount is None:
        raise ValueError("a refund without an amount")
    transfer: JsonObject = {"orderTransactions": [], **_return_money(proposal)}
    process: JsonObject = {
        "returnId": found.gid,
        "returnLineItems": [_return_line(unit) for unit in found.units],
        "financialTransfer": {"issueRefund": transfer},
        "note": _with_marker(proposal.staff_note or proposal.reason_label, action.note_marker),
        "notifyCustomer": proposal.notify,
    }
    if shipping := return_shipping(proposal.shipping):
        process["refundShipping"] = shipping
    return _step(Goal.RETURN, found.gid, "ReturnProcess", {"input": process})


def return_shipping(shipping: Money | None) -> JsonObject | None:
    """Return a RefundShippingInput; None if no shipping is refunded."""
    return {"shippingRefundAmount": _money(shipping)} if shipping else None


def _return_line(unit: ReturnUnits) -> JsonObject:
    line: JsonObject = {"id": unit.gid, "quantity": unit.quantity}
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


def _return_money(proposal: Proposal) -> JsonObject:
    """Return the money part of a ReturnProcessRefundInput."""
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


def _step(goal: Goal, target: str, document: str, variables: JsonObject) -> Step:
    return Step(
        goal=goal,
        target=target,
        document=document,
        query=load(document),
        api_version=settings.SHOPIFY_API_VERSION,
        variables=variables,
    )


def _refund_money(order_gid: str, proposal: Proposal) -> JsonObject:
    """Return the money part of a RefundInput: store credit, or each payment's share."""
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


def _as_credit(proposal: Proposal) -> JsonObject:
    # In the currency the customer paid in, like every other amount of a refund. Shopify doesn't
    # document which one it takes if the shop's differs; if it refuses, no money moves.
    return {
        "refundMethods": [
            {"storeCreditRefund": {"amount": _money(target.amount)}} for target in proposal.targets
        ]
    }


def _with_marker(note: str, marker: str) -> str:
    """Return the agent's note with the marker at its end, within Shopify's 255 characters.

    Markers that were typed or pasted are removed, because a refund whose note has a marker is
    taken for the work of that marker's action.
    """
    note = _MARKER.sub("", note)
    room = SHOPIFY_NOTE_LENGTH - len(marker) - 1
    return f"{note[:room].strip()} {marker}".strip()
