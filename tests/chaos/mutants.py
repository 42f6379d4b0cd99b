"""The guards, each with the way to take it away. A test that survives its mutant proves nothing."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable
from typing import Any


def apply(name: str) -> None:
    """Take the named guard away in this process; "" leaves everything."""
    if name:
        _MUTANTS[name]()


def _fresh_key() -> None:
    """Every send gets a new idempotency key."""
    from shopify_sync.client import AdminClient

    real = AdminClient.execute

    def execute(self: AdminClient, name: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "idempotencyKey" in variables:
            variables = variables | {"idempotencyKey": str(uuid.uuid4())}
        return real(self, name, variables)

    AdminClient.execute = execute  # type: ignore[method-assign]


def _blind() -> None:
    """No read decides: what is not answered is sent again, and an answer is the truth."""
    from django.utils import timezone

    from orders.models import ActionState
    from orders.progress import Settled, ToSend
    from orders.services import performing, settlement
    from shopify_sync import actions

    def send(action: Any, snapshot: Any, **_: Any) -> ToSend:
        return ToSend(0)

    def accepted(action: Any, goal: str, payload: Any) -> bool:
        performing.settle(action, Settled(ActionState.SUCCEEDED), now=timezone.now())
        return False

    def nothing(*_: Any) -> bool:
        return False

    actions.progress.next_move = send  # type: ignore[assignment]
    actions._accepted = accepted  # type: ignore[assignment]
    settlement.is_evident = nothing  # type: ignore[assignment]


def _keyless_and_blind() -> None:
    _fresh_key()
    _blind()


def _trust_answers() -> None:
    """A refusal is a failure and an accepted job is success, whatever was sent before."""
    from datetime import timedelta

    from orders.models import ActionState
    from orders.progress import Settled
    from orders.services import performing
    from shopify_sync import actions

    actions._LATE_COMMIT = timedelta(0)  # type: ignore[misc]
    read = actions.progress.next_move

    def next_move(action: Any, snapshot: Any, **words: Any) -> Any:
        seen = dataclasses.replace(snapshot, cancelled_at=None) if not action.job_gid else snapshot
        return read(action, seen, **words)

    def accepted(action: Any, goal: str, payload: Any) -> bool:
        from django.utils import timezone

        performing.settle(action, Settled(ActionState.SUCCEEDED), now=timezone.now())
        return False

    actions.progress.next_move = next_move  # type: ignore[assignment]
    actions._accepted = accepted  # type: ignore[assignment]


def _ack_early() -> None:
    """The action counts as done when it is taken up, as a broker's early acknowledgement does."""
    from django.utils import timezone

    from orders.models import ActionState, OrderAction
    from shopify_sync import actions

    real = actions.services.claim

    def claim(**words: Any) -> Any:
        action = real(**words)
        if action is not None:
            now = timezone.now()
            OrderAction.objects.filter(pk=action.pk).update(
                state=ActionState.SUCCEEDED, evidence_at=now, settled_at=now
            )
        return action

    actions.services.claim = claim  # type: ignore[assignment]


def _believe_every_signature() -> None:
    """Whatever comes to the webhook door is taken for Shopify's."""
    from shopify_sync import receiver, views

    def signed(*_: Any) -> bool:
        return True

    receiver.is_signed = signed  # type: ignore[assignment]
    views.is_signed = signed  # type: ignore[assignment]


def _nothing() -> None:
    """The case itself leaves the guard out."""


_MUTANTS: dict[str, Callable[[], None]] = {
    "no signature check": _believe_every_signature,
    "no reconciliation": _nothing,
    "fresh key": _fresh_key,
    "no read": _blind,
    "no key and no read": _keyless_and_blind,
    "answers trusted": _trust_answers,
    "acknowledged early": _ack_early,
}
