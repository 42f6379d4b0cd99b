"""What happened to requests for approval: asked, approved, declined, lapsed, stale, withdrawn.

Read from the audit log, where each step is written in its own transaction, so nothing is stored
twice and nothing is missing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from orders.actions import status_texts
from orders.models import ActionState, AuditEntry, AuditKind, OrderAction, Outcome

# The newest requests whose steps are looked up.
ACTIONS_AT_MOST: Final = 50


class StepKind(StrEnum):
    """A step of a request for approval; templates choose the icon by it."""

    ASKED = "approval_asked"
    APPROVED = "approval_given"
    DECLINED = "approval_declined"
    LAPSED = "approval_lapsed"
    STALE = "approval_stale"
    WITHDRAWN = "approval_withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step. `actor` is "" for the system; `detail` says why, and may be empty."""

    key: str
    kind: StepKind
    at: datetime
    action: OrderAction
    actor: str
    title: str
    detail: str


_ENDS: Final = {
    ActionState.DECLINED.value: StepKind.DECLINED,
    ActionState.WITHDRAWN.value: StepKind.WITHDRAWN,
}
# What follows the decision is no step.
_IS_STEP: Final = Q(kind=AuditKind.APPROVAL) | Q(kind=AuditKind.ACTION) & (
    Q(after=ActionState.AWAITING_APPROVAL)
    | Q(before=ActionState.AWAITING_APPROVAL, after__in=[ActionState.EXPIRED, *_ENDS])
)


def steps_of(orders: Collection[int], *, since: datetime | None = None) -> list[Step]:
    """Return the steps of the requests about the orders with these IDs, oldest first, `since` then.

    Three queries, or one if nothing ever waited for approval.
    """
    rows = OrderAction.objects.filter(order__in=orders, approvals_needed__gt=0)
    if since is not None:
        # A request is decided or lapses within hours, but its steps may be on both sides.
        rows = rows.exclude(settled_at__lt=since)
    actions = {action.pk: action for action in _with_order(rows).order_by("-pk")[:ACTIONS_AT_MOST]}
    if not actions:
        return []
    entries = AuditEntry.objects.filter(_IS_STEP, action_id__in=actions)
    if since is not None:
        entries = entries.filter(at__gte=since)
    return list(_steps(list(entries.order_by("pk")), actions).values())


def entries_of(orders: Collection[int]) -> QuerySet[AuditEntry]:
    """Return the entries of the log that are steps of requests about the orders with these IDs.

    `steps_from` says what they mean. One query, for the requests.
    """
    requests = OrderAction.objects.filter(order__in=orders, approvals_needed__gt=0)
    actions = list(requests.order_by().values_list("pk", flat=True))
    if not actions:
        return AuditEntry.objects.none()
    return AuditEntry.objects.filter(_IS_STEP, action_id__in=actions)


def steps_from(entries: Collection[AuditEntry]) -> dict[int, Step]:
    """Return the steps that these entries record, by the entries' IDs. At most two queries."""
    wanted = {entry.action_id for entry in entries if entry.action_id}
    if not wanted:
        return {}
    rows = _with_order(OrderAction.objects.filter(pk__in=wanted))
    return _steps(entries, {action.pk: action for action in rows})


def _with_order(rows: QuerySet[OrderAction]) -> QuerySet[OrderAction]:
    return rows.select_related("order__store", "requested_by").defer("order__document", "steps")


def _steps(entries: Collection[AuditEntry], actions: Mapping[int, OrderAction]) -> dict[int, Step]:
    people = _names(entries)
    return {
        entry.pk: _step(entry, kind, actions[entry.action_id], people)
        for entry in entries
        if entry.action_id and (kind := _kind(entry, actions[entry.action_id]))
    }


def _names(entries: Iterable[AuditEntry]) -> dict[int, str]:
    people = User.objects.in_bulk({entry.actor_id for entry in entries if entry.actor_id})
    return {pk: user.get_short_name() or user.get_username() for pk, user in people.items()}


def _kind(entry: AuditEntry, action: OrderAction) -> StepKind | None:
    """Which step an entry of the log is; None for what happened after the decision."""
    if entry.kind == AuditKind.APPROVAL:
        return StepKind.APPROVED
    if entry.after == ActionState.AWAITING_APPROVAL:
        return StepKind.ASKED
    if entry.before != ActionState.AWAITING_APPROVAL:
        return None
    if entry.after == ActionState.EXPIRED:
        return StepKind.LAPSED if action.outcome == Outcome.NOT_APPROVED else StepKind.STALE
    return _ENDS.get(entry.after)


def _step(entry: AuditEntry, kind: StepKind, action: OrderAction, people: dict[int, str]) -> Step:
    title, detail = _texts(entry, kind, action)
    return Step(
        key=f"approval-{entry.pk}",
        kind=kind,
        at=entry.at,
        action=action,
        actor=people.get(entry.actor_id or 0, entry.actor),
        title=title,
        detail=detail,
    )


def _texts(entry: AuditEntry, kind: StepKind, action: OrderAction) -> tuple[str, str]:
    what = {"what": status_texts.what(action)}
    if kind == StepKind.ASKED:
        return _("%(what)s: approval requested") % what, action.why_approval
    if kind == StepKind.APPROVED:
        if entry.detail.get("given", 1) < entry.detail.get("needed", 1):
            return _("%(what)s: approved, a second person still has to") % what, ""
        return _("%(what)s: approved") % what, ""
    if action.state != entry.after:
        # Shopify showed it as done after all.
        label = str(ActionState(entry.after).label)
        return _("%(what)s: %(state)s") % {**what, "state": label}, ""
    words = status_texts.words(action)
    return words.title, words.text
