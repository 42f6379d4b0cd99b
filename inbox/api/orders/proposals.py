"""Find orders, look at one, and preview what to do with it; nothing is sent.

Docstrings of views and serializers are part of the public schema.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from inbox import access
from inbox.api import authentication
from inbox.api.answer_schema import FoundOut, OrderOut, SummaryOut
from inbox.api.endpoint import Endpoint
from inbox.api.fields import (
    FlagField,
    QuantityField,
    StrictSerializer,
    TextField,
    read,
)
from inbox.api.orders import as_json, lookup
from inbox.api.problems import problem, refused
from inbox.contacts import customer_views
from inbox.models import TokenScope
from inbox.panel import search
from inbox.visibility import scope_of
from orders import (
    previews,
    rules,
)
from orders.errors import ActionRefused, InvalidMoney, ShopUnreachable
from orders.models import ActionKind, Order, RefundMethod, Returned
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
        rows = [as_json.brief(order) for order in search.find(words, among=among)]
        return Response({"results": rows})


class OrderDetail(Endpoint):
    """One order, with what the caller may do with it."""

    @extend_schema(responses=OrderOut)
    def get(self, request: Request, order_id: int) -> Response:
        """Get an order: badges, lines with tracking, money, and the actions you can take."""
        order = lookup.get_order(request, order_id)
        customer_views.note_order(request.user, order.pk)
        return Response(as_json.full(order, access.money_refusal_for_order(request.user, order)))


class Previews(Endpoint):
    """Summaries to confirm; nothing is sent."""

    scope = TokenScope.PROPOSE

    @extend_schema(request=ProposalSerializer, responses=SummaryOut)
    def post(self, request: Request, order_id: int) -> Response:
        """Preview an action: a summary from a fresh read of Shopify, and a token to confirm it."""
        order = lookup.get_order(request, order_id)
        data = read(ProposalSerializer, request)
        if refusal := access.money_refusal_for_order(request.user, order):
            return refused(refusal, code=status.HTTP_403_FORBIDDEN)
        try:
            return Response(as_json.summary(_preview(request, order, data)))
        except ActionRefused as error:
            return refused(error.refusal)
        except InvalidMoney as error:
            return problem("invalid", str(error), code=400)
        except ShopUnreachable as error:
            return problem("shop-unreachable", str(error), code=503, detail=error.hint)


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
