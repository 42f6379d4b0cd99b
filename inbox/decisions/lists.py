"""What else waits for a person: uncertain outcomes, and money still to return.

The number of queries is fixed, however many rows there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.contrib.auth.models import User
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from inbox.decisions import links, people
from inbox.scopes import scope_of
from orders import rules, services
from orders.actions import status_texts
from orders.actions.status_texts import what
from orders.models import ActionState, Order, OrderAction, OrderRefund
from orders.money import Money, total
from orders.snapshot import Refund
from orders.statuses.money_moved import parts

SHOWN_AT_MOST: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class UncertainRow:
    """An action with an unknown outcome, as (label, text) pairs.

    `ours` is what we sent, `theirs` what Shopify shows.
    """

    action: OrderAction
    what: str
    ours: tuple[tuple[str, str], ...]
    theirs: tuple[tuple[str, str], ...]
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRow:
    """A customer's money that the shop still holds. `url` is empty without a conversation."""

    order: Order
    amount: Money
    since: datetime | None
    why: str
    url: str
    can_keep: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """These lists, as one user sees them."""

    uncertain: tuple[UncertainRow, ...]
    held: tuple[HeldRow, ...]
    may_settle: bool
    # At least one list was cut off at SHOWN_AT_MOST; the rest follow as rows are decided.
    has_more: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to decide."""
        return not (self.uncertain or self.held)


def decisions(user: User) -> Decisions:
    """Return everything that is open at the user's stores, oldest first."""
    scope = scope_of(user)
    rows = scope.actions().select_related("order__store", "requested_by")
    uncertain = rows.filter(state=ActionState.NEEDS_HUMAN).order_by("requested_at")
    held = list(
        scope.orders()
        .with_money_held()
        .select_related("store")
        .order_by("cancelled_at")[:SHOWN_AT_MOST]
    )
    failed = list(
        OrderRefund.objects.filter(
            failed__gt=0,
            order__net_payment__gt=0,
            order__store__is_active=True,
            order__deleted_at=None,
            **({} if scope.stores is None else {"order__store__in": scope.stores}),
        )
        # A canceled order is listed once, with all of its money, even if its refund failed as well.
        .exclude(order__in=[order.pk for order in held])
        .select_related("order__store")
        .order_by("refunded_at")[:SHOWN_AT_MOST]
    )
    uncertain_list = list(uncertain[:SHOWN_AT_MOST])
    orders = {o.pk: o for o in held} | {r.order_id: r.order for r in failed}
    orders |= {a.order_id: a.order for a in uncertain_list}
    urls = links.conversation_urls(orders.values(), scope)
    origins = links.origin_urls(uncertain_list, scope)
    return Decisions(
        uncertain=tuple(
            _uncertain(a, origins.get(a.pk) or urls.get(a.order_id, "")) for a in uncertain_list
        ),
        held=(
            *(_held(order, urls) for order in held),
            *(_failed(refund, urls) for refund in failed),
        ),
        may_settle=services.settling_refusal(user) is None,
        has_more=any(len(found) >= SHOWN_AT_MOST for found in (uncertain_list, held, failed)),
    )


def _test(action: OrderAction) -> list[tuple[str, str]]:
    return [(_("Test order"), _("Yes"))] if action.order.is_test else []


def _uncertain(action: OrderAction, url: str) -> UncertainRow:
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
    return UncertainRow(
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


def _held(order: Order, urls: dict[int, str]) -> HeldRow:
    return HeldRow(
        order=order,
        amount=Money(order.net_payment, order.currency),
        since=order.cancelled_at,
        why=_with_test_note(order, _refund_progress(order)),
        url=urls.get(order.pk, ""),
        can_keep=True,
    )


def _refund_progress(order: Order) -> str:
    """Say how much of a canceled order's money was refunded."""
    snapshot = order.snapshot
    waiting = total(
        (parts(refund).waiting.presentment for refund in snapshot.refunds), order.currency
    )
    sums = {
        "refunded": snapshot.money.refunded.presentment.format(),
        "paid": snapshot.money.received.presentment.format(),
        "waiting": waiting.format(),
    }
    if waiting:
        return _("Canceled. A refund of %(waiting)s is waiting for the bank.") % sums
    if not snapshot.money.refunded.presentment:
        return _("Canceled but not refunded.")
    return _("Canceled, with %(refunded)s of %(paid)s refunded.") % sums


def _failed(refund: OrderRefund, urls: dict[int, str]) -> HeldRow:
    """Build the row of a failed refund. It never asks for more than the shop still holds."""
    order = refund.order
    return HeldRow(
        order=order,
        amount=Money(min(refund.failed, order.net_payment), order.currency),
        since=refund.refunded_at,
        why=_with_test_note(order, _("The refund failed at the payment provider.")),
        url=urls.get(refund.order_id, ""),
        can_keep=False,
    )


def _with_test_note(order: Order, why: str) -> str:
    return f"{why} {_('Test order: no money is owed.')}" if order.is_test else why
