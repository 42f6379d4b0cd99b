"""What waits for a person's decision: approvals, uncertain outcomes, money still to return.

The number of queries is fixed, however many rows there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.contrib.auth.models import User
from django.db.models import Max
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from inbox.models import Identity, IdentityKind
from inbox.models.conversations import conversation_id
from inbox.scopes import Scope, scope_of
from orders import (
    policies,
    previews,
    rules,
    services,
)
from orders.actions import status_texts
from orders.actions.status_texts import what
from orders.errors import Refusal
from orders.models import ActionState, Order, OrderAction, OrderRefund, Policy
from orders.money import Money, total
from orders.snapshot import Refund
from orders.statuses.money_moved import parts

SHOWN_AT_MOST: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRow:
    """An action that waits for approval. `refusal`: why this user may not decide it, if so.

    `needs_passkey`: approving it takes this user's passkey.
    """

    action: OrderAction
    who: str
    what: str
    facts: tuple[tuple[str, str], ...]
    url: str
    refusal: Refusal | None
    needs_passkey: bool


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
    """The lists of the decisions page, as one user sees them."""

    approvals: tuple[ApprovalRow, ...]
    uncertain: tuple[UncertainRow, ...]
    held: tuple[HeldRow, ...]
    may_settle: bool
    # At least one list was cut off at SHOWN_AT_MOST; the rest follow as rows are decided.
    has_more: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to decide."""
        return not (self.approvals or self.uncertain or self.held)


def decisions(user: User) -> Decisions:
    """Return everything that is open at the user's stores, oldest first."""
    scope = scope_of(user)
    rows = scope.actions().select_related("order__store", "requested_by", "approved_by")
    waiting = rows.filter(state=ActionState.AWAITING_APPROVAL).order_by("requested_at")
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
    waiting_list, uncertain_list = list(waiting[:SHOWN_AT_MOST]), list(uncertain[:SHOWN_AT_MOST])
    orders = {o.pk: o for o in held} | {r.order_id: r.order for r in failed}
    orders |= {a.order_id: a.order for a in (*waiting_list, *uncertain_list)}
    urls = _conversation_urls(orders.values(), scope)
    origins = _origin_urls((*waiting_list, *uncertain_list), scope)
    # Looked up once for all rows, which keeps the number of queries fixed.
    acting = policies.acting_refusal(user)
    held_policies = policies.policies_of(user)
    return Decisions(
        approvals=tuple(
            _approval(a, user, acting, held_policies, origins.get(a.pk) or urls.get(a.order_id, ""))
            for a in waiting_list
        ),
        uncertain=tuple(
            _uncertain(a, origins.get(a.pk) or urls.get(a.order_id, "")) for a in uncertain_list
        ),
        held=(
            *(_held(order, urls) for order in held),
            *(_failed(refund, urls) for refund in failed),
        ),
        may_settle=services.settling_refusal(user) is None,
        has_more=any(
            len(found) >= SHOWN_AT_MOST for found in (waiting_list, uncertain_list, held, failed)
        ),
    )


def _approval(
    action: OrderAction,
    user: User,
    acting: Refusal | None,
    held: Sequence[Policy],
    url: str,
) -> ApprovalRow:
    refusal = acting or services.approval_refusal(action, user, held=held)
    facts = [*_test(action), (_("Why"), action.why_approval)]
    try:
        proposal = previews.decode_proposal(action.proposal)
    except ValueError:
        # One unreadable row must not hide the others; it expires on its own.
        refusal = Refusal("unreadable", _("The original request can no longer be read."))
    else:
        facts += [(_("Reason"), proposal.reason_label), *_goods(action, proposal)]
    if action.staff_note:
        facts.append((_("Staff note"), action.staff_note))
    if action.approved_by:
        facts.append((_("Approved by"), _name(action.approved_by)))
    return ApprovalRow(
        action=action,
        who=_name(action.requested_by),
        what=what(action),
        facts=tuple(facts),
        url=url,
        refusal=refusal,
        needs_passkey=policies.needs_signature(
            policies.policy_at(held, action.order.store), action
        ),
    )


def _goods(action: OrderAction, proposal: previews.Proposal) -> list[tuple[str, str]]:
    """Approving a refund also approves what it does to items and stock, so list that as well."""
    titles = {line.gid: line.title for line in action.order.snapshot.lines}
    chosen = [f"{li.quantity} × {titles.get(li.line_gid, '–')}" for li in proposal.lines]
    return [*([(_("Items"), ", ".join(chosen))] if chosen else []), *previews.goods_rows(proposal)]


def _test(action: OrderAction) -> list[tuple[str, str]]:
    return [(_("Test order"), _("Yes"))] if action.order.is_test else []


def _uncertain(action: OrderAction, url: str) -> UncertainRow:
    snapshot = action.order.snapshot
    ours = [
        *_test(action),
        (_("Requested by"), _name(action.requested_by)),
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


def _name(user: User) -> str:
    return user.get_full_name() or user.get_username()


def _origin_urls(actions: Iterable[OrderAction], scope: Scope) -> dict[int, str]:
    """Map action IDs to the conversation they were requested from, if the user sees it. At most one
    query."""
    origins = {action.pk: conversation_id(action.origin) for action in actions}
    seen = {pk for pk in origins.values() if pk is not None}
    if seen and scope.teams is not None:
        rows = scope.conversations().filter(pk__in=seen)
        seen = set(rows.values_list("pk", flat=True))
    return {
        action_id: reverse("inbox:conversation", args=[pk])
        for action_id, pk in origins.items()
        if pk in seen
    }


def _conversation_urls(orders: Iterable[Order], scope: Scope) -> dict[int, str]:
    """Map order IDs to their customer's latest conversation that the user sees. Two queries in
    total."""
    by_value: dict[tuple[str, str], list[int]] = {}
    for order in orders:
        for kind, value in (
            (IdentityKind.EMAIL, order.email),
            (IdentityKind.PHONE, order.phone),
            (IdentityKind.SHOPIFY_CUSTOMER, f"{order.store_id}:{order.customer_gid}"),
        ):
            # "<store ID>:" without a gid means that the order has no customer.
            if value and not value.endswith(":"):
                by_value.setdefault((kind, value), []).append(order.pk)
    known = Identity.objects.active().filter(value__in=[value for _kind, value in by_value])
    contact_of: dict[int, int] = {}
    for identity in known:
        for order_id in by_value.get((identity.kind, identity.value), []):
            contact_of.setdefault(order_id, identity.contact_id)
    latest = dict(
        scope.conversations()
        .filter(contact__in=set(contact_of.values()))
        .values_list("contact")
        .annotate(latest=Max("pk"))
    )
    return {
        order_id: reverse("inbox:conversation", args=[latest[contact]])
        for order_id, contact in contact_of.items()
        if contact in latest
    }
