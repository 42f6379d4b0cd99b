"""The summary an agent confirms (F32): computed here from a fresh read, never in the page.

A preview carries a signed token of exactly what it showed. `services.request_action` takes
nothing but that token, so what is confirmed is what was shown, or is asked again.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec
from django.contrib.auth.models import User
from django.core import signing
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from orders import policies, rules
from orders.errors import ActionRefused, InvalidMoney, Refusal, StalePreview
from orders.gateway import SuggestedTransaction, get_gateway
from orders.models import ActionKind, Order, OrderRefund, Policy, RefundMethod, Returned
from orders.money import Money, allocate, total
from orders.rules import Advice
from orders.snapshot import LineItem, LineQuantity, OrderSnapshot
from orders.statuses import Tone, live_fulfillments

_SALT: Final = "orders.preview"
_TOKEN_AGE_S: Final = 2 * 60 * 60
STAFF_NOTE_LENGTH: Final = 255
# Ours, as Shopify has no list of refund reasons; the value is stored, the label is shown.
REFUND_REASONS: Final = {
    "damaged": gettext_lazy("Damaged on arrival"),
    "wrong_item": gettext_lazy("Wrong item"),
    "not_as_described": gettext_lazy("Not as described"),
    "changed_mind": gettext_lazy("Changed their mind"),
    "not_received": gettext_lazy("Did not arrive"),
    "late": gettext_lazy("Arrived too late"),
    "goodwill": gettext_lazy("Goodwill"),
    "other": gettext_lazy("Other"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelChoice:
    """What the agent chose in the cancel dialog. `amount` None: refund later, or unpaid."""

    reason: str
    amount: Money | None = None
    method: RefundMethod = RefundMethod.ORIGINAL
    restock: bool = True
    notify: bool = False
    staff_note: str = ""
    cancel_shipments: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundChoice:
    """What the agent chose in the refund dialog. `amount` None: what Shopify suggests."""

    reason: str
    lines: tuple[LineQuantity, ...] = ()
    shipping: Money | None = None
    amount: Money | None = None
    method: RefundMethod = RefundMethod.ORIGINAL
    restock: bool = False
    notify: bool = False
    staff_note: str = ""
    returned: str = Returned.NOT_ASKED


Choice = CancelChoice | RefundChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A share of the refund and the payment method it goes back to.

    `parent_gid` is the payment's; empty for store credit, which is no payment's.
    """

    parent_gid: str
    gateway: str
    label: str
    is_manual: bool
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An action ready to be frozen: everything `Gateway.plan` needs, in our words."""

    kind: ActionKind
    reason: str
    reason_label: str
    amount: Money | None
    targets: tuple[Target, ...]
    is_full_refund: bool
    lines: tuple[LineQuantity, ...]
    shipping: Money | None
    restock: bool
    notify: bool
    staff_note: str
    returned: str
    shipments_to_cancel: tuple[str, ...]
    # What the agent saw; `request_action` refuses when it is no longer so.
    facts: dict[str, str]
    # Last and with a default: proposals stored before there was a choice lack it.
    method: RefundMethod = RefundMethod.ORIGINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryItem:
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
        return self.proposal.kind


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A token that was opened: what to do, on which order, and the click it belongs to."""

    order_id: int
    proposal: Proposal
    nonce: str
    digest: str


