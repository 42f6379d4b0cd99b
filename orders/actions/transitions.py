"""The one place where an action's state changes: compare-and-set, with an audit entry.

The transaction that ends an action also releases what it had reserved of its order's money.
"""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import F
from django.utils.translation import gettext as _

from core.failpoints import failpoint
from orders import audit
from orders.actions import status_texts
from orders.errors import ActionRefused, Refusal
from orders.models import SETTLED_STATES, ActionState, AuditKind, Order, OrderAction
from orders.signals import action_moved, approvals_changed, order_changed


def move(
    action: OrderAction, to: ActionState, *, by: User | None = None, **changes: object
) -> bool:
    """Move an action from the state and fence it was read with; False if it has moved on.

    Expects the caller's transaction. `by` None: the system. On success the given instance is
    updated too.
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
        if before == ActionState.AWAITING_APPROVAL:
            tell_deciders(action)
    action.state = to
    if to == ActionState.SUCCEEDED:
        _record_kept_money(action)
    for name, value in changes.items():
        # Only the database knows an expression's value.
        if not hasattr(value, "resolve_expression"):
            setattr(action, name, value)
    if before != to:
        _tell_move(action, before, to)
    return True


def lock_order(order_id: int) -> None:
    """Lock an action's order, before writing the action's row. Expects the caller's transaction.

    Every writer locks the order first and its actions second. One that wrote the action first
    could deadlock: it waits for the order when it updates it or at commit, where foreign keys are
    checked, while the order's holder waits for the action.
    """
    rows = Order.objects.select_for_update(of=("self",)).filter(pk=order_id)
    rows.values_list("pk", flat=True).first()


def _record_kept_money(action: OrderAction) -> None:
    """Mark what a partly refunded cancellation left with the shop as kept on purpose.

    The agent confirmed that sum with the cancellation, so it needs no second decision. Applies
    only if what is left is exactly the confirmed sum.
    """
    kept = status_texts.kept_on_purpose(action)
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
    """Write a new action's audit entry. Expects the caller's transaction."""
    _record(action, "", ActionState(action.state), by)
    _tell_move(action, "", ActionState(action.state))
    if action.state == ActionState.AWAITING_APPROVAL:
        tell_deciders(action, is_new=True)


def reserve(order: Order, action: OrderAction) -> None:
    """Reserve the action's sum of the order's money.

    Raises ActionRefused when other refunds leave less than that. A single conditional UPDATE in
    the transaction that writes the action, so two refunds cannot both take the same money.
    """
    if action.amount is None:
        return
    left = Order.objects.filter(pk=order.pk, net_payment__gte=F("reserved") + action.amount)
    if not left.update(reserved=F("reserved") + action.amount):
        text = _("More than is left to refund.")
        raise ActionRefused(Refusal("over_refund", text, _("Review the order again.")))
    action.reserved = action.amount


def tell(order_id: int) -> None:
    """Signal that the order changed, in the transaction that did so; browsers update on commit."""
    order_changed.send_robust(OrderAction, order_id=order_id)


def tell_deciders(action: OrderAction, *, is_new: bool = False) -> None:
    """Signal that a request for approval waits, or no longer does as before; in its transaction."""
    approvals_changed.send_robust(
        OrderAction, action_id=action.pk, order_id=action.order_id, is_new=is_new
    )


def _tell_move(action: OrderAction, before: str, to: ActionState) -> None:
    action_moved.send_robust(OrderAction, action_id=action.pk, before=str(before), after=str(to))


def _record(action: OrderAction, before: str, to: ActionState, by: User | None) -> None:
    # Once is enough: where it was requested never changes.
    where = {} if before else {"where": action.origin}
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
        **where,
    )
