"""Decisions on an action by someone else: approve, decline, settle by hand, keep the money."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from core.database import sweeps
from orders import (
    audit,
    policies,
    rules,
)
from orders.actions import status_texts, worker_steps
from orders.actions.eligibility import objection_to
from orders.actions.progress import (
    Settled,
    canceled_by,
)
from orders.actions.requests import (
    Guard,
    locked,
)
from orders.actions.transitions import (
    move,
    tell,
    tell_deciders,
)
from orders.actions.worker_steps import (
    SEND_WITHIN,
    ending,
    record_failure,
)
from orders.audit import approval_signatures
from orders.audit.approval_signatures import SignatureRefused, Signed
from orders.errors import ActionRefused, Refusal, ShopUnreachable, StalePreview
from orders.lock_waits import refused_when_busy
from orders.models import (
    ActionKind,
    ActionState,
    AuditKind,
    Order,
    OrderAction,
    Outcome,
    Policy,
    has_marker,
)
from orders.money import Money
from orders.shopify_port import get_gateway

logger = logging.getLogger(__name__)

# A signature counts for this long after it was asked for.
_SIGNED_WITHIN: Final = timedelta(minutes=5)
# If Shopify has not let us read the order for this long, a supervisor may decide without a read.
_UNREACHABLE_FOR: Final = timedelta(days=1)


def approval_refusal(
    action: OrderAction, by: User, *, held: Sequence[Policy] | None = None
) -> Refusal | None:
    """Why this person may not approve or decline this action; None if they may.

    To check many actions at once, call policies.acting_refusal first and pass the person's
    policies (policies.policies_of) as `held`; both are then read only once.
    """
    if action.state != ActionState.AWAITING_APPROVAL:
        return Refusal("not_waiting", _("This is no longer waiting for approval."))
    if action.requested_by_id == by.pk:
        return Refusal("own_action", _("Someone else has to approve your request."))
    if action.approved_by_id == by.pk:
        return Refusal("approved_already", _("You approved this. A second person still has to."))
    if held is None and (refusal := policies.acting_refusal(by)):
        return refusal
    policy = policies.policy_at(
        policies.policies_of(by) if held is None else held, action.order.store
    )
    return policies.agreeing_refusal(policy, action, action.order)


def settling_refusal(by: User) -> Refusal | None:
    """Why this person may not settle by hand or keep a customer's money; None if they may."""
    if policies.is_supervisor(by):
        return None
    return Refusal("not_supervisor", _("Only a supervisor can decide this."))


@refused_when_busy()
def approve(
    *, action_id: int, by: User, guard: Guard, now: datetime, signed: Signed | None = None
) -> OrderAction:
    """Approve exactly what was proposed, checked against a fresh read of the order.

    Above the limit in the approver's policy, `signed` must be their passkey's signature of it.

    Once every required approval is given, the action is queued for Shopify. Reads Shopify first,
    so don't call it inside a transaction. Raises ActionRefused, ShopUnreachable, and StalePreview
    when the action may no longer be carried out (it expired, or the order or its requester's
    rights changed); the action then ends.
    """
    order = OrderAction.objects.select_related("order__store").get(pk=action_id).order
    get_gateway().refresh(order)
    stale: tuple[Outcome, str] | None = None
    with transaction.atomic(durable=True):
        action = locked(action_id)
        if refusal := approval_refusal(action, by) or guard(action.order):
            raise ActionRefused(refusal)
        signature = _checked_signature(action, by, signed, now)
        stale = _why_stale(action, now)
        if stale:
            outcome, text = stale
            move(
                action,
                ActionState.EXPIRED,
                by=by,
                settled_at=now,
                message=text,
                outcome=outcome,
            )
        else:
            _record_approval(action, by, now, signature)
        tell(action.order_id)
    if stale:
        outcome, text = stale
        raise StalePreview(text or status_texts.label(outcome), outcome=outcome)
    return action


def needs_signature(action: OrderAction, by: User) -> bool:
    """Whether this person's approval of this action requires their passkey."""
    return policies.needs_signature(policies.policy_of(by, action.order.store), action)


def signing_request(action: OrderAction, by: User, *, now: datetime) -> tuple[str, str, bytes]:
    """Return what a request for a signature consists of: nonce, time, and the challenge to sign."""
    nonce, at = approval_signatures.new_nonce(), now.isoformat()
    text = approval_signatures.document(action, by, nonce=nonce, at=at)
    return nonce, at, approval_signatures.challenge_of(text)


