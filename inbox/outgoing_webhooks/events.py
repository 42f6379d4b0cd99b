"""Writing webhooks, in the transaction that made what they tell.

A payload holds IDs, states and amounts. What a customer is called, where they live and what anyone
wrote isn't in it: the receiver reads that through the REST API, with a token of its own.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from core import queue
from inbox.models import WebhookDelivery, WebhookEndpoint, WebhookType
from orders.models import ActionState, EventKind, Order, OrderAction, OrderEvent
from orders.money import Money

Json = dict[str, Any]
TASK: Final = "inbox.tasks.deliver_webhook"
# The states that are told under a name of their own; QUEUED only after an approval.
_OF_STATE: Final = {
    ActionState.DECLINED: WebhookType.ACTION_DECLINED,
    ActionState.WITHDRAWN: WebhookType.ACTION_WITHDRAWN,
    ActionState.EXPIRED: WebhookType.ACTION_EXPIRED,
    ActionState.SUCCEEDED: WebhookType.ACTION_SUCCEEDED,
    ActionState.AWAITING_BANK: WebhookType.ACTION_AWAITING_BANK,
    ActionState.PARTIAL: WebhookType.ACTION_FAILED,
    ActionState.REJECTED: WebhookType.ACTION_FAILED,
    ActionState.REVERSED: WebhookType.ACTION_FAILED,
    ActionState.BLOCKED: WebhookType.ACTION_BLOCKED,
    ActionState.NEEDS_HUMAN: WebhookType.ACTION_NEEDS_REVIEW,
}
_OF_EVENT: Final = {
    EventKind.PLACED: WebhookType.ORDER_PLACED,
    EventKind.PAID: WebhookType.ORDER_PAID,
    EventKind.FULFILLED: WebhookType.ORDER_FULFILLED,
    EventKind.DELIVERED: WebhookType.ORDER_DELIVERED,
    EventKind.CANCELED: WebhookType.ORDER_CANCELED,
    EventKind.REFUNDED: WebhookType.ORDER_REFUNDED,
}
# What a person decides, by the state in which an action waits for it.
_DECISIONS: Final = {
    ActionState.AWAITING_APPROVAL: "approval",
    ActionState.NEEDS_HUMAN: "review",
}


# How long a process remembers that there is no endpoint; until then a new one isn't told.
QUIET_S: Final = 1.0
_quiet_until = 0.0


def is_anyone_listening() -> bool:
    """Return whether there is an active endpoint. That there is none is remembered for a second:
    most installations have none, and every change of an order asks. Expects a transaction."""
    global _quiet_until
    if time.monotonic() < _quiet_until:
        return False
    # In a savepoint, so that a failure here can't undo what the transaction has done.
    with transaction.atomic():
        found = WebhookEndpoint.objects.active().exists()
    if not found:
        _quiet_until = time.monotonic() + QUIET_S
    return found


def listen() -> None:
    """Forget that there was no endpoint."""
    global _quiet_until
    _quiet_until = 0.0


def action_moved(action_id: int, *, before: str, after: str) -> None:
    """Tell that an action was requested (`before` is empty) or has another state.

    One query if no endpoint wants to know. Expects the transaction, like everything here.
    """
    kinds = list(_told(before, after))
    if not (found := _subscribed(kinds)):
        return
    action = OrderAction.objects.select_related("order__store").get(pk=action_id)
    for kind in kinds:
        data = _action(action)
        if kind == WebhookType.DECISION_OPENED:
            data = _decision(action, after)
        elif kind == WebhookType.DECISION_CLOSED:
            data = _decision(action, before)
        _write(found, kind, data, store_id=action.order.store_id)


def approvals_changed(action_id: int) -> None:
    """Tell that an action has one of the two approvals it needs."""
    kind = WebhookType.DECISION_UPDATED
    if not (found := _subscribed([kind])):
        return
    action = OrderAction.objects.select_related("order__store").get(pk=action_id)
    if action.state == ActionState.AWAITING_APPROVAL and action.approved_by_id:
        _write(found, kind, _decision(action, action.state), store_id=action.order.store_id)


def order_changed(order_id: int) -> None:
    """Tell that something visible of an order has changed."""
    kind = WebhookType.ORDER_CHANGED
    if not (found := _subscribed([kind])):
        return
    order = Order.objects.select_related("store").defer("document").get(pk=order_id)
    data = _order(order) | {
        "payment_status": order.financial_status,
        "fulfillment_status": order.fulfillment_status,
        "is_canceled": order.cancelled_at is not None,
        "is_deleted": order.deleted_at is not None,
        "total": _money(Money(order.total, order.currency)),
        "refunded": _money(Money(order.refunded, order.currency)),
    }
    _write(found, kind, data, store_id=order.store_id)


def events_written(event_ids: Collection[int]) -> None:
    """Tell the news of an order's timeline."""
    if not (found := _subscribed(_OF_EVENT.values())):
        return
    rows = OrderEvent.objects.filter(pk__in=event_ids, kind__in=_OF_EVENT).order_by("pk")
    for event in rows.select_related("order__store").defer("order__document"):
        data = _order(event.order) | {
            "event": event.pk,
            "occurred_at": event.occurred_at.isoformat(),
            "source": event.source,
            "action": event.action_id,
            "amount": _money(event.money),
        }
        _write(found, _OF_EVENT[EventKind(event.kind)], data, store_id=event.order.store_id)


