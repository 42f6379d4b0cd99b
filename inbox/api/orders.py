"""REST endpoints for orders and actions, with the same rules and refusals as the pages.

Docstrings of views and serializers are part of the public schema.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any, Final

from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from inbox import access
from inbox.api import authentication
from inbox.api.answers import ActionOut, FoundOut, OrderOut, SummaryOut
from inbox.api.endpoint import Endpoint
from inbox.api.fields import (
    FlagField,
    QuantityField,
    StrictSerializer,
    TextField,
    read,
    read_nothing,
)
from inbox.api.problems import problem, prove_again, refused
from inbox.contacts import customer_views
from inbox.models import TokenScope
from inbox.panel import search
from inbox.panel.forms import Mode
from inbox.scopes import scope_of
from orders import (
    panels,
    previews,
    rules,
    services,
)
from orders.actions import status_texts
from orders.errors import ActionRefused, InvalidMoney, Refusal, ShopUnreachable, StalePreview
from orders.models import ActionKind, Order, OrderAction, Outcome, RefundMethod, Returned
from orders.money import Money
from orders.snapshot import LineQuantity

Json = dict[str, Any]


# Shopify's discrepancy reason for API clients that don't give one, by their refund reason.
_DISCREPANCIES: Final = {"damaged": "DAMAGE", "changed_mind": "CUSTOMER", "goodwill": "CUSTOMER"}
# What only a plain refund can choose.
_OF_REFUNDS: Final = frozenset({"lines", "shipping", "discrepancy_reason", "returned", "through"})


class LineSerializer(StrictSerializer):
    """A line item, and how many units of it to refund."""

    line = TextField(help_text="The line item's Shopify gid.")
    quantity = QuantityField()


class ProposalSerializer(StrictSerializer):
    """What to do with an order, before anything is computed."""

    kind = serializers.ChoiceField(choices=ActionKind.choices)
    reason = TextField(max_length=40)
    amount = TextField(max_length=24, required=False, allow_null=True)
    method = serializers.ChoiceField(choices=RefundMethod.choices, default=RefundMethod.ORIGINAL)
    lines = LineSerializer(many=True, required=False)
    discrepancy_reason = serializers.ChoiceField(
        choices=list(previews.DISCREPANCY_REASONS),
        required=False,
        help_text="Why `amount` differs from what Shopify calculates for `lines` and `shipping`. If "
        "omitted, derived from `reason`.",
    )
    shipping = TextField(max_length=24, required=False, allow_null=True)
    # As in the dialog: received items go back to stock unless the client says otherwise.
    restock = FlagField(required=False, allow_null=True, default=None)
    notify = FlagField(default=False)
    cancel_shipments = FlagField(default=False)
    returned = serializers.ChoiceField(choices=["received", "not_needed"], required=False)
    through = TextField(
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="The gid of the return that contains the items. Empty: not in a return. Omitted: "
        "whichever return contains them.",
    )
    staff_note = TextField(
        max_length=previews.STAFF_NOTE_LENGTH, required=False, allow_blank=True, default=""
    )

    def validate_lines(self, lines: list[Json]) -> list[Json]:
        counts = Counter(line["line"] for line in lines)
        if twice := sorted(gid for gid, count in counts.items() if count > 1):
            raise serializers.ValidationError(
                [f"{gid} is listed twice. Add up its quantities." for gid in twice]
            )
        return lines

    def validate(self, data: Json) -> Json:
        """Refuse what would be ignored: who sends it expects something to come of it."""
        ignored, why = _ignored(data)
        if errors := {name: [why] for name in ignored if _says_something(name, data.get(name))}:
            raise serializers.ValidationError(errors)
        return data


def _ignored(data: Json) -> tuple[frozenset[str], str]:
    """Return the names of the fields that have no effect beside the others, and why."""
    kind = data["kind"]
    if kind != ActionKind.REFUND:
        also = {"amount", "method"} if kind == ActionKind.CANCEL else set()
        return _OF_REFUNDS | also, f"Has no effect on {kind}. Leave it out."
    if not data.get("lines") and not data.get("shipping"):
        names = {"cancel_shipments", "discrepancy_reason", "through", "restock"}
        return frozenset(names), "Has no effect without lines. Leave it out."
    if not data.get("amount"):
        names = {"cancel_shipments", "discrepancy_reason"}
        return frozenset(names), "Has no effect without an amount. Leave it out."
    return frozenset({"cancel_shipments"}), "Has no effect on a refund. Leave it out."


def _says_something(name: str, value: object) -> bool:
    # "" for `through` and the original method only say what happens anyway.
    return bool(value) and not (name == "method" and value == RefundMethod.ORIGINAL)


class ConfirmSerializer(StrictSerializer):
    """The token of the preview to confirm."""

    token = TextField()


_IDEMPOTENCY_KEY: Final = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 60},
    location="header",
    required=True,
)


class Orders(Endpoint):
    """Search all stores, as *Find an order* in the inbox does."""

    parameters = frozenset({"q"})

    @extend_schema(
        operation_id="orders_search",
        parameters=[OpenApiParameter("q", OpenApiTypes.STR, required=True)],
        responses=FoundOut,
    )
    def get(self, request: Request) -> Response:
        """Find orders in your stores by number, ID, email, phone, tracking number, or name."""
        words = request.query_params.get("q", "")
        if not search.clean(words):
            return problem(
                "invalid",
                "Pass q: an order number, ID, email, phone, tracking number, or a customer's name.",
                code=400,
            )
        among = scope_of(request.user).orders().at(authentication.stores_of(request))
        rows = [_brief(order) for order in search.find(words, among=among)]
        return Response({"results": rows})


class OrderDetail(Endpoint):
    """One order, with what the caller may do with it."""

    @extend_schema(responses=OrderOut)
    def get(self, request: Request, order_id: int) -> Response:
        """Get an order: badges, lines with tracking, money, and the actions you can take."""
        order = _order(request, order_id)
        customer_views.note_order(request.user, order.pk)
        return Response(_full(order, access.money_refusal_for_order(request.user, order)))


class Previews(Endpoint):
    """Summaries to confirm; nothing is sent."""

    scope = TokenScope.PROPOSE

    @extend_schema(request=ProposalSerializer, responses=SummaryOut)
    def post(self, request: Request, order_id: int) -> Response:
        """Preview an action: a summary from a fresh read of Shopify, and a token to confirm it."""
        order = _order(request, order_id)
        data = read(ProposalSerializer, request)
        if refusal := access.money_refusal_for_order(request.user, order):
            return refused(refusal, code=status.HTTP_403_FORBIDDEN)
        try:
            return Response(_summary(_preview(request, order, data)))
        except ActionRefused as error:
            return refused(error.refusal)
        except InvalidMoney as error:
            return problem("invalid", str(error), code=400)
        except ShopUnreachable as error:
            return problem("shop-unreachable", str(error), code=503, detail=error.hint)


class Actions(Endpoint):
    """Where a summary is confirmed."""

    scope = TokenScope.PROPOSE

    @extend_schema(
        request=ConfirmSerializer,
        responses={202: ActionOut},
        parameters=[_IDEMPOTENCY_KEY],
    )
    def post(self, request: Request, order_id: int) -> Response:
        """Confirm a summary. If its author repeats it with the same Idempotency-Key, the response is
        the same action, whatever has changed since."""
        click = request.headers.get("Idempotency-Key", "")
        if not 1 <= len(click) <= 60 or not click.isprintable():
            return problem("invalid", "Send an Idempotency-Key of 1 to 60 characters.", code=400)
        pressed = {
            "token": read(ConfirmSerializer, request)["token"],
            # Prefixed, so that it can't equal the nonce of a summary confirmed on a page.
            "click": f"api:{click}",
            "order_id": order_id,
            "by": access.agent_of(request),
        }
        try:
            earlier = services.earlier_action(**pressed)
        except ActionRefused as error:
            return refused(error.refusal)
        if earlier and scope_of(request.user).sees_store(earlier.order.store_id):
            _check_store(request, earlier.order.store_id)
            return Response(_action(earlier), status=status.HTTP_202_ACCEPTED)
        order = _order(request, order_id)
        if refusal := access.money_refusal_for_order(request.user, order):
            return refused(refusal, code=status.HTTP_403_FORBIDDEN)
        try:
            action = services.request_action(
                **pressed,
                now=timezone.now(),
                origin="api",
                guard=partial(access.money_refusal_for_order, request.user),
                is_proposal=not authentication.may_act(request),
            )
        except StalePreview as error:
            stale = Refusal("stale", "The order changed. Review it again.", str(error))
            return refused(stale, preview=_again(request, order, pressed["token"]))
        except ActionRefused as error:
            return refused(error.refusal)
        return Response(_action(action), status=status.HTTP_202_ACCEPTED)


class ActionDetail(Endpoint):
    """One cancellation or refund, to poll until it has ended."""

    @extend_schema(responses=ActionOut)
    def get(self, request: Request, action_id: int) -> Response:
        """Get an action: its state, who requested it, when, and Shopify's response."""
        return Response(_action(_get_action(request, action_id)))


