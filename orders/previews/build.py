"""Build a preview: check an agent's choice against a fresh read of the order."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from orders import rules
from orders.errors import ActionRefused, Refusal
from orders.models import ActionKind, Order, RefundMethod, Returned
from orders.money import Money
from orders.previews.changed_facts import (
    changes,
    facts,
)
from orders.previews.eligibility import (
    cancel_refusal_for,
    check_amount,
    check_lines,
    check_listed_once,
    check_shipping,
    earlier_refunds,
    method_refusal,
    order_is_delivered,
    required_discrepancy_reason,
)
from orders.previews.proposals import (
    REFUND_REASONS,
    CancelChoice,
    Proposal,
    RefundChoice,
    Target,
)
from orders.previews.refund_targets import (
    credit,
    payments_of,
    spread,
)
from orders.previews.restocking import restocks
from orders.previews.return_refunds import (
    return_for,
    through,
)
from orders.previews.summary import (
    Preview,
    SummaryItem,
    summarize,
)
from orders.previews.tokens import open_token
from orders.rules import Advice
from orders.shopify_port import (
    SuggestedRefund,
    get_gateway,
)
from orders.snapshot import LineQuantity, OrderSnapshot, Return
from orders.statuses import return_units
from orders.statuses.badges import (
    Tone,
    live_fulfillments,
)


def preview_cancel(order: Order, choice: CancelChoice, *, by: User, now: datetime) -> Preview:
    """Read the order from Shopify and preview its cancellation.

    Raises ActionRefused if it may not be canceled, InvalidMoney for a bad amount, and
    ShopUnreachable if Shopify cannot be read. Calls Shopify, so don't use it in a transaction.
    """
    gateway = get_gateway()
    gateway.refresh(order)
    snapshot = order.snapshot
    if refusal := cancel_refusal_for(order, now=now):
        raise ActionRefused(refusal)
    labels = {reason.value: reason.label for reason in gateway.cancel_reasons(order.store)}
    if choice.reason not in labels:
        raise ActionRefused(Refusal("reason_missing", _("Choose a reason for the cancellation.")))
    net = rules.net_paid(snapshot)
    amount = choice.amount
    targets: tuple[Target, ...] = ()
    method = choice.method if amount is not None else RefundMethod.ORIGINAL
    if refusal := method_refusal(order, method):
        raise ActionRefused(refusal)
    if amount is not None:
        check_amount(amount, net)
        targets = credit(amount)
        if method == RefundMethod.ORIGINAL:
            suggestion = gateway.suggest_refund(order, lines=None, shipping=None)
            targets = spread(amount, suggestion.transactions)
    shipments = live_fulfillments(snapshot) if net else ()
    proposal = Proposal(
        kind=ActionKind.CANCEL_AND_REFUND if amount else ActionKind.CANCEL,
        reason=choice.reason,
        reason_label=labels[choice.reason],
        amount=amount,
        targets=targets,
        # Shopify warns that canceling with a full refund may refund twice if the order was refunded
        # before. In that case the exact sum follows as a separate refund request.
        is_full_refund=amount == net and not snapshot.refunds,
        lines=(),
        shipping=None,
        restock=choice.restock,
        notify=choice.notify,
        staff_note=choice.staff_note,
        returned=Returned.NOT_ASKED,
        shipments_to_cancel=tuple(s.gid for s in shipments) if choice.cancel_shipments else (),
        facts=facts(snapshot),
        method=method,
    )
    blocked = None if choice.cancel_shipments else rules.shipment_refusal(snapshot)
    items = tuple(SummaryItem(line=li, quantity=li.current_quantity) for li in snapshot.lines)
    advice = rules.cancel_advice(snapshot, earlier_refunds=earlier_refunds(order))
    return summarize(order, proposal, by=by, items=items, advice=advice, blocked=blocked)


def preview_refund(order: Order, choice: RefundChoice, *, by: User, now: datetime) -> Preview:
    """Read the order from Shopify and preview a refund. Raises the same as preview_cancel."""
    check_listed_once(choice.lines)
    gateway = get_gateway()
    gateway.refresh(order)
    snapshot = order.snapshot
    if refusal := rules.refund_refusal(snapshot):
        raise ActionRefused(refusal)
    delivered = order_is_delivered(order, now=now)
    found, return_advice = _return_of(order, choice)
    # Ask about items in a return, too: they were shipped, whatever the carrier reports.
    is_asked = delivered or found is not None
    if is_asked and choice.returned not in {Returned.RECEIVED, Returned.NOT_NEEDED}:
        raise ActionRefused(Refusal("return_unanswered", _("Say whether the item has come back.")))
    if choice.reason not in REFUND_REASONS:
        raise ActionRefused(Refusal("reason_missing", _("Choose a reason for the refund.")))
    if refusal := method_refusal(order, choice.method):
        raise ActionRefused(refusal)
    if found is None:
        check_lines(snapshot, choice.lines)
    net = rules.net_paid(snapshot)
    already_restocked = found is None and _were_restocked(snapshot, choice.lines)
    amount_only = choice.amount is not None and not choice.lines and not choice.shipping
    # If nothing has to come back, nothing is restocked. Beside an open return, the shop itself
    # books in what comes back; restocking here would count it twice.
    restock = (
        bool(choice.lines)
        and choice.restock
        and choice.returned != Returned.NOT_NEEDED
        and return_advice is None
        and not already_restocked
    )
    if amount_only:
        # Only the payments matter; asking about everything that is left returns all of them.
        suggestion = gateway.suggest_refund(order, lines=None, shipping=None)
    else:
        suggestion = suggest(
            order, found, lines=choice.lines, shipping=choice.shipping, with_places=restock
        )
    check_shipping(choice.shipping, suggestion.shipping_maximum)
    amount = choice.amount if choice.amount is not None else suggestion.amount
    check_amount(amount, net)
    calculated = None if amount_only else suggestion.amount
    discrepancy = ""
    if calculated and found is None:
        # Shopify takes no discrepancy reason for a refund through a return.
        discrepancy = required_discrepancy_reason(choice, amount, calculated)
    is_credit = choice.method == RefundMethod.STORE_CREDIT
    payments = suggestion.transactions
    if amount_only:
        payments = payments_of(snapshot, payments)
    through_return = None
    if found:
        through_return = through(
            found,
            snapshot,
            choice.lines,
            returned=choice.returned,
            restock=choice.restock,
            places=suggestion.places
            or {line.line_gid: line.place for line in suggestion.lines if line.place},
        )
    proposal = Proposal(
        kind=ActionKind.REFUND,
        reason=choice.reason,
        reason_label=str(REFUND_REASONS[choice.reason]),
        amount=amount,
        targets=credit(amount) if is_credit else spread(amount, payments),
        is_full_refund=amount == net,
        lines=choice.lines,
        shipping=choice.shipping,
        restock=restock,
        notify=choice.notify,
        staff_note=choice.staff_note,
        returned=choice.returned if is_asked else Returned.NOT_ASKED,
        shipments_to_cancel=(),
        facts=facts(snapshot),
        method=choice.method,
        calculated=calculated,
        discrepancy_reason=discrepancy,
        restocks=restocks(snapshot, choice.lines, suggestion.lines)
        if restock and not found
        else (),
        duties=() if amount_only or found else snapshot.duties_of(choice.lines),
        through=through_return,
        asked_through=choice.through,
    )
    by_gid = {line.gid: line for line in snapshot.lines}
    items = tuple(SummaryItem(line=by_gid[c.line_gid], quantity=c.quantity) for c in choice.lines)
    advice = rules.refund_advice(
        snapshot, delivered=delivered, earlier_refunds=earlier_refunds(order), now=now
    )
    if return_advice:
        advice = (return_advice, *advice)
    if already_restocked and choice.restock:
        text = _(
            "These items were already restocked with their return and won’t be restocked again."
        )
        advice = (Advice("already_restocked", Tone.INFO, text), *advice)
    return summarize(order, proposal, by=by, items=items, advice=advice, blocked=None)


def suggest(
    order: Order,
    found: Return | None,
    *,
    lines: tuple[LineQuantity, ...],
    shipping: Money | None,
    with_places: bool = False,
) -> SuggestedRefund:
    """Ask Shopify what it would refund for items, through their return or without one.

    Raises ShopUnreachable.
    """
    gateway = get_gateway()
    if found is None:
        return gateway.suggest_refund(
            order, lines=lines, shipping=shipping, with_places=with_places
        )
    return gateway.suggest_return(
        order, found, lines=lines, shipping=shipping, with_places=with_places
    )


def _were_restocked(snapshot: OrderSnapshot, chosen: tuple[LineQuantity, ...]) -> bool:
    """Whether any chosen line has units that an ended return put back in stock."""
    shelf = return_units.on_shelf(snapshot)
    return any(shelf[choice.line_gid] for choice in chosen)


def _return_of(order: Order, choice: RefundChoice) -> tuple[Return | None, Advice | None]:
    """The open return to refund the chosen items through, if any.

    If the shop doesn't let this app process returns, return advice for the agent instead. Raises
    ActionRefused as return_for does.
    """
    snapshot = order.snapshot
    if get_gateway().may_process_returns(order.store):
        return return_for(snapshot, choice.lines, choice.through), None
    if not return_units.touches_open(snapshot, choice.lines):
        return None, None
    names = ", ".join(found.name for found in return_units.open_returns(snapshot))
    text = _(
        "These items are in an open return (%(returns)s) that this app isn’t allowed to "
        "process in Shopify. The refund will be separate from the return, and nothing will "
        "be restocked: receive the items and close the return in Shopify."
    )
    return None, Advice("return_beside", Tone.WARNING, text % {"returns": names})


def preview_again(order: Order, token: str, *, by: User, now: datetime) -> Preview:
    """Preview a token's choice again on the order as it is now, listing what changed since.

    Raises what preview_cancel and open_token raise.
    """
    before = open_token(token, by=by).proposal
    if before.kind == ActionKind.REFUND:
        refund = RefundChoice(
            reason=before.reason,
            lines=before.lines,
            shipping=before.shipping,
            # Items at the calculated price are recalculated.
            amount=before.amount if before.difference or before.is_amount_only else None,
            discrepancy_reason=before.discrepancy_reason,
            method=before.method,
            restock=before.restock,
            notify=before.notify,
            staff_note=before.staff_note,
            returned=before.returned,
            through=before.asked_through,
        )
        preview = preview_refund(order, refund, by=by, now=now)
    else:
        cancel = CancelChoice(
            reason=before.reason,
            amount=before.amount,
            method=before.method,
            restock=before.restock,
            notify=before.notify,
            staff_note=before.staff_note,
            cancel_shipments=bool(before.shipments_to_cancel),
        )
        preview = preview_cancel(order, cancel, by=by, now=now)
    return replace(preview, changes=changes(before.facts, preview.proposal.facts))