def _checked_signature(
    action: OrderAction, by: User, signed: Signed | None, now: datetime
) -> dict[str, str]:
    """Return the signature as the log keeps it; empty if none is needed or given.

    One that is given must be valid, needed or not: callers take it as proof of who is there. Raises
    ActionRefused.

    The document is built again from the locked action, so a signature of anything else fails.
    """
    if signed is None:
        if not needs_signature(action, by):
            return {}
        raise ActionRefused(
            Refusal(
                "signature_needed",
                _("Approving this requires your passkey."),
                _("Use “Approve with passkey” on the Decisions page."),
            )
        )
    if not 0 <= approval_signatures.age_s(signed.at, now=now) <= _SIGNED_WITHIN.total_seconds():
        raise ActionRefused(Refusal("signature_late", _("That took too long."), _("Try again.")))
    try:
        text = approval_signatures.document(action, by, nonce=signed.nonce, at=signed.at)
        return approval_signatures.check(signed, text)
    except SignatureRefused as error:
        logger.warning("approval of action %s: signature refused: %s", action.pk, error)
        raise ActionRefused(
            Refusal(
                "signature_refused",
                _("The passkey’s signature isn’t valid for this request."),
                _("Reload the page and try again."),
            )
        ) from error


def _why_stale(action: OrderAction, now: datetime) -> tuple[Outcome, str] | None:
    """The outcome and message of an action that can no longer be carried out, now or later."""
    if action.expires_at and action.expires_at <= now:
        return Outcome.NOT_APPROVED, ""
    objection = objection_to(action, action.order, step=0, now=now)
    if objection is None or objection.can_pass:
        return None
    return objection.outcome, objection.refusal.reason


@refused_when_busy()
def decline(*, action_id: int, by: User, note: str, now: datetime) -> OrderAction:
    """Decline an action that awaits approval, before anything is sent. Raises ActionRefused."""
    with transaction.atomic(durable=True):
        action = locked(action_id)
        if refusal := approval_refusal(action, by):
            raise ActionRefused(refusal)
        declined = _("Declined by %s.") % by.get_username()
        text = f"{declined} {note.strip()}".strip()
        move(
            action,
            ActionState.DECLINED,
            by=by,
            settled_at=now,
            message=text,
            outcome=Outcome.DECLINED,
        )
        tell(action.order_id)
    return action


def expire_approvals(*, now: datetime) -> int:
    """Expire actions that were not approved in time; return how many."""
    overdue = OrderAction.objects.filter(
        state=ActionState.AWAITING_APPROVAL, expires_at__lte=now
    ).values_list("pk", flat=True)
    ended = 0

    def expire(action_id: int) -> None:
        nonlocal ended
        with transaction.atomic(durable=True):
            action = locked(action_id)
            if action.state == ActionState.AWAITING_APPROVAL and move(
                action, ActionState.EXPIRED, settled_at=now, outcome=Outcome.NOT_APPROVED
            ):
                ended += 1
                tell(action.order_id)

    # One action that fails to expire must not hold up the others.
    sweeps.each(list(overdue[:100]), expire)
    return ended


@refused_when_busy()
def settle_by_hand(
    *, action_id: int, by: User, was_applied: bool, reason: str, now: datetime
) -> OrderAction:
    """Settle an action the way a supervisor found it after comparing it with Shopify.

    Reads the order first, which may settle the action without their decision. An order that
    cannot be read (deleted, app uninstalled, unreachable for a day) is settled without a read,
    and the action's message says so.

    Raises ActionRefused if `by` is not a supervisor, if the reason is empty, if the action no
    longer needs a decision, or if what Shopify shows or has confirmed contradicts it. Raises
    ShopUnreachable if reading again shortly may still answer the question.
    """
    if not reason.strip():
        raise ActionRefused(Refusal("reason_missing", _("Write what you found in Shopify.")))
    if refusal := settling_refusal(by):
        raise ActionRefused(refusal)
    order = OrderAction.objects.select_related("order__store").get(pk=action_id).order
    try:
        get_gateway().refresh(order)
        was_read = True
    except ShopUnreachable as error:
        if not error.is_lasting and _was_read_lately(order, now):
            raise
        was_read = False
    with transaction.atomic(durable=True):
        action = locked(action_id)
        if refusal := settling_refusal(by):
            raise ActionRefused(refusal)
        if action.state != ActionState.NEEDS_HUMAN:
            text = _("This no longer needs a decision: it is settled.")
            raise ActionRefused(Refusal("not_open", text))
        evidence = _evidence_of(action) if was_read else Evidence()
        if refusal := _evidence_refusal(
            action, evidence, was_applied=was_applied, was_read=was_read
        ):
            raise ActionRefused(refusal)
        text = (
            _("Settled by %(who)s: %(why)s")
            if was_read
            else _("Settled by %(who)s without reading Shopify: %(why)s")
        )
        message = text % {"who": by.get_username(), "why": reason.strip()}
        by_hand = Outcome.DONE_BY_HAND if was_applied else Outcome.NOT_DONE_BY_HAND
        end = Settled(
            _settled_state(action, evidence, was_applied), message, evidence.refund_gid, by_hand
        )
        columns = ending(end, now=now)
        if end.state == ActionState.REJECTED:
            columns["maybe_applied"] = False
        if move(action, end.state, by=by, **columns):
            audit.record(
                AuditKind.SETTLED_BY_HAND,
                actor=by,
                store_id=action.order.store_id,
                order_id=action.order_id,
                action_id=action.pk,
                after=end.state,
                amount=action.money,
                was_read=was_read,
            )
            record_failure(action, end, now=now)
        tell(action.order_id)
    return action


