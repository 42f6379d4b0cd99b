"""Every movement of money and every cancellation, for tests to compare the product with."""

from __future__ import annotations

from core.json_types import JsonObject
from practice_store.changes import returning
from practice_store.derived import order_sums
from practice_store.sales import restocking
from practice_store.state import ZERO, Shop, gid


def ledger(shop: Shop, requests: list[JsonObject]) -> JsonObject:
    """Return the shop's refunds, cancellations, transactions, returns, stock and requests."""
    refunds, cancellations, transactions = [], [], []
    for order in shop.orders.values():
        for refund in order.refunds:
            moved = [t for t in order.transactions if t.number_id in refund.transactions]
            job = shop.jobs.get(refund.job_key or "")
            refunds.append(
                {
                    "order": order.id,
                    "order_name": order.name,
                    "id": refund.id,
                    "note": refund.note,
                    "idempotency_key": refund.key,
                    "amount": order_sums.wire(sum((t.amount for t in moved), ZERO)),
                    "currency": order.presentment_currency,
                    "gateways": [t.gateway for t in moved],
                    "at": refund.created_at.isoformat(),
                    # Who made the refund, and the note of the cancellation it belongs to.
                    "made_by": refund.made_by,
                    "return": gid("Return", refund.return_number) if refund.return_number else None,
                    "cancel_note": job.staff_note if job else None,
                    "transactions": [
                        {"id": t.id, "status": t.status, "amount": order_sums.wire(t.amount)}
                        for t in moved
                    ],
                }
            )
        if order.cancelled_at:
            job = shop.jobs.get(order.cancel_key or "")
            cancellations.append(
                {
                    "order": order.id,
                    "order_name": order.name,
                    "reason": order.cancel_reason,
                    "staff_note": order.cancel_staff_note,
                    "at": order.cancelled_at.isoformat(),
                    "made_by": job.made_by if job else "app",
                }
            )
        transactions += [
            {
                "order": order.id,
                "order_name": order.name,
                "id": t.id,
                "kind": t.kind,
                "status": t.status,
                "gateway": t.gateway,
                "amount": order_sums.wire(t.amount),
                "parent": t.parent_number,
                "expires_at": t.expires_at.isoformat() if t.expires_at else None,
                "at": t.created_at.isoformat(),
            }
            for t in order.transactions
        ]
    return {
        "refunds": refunds,
        "cancelations": cancellations,
        "transactions": transactions,
        "returns": returning.ledger(shop),
        "stock": restocking.ledger(shop),
        "requests": requests,
    }
