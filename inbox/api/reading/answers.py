"""What these endpoints answer, for the schema in /api/schema/."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from inbox.api.answer_schema import ActionOut, MoneyOut
from orders.models import EventKind, EventSource
from orders.models.policies import CancelRule

S = serializers.Serializer[Any]


class ContactBriefOut(S):
    """A contact, as found by a search."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    created_at = serializers.DateTimeField()


class ContactsOut(S):
    """A page of contacts, the newest first."""

    results = ContactBriefOut(many=True)
    next = serializers.CharField(allow_null=True)


class IdentityOut(S):
    """An address that counts as the contact's, or their Shopify customer at `store`."""

    kind = serializers.ChoiceField(choices=["email", "phone", "shopify_customer"])
    value = serializers.CharField()
    store = serializers.CharField(allow_null=True)


class ClaimOut(S):
    """An address that they gave without proof; it finds no orders."""

    kind = serializers.ChoiceField(choices=["email", "phone"])
    value = serializers.CharField()


class ContactOut(ContactBriefOut):
    """A contact with what they are known by."""

    language = serializers.CharField(allow_null=True)
    identities = IdentityOut(many=True)
    unproven = ClaimOut(many=True)


class TimelineOrderOut(S):
    """The order that an event is about."""

    id = serializers.IntegerField()
    name = serializers.CharField(allow_blank=True)
    store = serializers.CharField()


class EventOut(S):
    """Something that happened to an order. `action` and `conversation` are where it came from."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=EventKind.choices)
    label = serializers.CharField()  # type: ignore[assignment]  # a field of this name
    occurred_at = serializers.DateTimeField()
    source = serializers.ChoiceField(choices=EventSource.choices)  # type: ignore[assignment]  # a field of this name
    actor = serializers.CharField(allow_null=True)
    order = TimelineOrderOut()
    amount = MoneyOut(allow_null=True)
    reason = serializers.CharField(allow_null=True)
    detail = serializers.CharField(allow_null=True)
    action = serializers.IntegerField(allow_null=True)
    conversation = serializers.IntegerField(allow_null=True)


class TimelineOut(S):
    """A page of what happened to a contact's orders, the newest first."""

    results = EventOut(many=True)
    next = serializers.CharField(allow_null=True)
    is_complete = serializers.BooleanField()


class DecisionOut(ActionOut):
    """An action that waits for a person. `may_decide` says whether that can be you."""

    decision = serializers.ChoiceField(choices=["approval", "review"])
    why = serializers.CharField(allow_null=True)
    approvals_needed = serializers.IntegerField()
    approvals_given = serializers.IntegerField()
    may_decide = serializers.BooleanField()
    reason_code = serializers.CharField(allow_null=True)
    reason = serializers.CharField(allow_null=True)


class DecisionsOut(S):
    """A page of what waits, the oldest first."""

    results = DecisionOut(many=True)
    next = serializers.CharField(allow_null=True)


class PolicyOut(S):
    """What a role may do at a store; `store` null: at every store without a policy of its own.

    Amounts are in the shop's currency. What null means for each is said on the admin's page:
    no limit, or never.
    """

    id = serializers.IntegerField()
    role = serializers.CharField()
    store = serializers.CharField(allow_null=True)
    cancel = serializers.ChoiceField(choices=CancelRule.choices)
    refund_up_to = serializers.CharField(allow_null=True)
    refund_per_day = serializers.CharField(allow_null=True)
    note_above = serializers.CharField(allow_null=True)
    approval_up_to = serializers.CharField(allow_null=True)
    two_approvers_above = serializers.CharField(allow_null=True)
    may_approve_up_to = serializers.CharField(allow_null=True)
    sign_above = serializers.CharField(allow_null=True)
    conditions = serializers.DictField(
        help_text="When an action needs approval whatever its amount; only those that are set."
    )


class PoliciesOut(S):
    """All policies."""

    results = PolicyOut(many=True)


class SumOut(S):
    """A row of a breakdown. `unconfirmed` may still follow and isn't part of `refunded`.

    `orders_placed` is of the row's store or day; in the other breakdowns, of the whole period.
    """

    label = serializers.CharField()  # type: ignore[assignment]  # a field of this name
    refunds = serializers.IntegerField()
    cancellations = serializers.IntegerField()
    refunded = serializers.CharField()
    unconfirmed = serializers.CharField()
    orders_placed = serializers.IntegerField()


class BeforeOut(S):
    """The sums of as many days before the period."""

    refunds = serializers.IntegerField()
    cancellations = serializers.IntegerField()
    refunded = serializers.CharField()
    orders_placed = serializers.IntegerField()


class CurrencyOut(S):
    """The sums in one currency; currencies are never added up."""

    currency = serializers.CharField()
    refunds = serializers.IntegerField()
    cancellations = serializers.IntegerField()
    refunded = serializers.CharField()
    unconfirmed = serializers.CharField()
    orders_placed = serializers.IntegerField()
    before = BeforeOut(allow_null=True)
    by_day = SumOut(many=True)
    by_reason = SumOut(many=True)
    by_agent = SumOut(many=True)
    by_store = SumOut(many=True)
    by_source = SumOut(many=True)
    by_channel = SumOut(many=True)


class ShopSumOut(S):
    """Refunds of all currencies in a store's currency.

    `unknown` more are known only in the customer's currency and aren't part of `refunded`.
    """

    currency = serializers.CharField()
    refunds = serializers.IntegerField()
    refunded = serializers.CharField()
    unknown = serializers.IntegerField()


class MoneyReportOut(S):
    """What was refunded and canceled on these days (UTC), without test orders."""

    since = serializers.DateField()
    until = serializers.DateField()
    store = serializers.CharField(allow_null=True)
    currencies = CurrencyOut(many=True)
    in_shop_currency = ShopSumOut(many=True)
    median_seconds_to_refund = serializers.FloatField(allow_null=True)
    median_seconds_from_message = serializers.FloatField(
        allow_null=True, help_text="From the customer's first message after the order."
    )
