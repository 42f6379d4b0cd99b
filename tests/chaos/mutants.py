"""Every guard with a way to remove it; a case that survives its mutant proves nothing."""

from __future__ import annotations

import dataclasses
import sys
import uuid
from collections.abc import Callable
from typing import Any


def apply(name: str) -> None:
    """Take the named guard away in this process; "" leaves everything."""
    if name:
        _MUTANTS[name]()


def _replace(owner: object, **new: object) -> None:
    """Put other functions in the place of an object's own, or of what a module imported."""
    for name, value in new.items():
        assert hasattr(owner, name), f"{owner} has no {name} any more"
        setattr(owner, name, value)


def _fresh_key() -> None:
    """Every send gets a new idempotency key."""
    from shopify_sync.api.client import AdminClient

    def fresh(variables: dict[str, Any]) -> dict[str, Any]:
        if "idempotencyKey" not in variables:
            return variables
        return variables | {"idempotencyKey": str(uuid.uuid4())}

    real = AdminClient.execute

    def execute(self: AdminClient, name: str, variables: dict[str, Any]) -> dict[str, Any]:
        return real(self, name, fresh(variables))

    _replace(AdminClient, execute=execute)
    client: Any = AdminClient
    if real_send := getattr(client, "send", None):

        def send(self: AdminClient, step: dict[str, Any]) -> Any:
            return real_send(self, step | {"variables": fresh(step["variables"])})

        client.send = send


def _blind() -> None:
    """No read decides: what is not answered is sent again, and an answer is the truth."""
    from django.utils import timezone

    from orders import perform
    from orders.actions import (
        progress,
        settlement,
        worker_steps,
    )
    from orders.actions.progress import (
        Settled,
        ToSend,
    )
    from orders.models import ActionState

    def send(action: Any, snapshot: Any, **_: Any) -> ToSend:
        return ToSend(0)

    def accepted(action: Any, index: int, answer: Any) -> bool:
        worker_steps.settle(action, Settled(ActionState.SUCCEEDED), now=timezone.now())
        return False

    def nothing(*_: Any) -> bool:
        return False

    _replace(progress, next_move=send)
    _replace(perform, _accepted=accepted)
    _replace(settlement, is_evident=nothing)


def _keyless_and_blind() -> None:
    _fresh_key()
    _blind()


def _trust_answers() -> None:
    """A refusal is a failure and an accepted job is success, whatever was sent before."""
    from django.utils import timezone

    from orders import perform
    from orders.actions import progress, worker_steps
    from orders.actions.progress import Settled
    from orders.models import ActionState

    read = progress.next_move

    def next_move(action: Any, snapshot: Any, **words: Any) -> Any:
        seen = dataclasses.replace(snapshot, cancelled_at=None) if not action.job_gid else snapshot
        return read(action, seen, **words)

    def accepted(action: Any, index: int, answer: Any) -> bool:
        worker_steps.settle(action, Settled(ActionState.SUCCEEDED), now=timezone.now())
        return False

    def rejected(action: Any, index: int, answer: Any, before: Any) -> bool:
        end = Settled(ActionState.REJECTED, " ".join(answer.errors))
        worker_steps.settle(action, end, now=timezone.now(), maybe_applied=False)
        return False

    _replace(progress, next_move=next_move)
    _replace(perform, _accepted=accepted, _rejected=rejected)


def _send_returns_again() -> None:
    """What was sent through a return without an answer is sent once more, as a refund is that
    Shopify has a key for."""
    from orders.actions import progress

    def move(index: int, action: Any, snapshot: Any, now: Any) -> Any:
        if progress.refund_of(action, snapshot) is not None:
            return None
        return progress.ToSend(index)

    _replace(progress, _return_move=move)


def _ack_early() -> None:
    """The action counts as done when it is taken up, as a broker's early acknowledgement does:
    a worker that survives carries it out, but after one that dies it is never taken up again."""
    from django.utils import timezone

    from orders.actions import worker_steps
    from orders.actions.progress import Settled
    from orders.models import ActionState

    real = worker_steps.claim

    def claim(**words: Any) -> Any:
        action = real(**words)
        if action is not None:
            worker_steps.settle(action, Settled(ActionState.SUCCEEDED), now=timezone.now())
        return action

    def keep(action: Any, **changes: Any) -> bool:
        # In memory only: the row is closed.
        for name, value in changes.items():
            setattr(action, name, value)
        return True

    _replace(worker_steps, claim=claim, _keep=keep)


def _accept_rejected_reads() -> None:
    """The engine goes on with whatever it read, though the projection has something newer."""
    from orders import perform
    from orders.projection.record import record_snapshot as real
    from shopify_sync.reading import orders

    def record_snapshot(**words: Any) -> bool:
        real(**words)
        return True

    for module in (perform, orders):
        _replace(module, record_snapshot=record_snapshot)


def _no_check_before_sending() -> None:
    """What was confirmed is sent, whatever has changed since."""

    def fine(*_: Any, **__: Any) -> None:
        return None

    from orders.actions import worker_steps

    real = getattr(worker_steps, "check_before_sending", None)
    for module in [m for m in sys.modules.values() if m is not None]:
        if real is not None and getattr(module, "check_before_sending", None) is real:
            _replace(module, check_before_sending=fine)


def _no_unknown() -> None:
    """An answer that tells nothing, a refund that is not seen and an order that is not found
    mean that nothing happened."""
    from django.utils import timezone

    from orders.actions import progress, worker_steps
    from orders.actions.progress import (
        Contradiction,
        Settled,
        ToSend,
    )
    from orders.models import ActionState

    release, next_move = worker_steps.release, progress.next_move
    undone = {"is_doubtful": False, "maybe_applied": False}

    def forget(action: Any, *, state: ActionState, **words: Any) -> bool:
        if state == ActionState.UNKNOWN:
            return release(action, state=ActionState.QUEUED, **words | undone)
        return release(action, state=state, **words)

    def give_up(action: Any, *, message: str, **_: Any) -> bool:
        worker_steps.keep(action, **undone)
        rejected = Settled(ActionState.REJECTED, message)
        return worker_steps.settle(action, rejected, now=timezone.now())

    def unseen(action: Any, snapshot: Any, **words: Any) -> Any:
        move = next_move(action, snapshot, **words)
        was_sent = action.step_first_sent_at is not None
        is_unseen = isinstance(move, ToSend) and was_sent and move.step == action.step
        if not is_unseen and not isinstance(move, Contradiction):
            return move
        worker_steps.keep(action, **undone)
        return Settled(ActionState.REJECTED, "It did not happen.")

    _replace(progress, next_move=unseen)
    _replace(worker_steps, release=forget, human_needed=give_up)


def _believe_every_signature() -> None:
    """Whatever comes to the webhook door is taken for Shopify's."""
    from shopify_sync.webhooks import (
        receiver,
        view,
    )

    def signed(*_: Any) -> bool:
        return True

    _replace(receiver, is_signed=signed)
    _replace(view, is_signed=signed)


def _nothing() -> None:
    """The case itself leaves the guard out."""


_MUTANTS: dict[str, Callable[[], None]] = {
    "no signature check": _believe_every_signature,
    "no reconciliation": _nothing,
    "own pools": _nothing,
    "fresh key": _fresh_key,
    "no read": _blind,
    "no key and no read": _keyless_and_blind,
    "answers trusted": _trust_answers,
    "acknowledged early": _ack_early,
    "returns sent again": _send_returns_again,
    "accept rejected reads": _accept_rejected_reads,
    "no check before sending": _no_check_before_sending,
    "no unknown": _no_unknown,
}
