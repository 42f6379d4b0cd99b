"""What happened to requests for approval: asked, approved, declined, lapsed, stale, withdrawn.

Read from the audit log, where each step is written in its own transaction, so nothing is stored
twice and nothing is missing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from django.contrib.auth.models import User
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


def steps_of(orders: Collection[int], *, since: datetime | None = None) -> list[Step]:
    """Return the steps of the requests about the orders with these IDs, oldest first, `since` then.

    Three queries, or one if nothing ever waited for approval.
    """
    rows = OrderAction.objects.filter(order__in=orders, approvals_needed__gt=0)
    if since is not None:
        # A request is decided or lapses within hours, but its steps may be on both sides.
        rows = rows.exclude(settled_at__lt=since)
    rows = rows.select_related("order__store", "requested_by").defer("order__document", "steps")
    actions = {action.pk: action for action in rows.order_by("-pk")[:ACTIONS_AT_MOST]}
    if not actions:
        return []
    entries = AuditEntry.objects.filter(
        action_id__in=actions, kind__in=(AuditKind.ACTION, AuditKind.APPROVAL)
    )
    if since is not None:
        entries = entries.filter(at__gte=since)
    found = list(entries.order_by("pk"))
    people = _names(found)
    return [
        _step(entry, kind, actions[entry.action_id], people)
        for entry in found
        if entry.action_id and (kind := _kind(entry, actions[entry.action_id]))
    ]


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


_ENDS: Final = {
    ActionState.DECLINED.value: StepKind.DECLINED,
    ActionState.WITHDRAWN.value: StepKind.WITHDRAWN,
}


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