class DecisionSerializer(StrictSerializer):
    """An optional note that gives the reason."""

    note = TextField(max_length=200, required=False, allow_blank=True, default="")


class ActionApprove(Endpoint):
    """Approve someone else's request."""

    @extend_schema(request=None, responses=ActionOut)
    def post(self, request: Request, action_id: int) -> Response:
        """Approve exactly what was proposed, after a fresh read of the order from Shopify."""
        _get_action(request, action_id)
        read_nothing(request)
        if (unproven := prove_again(request)) is not None:
            return unproven
        try:
            services.approve(
                action_id=action_id,
                by=access.agent_of(request),
                guard=access.approving_refusal,
                now=timezone.now(),
            )
        except StalePreview as error:
            return refused(_not_approvable(error))
        except ActionRefused as error:
            return refused(error.refusal)
        except ShopUnreachable as error:
            return problem("shop-unreachable", str(error), code=503, detail=error.hint)
        return Response(_action(_get_action(request, action_id)))


class ActionDecline(Endpoint):
    """Decline someone else's request."""

    @extend_schema(request=DecisionSerializer, responses=ActionOut)
    def post(self, request: Request, action_id: int) -> Response:
        """Decline an action. Nothing was sent to Shopify."""
        _get_action(request, action_id)
        note = read(DecisionSerializer, request)["note"]
        try:
            services.decline(
                action_id=action_id,
                by=access.agent_of(request),
                note=note,
                now=timezone.now(),
            )
        except ActionRefused as error:
            return refused(error.refusal)
        return Response(_action(_get_action(request, action_id)))


