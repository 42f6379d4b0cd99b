"""A worker's session with a shop: read an action's order, send a step, say what the answer proves.

The implementation of orders.shopify_port.ActionSession; orders.perform decides what to do next.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

from django.utils import timezone

from core.failpoints import failpoint
from orders.models import OrderAction
from orders.shopify_port import ActionRead, Answer, Job, NoOutcome, NotDone, Obstacle
from orders.snapshot import OrderSnapshot
from shopify_sync import mapping
from shopify_sync.actions import answers
from shopify_sync.api import breaker
from shopify_sync.api.client import AdminClient
from shopify_sync.api.errors import (
    NeedsAdmin,
    NotApplied,
    OutcomeUnknown,
    Refused,
    ShopifyError,
    Throttled,
)
from shopify_sync.reading import orders
from shopify_sync.stores.clients import (
    client_for,
    note_error,
)

logger = logging.getLogger(__name__)


class ShopifyActionSession:
    """Implements orders.shopify_port.ActionSession, which documents what each method promises."""

    def __init__(self, action: OrderAction, *, renew: Callable[[], bool]) -> None:
        """Make no request yet: the first read opens the connection."""
        self._action = action
        self._renew = renew
        self._client: AdminClient | None = None

    def read(self) -> ActionRead | NotDone | None:
        """Read the job, then the order, then a refund that the order's list cut off."""
        store_id = self._action.order.store_id
        try:
            found = self._read(self._connected())
        except (NeedsAdmin, Throttled) as error:
            return self._not_applied(error)
        except (ShopifyError, mapping.MalformedAnswer) as error:
            breaker.note_trouble(store_id, now=timezone.now())
            logger.warning("action %s: %s", self._action.pk, error)
            return NotDone(Obstacle.OUT_OF_REACH, str(error))
        if found is not None:
            breaker.note_success(store_id)
        return found

    def send(self, step: int) -> Answer:
        """Send the frozen bytes, never a document of today's."""
        action = self._action
        try:
            data = self._connected().send(action.steps[step])
            failpoint("answered")
        except OutcomeUnknown as error:
            breaker.note_trouble(action.order.store_id, now=timezone.now())
            logger.warning("action %s step %s: %s", action.pk, step, error)
            return NoOutcome()
        except NotApplied as error:
            return self._not_applied(error)
        return answers.classify(action, step, data)

    def _connected(self) -> AdminClient:
        """Return the session's client. The first read makes it, so that no send renews a token."""
        if self._client is None:
            self._client = client_for(self._action.order.store)
            # A long order takes many requests, so renew the claim between them. The result doesn't
            # matter here: a lost claim is noticed before the next send.
            self._client.keep_alive = self._renew
        return self._client

    def _read(self, client: AdminClient) -> ActionRead | None:
        action = self._action
        if not self._renew():
            return None
        # Read the job before the order, so that whatever a finished job did shows in the order.
        job, job_message = _job(action, client)
        started = timezone.now()
        if not self._renew():
            return None
        snapshot = orders.read_snapshot(client, action.order.gid)
        if snapshot is not None:
            snapshot = _with_own_refund(action, snapshot, client)
        return ActionRead(
            snapshot=snapshot, read_started_at=started, job=job, job_message=job_message
        )

    def _not_applied(self, error: NotApplied) -> NotDone:
        match error:
            case NeedsAdmin():
                note_error(self._action.order.store, error, now=timezone.now())
                return NotDone(Obstacle.NEEDS_ADMIN, str(error))
            case Throttled():
                return NotDone(Obstacle.THROTTLED, str(error), error.retry_after_s)
            case Refused():
                return NotDone(Obstacle.BAD_REQUEST, str(error))
        return NotDone(Obstacle.OUT_OF_REACH, str(error))


def _with_own_refund(
    action: OrderAction, snapshot: OrderSnapshot, client: AdminClient
) -> OrderSnapshot:
    """Add the action's own refund to the snapshot if the list of refunds was cut off.

    Its ID is known, so it's read by that. A list that was read to its end is trusted: a refund
    missing from it has yet to appear.
    """
    gids = {refund.gid for refund in snapshot.refunds}
    if not action.refund_gid or action.refund_gid in gids or "refunds" not in snapshot.unread:
        return snapshot
    data = client.read("Refund", {"id": action.refund_gid}).get("refund")
    if data is None:
        return snapshot
    own = mapping.refund_snapshot(data, snapshot.shop_currency, snapshot.currency)
    return dataclasses.replace(snapshot, refunds=(*snapshot.refunds, own))


def _job(action: OrderAction, client: AdminClient) -> tuple[Job, str]:
    """Return the state and errors of an accepted cancellation's job.

    Job.NONE if there is no such job; Shopify keeps jobs only for a while.
    """
    if not action.job_gid or "OrderCancelJobResult" not in action.job_gid:
        return Job.NONE, ""
    try:
        node = client.read("OrderCancelJob", {"id": action.job_gid}).get("node") or {}
    except Refused:
        # For an ID it no longer knows, Shopify may return an error instead of null.
        return Job.NONE, ""
    errors = [mapping.to_text(e.get("message")) for e in node.get("errors") or () if e]
    states = {"STARTED": Job.OPEN, "SUCCEEDED": Job.SUCCEEDED, "FAILED": Job.FAILED}
    return states.get(node.get("status", ""), Job.NONE), " ".join(errors)