def _was_read_lately(order: Order, now: datetime) -> bool:
    return order.read_started_at is not None and now - order.read_started_at < _UNREACHABLE_FOR


@dataclass(frozen=True, slots=True)
class Evidence:
    """What Shopify shows of an action: whether the order is canceled, whether this action canceled
    it, and a refund of its amount that no other action made ("" if there is none)."""

    is_canceled: bool = False
    is_canceled_by_it: bool = False
    refund_gid: str = ""


def _evidence_of(action: OrderAction) -> Evidence:
    snapshot = action.order.snapshot
    others = action.order.actions.exclude(pk=action.pk).exclude(refund_gid="")
    taken = set(others.values_list("refund_gid", flat=True))
    refunds = [
        r.gid
        for r in snapshot.refunds
        if r.gid not in taken
        # A note with another action's marker belongs to that action's refund.
        and (not has_marker(r.note) or action.note_marker in r.note)
        and r.total.presentment == action.money
        # Leeway: Shopify's timestamps are whole seconds from its own clock.
        and (r.created_at is None or r.created_at >= action.requested_at - timedelta(minutes=1))
    ]
    return Evidence(
        is_canceled=snapshot.cancelled_at is not None,
        is_canceled_by_it=canceled_by(action, snapshot),
        refund_gid=action.refund_gid or next(iter(refunds), ""),
    )


def _evidence_refusal(
    action: OrderAction, evidence: Evidence, *, was_applied: bool, was_read: bool
) -> Refusal | None:
    """Why what Shopify shows or has confirmed rules out settling the action this way; else None."""
    if not was_applied:
        if action.refund_gid:
            return Refusal(
                "was_accepted",
                _("Shopify confirmed this refund (%s): it was applied.") % action.refund_gid,
            )
        return None
    if not was_read:
        return None
    if action.kind != ActionKind.REFUND and not evidence.is_canceled:
        return Refusal("no_evidence", _("Shopify shows the order, and it isn’t canceled."))
    if action.kind != ActionKind.CANCEL and not evidence.refund_gid:
        return Refusal(
            "no_evidence",
            _("Shopify shows no refund of %s on this order other than those of other actions.")
            % (action.money.format() if action.money else "–"),
        )
    return None


def _settled_state(action: OrderAction, evidence: Evidence, was_applied: bool) -> ActionState:
    if was_applied:
        return ActionState.SUCCEEDED
    # The cancellation happened; only the refund did not.
    if action.kind == ActionKind.CANCEL_AND_REFUND and evidence.is_canceled_by_it:
        return ActionState.PARTIAL
    return ActionState.REJECTED


@refused_when_busy()
def keep_money(*, order_id: int, by: User, reason: str, seen: Decimal | None = None) -> Order:
    """Record a supervisor's decision that the shop keeps what is left of an order's money.

    It stands until that sum changes. `seen` is the sum they decided about; if it isn't what is left
    now, it is refused. Raises ActionRefused.
    """
    if not reason.strip():
        raise ActionRefused(Refusal("reason_missing", _("Say why the money is kept.")))
    with transaction.atomic(durable=True):
        order = Order.objects.select_for_update(of=("self",)).get(pk=order_id)
        if refusal := settling_refusal(by):
            raise ActionRefused(refusal)
        if refusal := rules.incomplete_refusal(order.snapshot):
            raise ActionRefused(refusal)
        if seen is not None and seen != order.net_payment:
            text = _("The sum has changed: %(sum)s is left now.")
            left = {"sum": Money(order.net_payment, order.currency).format()}
            raise ActionRefused(Refusal("sum_changed", text % left, _("Decide again.")))
        order.kept, order.kept_by, order.kept_reason = order.net_payment, by, reason.strip()[:255]
        order.save(update_fields=["kept", "kept_by", "kept_reason"])
        audit.record(
            AuditKind.MONEY_KEPT,
            actor=by,
            store_id=order.store_id,
            order_id=order.pk,
            amount=Money(order.net_payment, order.currency),
        )
        tell(order.pk)
    return order


def _record_approval(
    action: OrderAction, by: User, now: datetime, signature: dict[str, str]
) -> None:
    """Count one approval; the last one that is needed queues the action."""
    is_first = action.approved_by_id is None
    approver = {"approved_by_id" if is_first else "co_approved_by_id": by.pk}
    given = 1 if is_first else 2
    proof: dict[str, Any] = {"signature": signature} if signature else {}
    audit.record(
        AuditKind.APPROVAL,
        actor=by,
        store_id=action.order.store_id,
        order_id=action.order_id,
        action_id=action.pk,
        amount=action.money,
        given=given,
        needed=action.approvals_needed,
        **proof,
    )
    if given < action.approvals_needed:
        OrderAction.objects.filter(pk=action.pk, state=action.state).update(**approver)
        tell_deciders(action)
        return
    sends_until = {"expires_at": now + SEND_WITHIN}
    move(action, ActionState.QUEUED, by=by, next_attempt_at=now, **sends_until, **approver)
    transaction.on_commit(lambda: worker_steps.wake(action.pk), robust=True)