class ActionWithdraw(Endpoint):
    """Take an action back before anything is sent."""

    @extend_schema(request=None, responses=ActionOut)
    def post(self, request: Request, action_id: int) -> Response:
        """Withdraw an action before anything has been sent."""
        action = _get_action(request, action_id)
        read_nothing(request)
        if refusal := access.withdrawing_refusal(request.user, action):
            return refused(refusal, code=status.HTTP_403_FORBIDDEN)
        try:
            services.withdraw(action_id=action.pk, by=access.agent_of(request), now=timezone.now())
        except ActionRefused as error:
            return refused(error.refusal)
        return Response(_action(_get_action(request, action_id)))


def _not_approvable(error: StalePreview) -> Refusal:
    """Say why an approval came too late, by the action's outcome."""
    if error.outcome == Outcome.STALE:
        reason = _("The order changed. Submit the request again.")
        return Refusal("stale", reason, str(error))
    return Refusal(error.outcome, status_texts.label(error.outcome), str(error))


def _order(request: Request, order_id: int) -> Order:
    order = access.get_order(request.user, order_id)
    _check_store(request, order.store_id)
    return order


def _get_action(request: Request, action_id: int) -> OrderAction:
    action = access.get_action(request.user, action_id)
    _check_store(request, action.order.store_id)
    return action


