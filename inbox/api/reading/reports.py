"""REST endpoints for policies and sums of money, for those who may open the admin's pages of them.

Docstrings of views are part of the public schema.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, ClassVar

from django.db.models import Q
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from core.dashboard import DESK
from inbox.accounts import roles
from inbox.api import authentication
from inbox.api.authentication import HasScope
from inbox.api.endpoint import Endpoint
from inbox.api.reading.answers import MoneyReportOut, PoliciesOut
from orders.models import Policy, Store
from orders.models.policies import CONDITIONS
from orders.money import Money
from orders.reports import totals
from orders.reports.money_page import PeriodForm
from orders.reports.shop_sums import ShopSum

_SUMS = (
    "refund_up_to",
    "refund_per_day",
    "note_above",
    "approval_up_to",
    "two_approvers_above",
    "may_approve_up_to",
    "sign_above",
)


class HasAdminPermission(BasePermission):
    """Require the permission of the admin's page that shows the same, which the view names."""

    message = "This needs the permission to open the page of it in the admin."

    def has_permission(self, request: Request, view: Any) -> bool:
        """Ask for it, and for a role that opens the inbox or the admin."""
        may_enter = roles.may_work(request.user) or roles.may_administer(request.user)
        return may_enter and request.user.has_perm(view.permission)


class _AdminEndpoint(Endpoint):
    permission_classes = [HasAdminPermission, HasScope]
    permission: ClassVar[str]


class Policies(_AdminEndpoint):
    """What each role may do."""

    permission = "orders.view_policy"

    @extend_schema(responses=PoliciesOut)
    def get(self, request: Request) -> Response:
        """List the policies. Requires the permission to view policies in the admin."""
        rows = DESK.limited(request.user, Policy.objects.select_related("role", "store"))
        if (stores := authentication.stores_of(request)) is not None:
            rows = rows.filter(Q(store__in=stores) | Q(store=None))
        return Response({"results": [_policy(policy) for policy in rows.order_by("pk")]})


class MoneyReport(_AdminEndpoint):
    """What was refunded and canceled."""

    permission = "orders.view_orderaction"
    parameters = frozenset({"since", "until", "store"})

    @extend_schema(
        parameters=[
            OpenApiParameter("since", OpenApiTypes.DATE, required=True),
            OpenApiParameter("until", OpenApiTypes.DATE, required=True),
            OpenApiParameter(
                "store",
                OpenApiTypes.STR,
                description="A store's domain. Omitted: every store, for those who see every store.",
            ),
        ],
        responses=MoneyReportOut,
    )
    def get(self, request: Request) -> Response:
        """Get the sums of whole days (UTC), both ends included, as on the admin's Money page.

        Requires the permission to view actions in the admin.
        """
        period = _period(request)
        found = totals.report(period)
        store = Store.objects.filter(pk=period.store_id).first() if period.store_id else None
        return Response(
            {
                "since": period.since,
                "until": period.until,
                "store": store.domain if store else None,
                "currencies": [_currency(sheet) for sheet in found.sheets],
                "in_shop_currency": [_in_shop(each) for each in found.in_shop],
                "median_seconds_to_refund": found.times.from_click,
                "median_seconds_from_message": found.times.from_message,
            }
        )


def _period(request: Request) -> totals.Period:
    """Return the period that is asked for, by the rules of the page. Raises ValidationError."""
    asked = request.query_params
    store_id = ""
    if "store" in asked:
        # An unknown one and one that isn't theirs get the same answer.
        known = Store.objects.filter(domain=asked["store"].replace("\x00", ""))
        stores = authentication.stores_of(request)
        found = DESK.limited(request.user, known).first()
        if found is None or (stores is not None and found.pk not in stores):
            raise ValidationError({"store": ["No such store."]})
        store_id = str(found.pk)
    elif authentication.stores_of(request) is not None:
        raise ValidationError({"store": ["This token is limited to stores. Name one of them."]})
    data = {"since": asked.get("since", ""), "until": asked.get("until", ""), "store": store_id}
    form = PeriodForm(data, user=request.user)
    if not form.is_valid():
        raise ValidationError(
            {name: [str(text) for text in texts] for name, texts in form.errors.items()}
        )
    return form.period


def _policy(policy: Policy) -> dict[str, object]:
    sums = {name: _plain(getattr(policy, name)) for name in _SUMS}
    given = {name: getattr(policy, name) for name in CONDITIONS}
    return {
        "id": policy.pk,
        "role": policy.role.name,
        "store": policy.store.domain if policy.store else None,
        "cancel": policy.cancel,
        **sums,
        # 0 is a limit, too, so it is set.
        "conditions": {
            name: _plain(value) if isinstance(value, Decimal) else value
            for name, value in given.items()
            if value is not None and value is not False and value != []
        },
    }


def _plain(amount: Decimal | None) -> str | None:
    return Money(amount, "").plain() if amount is not None else None


def _currency(sheet: totals.Sheet) -> dict[str, object]:
    return {
        "currency": sheet.currency,
        "refunds": sheet.refunds,
        "cancellations": sheet.cancels,
        "refunded": sheet.money.plain(),
        "unconfirmed": sheet.waiting.plain(),
        "orders_placed": sheet.orders,
        "before": _before(sheet.before),
        **{f"by_{table.key}": _rows(table.rows) for table in sheet.tables},
    }


def _in_shop(of: ShopSum) -> dict[str, object]:
    return {
        "currency": of.money.currency,
        "refunds": of.refunds,
        "refunded": of.money.plain(),
        "unknown": of.unknown,
    }


def _before(figures: totals.Figures | None) -> dict[str, object] | None:
    if figures is None:
        return None
    return {
        "refunds": figures.refunds,
        "cancellations": figures.cancels,
        "refunded": figures.money.plain(),
        "orders_placed": figures.orders,
    }


def _rows(rows: Iterable[totals.Row]) -> list[dict[str, object]]:
    return [
        {
            "label": row.label,
            "refunds": row.refunds,
            "cancellations": row.cancels,
            "refunded": row.money.plain(),
            "unconfirmed": row.waiting.plain(),
            "orders_placed": row.orders,
        }
        for row in rows
    ]
