"""The one place where an action's state changes: compare-and-set, with its audit entry.

What an action held of its order's money is given back in the transaction that ends it.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db.models import F
from django.utils.translation import gettext as _

from core.failpoints import failpoint
from orders import audit
from orders.actions import outcomes
from orders.errors import ActionRefused, Refusal
from orders.models import SETTLED_STATES, ActionState, AuditKind, Order, OrderAction
from orders.signals import order_changed


def move(action: OrderAction, to: ActionState, *, by: User | None = None, **changes: Any) -> bool:
    """From the state and fence this row was read with to another. False: it has moved on.

    Expects the caller's transaction. `by` None: the system. The row in hand follows.
    """
    before = ActionState(action.state)
    lock_order(action.order_id)
    if to in SETTLED_STATES and action.reserved:
        changes["reserved"] = 0
    held = OrderAction.objects.filter(pk=action.pk, state=before, fence=action.fence)
    reserved = action.reserved
    if not held.update(state=to, **changes):
        return False
    if "reserved" in changes and reserved:
        Order.objects.filter(pk=action.order_id).update(reserved=F("reserved") - reserved)
    failpoint("moved")
    if before != to:
        _record(action, before, to, by)
    action.state = to
    if to == ActionState.SUCCEEDED:
        _note_kept(action)
    for name, value in changes.items():
        # An expression's value is only in the database.
        if not hasattr(value, "resolve_expression"):
            setattr(action, name, value)
    return True


def lock_order(order_id: int) -> None:
    """Before any row of an action is written. Everybody locks the order first and its actions
    after it: whoever wrote the action first would wait for the order at commit, where the audit
    entry's foreign key is checked, while the order's holder waits for the action.

    Expects the caller's transaction."""
    rows = Order.objects.select_for_update(of=("self",)).filter(pk=order_id)
    rows.values_list("pk", flat=True).first()


def _note_kept(action: OrderAction) -> None:
    """Who gave back a part with a cancellation confirmed that the rest stays with the shop: it is
    kept on purpose, and nobody has to ask for it again. Only where it is exactly that rest."""
    kept = outcomes.kept_on_purpose(action)
    if kept is None:
        return
    rest = Order.objects.filter(
        pk=action.order_id, cancelled_at__isnull=False, net_payment=kept.amount
    )
    reason = str(action.proposal.get("reason_label") or "")
    if rest.update(kept=kept.amount, kept_by=action.requested_by_id, kept_reason=reason[:255]):
        audit.record(
            AuditKind.MONEY_KEPT,
            actor=action.requested_by,
            store_id=action.order.store_id,
            order_id=action.order_id,
            action_id=action.pk,
            amount=kept,
        )


def created(action: OrderAction, by: User) -> None:
    """The entry of a new action. Expects the caller's transaction."""
    _record(action, "", ActionState(action.state), by)


def reserve(order: Order, action: OrderAction) -> None:
    """Hold the action's sum. Raises ActionRefused when other refunds leave less than that.

    One conditional UPDATE in the transaction that writes the action, so that no two can pass.
    """
    if action.amount is None:
        return
    left = Order.objects.filter(pk=order.pk, net_payment__gte=F("reserved") + action.amount)
    if not left.update(reserved=F("reserved") + action.amount):
        text = _("More than what is left to refund.")
        raise ActionRefused(Refusal("over_refund", text, _("Review the order again.")))
    action.reserved = action.amount


def tell(order_id: int) -> None:
    """Browsers hear of it after commit. Expects the transaction that changed it."""
    order_changed.send_robust(OrderAction, order_id=order_id)


def _record(action: OrderAction, before: str, to: ActionState, by: User | None) -> None:
    audit.record(
        AuditKind.ACTION,
        actor=by,
        store_id=action.order.store_id,
        order_id=action.order_id,
        action_id=action.pk,
        before=before,
        after=to,
        amount=action.money,
        what=action.kind,
        refund=action.refund_gid,
        fence=action.fence,
    )