def _check_store(request: Request, store_id: int) -> None:
    stores = authentication.stores_of(request)
    if stores is not None and store_id not in stores:
        raise Http404


def _preview(request: Request, order: Order, data: Json) -> previews.Preview:
    now = timezone.now()
    net = rules.net_paid(order.snapshot)

    def money(name: str) -> Money | None:
        text = data.get(name)
        return Money.parse(text, net.currency, places=net.places) if text else None

    if data["kind"] == ActionKind.REFUND:
        choice = previews.RefundChoice(
            reason=data["reason"],
            lines=tuple(
                LineQuantity(line_gid=line["line"], quantity=line["quantity"])
                for line in data.get("lines") or ()
            ),
            shipping=money("shipping"),
            amount=money("amount"),
            discrepancy_reason=data.get("discrepancy_reason")
            or _DISCREPANCIES.get(data["reason"], "OTHER"),
            method=RefundMethod(data["method"]),
            restock=_restock(data),
            notify=data["notify"],
            staff_note=data["staff_note"],
            returned=data.get("returned") or Returned.NOT_ASKED,
            through=data.get("through"),
        )
        return previews.preview_refund(order, choice, by=access.agent_of(request), now=now)
    amount = money("amount")
    if data["kind"] == ActionKind.CANCEL_AND_REFUND and amount is None:
        amount = rules.net_paid(order.snapshot)
    cancel = previews.CancelChoice(
        reason=data["reason"].upper(),
        amount=amount if data["kind"] == ActionKind.CANCEL_AND_REFUND else None,
        method=RefundMethod(data["method"]),
        restock=bool(data["restock"]),
        notify=data["notify"],
        staff_note=data["staff_note"],
        cancel_shipments=data["cancel_shipments"],
    )
    return previews.preview_cancel(order, cancel, by=access.agent_of(request), now=now)


def _restock(data: Json) -> bool:
    """Return whether to restock. As in the dialog, *received* implies it unless it's set."""
    if data["restock"] is None:
        return bool(data.get("returned") == Returned.RECEIVED)
    return bool(data["restock"])


def _again(request: Request, order: Order, token: str) -> Json | None:
    """Return a new summary of the same choice; None if it can no longer be made."""
    try:
        return _summary(
            previews.preview_again(order, token, by=access.agent_of(request), now=timezone.now())
        )
    except (ActionRefused, InvalidMoney, ShopUnreachable, StalePreview):
        return None


def _money(money: Money | None) -> Json | None:
    return {"amount": money.plain(), "currency": money.currency} if money else None


def _summary(preview: previews.Preview) -> Json:
    proposal = preview.proposal
    return {
        "token": preview.token,
        "kind": preview.kind,
        "confirm_label": preview.confirm_label,
        "amount": _money(proposal.amount),
        "mode": Mode.AMOUNT if proposal.is_amount_only else Mode.ITEMS,
        "calculated": _money(proposal.calculated),
        "difference": _money(proposal.difference),
        "discrepancy_reason": proposal.discrepancy_reason or None,
        "restocks": [
            {
                "line": r.line_gid,
                "quantity": r.quantity,
                "type": r.kind,
                "location": r.place or None,
            }
            for r in proposal.restocks
        ],
        "method": proposal.method,
        "total": _money(preview.total),
        "paid": _money(preview.paid),
        "kept": _money(preview.kept),
        "targets": [{"label": t.label, "amount": _money(t.amount)} for t in proposal.targets],
        "items": [
            {"line": i.line.gid, "title": i.line.title, "quantity": i.quantity}
            for i in preview.items
        ],
        "return": proposal.through
        and {
            "id": proposal.through.gid,
            "name": proposal.through.name,
            "left": proposal.through.left,
        },
        "facts": [{"label": label, "value": value} for label, value in preview.rows],
        "advice": [{"code": a.code, "text": a.text} for a in preview.advice],
        "allowed": preview.blocked is None,
        "reason_code": preview.blocked.code if preview.blocked else None,
        "hint": preview.blocked.hint if preview.blocked else None,
    }


