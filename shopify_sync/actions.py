"""Carrying out an OrderAction at Shopify: claim, read, decide, send, sort the answer.

Everything that must not happen twice hangs on three things: the row with its frozen bytes and
key, a read before every send, and moves by compare-and-set (orders.services.performing).
"""

from __future__ import annotations

import logging
import random
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone
from django.utils.translation import gettext as _

from orders import progress, services
from orders.failpoints import failpoint
from orders.models import ActionState, OrderAction
from orders.progress import Contradiction, Goal, Job, Settled, ToSend, Waiting
from orders.services import record_snapshot
from shopify_sync import breaker, ingest, mapping
from shopify_sync.client import AdminClient
from shopify_sync.connections import client_for, note_error
from shopify_sync.errors import NeedsAdmin, NotApplied, OutcomeUnknown, ShopifyError, Throttled

logger = logging.getLogger(__name__)

_BACKOFF_S: Final = (1, 2, 5, 10, 30, 60, 120, 300)
_POLL_S: Final = (1, 1, 2, 3, 5, 8, 13, 30, 60)
# A refusal after a doubtful send is believed only once a late commit would have shown.
_LATE_COMMIT: Final = timedelta(minutes=2)
_MAX_SENDS_A_CLAIM: Final = 10
_IN_PROGRESS: Final = ("already in progress", "currently in progress")
_USER_ERRORS: Final = {
    Goal.CANCEL_SHIPMENT: ("fulfillmentCancel", "userErrors"),
    Goal.CANCEL_ORDER: ("orderCancel", "orderCancelUserErrors"),
    Goal.REFUND: ("refundCreate", "userErrors"),
}


def perform(action_id: int) -> None:
    """Take a due action as far as it goes now. May be called any number of times, by anyone."""
    if not _may_try(action_id):
        return
    action = services.claim(action_id=action_id, now=timezone.now())
    if action is None:
        return
    failpoint("claimed")
    try:
        client = client_for(action.order.store)
        for _send in range(_MAX_SENDS_A_CLAIM):
            if not _advance(action, client):
                return
        _put_down(action, ActionState.PENDING, wait_s=1)
    except NeedsAdmin as error:
        note_error(action.order.store, error, now=timezone.now())
        _put_down(action, _resting(action, ActionState.BLOCKED), wait_s=60, message=str(error))
    except Throttled as error:
        _put_down(action, _resting(action), wait_s=error.retry_after_s)
    except (ShopifyError, mapping.MalformedAnswer) as error:
        # Only reads end here: sends sort their own errors.
        breaker.note_trouble(action.order.store_id, now=timezone.now())
        _put_down(action, _resting(action), message=_("Shopify cannot be read just now."))
        logger.warning("action %s: %s", action.pk, error)


def _may_try(action_id: int) -> bool:
    """Whether the store's breaker lets this action through; else it waits as long as told."""
    now = timezone.now()
    due = OrderAction.objects.due(now=now).filter(pk=action_id)
    store_id = due.values_list("order__store_id", flat=True).first()
    if store_id is None:
        return False
    wait_s = breaker.wait_s(store_id, now=now)
    if wait_s:
        rested = OrderAction.objects.filter(pk__in=due.values("pk")).exclude(
            state=ActionState.SENDING
        )
        rested.update(next_attempt_at=now + timedelta(seconds=wait_s))
    return not wait_s


def _advance(action: OrderAction, client: AdminClient) -> bool:
    """One read and at most one send. True: look again at once."""
    started = timezone.now()
    if not services.renew(action, now=started):
        return False
    seq = action.order.dirty_seq
    snapshot = ingest.read_snapshot(client, action.order.gid)
    now = timezone.now()
    breaker.note_success(action.order.store_id)
    failpoint("read")
    if snapshot is None:
        services.settle(
            action, Settled(ActionState.REJECTED, _("Shopify no longer has this order.")), now=now
        )
        return False
    job, job_message = _job(action, client)
    record_snapshot(
        order=action.order, snapshot=snapshot, seq=seq, read_started_at=started, now=now
    )
    move = progress.next_move(action, snapshot, job=job, job_message=job_message, now=now)
    match move:
        case Settled():
            services.settle(action, move, now=now)
        case Waiting():
            _wait(action, move.message)
        case Contradiction():
            services.human_needed(action, message=move.message)
        case ToSend():
            return _send(action, move.step, client)
    return False


def _send(action: OrderAction, index: int, client: AdminClient) -> bool:
    """Send one step. True: it was accepted, look what it did."""
    step = action.steps[index]
    was_doubtful = action.is_doubtful and action.step == index
    was_applied = action.maybe_applied
    if not services.begin_step(action, step=index, now=timezone.now()):
        return False
    failpoint("begun")
    try:
        data = client.execute(step["document"], step["variables"])
        failpoint("answered")
    except OutcomeUnknown as error:
        breaker.note_trouble(action.order.store_id, now=timezone.now())
        logger.warning("action %s step %s: %s", action.pk, index, error)
        _put_down(action, ActionState.UNKNOWN)
        return False
    except NotApplied as error:
        undone = {"is_doubtful": was_doubtful, "maybe_applied": was_applied}
        return _not_applied(action, error, undone)
    payload, errors = _user_errors(step["goal"], data)
    if errors is None:
        _put_down(action, ActionState.UNKNOWN)
        return False
    if errors:
        return _refused(action, errors, was_doubtful=was_doubtful, was_applied=was_applied)
    return _accepted(action, step["goal"], payload)