def test_event(endpoint: WebhookEndpoint) -> WebhookDelivery:
    """Write a message that only says that it is a test, whatever the endpoint subscribed to."""
    [row] = _deliveries([endpoint], WebhookType.TEST, {"endpoint": endpoint.pk})
    return row


def wake(delivery_ids: Iterable[int]) -> None:
    """Have workers send these messages soon; the sweep finds those that are lost on the way."""
    queue.enqueue_each(TASK, delivery_ids)


def _told(before: str, after: str) -> Iterator[WebhookType]:
    if not before:
        yield WebhookType.ACTION_REQUESTED
    elif before == ActionState.AWAITING_APPROVAL and after == ActionState.QUEUED:
        yield WebhookType.ACTION_APPROVED
    elif kind := _OF_STATE.get(ActionState(after)):
        yield kind
    if before in _DECISIONS:
        yield WebhookType.DECISION_CLOSED
    if after in _DECISIONS:
        yield WebhookType.DECISION_OPENED


def _subscribed(kinds: Iterable[WebhookType]) -> list[WebhookEndpoint]:
    """Return the active endpoints that want to be told any of these, with their stores."""
    wanted = {str(kind) for kind in kinds}
    if not wanted:
        return []
    rows = WebhookEndpoint.objects.active().prefetch_related("stores")
    return [endpoint for endpoint in rows if wanted.intersection(endpoint.event_types)]


def _write(
    endpoints: Iterable[WebhookEndpoint], kind: WebhookType, data: Json, *, store_id: int
) -> None:
    """Write one message to each of the endpoints that wants it; workers wake up after commit."""
    wanted = [
        endpoint
        for endpoint in endpoints
        if kind in endpoint.event_types and _is_about(endpoint, store_id)
    ]
    _deliveries(wanted, kind, data)


def _is_about(endpoint: WebhookEndpoint, store_id: int) -> bool:
    stores = {store.pk for store in endpoint.stores.all()}
    return not stores or store_id in stores


def _deliveries(
    endpoints: Iterable[WebhookEndpoint], kind: WebhookType, data: Json
) -> list[WebhookDelivery]:
    now = timezone.now()
    message_id = f"msg_{secrets.token_hex(16)}"
    made = WebhookDelivery.objects.bulk_create(
        WebhookDelivery(
            endpoint=endpoint,
            message_id=message_id,
            event_type=kind,
            payload=_body(kind, data, now),
            queued_at=now,
            next_attempt_at=now,
        )
        for endpoint in endpoints
    )
    if made:
        transaction.on_commit(partial(wake, [row.pk for row in made]), robust=True)
    return made


def _body(kind: WebhookType, data: Json, now: datetime) -> str:
    said = {"type": str(kind), "timestamp": now.isoformat(), "data": data}
    return json.dumps(said, separators=(",", ":"))


def _order(order: Order) -> Json:
    return {
        "order": order.pk,
        "shopify_id": order.legacy_id,
        "store": order.store.domain,
        "is_test": order.is_test,
    }


def _action(action: OrderAction) -> Json:
    return _order(action.order) | {
        "action": action.pk,
        "kind": action.kind,
        "state": action.state,
        "outcome": action.outcome,
        "amount": _money(action.money),
        "requested_at": action.requested_at.isoformat(),
        "settled_at": action.settled_at.isoformat() if action.settled_at else None,
        "shopify_refund": action.refund_gid or None,
    }


def _decision(action: OrderAction, state: str) -> Json:
    given = sum(1 for by in (action.approved_by_id, action.co_approved_by_id) if by)
    return _action(action) | {
        "decision": _DECISIONS[ActionState(state)],
        "approvals_needed": action.approvals_needed,
        "approvals_given": given,
        "expires_at": action.expires_at.isoformat() if action.expires_at else None,
    }


def _money(money: Money | None) -> Json | None:
    return {"amount": money.plain(), "currency": money.currency} if money else None