def _brief(order: Order) -> Json:
    money = order.snapshot.money
    return {
        "id": order.pk,
        "shopify_id": order.legacy_id,
        "name": order.name,
        "store": order.store.domain,
        "placed_at": order.placed_at,
        "total": _money(money.total.presentment),
    }


def _button(button: panels.Button) -> Json:
    refusal = button.refusal
    return {
        "allowed": button.is_allowed,
        "reason_code": refusal.code if refusal else None,
        "reason": refusal.reason if refusal else None,
        "hint": refusal.hint if refusal else None,
    }


def _full(order: Order, acting: Refusal | None) -> Json:
    now = timezone.now()
    card = panels.order_card(order, acting=acting, now=now)
    cancel, refund = panels.action_states(order, acting=acting, now=now)
    return _brief(order) | {
        "badges": [
            {"axis": b.axis, "label": b.label, "tone": b.tone, "raw": b.raw} for b in card.badges
        ],
        "notes": [b.label for b in card.notes],
        "details": [{"label": d.label, "text": d.text} for d in card.details],
        "status_page_url": card.status_page_url or None,
        "incomplete": card.unread or None,
        "lines": [
            {
                "id": row.item.gid,
                "title": row.item.title,
                "variant": row.item.variant_title,
                "sku": row.item.sku,
                "quantity": row.item.quantity,
                "refundable_quantity": row.item.refundable_quantity,
                "unshipped": row.unshipped,
                "altered": list(row.altered),
                "attributes": [{"label": a.label, "text": a.text} for a in row.attributes],
                "unit_price": _money(row.item.unit_price),
                "tracking": [
                    {
                        "company": t.company,
                        "number": t.number,
                        "url": t.url or None,
                        "quantity": parcel.quantity,
                        "status": parcel.badge.label,
                    }
                    for parcel in row.parcels
                    for t in parcel.tracking
                ],
            }
            for row in card.lines
        ],
        "returns": [_return(row) for row in card.returns],
        "swaps": list(card.swaps),
        "money": [
            {"label": row.label, "included": row.is_included, **(_money(row.amount) or {})}
            for row in card.money
        ],
        "transactions": [
            {
                "kind": t.label,
                "gateway": t.gateway,
                "status": t.state.label,
                "reason": t.reason,
                "at": t.at,
                **(_money(t.amount) or {}),
            }
            for t in card.transactions
        ],
        "actions": {"cancel": _button(cancel), "refund": _button(refund)},
        "as_of": card.as_of,
    }


def _return(row: panels.ReturnRow) -> Json:
    return {
        "id": row.gid,
        "name": row.name,
        "status": row.badge.raw,
        "state": row.receipt,
        "label": row.badge.label,
        "received": row.received,
        "units": row.total,
        "lines": [
            {
                "line": item.line_gid,
                "title": item.title,
                "quantity": item.quantity,
                "received": item.received,
                "refunded": item.refunded,
                "reason": item.reason,
                "note": item.note,
            }
            for item in row.items
        ],
    }


def _action(action: OrderAction) -> Json:
    notice = panels.action_notice(action)
    return {
        "id": action.pk,
        "order": action.order_id,
        "kind": action.kind,
        "state": action.state,
        "outcome": notice.outcome,
        "title": notice.title,
        "message": notice.text,
        "amount": _money(action.money),
        "requested_by": action.requested_by.get_username(),
        "requested_at": action.requested_at,
        "approved_by": action.approved_by.get_username() if action.approved_by else None,
        "expires_at": action.expires_at,
        "settled_at": action.settled_at,
        "shopify_refund": action.refund_gid or None,
    }
