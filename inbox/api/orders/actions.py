"""Confirm, approve, decline and withdraw cancellations and refunds.

Docstrings of views and serializers are part of the public schema.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from inbox import access
from inbox.api import authentication
from inbox.api.answer_schema import ActionOut
from inbox.api.endpoint import Endpoint
from inbox.api.fields import (
    StrictSerializer,
    TextField,
    read,
    read_nothing,
)
from inbox.api.orders import as_json, lookup
from inbox.api.problems import problem, prove_again, refused
from inbox.models import TokenScope
from inbox.visibility import scope_of
from orders import (
    previews,
    services,
)
from orders.actions import status_texts
from orders.errors import ActionRefused, InvalidMoney, Refusal, ShopUnreachable, StalePreview
from orders.models import Order, Outcome

Json = dict[str, Any]


_IDEMPOTENCY_KEY: Final = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 60},
    location="header",
    required=True,
)


class ConfirmSerializer(StrictSerializer):
    """The token of the preview to confirm."""

    token = TextField()


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
            lookup.check_store(request, earlier.order.store_id)
            return Response(as_json.action(earlier), status=status.HTTP_202_ACCEPTED)
        order = lookup.get_order(request, order_id)
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
        return Response(as_json.action(action), status=status.HTTP_202_ACCEPTED)


class ActionDetail(Endpoint):
    """One cancellation or refund, to poll until it has ended."""

    @extend_schema(responses=ActionOut)
    def get(self, request: Request, action_id: int) -> Response:
        """Get an action: its state, who requested it, when, and Shopify's response."""
        return Response(as_json.action(lookup.get_action(request, action_id)))


class DecisionSerializer(StrictSerializer):
    """An optional note that gives the reason."""

    note = TextField(max_length=200, required=False, allow_blank=True, default="")


class ActionApprove(Endpoint):
    """Approve someone else's request."""

    @extend_schema(request=None, responses=ActionOut)
    def post(self, request: Request, action_id: int) -> Response:
        """Approve exactly what was proposed, after a fresh read of the order from Shopify."""
        lookup.get_action(request, action_id)
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
        return Response(as_json.action(lookup.get_action(request, action_id)))


class ActionDecline(Endpoint):
    """Decline someone else's request."""

    @extend_schema(request=DecisionSerializer, responses=ActionOut)
    def post(self, request: Request, action_id: int) -> Response:
        """Decline an action. Nothing was sent to Shopify."""
        lookup.get_action(request, action_id)
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
        return Response(as_json.action(lookup.get_action(request, action_id)))


class ActionWithdraw(Endpoint):
    """Take an action back before anything is sent."""

    @extend_schema(request=None, responses=ActionOut)
    def post(self, request: Request, action_id: int) -> Response:
        """Withdraw an action before anything has been sent."""
        action = lookup.get_action(request, action_id)
        read_nothing(request)
        if refusal := access.withdrawing_refusal(request.user, action):
            return refused(refusal, code=status.HTTP_403_FORBIDDEN)
        try:
            services.withdraw(action_id=action.pk, by=access.agent_of(request), now=timezone.now())
        except ActionRefused as error:
            return refused(error.refusal)
        return Response(as_json.action(lookup.get_action(request, action_id)))


def _not_approvable(error: StalePreview) -> Refusal:
    """Say why an approval came too late, by the action's outcome."""
    if error.outcome == Outcome.STALE:
        reason = _("The order changed. Submit the request again.")
        return Refusal("stale", reason, str(error))
    return Refusal(error.outcome, status_texts.label(error.outcome), str(error))


def _again(request: Request, order: Order, token: str) -> Json | None:
    """Return a new summary of the same choice; None if it can no longer be made."""
    try:
        return as_json.summary(
            previews.preview_again(order, token, by=access.agent_of(request), now=timezone.now())
        )
    except (ActionRefused, InvalidMoney, ShopUnreachable, StalePreview):
        return None
