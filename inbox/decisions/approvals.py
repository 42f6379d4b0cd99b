"""Requests that wait for approval: a list of all, and the chosen one with everything to decide by.

The list costs a fixed number of queries, and so does the chosen request.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.contrib.auth.models import User
from django.urls import reverse
from django.utils.translation import gettext as _

from inbox.campaigns import order_events
from inbox.decisions import customer_summary, people
from inbox.decisions.customer_summary import Quote
from inbox.outbox.writing import Draft
from inbox.visibility import Scope, scope_of
from orders import panels, policies, previews, rules, services
from orders.actions import approval_history, status_texts
from orders.actions.approval_history import StepKind
from orders.actions.status_texts import what
from orders.errors import Refusal
from orders.models import (
    ActionKind,
    ActionState,
    Order,
    OrderAction,
    Policy,
)
from orders.money import Money
from orders.previews import Proposal, SummaryItem
from orders.statuses.badges import Badge

SHOWN_AT_MOST: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A request in the list."""

    action: OrderAction
    who: str
    what: str
    customer: str
    why: str
    url: str
    is_chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The chosen request, with everything that is needed to decide it.

    `digest` stands for exactly this request; the form brings it along (see `digest_of`).
    `refusal`: why this user may not decide it, if so. `needs_passkey`: approving it takes this
    user's passkey. `changes` says what changed on the order since it was requested. `facts` and
    `customer_facts` are (label, text) pairs, `money` (label, sum, is the total).
    """

    action: OrderAction
    digest: str
    who: str
    what: str
    customer: str
    contact_url: str
    conversation_url: str
    why: str
    policy: str
    policy_url: str
    changes: tuple[str, ...]
    as_of: datetime | None
    badges: tuple[Badge, ...]
    items: tuple[SummaryItem, ...]
    money: tuple[tuple[str, Money, bool], ...]
    facts: tuple[tuple[str, str], ...]
    note: str
    quote: Quote | None
    customer_facts: tuple[tuple[str, str], ...]
    messages: tuple[Draft, ...]
    notify: bool
    approve_label: str
    refusal: Refusal | None
    needs_passkey: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What became of a request that no longer waits, or that this user can't see.

    `actor` is "" for the system and for one that can't be seen.
    """

    title: str
    detail: str = ""
    actor: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """All requests at the user's stores, the one that expires first on top.

    At most one of `chosen` and `ended` is set. `live_query` keeps a live update on the same request.
    """

    rows: tuple[Row, ...]
    chosen: Request | None
    ended: Ended | None
    # Whether the address names the request; otherwise it is simply the first.
    is_named: bool
    live_query: str
    has_more: bool


def waiting(user: User, *, named: int | None, pinned: int | None = None, now: datetime) -> Waiting:
    """Return the requests that wait at the user's stores, and one of them in full.

    That is the one the address names, else the one the page has shown so far (`pinned`), else the
    first. Another one never takes its place: the reader may be about to press Approve.
    """
    scope = scope_of(user)
    actions = list(
        scope.actions()
        .filter(state=ActionState.AWAITING_APPROVAL)
        .select_related("order__store", "requested_by", "approved_by")
        .order_by("requested_at", "pk")[: SHOWN_AT_MOST + 1]
    )
    has_more = len(actions) > SHOWN_AT_MOST
    actions = actions[:SHOWN_AT_MOST]
    wanted = pinned if named is None else named
    if wanted is None and actions:
        wanted = actions[0].pk
    found = next((action for action in actions if action.pk == wanted), None)
    if found is None and wanted is not None:
        # Not in the list: beyond its end, or it no longer waits.
        rows = scope.actions().select_related("order__store", "requested_by", "approved_by")
        found = rows.filter(pk=wanted).first()
    is_waiting = found is not None and found.state == ActionState.AWAITING_APPROVAL
    live_query = (
        f"?{'shown' if named is None else 'request'}={wanted}" if wanted is not None else ""
    )
    return Waiting(
        rows=tuple(_row(action, is_chosen=action.pk == wanted) for action in actions),
        chosen=_request(found, user, scope, now=now) if found and is_waiting else None,
        ended=None if wanted is None or is_waiting else _ended(found),
        is_named=named is not None,
        live_query=live_query,
        has_more=has_more,
    )


def digest_of(action: OrderAction) -> str:
    """Return what a form sends to prove which request its page showed.

    The frozen request's own digest isn't enough: two orders may have the same facts.
    """
    text = f"{action.pk}:{action.order_id}:{action.digest}"
    return hashlib.sha256(text.encode()).hexdigest()


def _ended(action: OrderAction | None) -> Ended:
    """Say what became of a request, without its details. Three queries at most."""
    if action is None:
        return Ended(title=_("This request isn’t there, or you can’t see it."))
    steps = [
        step
        for step in approval_history.steps_of([action.order_id])
        if step.action.pk == action.pk and step.kind != StepKind.ASKED
    ]
    if not steps:
        title = f"{action.order.name} · {status_texts.words(action).title}"
        return Ended(title=title, at=action.settled_at)
    last = steps[-1]
    title = f"{action.order.name} · {last.title}"
    return Ended(title=title, detail=last.detail, actor=last.actor, at=last.at)


