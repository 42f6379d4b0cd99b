"""The REST endpoint for what waits for a person. Docstrings of views are part of the public schema."""

from __future__ import annotations

from typing import Final

from django.contrib.auth.models import User
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from core.database.keyset import rows_after
from inbox import access
from inbox.api import authentication
from inbox.api.endpoint import Endpoint
from inbox.api.orders import as_json
from inbox.api.reading import paging
from inbox.api.reading.answers import DecisionsOut
from inbox.visibility import scope_of
from orders import policies, services
from orders.errors import Refusal
from orders.models import ActionState, OrderAction, Policy

_WAITING: Final = {
    "approval": ActionState.AWAITING_APPROVAL,
    "review": ActionState.NEEDS_HUMAN,
}
_NAMES: Final = {state: name for name, state in _WAITING.items()}


class Decisions(Endpoint):
    """Cancellations and refunds that wait for a person."""

    parameters = frozenset({"decision", "after"})

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "decision", OpenApiTypes.STR, enum=list(_WAITING), description="Omitted: both."
            ),
            paging.AFTER,
        ],
        responses=DecisionsOut,
    )
    def get(self, request: Request) -> Response:
        """List the requests that wait for approval, and the actions whose outcome has to be compared
        with Shopify, the oldest first.

        Approve or decline with the endpoints of the action; a review is settled in the inbox.
        """
        asked = request.query_params.get("decision")
        if asked is not None and asked not in _WAITING:
            raise ValidationError({"decision": [f"Pass one of {', '.join(_WAITING)}."]})
        rows = scope_of(request.user).actions()
        rows = rows.filter(state__in=[_WAITING[asked]] if asked else list(_NAMES))
        if (stores := authentication.stores_of(request)) is not None:
            rows = rows.filter(order__store__in=stores)
        if after := paging.place(request):
            rows = rows.filter(rows_after(("requested_at", "pk"), after))
        related = ("order__store", "requested_by", "approved_by")
        oldest = rows.select_related(*related).order_by("requested_at", "pk")
        shown = list(oldest[: paging.PAGE + 1])
        judge = _Judge(request)
        return Response(
            paging.page(
                shown,
                at=lambda action: (action.requested_at, action.pk),
                shown=[_decision(action, judge) for action in shown[: paging.PAGE]],
            )
        )


class _Judge:
    """Why the caller may not decide; reads their policies once for all rows."""

    def __init__(self, request: Request) -> None:
        self._by: User = access.agent_of(request)
        self._held: list[Policy] = policies.policies_of(self._by)
        self._general = policies.acting_refusal(self._by)
        self._settling = services.settling_refusal(self._by)
        if not authentication.may_act(request):
            text = "This token's scope doesn't allow that."
            self._general = self._settling = Refusal("token_scope", text)

    def refusal(self, action: OrderAction) -> Refusal | None:
        if action.state == ActionState.NEEDS_HUMAN:
            return self._settling
        return self._general or services.approval_refusal(action, self._by, held=self._held)


def _decision(action: OrderAction, judge: _Judge) -> dict[str, object]:
    refusal = judge.refusal(action)
    given = sum(1 for pk in (action.approved_by_id, action.co_approved_by_id) if pk)
    return as_json.action(action) | {
        "decision": _NAMES[ActionState(action.state)],
        "why": action.why_approval or None,
        "approvals_needed": action.approvals_needed,
        "approvals_given": given,
        "may_decide": refusal is None,
        "reason_code": refusal.code if refusal else None,
        "reason": refusal.reason if refusal else None,
    }
