"""Requesting an action on an order, and withdrawing it before it is sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from orders import policies, previews
from orders.actions import transitions, worker_steps
from orders.actions.eligibility import (
    rule,
    rule_refusal,
)
from orders.actions.transitions import (
    move,
    tell,
)
from orders.actions.worker_steps import SEND_WITHIN
from orders.errors import ActionRefused, Refusal, StalePreview
from orders.lock_waits import refused_when_busy
from orders.models import ActionKind, ActionState, Order, OrderAction, Outcome
from orders.policies import Ruling
from orders.shopify_port import Goal, get_gateway

# An approval that was not given by then has to be requested again, on a fresh preview.
APPROVAL_WITHIN: Final = timedelta(hours=4)
# A check that only the caller (a view or an API endpoint) can make, such as whose order it is. It
# runs under the order's lock, in the transaction that writes the action; a caller that also checks
# earlier merely fails sooner.
Guard = Callable[[Order], Refusal | None]


@refused_when_busy()
def request_action(
    *,
    token: str,
    order_id: int,
    by: User,
    guard: Guard,
    now: datetime,
    origin: str = "",
    click: str = "",
    is_proposal: bool = False,
) -> OrderAction:
    """Create the action that the agent confirmed.

    Unless it awaits approval, a worker sends it to Shopify after commit. With `is_proposal`,
    another person has to approve it even if the agent's policy doesn't ask for that.

    `click` identifies the confirmation (the API's Idempotency-Key); if empty, the token's nonce
    does. Repeating a click returns the same action; reusing it for other content is refused.
    Opens its own transaction. Raises ActionRefused, and StalePreview when the order is no longer
    what the summary showed.
    """
    confirmed = previews.open_token(token, by=by)
    if confirmed.order_id != order_id:
        raise StalePreview(_("This summary is for another order. Review the order again."))
    nonce = click or confirmed.nonce
    if earlier := OrderAction.objects.filter(requested_by_id=by.pk, nonce=nonce).first():
        return _same_click(earlier, confirmed)
    try:
        with transaction.atomic(durable=True):
            orders = Order.objects.select_for_update(of=("self",)).select_related("store")
            order = orders.get(pk=confirmed.order_id)
            # The same click may have won while this one waited for the lock.
            if earlier := OrderAction.objects.filter(requested_by_id=by.pk, nonce=nonce).first():
                return _same_click(earlier, confirmed)
            if refusal := guard(order):
                raise ActionRefused(refusal)
            ruling = _check(order, confirmed.proposal, by=by, now=now)
            if is_proposal and not ruling.approvals:
                why = _("Requested by a program that needs approval.")
                ruling = Ruling(approvals=1, why=why, why_for_others=why)
            action = _create(order, confirmed, ruling, by=by, nonce=nonce, origin=origin, now=now)
            _announce(action)
    except IntegrityError:
        if earlier := OrderAction.objects.filter(requested_by_id=by.pk, nonce=nonce).first():
            return _same_click(earlier, confirmed)
        # orders_one_active_action: a colleague's action came first. Anything else is our bug.
        if active := OrderAction.objects.active().filter(order_id=confirmed.order_id).first():
            raise ActionRefused(active_refusal(active)) from None
        raise
    return action


def earlier_action(*, token: str, order_id: int, by: User, click: str = "") -> OrderAction | None:
    """Return the action this click already created, for the person who clicked.

    A response that got lost can be given again, no matter what has changed since: the order, the
    person's rights, or the token's age. None: it is the first time, or the token isn't theirs.
    Raises ActionRefused if the click was used for other content.
    """
    try:
        confirmed = previews.read_token(token, by=by)
    except StalePreview:
        return None
    rows = OrderAction.objects.select_related("order__store", "requested_by", "approved_by")
    earlier = rows.filter(requested_by_id=by.pk, nonce=click or confirmed.nonce).first()
    if earlier is None:
        return None
    if earlier.order_id != order_id:
        raise ActionRefused(_click_reused())
    return _same_click(earlier, confirmed)


@refused_when_busy()
def withdraw(*, action_id: int, by: User, now: datetime) -> OrderAction:
    """Withdraw an action before anything is sent. Raises ActionRefused if it is too late."""
    with transaction.atomic(durable=True):
        action = locked(action_id)
        message = _("Withdrawn by %s.") % by.get_username()
        if not action.can_be_withdrawn or not move(
            action,
            ActionState.WITHDRAWN,
            by=by,
            settled_at=now,
            message=message,
            outcome=Outcome.WITHDRAWN,
        ):
            reason = _("It’s too late to withdraw this. It was sent to Shopify.")
            raise ActionRefused(Refusal("already_sent", reason))
        tell(action.order_id)
    return action


def check_now(*, action_id: int, now: datetime) -> None:
    """Read Shopify for this action now instead of at its next attempt. Sends nothing new."""
    waiting = OrderAction.objects.filter(
        pk=action_id, state__in=[ActionState.UNKNOWN, ActionState.PENDING, ActionState.BLOCKED]
    )
    if waiting.update(next_attempt_at=now):
        worker_steps.wake(action_id)


def active_refusal(active: OrderAction) -> Refusal:
    """Refuse a second action while `active` is still under way on the order."""
    who = active.requested_by.get_username()
    return Refusal(
        "action_active",
        _("%(who)s has already started: %(what)s.")
        % {"who": who, "what": active.get_kind_display()},
        _("Wait for Shopify to respond."),
    )


def _check(order: Order, proposal: previews.Proposal, *, by: User, now: datetime) -> Ruling:
    """Check what is checked again before sending; return the ruling. Expects the order's lock."""
    if refusal := policies.acting_refusal(by):
        raise ActionRefused(refusal)
    if active := order.actions.active().select_related("requested_by").first():
        raise ActionRefused(active_refusal(active))
    goal = Goal.REFUND if proposal.kind == ActionKind.REFUND else Goal.CANCEL_ORDER
    refusal = rule_refusal(order, proposal, goal=goal, now=now)
    # If the sum no longer fits, a new summary with what changed explains it better than a refusal.
    if refusal and refusal.code not in {"amount_changed", "over_refund"}:
        raise ActionRefused(refusal)
    if changes := previews.changes(proposal.facts, previews.facts(order.snapshot)):
        raise StalePreview(" ".join(changes))
    if refusal:
        raise ActionRefused(refusal)
    ruling = rule(order, proposal, by=by, now=now)
    if ruling.refusal:
        raise ActionRefused(ruling.refusal)
    return ruling


def _create(
    order: Order,
    confirmed: previews.Confirmed,
    ruling: Ruling,
    *,
    by: User,
    nonce: str,
    origin: str,
    now: datetime,
) -> OrderAction:
    proposal = confirmed.proposal
    content: dict[str, object] = previews.encode_proposal(proposal)
    amount = proposal.amount
    action = OrderAction(
        order=order,
        kind=proposal.kind,
        requested_by_id=by.pk,
        origin=origin,
        nonce=nonce,
        digest=confirmed.digest,
        proposal=content,
        amount=amount.amount if amount else None,
        currency=amount.currency if amount else "",
        amount_shop=policies.in_shop_currency(amount, order).amount if amount else 0,
        reason=proposal.reason,
        staff_note=proposal.staff_note,
        notify=proposal.notify,
        returned=proposal.returned,
    )
    if ruling.approvals:
        action.state = ActionState.AWAITING_APPROVAL
        action.approvals_needed = ruling.approvals
        # Read by those who decide, so it speaks of the agent.
        action.why_approval = ruling.why_for_others
        action.expires_at = now + APPROVAL_WITHIN
    else:
        action.expires_at = now + SEND_WITHIN
        if order.store.undo_seconds:
            action.next_attempt_at = now + timedelta(seconds=order.store.undo_seconds)
    # Frozen now, with idempotency key and marker: every attempt sends exactly these bytes.
    action.steps = get_gateway().plan(action)
    transitions.reserve(order, action)
    action.save(force_insert=True)
    transitions.created(action, by)
    return action


def _announce(action: OrderAction) -> None:
    # Robust: if the broker is down, the row is committed anyway and the sweep will find it.
    if action.state == ActionState.QUEUED:
        after_s = action.order.store.undo_seconds
        transaction.on_commit(lambda: worker_steps.wake(action.pk, after_s=after_s), robust=True)
    tell(action.order_id)


def locked(action_id: int) -> OrderAction:
    """Lock the action's order, as every service does first, and return the action.

    Expects the caller's transaction. Raises DoesNotExist.
    """
    order_id = OrderAction.objects.values_list("order_id", flat=True).get(pk=action_id)
    Order.objects.select_for_update(of=("self",)).get(pk=order_id)
    return OrderAction.objects.select_related("order__store", "requested_by").get(pk=action_id)


def _same_click(earlier: OrderAction, confirmed: previews.Confirmed) -> OrderAction:
    # Two orders may have identical facts, so an equal digest alone does not prove the same request.
    if earlier.order_id != confirmed.order_id or earlier.digest != confirmed.digest:
        raise ActionRefused(_click_reused())
    return earlier


def _click_reused() -> Refusal:
    reason = _("This confirmation was already used for another action.")
    return Refusal("click_reused", reason, _("Review the order again."))