def _row(action: OrderAction, *, is_chosen: bool) -> Row:
    return Row(
        action=action,
        who=people.name(action.requested_by),
        what=what(action),
        customer=customer_summary.name(action.order),
        why=action.why_approval,
        url=f"{reverse('inbox:decisions')}?request={action.pk}",
        is_chosen=is_chosen,
    )


def _request(action: OrderAction, user: User, scope: Scope, *, now: datetime) -> Request:
    order = action.order
    held = policies.policies_of(user)
    refusal = policies.acting_refusal(user) or services.approval_refusal(action, user, held=held)
    try:
        proposal = previews.decode_proposal(action.proposal)
    except ValueError:
        # It expires on its own; until then it is shown with what is left of it.
        proposal = None
        refusal = Refusal("unreadable", _("The original request can no longer be read."))
    contact = customer_summary.contact_of(action, scope)
    policy = policies.policy_of(action.requested_by, order.store)
    card = panels.order_card(order, acting=None, now=now)
    conversation = customer_summary.conversation_of(action, contact, scope)
    return Request(
        action=action,
        digest=digest_of(action),
        who=people.name(action.requested_by),
        what=what(action),
        customer=customer_summary.name(order),
        contact_url=reverse("inbox:contact", args=[contact.pk]) if contact else "",
        conversation_url=(
            reverse("inbox:conversation", args=[conversation.pk]) if conversation else ""
        ),
        why=action.why_approval,
        policy=_policy(policy),
        policy_url=_policy_url(user, policy),
        changes=_changes(order, proposal),
        as_of=order.read_started_at,
        badges=(*card.badges, *card.notes),
        items=_items(order, proposal),
        money=_money(order, proposal),
        facts=_facts(action, proposal),
        note=action.staff_note,
        quote=customer_summary.quote_of(conversation),
        customer_facts=customer_summary.facts(order),
        messages=_messages(action, proposal),
        notify=action.notify,
        approve_label=_approve_label(action),
        refusal=refusal,
        needs_passkey=policies.needs_signature(policies.policy_at(held, order.store), action),
    )


def _policy(policy: Policy | None) -> str:
    if policy is None:
        return ""
    names = {"role": policy.role.name, "store": policy.store or _("every store")}
    return _("%(role)s at %(store)s") % names


def _policy_url(user: User, policy: Policy | None) -> str:
    if policy is None or not (user.is_staff and user.has_perm("orders.view_policy")):
        return ""
    return reverse("admin:orders_policy_change", args=[policy.pk])


def _changes(order: Order, proposal: Proposal | None) -> tuple[str, ...]:
    if proposal is None:
        return ()
    return tuple(previews.changes(proposal.facts, previews.facts(order.snapshot)))


def _items(order: Order, proposal: Proposal | None) -> tuple[SummaryItem, ...]:
    if proposal is None:
        return ()
    lines = order.snapshot.lines
    if proposal.kind != ActionKind.REFUND:
        found = ((line, line.current_quantity) for line in lines)
    else:
        chosen = {one.line_gid: one.quantity for one in proposal.lines}
        found = ((line, chosen.get(line.gid, 0)) for line in lines)
    return tuple(SummaryItem(line=line, quantity=units) for line, units in found if units)


def _money(order: Order, proposal: Proposal | None) -> tuple[tuple[str, Money, bool], ...]:
    snapshot = order.snapshot
    net = rules.net_paid(snapshot)
    rows: list[tuple[str, Money, bool]] = []
    amount = proposal.amount if proposal else None
    if proposal and amount:
        rows += [
            (_("To %(label)s") % {"label": target.label}, target.amount, False)
            for target in proposal.targets
        ]
        rows.append((_("Refund total"), amount, True))
    rows.append((_("Paid"), snapshot.money.received.presentment, False))
    rows.append((_("Already refunded"), snapshot.money.refunded.presentment, False))
    kept = net - amount if amount and amount.currency == net.currency else net
    rows.append((_("Stays with the shop"), kept, False))
    return tuple(rows)


def _facts(action: OrderAction, proposal: Proposal | None) -> tuple[tuple[str, str], ...]:
    facts = [(_("Test order"), _("Yes, no real money moves"))] if action.order.is_test else []
    if proposal is None:
        return tuple(facts)
    facts.append((_("Reason"), proposal.reason_label))
    if proposal.kind == ActionKind.REFUND:
        facts += previews.goods_rows(proposal)
    else:
        facts.append((_("Restock items"), _("Yes") if proposal.restock else _("No")))
    if proposal.shipments_to_cancel:
        facts.append((_("Shipment records to cancel"), str(len(proposal.shipments_to_cancel))))
    if action.approved_by:
        facts.append((_("Approved by"), people.name(action.approved_by)))
    return tuple(facts)


def _approve_label(action: OrderAction) -> str:
    if action.money is None:
        return _("Approve cancellation")
    amount = {"sum": action.money.format()}
    if action.kind == ActionKind.CANCEL_AND_REFUND:
        return _("Approve cancellation and %(sum)s refund") % amount
    return _("Approve %(sum)s refund") % amount


def _messages(action: OrderAction, proposal: Proposal | None) -> tuple[Draft, ...]:
    if proposal is None:
        return ()
    return tuple(
        order_events.preview_messages(order=action.order, proposal=proposal, origin=action.origin)
    )
