"""What an agent may ask for, and take back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from orders import previews, rules
from orders.errors import ActionRefused, Refusal, StalePreview
from orders.gateway import get_gateway
from orders.models import ActionKind, ActionState, Order, OrderAction
from orders.signals import order_changed


def request_action(
    *,
    token: str,
    order_id: int,
    by: User,
    now: datetime,
    origin: str = "",
    click: str = "",
) -> OrderAction:
    """Write down what the agent confirmed; it leaves for Shopify after commit.

    `click` names the confirmation (an API's Idempotency-Key); empty takes the summary's own
    nonce. The same click again returns the same action; the same click with another content
    is refused. Opens its own transaction. Raises ActionRefused, and StalePreview when the
    order is no longer what the summary showed.
    """
    confirmed = previews.open_token(token, by=by)
    if confirmed.order_id != order_id:
        raise StalePreview(_("This summary is of another order: review the order again."))
    nonce = click or confirmed.nonce
    if earlier := OrderAction.objects.filter(requested_by_id=by.pk, nonce=nonce).first():
        return _same_click(earlier, confirmed)
    try:
        with transaction.atomic(durable=True):
            order = Order.objects.select_for_update(of=("self",)).get(pk=confirmed.order_id)
            _check(order, confirmed.proposal, now)
            action = _create(order, confirmed, by=by, nonce=nonce, origin=origin)
            _announce(action)
    except IntegrityError:
        if earlier := OrderAction.objects.filter(requested_by_id=by.pk, nonce=nonce).first():
            return _same_click(earlier, confirmed)
        # orders_one_active_action caught a colleague; anything else is a bug of ours.
        if active := OrderAction.objects.active().filter(order_id=confirmed.order_id).first():
            raise ActionRefused(active_refusal(active)) from None
        raise
    return action


def withdraw(*, action_id: int, by: User, now: datetime) -> OrderAction:
    """Take back an action of which nothing was sent. Raises ActionRefused if it is too late."""
    with transaction.atomic(durable=True):
        waiting = OrderAction.objects.filter(
            pk=action_id,
            state__in=[ActionState.QUEUED, ActionState.BLOCKED],
            maybe_applied=False,
        )
        withdrawn = waiting.update(
            state=ActionState.WITHDRAWN,
            settled_at=now,
            message=_("Withdrawn by %s.") % by.get_username(),
        )
        action = OrderAction.objects.select_related("order").get(pk=action_id)
        if not withdrawn:
            reason = _("It is too late to withdraw this: it was sent to Shopify.")
            raise ActionRefused(Refusal("already_sent", reason))
        transaction.on_commit(
            lambda: order_changed.send(OrderAction, order_id=action.order_id), robust=True
        )
    return action


def active_refusal(active: OrderAction) -> Refusal:
    who = active.requested_by.get_username()
    return Refusal(
        "action_active",
        _("%(who)s has already started: %(what)s.")
        % {"who": who, "what": active.get_kind_display()},
        _("Wait until Shopify has answered."),
    )


def _check(order: Order, proposal: previews.Proposal, now: datetime) -> None:
    """The rules once more, under the order's lock."""
    if order.deleted_at or not order.document:
        raise ActionRefused(Refusal("gone", _("Shopify no longer has this order.")))
    if active := order.actions.active().select_related("requested_by").first():
        raise ActionRefused(active_refusal(active))
    if proposal.kind == ActionKind.REFUND:
        refusal = rules.refund_refusal(order.snapshot)
    else:
        refusal = previews.cancel_refusal_for(order, now=now)
        if not refusal and not proposal.shipments_to_cancel and rules.net_paid(order.snapshot):
            refusal = rules.shipment_refusal(order.snapshot)
    # An administrator may have switched store credit off since the summary.
    refusal = refusal or previews.method_refusal(order, proposal.method)
    if refusal:
        raise ActionRefused(refusal)
    if changes := previews.changes(proposal.facts, previews.facts(order.snapshot)):
        raise StalePreview(" ".join(changes))


def _create(
    order: Order,
    confirmed: previews.Confirmed,
    *,
    by: User,
    nonce: str,
    origin: str,
) -> OrderAction:
    proposal = confirmed.proposal
    content: dict[str, Any] = previews.encode_proposal(proposal)
    action = OrderAction(
        order=order,
        kind=proposal.kind,
        requested_by_id=by.pk,
        origin=origin,
        nonce=nonce,
        digest=confirmed.digest,
        proposal=content,
        amount=proposal.amount.amount if proposal.amount else None,
        currency=proposal.amount.currency if proposal.amount else "",
        reason=proposal.reason,
        staff_note=proposal.staff_note,
        notify=proposal.notify,
        returned=proposal.returned,
    )
    # Frozen now, with key and marker: every try sends these bytes and no others.
    action.steps = get_gateway().plan(action)
    action.save(force_insert=True)
    return action


def _announce(action: OrderAction) -> None:
    # Robust: with the broker down the row still stands, and the sweep will find it.
    transaction.on_commit(lambda: get_gateway().wake(action.pk), robust=True)
    transaction.on_commit(
        lambda: order_changed.send(OrderAction, order_id=action.order_id), robust=True
    )


def _same_click(earlier: OrderAction, confirmed: previews.Confirmed) -> OrderAction:
    if earlier.digest != confirmed.digest:
        reason = _("This confirmation was already used for another action.")
        raise ActionRefused(Refusal("click_reused", reason, _("Review the order again.")))
    return earlier