def preview_cancel(order: Order, choice: CancelChoice, *, by: User, now: datetime) -> Preview:
    """Read the order afresh and say what canceling it would do.

    Raises ActionRefused where it may not be canceled, InvalidMoney for a bad amount and
    ShopUnreachable when Shopify cannot be read. Calls Shopify: not inside a transaction.
    """
    gateway = get_gateway()
    gateway.refresh(order)
    snapshot = order.snapshot
    if refusal := cancel_refusal_for(order, now=now):
        raise ActionRefused(refusal)
    labels = {reason.value: reason.label for reason in gateway.cancel_reasons(order.store)}
    if choice.reason not in labels:
        raise ActionRefused(Refusal("reason_missing", _("Choose a reason for the cancelation.")))
    net = rules.net_paid(snapshot)
    amount = choice.amount
    targets: tuple[Target, ...] = ()
    method = choice.method if amount is not None else RefundMethod.ORIGINAL
    if refusal := method_refusal(order, method):
        raise ActionRefused(refusal)
    if amount is not None:
        _check_amount(amount, net)
        targets = _credit_target(amount)
        if method == RefundMethod.ORIGINAL:
            suggestion = gateway.suggest_refund(order, lines=None, shipping=None)
            targets = _targets(amount, suggestion.transactions)
    shipments = live_fulfillments(snapshot) if net else ()
    proposal = Proposal(
        kind=ActionKind.CANCEL_AND_REFUND if amount else ActionKind.CANCEL,
        reason=choice.reason,
        reason_label=labels[choice.reason],
        amount=amount,
        targets=targets,
        is_full_refund=amount is not None and amount == net,
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
    return _preview(order, proposal, by=by, items=items, advice=advice, blocked=blocked)


def preview_refund(order: Order, choice: RefundChoice, *, by: User, now: datetime) -> Preview:
    """Read the order afresh and say what refunding it would do. Raises as preview_cancel."""
    gateway = get_gateway()
    gateway.refresh(order)
    snapshot = order.snapshot
    if refusal := rules.refund_refusal(snapshot):
        raise ActionRefused(refusal)
    delivered = order_is_delivered(order, now=now)
    if delivered and choice.returned not in {Returned.RECEIVED, Returned.NOT_NEEDED}:
        raise ActionRefused(Refusal("return_unanswered", _("Say whether the item has come back.")))
    if choice.reason not in REFUND_REASONS:
        raise ActionRefused(Refusal("reason_missing", _("Choose a reason for the refund.")))
    if refusal := method_refusal(order, choice.method):
        raise ActionRefused(refusal)
    _check_lines(snapshot, choice.lines)
    net = rules.net_paid(snapshot)
    suggestion = gateway.suggest_refund(order, lines=choice.lines, shipping=choice.shipping)
    amount = choice.amount if choice.amount is not None else suggestion.amount
    _check_amount(amount, net)
    is_credit = choice.method == RefundMethod.STORE_CREDIT
    proposal = Proposal(
        kind=ActionKind.REFUND,
        reason=choice.reason,
        reason_label=str(REFUND_REASONS[choice.reason]),
        amount=amount,
        targets=_credit_target(amount) if is_credit else _targets(amount, suggestion.transactions),
        is_full_refund=amount == net,
        lines=choice.lines,
        shipping=choice.shipping,
        # F41: without a return nothing goes back to stock.
        restock=choice.restock and choice.returned != Returned.NOT_NEEDED,
        notify=choice.notify,
        staff_note=choice.staff_note,
        returned=choice.returned if delivered else Returned.NOT_ASKED,
        shipments_to_cancel=(),
        facts=facts(snapshot),
        method=choice.method,
    )
    by_gid = {line.gid: line for line in snapshot.lines}
    items = tuple(SummaryItem(line=by_gid[c.line_gid], quantity=c.quantity) for c in choice.lines)
    advice = rules.refund_advice(
        snapshot, delivered=delivered, earlier_refunds=earlier_refunds(order)
    )
    return _preview(order, proposal, by=by, items=items, advice=advice, blocked=None)


def open_token(token: str, *, by: User) -> Confirmed:
    """Raises StalePreview for a token that is not this person's, forged, or two hours old."""
    try:
        content = signing.loads(token, salt=_SALT, max_age=_TOKEN_AGE_S)
        if content["user"] != by.pk:
            raise StalePreview(_("This summary was made for somebody else: review it again."))
        proposal = msgspec.convert(content["proposal"], Proposal, strict=False)
    except (signing.BadSignature, KeyError, TypeError, msgspec.ValidationError) as error:
        raise StalePreview(_("This summary is too old: review the order again.")) from error
    digest = hashlib.sha256(msgspec.json.encode(content["proposal"])).hexdigest()
    return Confirmed(content["order"], proposal, content["nonce"], digest)


def facts(snapshot: OrderSnapshot) -> dict[str, str]:
    """What a summary rests on. A note or a tag may change under it; none of these may."""
    money = snapshot.money
    shipments = [f"{f.gid}:{f.status}:{f.delivered_at or ''}" for f in live_fulfillments(snapshot)]
    lines = [f"{li.gid}:{li.current_quantity}:{li.refundable_quantity}" for li in snapshot.lines]
    returns = [f"{r.gid}:{r.status}:{r.received_quantity}" for r in snapshot.returns]
    return {
        "canceled": str(snapshot.cancelled_at or ""),
        "payment": snapshot.financial_status or "",
        "received": _sum_text(money.received.presentment),
        "refunded": _sum_text(money.refunded.presentment),
        "shipments": ",".join(shipments),
        "lines": ",".join(lines),
        "returns": ",".join(returns),
        # Store credit is the customer's: the one who was shown, not whom the order has by then.
        "customer": snapshot.customer.gid if snapshot.customer else "",
    }


def changes(before: dict[str, str], after: dict[str, str]) -> tuple[str, ...]:
    """What is different now, as sentences."""
    names = {
        "canceled": _("The order was canceled meanwhile."),
        "payment": _("The payment status changed: %(before)s → %(after)s."),
        "received": _("The sum received changed: %(before)s → %(after)s."),
        "refunded": _("The sum refunded changed: %(before)s → %(after)s."),
        "shipments": _("Its shipments changed."),
        "lines": _("Its items changed."),
        "returns": _("Its returns changed."),
        "customer": _("The order belongs to another customer now."),
    }
    return tuple(
        text % {"before": before.get(key) or "–", "after": after.get(key) or "–"}
        for key, text in names.items()
        if before.get(key) != after.get(key)
    )


def cancel_refusal_for(order: Order, *, now: datetime) -> Refusal | None:
    days = order.store.assume_delivered_after_days
    return rules.cancel_refusal(order.snapshot, now=now, assume_delivered_after_days=days)


def method_refusal(order: Order, method: RefundMethod) -> Refusal | None:
    """Why money may not go back that way. Shopify has more reasons (business customers)."""
    if method == RefundMethod.ORIGINAL:
        return None
    if not order.store.allow_store_credit:
        return Refusal(
            "store_credit_off",
            _("This store does not give refunds as store credit."),
            _("Refund to the original payment instead."),
        )
    if order.snapshot.customer is None:
        return Refusal(
            "store_credit_no_customer",
            _("This order has no customer who could hold store credit."),
            _("Refund to the original payment instead."),
        )
    return None


def order_is_delivered(order: Order, *, now: datetime) -> bool:
    days = order.store.assume_delivered_after_days
    return rules.is_delivered(order.snapshot, now=now, assume_delivered_after_days=days)


def earlier_refunds(order: Order) -> int:
    """How often this customer was refunded at this store, on any order (row G06)."""
    if not order.customer_gid:
        return 0
    theirs = OrderRefund.objects.filter(
        order__store=order.store_id, order__customer_gid=order.customer_gid, amount__gt=0
    )
    return theirs.count()


def ruling_for(
    order: Order, proposal: Proposal, policy: Policy | None, *, by: User, now: datetime
) -> policies.Ruling:
    """What the person's policy says to this proposal, counting what they refunded today."""
    amount = policies.in_shop_currency(proposal.amount, order) if proposal.amount else None
    counts = policy is not None and policy.refund_per_day is not None and amount is not None
    return policies.judge(
        policy,
        kind=proposal.kind,
        amount=amount,
        spent=policies.spent_today(by, order.store, now=now) if counts else Decimal(0),
        has_note=bool(proposal.staff_note.strip()),
    )


def encode_proposal(proposal: Proposal) -> dict[str, Any]:
    """Plain data for a JSON column or a token; amounts as strings."""
    plain: dict[str, Any] = msgspec.to_builtins(proposal)
    return plain


def decode_proposal(plain: dict[str, Any]) -> Proposal:
    return msgspec.convert(plain, Proposal, strict=False)


def _preview(
    order: Order,
    proposal: Proposal,
    *,
    by: User,
    items: tuple[SummaryItem, ...],
    advice: tuple[Advice, ...],
    blocked: Refusal | None,
) -> Preview:
    snapshot = order.snapshot
    ruling = ruling_for(
        order, proposal, policies.policy_of(by, order.store), by=by, now=timezone.now()
    )
    if ruling.approvals:
        people = _("Two people have") if ruling.approvals > 1 else _("A supervisor has")
        text = _("%(why)s %(people)s to approve it before it is sent.") % {
            "why": ruling.why, "people": people,
        }  # fmt: skip
        advice = (Advice("approval", Tone.ATTENTION, text), *advice)
    net = rules.net_paid(snapshot)
    kept = net - proposal.amount if proposal.amount is not None else net
    content = {
        "user": by.pk,
        "order": order.pk,
        "nonce": secrets.token_urlsafe(16),
        "proposal": encode_proposal(proposal),
    }
    return Preview(
        order=order,
        proposal=proposal,
        items=items,
        rows=_rows(proposal, is_paid=bool(net)),
        total=snapshot.money.total.presentment,
        paid=snapshot.money.received.presentment,
        refunded_before=snapshot.money.refunded.presentment,
        kept=kept or None,
        advice=tuple(a for a in advice if _concerns(a, proposal)),
        confirm_label=_confirm_label(proposal, needs_approval=bool(ruling.approvals)),
        blocked=blocked or ruling.refusal,
        token=signing.dumps(content, salt=_SALT, compress=True),
    )


def _rows(proposal: Proposal, *, is_paid: bool) -> tuple[tuple[str, str], ...]:
    yes_no = {True: _("Yes"), False: _("No")}
    rows = [(_("Reason"), proposal.reason_label)]
    if proposal.returned:
        rows.append((_("Has the item come back?"), str(Returned(proposal.returned).label)))
    if proposal.shipments_to_cancel:
        count = len(proposal.shipments_to_cancel)
        rows.append((_("Shipment records canceled"), str(count)))
    if proposal.kind == ActionKind.CANCEL and is_paid:
        rows.append((_("Refund"), _("Later")))
    if proposal.method == RefundMethod.STORE_CREDIT:
        rows.append((_("Goes back to"), str(proposal.method.label)))
    rows.append((_("Restock items"), yes_no[proposal.restock]))
    rows.append((_("Shopify e-mails the customer"), yes_no[proposal.notify]))
    if proposal.staff_note:
        rows.append((_("Staff note"), proposal.staff_note))
    return tuple(rows)


def _concerns(advice: Advice, proposal: Proposal) -> bool:
    """Credit given by Shopify must not be paid out by hand as well."""
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


def _check_amount(amount: Money, net: Money) -> None:
    if amount.currency != net.currency:
        raise InvalidMoney(_("Refund in %(currency)s.") % {"currency": net.currency})
    if not Money.zero(net.currency) < amount <= net:
        raise InvalidMoney(
            _("Enter an amount above 0 and up to %(maximum)s.") % {"maximum": net.format()}
        )


def _check_lines(snapshot: OrderSnapshot, chosen: tuple[LineQuantity, ...]) -> None:
    refundable = {line.gid: line.refundable_quantity for line in snapshot.lines}
    for choice in chosen:
        if not 0 < choice.quantity <= refundable.get(choice.line_gid, 0):
            refusal = Refusal(
                "quantity",
                _("Choose no more items than are left to refund."),
                _("Reload the order."),
            )
            raise ActionRefused(refusal)


def _targets(amount: Money, suggested: tuple[SuggestedTransaction, ...]) -> tuple[Target, ...]:
    """Spread the amount over the payments, in Shopify's order, none above its maximum."""
    shares = allocate(amount, [s.maximum for s in suggested])
    targets = tuple(
        Target(
            parent_gid=payment.parent_gid,
            gateway=payment.gateway,
            label=payment.label,
            is_manual=payment.is_manual,
            amount=share,
        )
        for payment, share in zip(suggested, shares, strict=True)
        if share
    )
    if total((t.amount for t in targets), amount.currency) != amount:
        raise InvalidMoney(_("The refund cannot be split over the payments of this order."))
    return targets


def _credit_target(amount: Money) -> tuple[Target, ...]:
    label = str(RefundMethod.STORE_CREDIT.label)
    return (
        Target(
            parent_gid="", gateway="shopify_store_credit", label=label, is_manual=False,
            amount=amount,
        ),
    )  # fmt: skip


def _sum_text(money: Money) -> str:
    return f"{money.plain()} {money.currency}"


def preview_again(order: Order, token: str, *, by: User, now: datetime) -> Preview:
    """The same choice as a token's, on the order as it is now, with what changed since.

    Raises as preview_cancel and open_token do.
    """
    before = open_token(token, by=by).proposal
    if before.kind == ActionKind.REFUND:
        refund = RefundChoice(
            reason=before.reason,
            lines=before.lines,
            shipping=before.shipping,
            amount=before.amount,
            method=before.method,
            restock=before.restock,
            notify=before.notify,
            staff_note=before.staff_note,
            returned=before.returned,
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
