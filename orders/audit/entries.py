"""Writing entries."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User

from core.change_origin import current_origin
from orders.models import AuditEntry, AuditKind
from orders.money import Money


def current_actor() -> User | None:
    """Return the person whose request this is; None for the system, a terminal and strangers.

    For receivers of signals, which aren't told who is responsible.
    """
    origin = current_origin()
    person = origin.person() if origin.person else None
    # request.user is a lazy object, whose type is not the user's.
    is_known = person is not None and getattr(person, "pk", None) is not None
    return User.objects.filter(pk=person.pk).first() if is_known else None  # type: ignore[attr-defined]


def record(
    kind: AuditKind,
    *,
    actor: User | None,
    store_id: int | None = None,
    order_id: int | None = None,
    action_id: int | None = None,
    before: str = "",
    after: str = "",
    amount: Money | None = None,
    **detail: Any,
) -> AuditEntry:
    """Add an entry in the caller's transaction, so it commits together with what it records.

    `actor` is None for the system, or for someone at a terminal, who is then named. `detail` must
    be plain JSON data without customers' names, addresses or texts: entries can never be changed or
    erased.
    """
    roles = ",".join(sorted(g.name for g in actor.groups.all())) if actor else ""
    origin = current_origin()
    name = f"terminal: {origin.terminal}" if origin.terminal else ""
    return AuditEntry.objects.create(
        kind=kind,
        actor_id=actor.pk if actor else None,
        actor=actor.get_username() if actor else name[:150],
        roles=roles[:255],
        store_id=store_id,
        order_id=order_id,
        action_id=action_id,
        before=before,
        after=after,
        amount=amount.amount if amount else None,
        currency=amount.currency if amount else "",
        request_id=origin.request_id,
        ip=origin.ip,
        detail=detail,
    )
