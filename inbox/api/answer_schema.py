"""What the endpoints for orders and actions answer, for the schema in /api/schema/.

The answers themselves are built in inbox.api.orders.as_json; tests.inbox.api.test_schema compares the two.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from orders.models import ActionKind, ActionState, RefundMethod

S = serializers.Serializer[Any]


class MoneyOut(S):
    """An amount. `amount` is a decimal number as text, so that no digit is lost."""

    amount = serializers.CharField()
    currency = serializers.CharField()


class BriefOut(S):
    """An order, as found by a search."""

    id = serializers.IntegerField()
    shopify_id = serializers.IntegerField()
    name = serializers.CharField()
    store = serializers.CharField()
    placed_at = serializers.DateTimeField()
    total = MoneyOut()


class FoundOut(S):
    """The newest orders that match."""

    results = BriefOut(many=True)


class BadgeOut(S):
    """A status. `raw` is Shopify's own word for it."""

    axis = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field of this name
    tone = serializers.CharField()
    raw = serializers.CharField(allow_null=True, allow_blank=True)


class LabeledOut(S):
    """A line of text with its label."""

    label = serializers.CharField()  # type: ignore[assignment]  # a field of this name
    text = serializers.CharField(allow_blank=True)


class TrackingOut(S):
    """A parcel of a line item, with where to follow it."""

    company = serializers.CharField(allow_blank=True)
    number = serializers.CharField(allow_blank=True)
    url = serializers.CharField(allow_null=True)
    quantity = serializers.IntegerField()
    status = serializers.CharField()


class LineOut(S):
    """A line item. `refundable_quantity` units can still be refunded."""

    id = serializers.CharField()
    title = serializers.CharField(allow_blank=True)
    variant = serializers.CharField(allow_blank=True)
    sku = serializers.CharField(allow_blank=True)
    quantity = serializers.IntegerField()
    refundable_quantity = serializers.IntegerField()
    unshipped = serializers.IntegerField(allow_null=True)
    altered = serializers.ListField(child=serializers.CharField())
    attributes = LabeledOut(many=True)
    unit_price = MoneyOut(allow_null=True)
    tracking = TrackingOut(many=True)


class AllowedOut(S):
    """Whether an action is possible now, and if not, why."""

    allowed = serializers.BooleanField()
    reason_code = serializers.CharField(allow_null=True)
    reason = serializers.CharField(allow_null=True)
    hint = serializers.CharField(allow_null=True, allow_blank=True)


class OrderOut(BriefOut):
    """An order with its lines, money and the actions you can take."""

    badges = BadgeOut(many=True)
    notes = serializers.ListField(child=serializers.CharField())
    details = LabeledOut(many=True)
    status_page_url = serializers.CharField(allow_null=True)
    incomplete = serializers.JSONField(allow_null=True)
    lines = LineOut(many=True)
    returns = serializers.ListField(child=serializers.DictField())
    swaps = serializers.ListField(child=serializers.JSONField())
    money = serializers.ListField(child=serializers.DictField())
    transactions = serializers.ListField(child=serializers.DictField())
    actions = inline_serializer("Actions", {"cancel": AllowedOut(), "refund": AllowedOut()})
    as_of = serializers.DateTimeField(allow_null=True)


class CodedOut(S):
    """Advice, with a stable code."""

    code = serializers.CharField()
    text = serializers.CharField()


class FactOut(S):
    """A line of the summary."""

    label = serializers.CharField()  # type: ignore[assignment]  # a field of this name
    value = serializers.CharField(allow_blank=True)


class TargetOut(S):
    """A payment method, and what goes back to it."""

    label = serializers.CharField()  # type: ignore[assignment]  # a field of this name
    amount = MoneyOut()


class SummaryOut(S):
    """What will happen once `token` is confirmed; nothing has been sent."""

    token = serializers.CharField()
    kind = serializers.ChoiceField(choices=ActionKind.choices)
    confirm_label = serializers.CharField()
    amount = MoneyOut(allow_null=True)
    mode = serializers.CharField()
    calculated = MoneyOut(allow_null=True)
    difference = MoneyOut(allow_null=True)
    discrepancy_reason = serializers.CharField(allow_null=True)
    restocks = serializers.ListField(child=serializers.DictField())
    method = serializers.ChoiceField(choices=RefundMethod.choices)
    total = MoneyOut(allow_null=True)
    paid = MoneyOut(allow_null=True)
    kept = MoneyOut(allow_null=True)
    targets = TargetOut(many=True)
    items = serializers.ListField(child=serializers.DictField())
    facts = FactOut(many=True)
    advice = CodedOut(many=True)
    allowed = serializers.BooleanField()
    reason_code = serializers.CharField(allow_null=True)
    hint = serializers.CharField(allow_null=True, allow_blank=True)


class ActionOut(S):
    """A cancellation or refund that someone requested."""

    id = serializers.IntegerField()
    order = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=ActionKind.choices)
    state = serializers.ChoiceField(choices=ActionState.choices)
    outcome = serializers.CharField(allow_blank=True)
    title = serializers.CharField()
    message = serializers.CharField(allow_blank=True)
    amount = MoneyOut(allow_null=True)
    requested_by = serializers.CharField()
    requested_at = serializers.DateTimeField()
    approved_by = serializers.CharField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    settled_at = serializers.DateTimeField(allow_null=True)
    shopify_refund = serializers.CharField(allow_null=True)
