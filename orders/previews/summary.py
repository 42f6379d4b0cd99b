"""Build what the review screen shows: the rows, the sums, and the label of the confirm button."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from orders import policies, rules
from orders.errors import Refusal
from orders.models import ActionKind, Order, RefundMethod, Returned
from orders.money import Money
from orders.previews.eligibility import ruling_for
from orders.previews.proposals import DISCREPANCY_REASONS, Proposal
from orders.previews.restocking import sentences
from orders.previews.return_refunds import (
    return_rows,
    untouched_rows,
)
from orders.previews.tokens import sign_token
from orders.rules import Advice
from orders.snapshot import LineItem, OrderSnapshot
from orders.statuses.badges import Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryItem:
    """A line of the order, with the units the action affects."""

    line: LineItem
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Everything the review screen shows, and the token that confirms it.

    `blocked` set: Confirm is disabled and says why. `rows` are (label, text) pairs.
    """

    order: Order
    proposal: Proposal
    items: tuple[SummaryItem, ...]
    rows: tuple[tuple[str, str], ...]
    total: Money
    paid: Money
    refunded_before: Money
    kept: Money | None
    advice: tuple[Advice, ...]
    confirm_label: str
    blocked: Refusal | None
    token: str
    changes: tuple[str, ...] = ()

    @property
    def kind(self) -> ActionKind:
        """Whether it cancels, refunds, or does both."""
        return self.proposal.kind


def summarize(
    order: Order,
    proposal: Proposal,
    *,
    by: User,
    items: tuple[SummaryItem, ...],
    advice: tuple[Advice, ...],
    blocked: Refusal | None,
) -> Preview:
    """Build the preview of a proposal for this person, with a token signed for them.

    `blocked`: why the order's own state forbids it, which takes precedence over their policy.
    """
    snapshot = order.snapshot
    ruling = ruling_for(
        order, proposal, policies.policy_of(by, order.store), by=by, now=timezone.now()
    )
    if ruling.approvals:
        people = _("Two people need") if ruling.approvals > 1 else _("A supervisor needs")
        text = _("%(why)s %(people)s to approve it before it is sent.") % {
            "why": ruling.why,
            "people": people,
        }
        advice = (Advice("approval", Tone.ATTENTION, text), *advice)
    net = rules.net_paid(snapshot)
    kept = net - proposal.amount if proposal.amount is not None else net
    return Preview(
        order=order,
        proposal=proposal,
        items=items,
        rows=summary_rows(snapshot, proposal),
        total=snapshot.money.total.presentment,
        paid=snapshot.money.received.presentment,
        refunded_before=snapshot.money.refunded.presentment,
        kept=kept or None,
        advice=tuple(a for a in advice if _concerns(a, proposal)),
        confirm_label=_confirm_label(proposal, needs_approval=bool(ruling.approvals)),
        blocked=blocked or ruling.refusal,
        token=sign_token(order, proposal, by=by),
    )


def summary_rows(snapshot: OrderSnapshot, proposal: Proposal) -> tuple[tuple[str, str], ...]:
    """Return what the review screen says of a proposal for this order, as (label, text)."""
    yes_no = {True: _("Yes"), False: _("No")}
    rows = [(_("Reason"), proposal.reason_label)]
    # Refunding only an amount never needs a return, so the row would say nothing.
    if proposal.returned and not (
        proposal.is_amount_only and proposal.returned == Returned.NOT_NEEDED
    ):
        rows.append((_("Has the item come back?"), str(Returned(proposal.returned).label)))
    if proposal.shipments_to_cancel:
        count = len(proposal.shipments_to_cancel)
        rows.append((_("Shipment records to cancel"), str(count)))
    if proposal.kind == ActionKind.CANCEL and rules.net_paid(snapshot):
        rows.append((pgettext("noun", "Refund"), _("Later")))
    if proposal.method == RefundMethod.STORE_CREDIT:
        rows.append((_("Refund to"), str(proposal.method.label)))
    rows += goods_rows(proposal)
    if proposal.is_amount_only:
        rows += untouched_rows(snapshot)
    rows.append((_("Shopify emails the customer"), yes_no[proposal.notify]))
    if proposal.staff_note:
        rows.append((_("Staff note"), proposal.staff_note))
    return tuple(rows)


def goods_rows(proposal: Proposal) -> list[tuple[str, str]]:
    """Summary rows about the items, the stock and the return, as (label, text)."""
    if proposal.is_amount_only:
        return [(_("Items"), _("No items are marked as refunded, and stock stays the same"))]
    rows = []
    if proposal.discrepancy_reason:
        reason = DISCREPANCY_REASONS.get(proposal.discrepancy_reason, proposal.discrepancy_reason)
        rows.append((_("Why the amount differs"), str(reason)))
    if proposal.through:
        return [*rows, *return_rows(proposal.through)]
    stock = ". ".join(sentences(proposal.restocks))
    rows.append((_("Restock items"), stock or (_("Yes") if proposal.restock else _("No"))))
    return rows


def _concerns(advice: Advice, proposal: Proposal) -> bool:
    """Whether a piece of advice applies to this proposal.

    Refunding only an amount brings no item back. And store credit is given by Shopify itself, so
    advice to pay a manual payment back by hand would pay the customer twice.
    """
    if advice.code == "return_first" and proposal.is_amount_only:
        return False
    return advice.code != "manual_gateway" or proposal.method != RefundMethod.STORE_CREDIT


def _confirm_label(proposal: Proposal, *, needs_approval: bool) -> str:
    if needs_approval:
        what = _confirm_label(proposal, needs_approval=False)
        return _("Ask for approval: %(what)s") % {"what": what}
    if proposal.amount is None:
        return _("Cancel order")
    if proposal.kind == ActionKind.CANCEL_AND_REFUND:
        return _("Cancel order and refund %(sum)s") % {"sum": proposal.amount.format()}
    return _("Refund %(sum)s") % {"sum": proposal.amount.format()}
