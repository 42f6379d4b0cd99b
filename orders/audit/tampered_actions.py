"""Actions that were deleted or changed behind the log's back: the rows compared with the log.

The database refuses both (migration 0023). This finds what its owner could do with the triggers
turned off.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from orders.models import AuditEntry, AuditKind, OrderAction

_SLICE: Final = 1000
# A row that moves on while it is compared is looked at again this many times.
_LOOKS: Final = 3


@dataclass(slots=True)
class _Logged:
    """What the log says of one action."""

    state: str = ""
    amount: Decimal | None = None
    currency: str = ""
    approvers: set[int] = field(default_factory=set)


def check_actions() -> Iterator[str]:
    """Yield one sentence per action that the log contradicts, in slices of constant memory."""
    yield from _changed()
    yield from _deleted()


def _changed() -> Iterator[str]:
    last = 0
    while True:
        rows = OrderAction.objects.filter(pk__gt=last).order_by("pk")
        ids = list(rows.values_list("pk", flat=True)[:_SLICE])
        if not ids:
            return
        for look in range(_LOOKS):
            found = dict(_differing(ids))
            ids, last = list(found), max(last, ids[-1])
            if not found or look == _LOOKS - 1:
                yield from found.values()
                break


def _differing(ids: list[int]) -> Iterator[tuple[int, str]]:
    """Yield the actions that differ from the log, each with a sentence."""
    actions = list(OrderAction.objects.filter(pk__in=ids).order_by("pk"))
    logged = _logged(ids)
    for action in actions:
        known = logged.get(action.pk)
        if known is None:
            yield action.pk, f"Action {action.pk} is not in the log."
        elif known.state != action.state:
            yield action.pk, f"Action {action.pk} is {action.state}, the log says {known.state}."
        elif (known.amount, known.currency) != (action.amount, action.currency):
            yield action.pk, f"Action {action.pk} has another amount than in the log."
        elif {action.approved_by_id, action.co_approved_by_id} - {None} - known.approvers:
            yield action.pk, f"Action {action.pk} names an approval that is not in the log."


def _logged(ids: list[int]) -> dict[int, _Logged]:
    found: dict[int, _Logged] = defaultdict(_Logged)
    rows = AuditEntry.objects.filter(
        action_id__in=ids, kind__in=(AuditKind.ACTION, AuditKind.APPROVAL)
    ).order_by("pk")
    columns = ("action_id", "kind", "actor_id", "after", "amount", "currency")
    for action_id, kind, actor_id, after, amount, currency in rows.values_list(*columns):
        known = found[action_id]
        if kind == AuditKind.APPROVAL:
            known.approvers.add(actor_id)
        else:
            known.state, known.amount, known.currency = after, amount, currency
    return dict(found)


def _deleted() -> Iterator[str]:
    """Yield the actions whose creation is in the log but that no longer exist."""
    last = 0
    while True:
        created = AuditEntry.objects.filter(kind=AuditKind.ACTION, before="", pk__gt=last)
        rows = list(created.order_by("pk").values_list("pk", "action_id")[:_SLICE])
        if not rows:
            return
        wanted = {action_id for _pk, action_id in rows if action_id is not None}
        there = set(OrderAction.objects.filter(pk__in=wanted).values_list("pk", flat=True))
        for action_id in sorted(wanted - there):
            yield f"Action {action_id} is in the log but was deleted."
        last = rows[-1][0]