def _accepted(action: OrderAction, goal: str, payload: dict[str, Any]) -> bool:
    if goal != Goal.CANCEL_ORDER:
        return _keep(action, is_doubtful=False)
    # Accepted is not done: Shopify cancels by itself, and the order will show it.
    job = payload.get("jobResult") or payload.get("job") or {}
    job_gid = str(job.get("id") or "")
    _put_down(action, ActionState.PENDING, wait_s=_POLL_S[0], job_gid=job_gid, is_doubtful=False)
    return False


def _refused(
    action: OrderAction, errors: list[str], *, was_doubtful: bool, was_applied: bool
) -> bool:
    """userErrors: a plain no on the first send; after a doubtful one, only reading decides."""
    text = " ".join(errors)
    now = timezone.now()
    if any(phrase in text for phrase in _IN_PROGRESS):
        _put_down(action, ActionState.UNKNOWN, message=text)
        return False
    sent_at = action.step_first_sent_at or now
    if was_doubtful and now - sent_at < _LATE_COMMIT:
        _put_down(action, ActionState.UNKNOWN, message=text)
        return False
    earlier_goals = {s["goal"] for s in action.steps[: action.step]}
    state = ActionState.PARTIAL if Goal.CANCEL_ORDER in earlier_goals else ActionState.REJECTED
    services.settle(action, Settled(state, text), now=now, maybe_applied=was_applied)
    return False


def _not_applied(action: OrderAction, error: NotApplied, undone: dict[str, Any]) -> bool:
    if isinstance(error, NeedsAdmin):
        note_error(action.order.store, error, now=timezone.now())
        state = ActionState.UNKNOWN if undone["is_doubtful"] else ActionState.BLOCKED
        _put_down(action, state, wait_s=60, message=str(error), **undone)
    elif isinstance(error, Throttled):
        state = ActionState.UNKNOWN if undone["is_doubtful"] else ActionState.QUEUED
        _put_down(action, state, wait_s=error.retry_after_s, **undone)
    else:
        state = ActionState.UNKNOWN if undone["is_doubtful"] else ActionState.QUEUED
        _put_down(action, state, message=str(error), **undone)
    return False


def _job(action: OrderAction, client: AdminClient) -> tuple[Job, str]:
    """What Shopify says of its cancelation, where one was accepted."""
    if not action.job_gid or "OrderCancelJobResult" not in action.job_gid:
        return Job.NONE, ""
    node = client.read("OrderCancelJob", {"id": action.job_gid}).get("node") or {}
    errors = [str(e.get("message")) for e in node.get("errors") or () if e]
    states = {"STARTED": Job.OPEN, "SUCCEEDED": Job.SUCCEEDED, "FAILED": Job.FAILED}
    return states.get(node.get("status", ""), Job.NONE), " ".join(errors)


def _user_errors(goal: str, data: dict[str, Any]) -> tuple[dict[str, Any], list[str] | None]:
    """The payload and its refusals; None for refusals when the payload is missing."""
    field, errors_field = _USER_ERRORS[Goal(goal)]
    payload = data.get(field)
    if not isinstance(payload, dict) or not isinstance(payload.get(errors_field), list):
        return {}, None
    return payload, [str(e.get("message", "")) for e in payload[errors_field] if e]


def _wait(action: OrderAction, message: str) -> None:
    wait_s = _POLL_S[min(action.attempts, len(_POLL_S) - 1)]
    _put_down(action, ActionState.PENDING, wait_s=wait_s, message=message)


def _resting(action: OrderAction, undecided: ActionState = ActionState.QUEUED) -> ActionState:
    """Where an action waits whose reading failed: by what is known of its sending."""
    if action.is_doubtful:
        return ActionState.UNKNOWN
    return ActionState.PENDING if action.maybe_applied else undecided


def _put_down(
    action: OrderAction,
    state: ActionState,
    *,
    wait_s: float | None = None,
    message: str = "",
    **changes: Any,
) -> None:
    if wait_s is None:
        ceiling = _BACKOFF_S[min(action.attempts, len(_BACKOFF_S) - 1)]
        wait_s = random.uniform(ceiling / 2, ceiling)  # noqa: S311  jitter, not a secret
    again_at: datetime = timezone.now() + timedelta(seconds=wait_s)
    if services.release(action, state=state, again_at=again_at, message=message, **changes):
        from shopify_sync.tasks import ring_for_action

        ring_for_action(action.pk, wait_s)


def _keep(action: OrderAction, **changes: Any) -> bool:
    """Write progress without giving up the claim. False: the lease was lost."""
    return services.keep(action, **changes)
