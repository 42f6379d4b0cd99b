"""Actions whose outcome is unknown, which wait for a person to compare them with Shopify.

The number of queries is fixed, however many rows there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import User
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from inbox.decisions import conversation_links, people
from inbox.visibility import scope_of
from orders import rules, services
from orders.actions import status_texts
from orders.actions.status_texts import what
from orders.models import ActionState, OrderAction
from orders.snapshot import Refund
from orders.statuses.money_moved import parts

SHOWN_AT_MOST: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class UncertainAction:
    """An action with an unknown outcome, as (label, text) pairs.

    `ours` is what we sent, `theirs` what Shopify shows.
    """

    action: OrderAction
    what: str
    ours: tuple[tuple[str, str], ...]
    theirs: tuple[tuple[str, str], ...]
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UncertainActions:
    """The list, as one user sees it."""

    rows: tuple[UncertainAction, ...]
    may_settle: bool
    # The list was cut off at SHOWN_AT_MOST; the rest follow as rows are decided.
    has_more: bool = False


def uncertain_actions(user: User) -> UncertainActions:
    """Return the actions at the user's stores that need a verdict, oldest first."""
    scope = scope_of(user)
    waiting = scope.actions().filter(state=ActionState.NEEDS_HUMAN).order_by("requested_at")
    actions = list(waiting.select_related("order__store", "requested_by")[:SHOWN_AT_MOST])
    urls = conversation_links.conversation_urls([action.order for action in actions], scope)
    origins = conversation_links.origin_urls(actions, scope)
    return UncertainActions(
        rows=tuple(_row(a, origins.get(a.pk) or urls.get(a.order_id, "")) for a in actions),
        may_settle=services.settling_refusal(user) is None,
        has_more=len(actions) >= SHOWN_AT_MOST,
    )


def _test(action: OrderAction) -> list[tuple[str, str]]:
    return [(_("Test order"), _("Yes"))] if action.order.is_test else []


def _row(action: OrderAction, url: str) -> UncertainAction:
    snapshot = action.order.snapshot
    ours = [
        *_test(action),
        (_("Requested by"), people.name(action.requested_by)),
        (_("Reference"), action.note_marker),
    ]
    if action.step_first_sent_at:
        ours.append((_("First sent"), f"{action.step_first_sent_at:%Y-%m-%d %H:%M} UTC"))
    ours.append((_("What we know"), status_texts.words(action).text))
    theirs = [(_("Canceled"), _("Yes") if snapshot.cancelled_at else _("No"))]
    theirs += [
        (pgettext("noun", "Refund"), " · ".join(_refund_words(refund)))
        for refund in snapshot.refunds
    ]
    theirs.append((_("Total refunded"), snapshot.money.refunded.presentment.format()))
    if text := rules.unread_text(snapshot):
        theirs.append((_("Incomplete"), text))
    return UncertainAction(
        action=action,
        what=what(action),
        ours=tuple(ours),
        theirs=tuple(theirs),
        url=url,
    )


def _refund_words(refund: Refund) -> Iterator[str]:
    divided = parts(refund)
    yield refund.total.presentment.format()
    if failed := divided.failed.presentment:
        yield _("%(sum)s failed at the payment provider") % {"sum": failed.format()}
    if waiting := divided.waiting.presentment:
        yield _("%(sum)s not confirmed yet") % {"sum": waiting.format()}
    if refund.created_at:
        yield f"{refund.created_at:%Y-%m-%d %H:%M} UTC"
        yield refund.note or "–"
