"""Orders, summaries and actions as JSON; the schema of each is in inbox.api.answer_schema."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from inbox.panel.dialogs.forms import Mode
from orders import (
    panels,
    previews,
)
from orders.errors import Refusal
from orders.models import Order, OrderAction
from orders.money import Money

Json = dict[str, Any]


def as_amount(money: Money | None) -> Json | None:
    """Return an amount with its currency; null for none."""
    return {"amount": money.plain(), "currency": money.currency} if money else None


def summary(preview: previews.Preview) -> Json:
    """Return a summary with the token that confirms it."""
    proposal = preview.proposal
    return {
        "token": preview.token,
        "kind": preview.kind,
        "confirm_label": preview.confirm_label,
        "amount": as_amount(proposal.amount),
        "mode": Mode.AMOUNT if proposal.is_amount_only else Mode.ITEMS,
        "calculated": as_amount(proposal.calculated),
        "difference": as_amount(proposal.difference),
        "discrepancy_reason": proposal.discrepancy_reason or None,
        "restocks": [
            {
                "line": r.line_gid,
                "quantity": r.quantity,
                "type": r.kind,
                "location": r.place or None,
            }
            for r in proposal.restocks
        ],
        "method": proposal.method,
        "total": as_amount(preview.total),
        "paid": as_amount(preview.paid),
        "kept": as_amount(preview.kept),
        "targets": [{"label": t.label, "amount": as_amount(t.amount)} for t in proposal.targets],
        "items": [
            {"line": i.line.gid, "title": i.line.title, "quantity": i.quantity}
            for i in preview.items
        ],
        "return": proposal.through
        and {
            "id": proposal.through.gid,
            "name": proposal.through.name,
            "left": proposal.through.left,
        },
        "facts": [{"label": label, "value": value} for label, value in preview.rows],
        "advice": [{"code": a.code, "text": a.text} for a in preview.advice],
        "allowed": preview.blocked is None,
        "reason_code": preview.blocked.code if preview.blocked else None,
        "hint": preview.blocked.hint if preview.blocked else None,
    }


def brief(order: Order) -> Json:
    """Return an order as a search lists it."""
    money = order.snapshot.money
    return {
        "id": order.pk,
        "shopify_id": order.legacy_id,
        "name": order.name,
        "store": order.store.domain,
        "placed_at": order.placed_at,
        "total": as_amount(money.total.presentment),
    }


def _button(button: panels.Button) -> Json:
    refusal = button.refusal
    return {
        "allowed": button.is_allowed,
        "reason_code": refusal.code if refusal else None,
        "reason": refusal.reason if refusal else None,
        "hint": refusal.hint if refusal else None,
    }


def full(order: Order, acting: Refusal | None) -> Json:
    """Return an order in whole; `acting` is why its reader may not act on it, if so."""
    now = timezone.now()
    card = panels.order_card(order, acting=acting, now=now)
    cancel, refund = panels.action_states(order, acting=acting, now=now)
    return brief(order) | {
        "badges": [
            {"axis": b.axis, "label": b.label, "tone": b.tone, "raw": b.raw} for b in card.badges
        ],
        "notes": [b.label for b in card.notes],
        "details": [{"label": d.label, "text": d.text} for d in card.details],
        "status_page_url": card.status_page_url or None,
        "incomplete": card.unread or None,
        "lines": [
            {
                "id": row.item.gid,
                "title": row.item.title,
                "variant": row.item.variant_title,
                "sku": row.item.sku,
                "quantity": row.item.quantity,
                "refundable_quantity": row.item.refundable_quantity,
                "unshipped": row.unshipped,
                "altered": list(row.altered),
                "attributes": [{"label": a.label, "text": a.text} for a in row.attributes],
                "unit_price": as_amount(row.item.unit_price),
                "tracking": [
                    {
                        "company": t.company,
                        "number": t.number,
                        "url": t.url or None,
                        "quantity": parcel.quantity,
                        "status": parcel.badge.label,
                    }
                    for parcel in row.parcels
                    for t in parcel.tracking
                ],
            }
            for row in card.lines
        ],
        "returns": [_return(row) for row in card.returns],
        "swaps": list(card.swaps),
        "money": [
            {"label": row.label, "included": row.is_included, **(as_amount(row.amount) or {})}
            for row in card.money
        ],
        "transactions": [
            {
                "kind": t.label,
                "gateway": t.gateway,
                "status": t.state.label,
                "reason": t.reason,
                "at": t.at,
                **(as_amount(t.amount) or {}),
            }
            for t in card.transactions
        ],
        "actions": {"cancel": _button(cancel), "refund": _button(refund)},
        "as_of": card.as_of,
    }


def _return(row: panels.ReturnRow) -> Json:
    return {
        "id": row.gid,
        "name": row.name,
        "status": row.badge.raw,
        "state": row.receipt,
        "label": row.badge.label,
        "received": row.received,
        "units": row.total,
        "lines": [
            {
                "line": item.line_gid,
                "title": item.title,
                "quantity": item.quantity,
                "received": item.received,
                "refunded": item.refunded,
                "reason": item.reason,
                "note": item.note,
            }
            for item in row.items
        ],
    }


def action(action: OrderAction) -> Json:
    """Return an action: its state, who asked for it, and what Shopify said."""
    notice = panels.action_notice(action)
    return {
        "id": action.pk,
        "order": action.order_id,
        "kind": action.kind,
        "state": action.state,
        "outcome": notice.outcome,
        "title": notice.title,
        "message": notice.text,
        "amount": as_amount(action.money),
        "requested_by": action.requested_by.get_username(),
        "requested_at": action.requested_at,
        "approved_by": action.approved_by.get_username() if action.approved_by else None,
        "expires_at": action.expires_at,
        "settled_at": action.settled_at,
        "shopify_refund": action.refund_gid or None,
    }
