"""What each role may do with money, and the lock under which a day's refunds are counted."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from orders.models.orders import money_field
from orders.models.stores import Store

_NOT_NEGATIVE = [MinValueValidator(0)]


def validate_words(value: Any) -> None:
    """Raise ValidationError unless the value is a list of texts, none of them empty."""
    if not isinstance(value, list) or not all(isinstance(w, str) and w.strip() for w in value):
        raise ValidationError("Enter one per line.")


def _words(help_text: str, verbose_name: str) -> models.JSONField[Any]:
    return models.JSONField(
        verbose_name, default=list, blank=True, validators=[validate_words], help_text=help_text
    )


# The conditions under which an action needs approval whatever its amount.
CONDITIONS: Final = (
    "approval_disputed",
    "approval_unverified",
    "approval_days_after_delivery",
    "approval_reasons",
    "approval_products",
    "approval_order_tags",
    "approval_payment_methods",
    "customer_refunds_up_to",
    "customer_refund_count",
    "order_value_up_to",
    "new_agent_days",
)


class CancelRule(models.TextChoices):
    """Whether a role may cancel orders, and on what condition."""

    ALLOW = "allow", "Allowed"
    NOTE = "note", "Allowed with a staff note"
    APPROVAL = "approval", "Needs approval"
    DENY = "deny", "Not allowed"


class Policy(models.Model):
    """What one role may do at one store. Sums are in the shop's currency.

    A person whose roles have no policy has no limit; the system check orders.W001 warns about it.
    If several policies apply, the most generous one counts.
    """

    store = models.ForeignKey(
        Store,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="policies",
        help_text="Leave empty for every store that has no policy of its own for this role.",
    )
    role = models.ForeignKey(
        Group, models.CASCADE, related_name="+", help_text="Such as agents or supervisors."
    )
    refund_up_to = money_field(
        null=True,
        blank=True,
        validators=_NOT_NEGATIVE,
        help_text="The largest refund without approval. 0: every refund needs approval. "
        "Empty: no limit.",
    )
    refund_per_day = money_field(
        null=True,
        blank=True,
        validators=_NOT_NEGATIVE,
        help_text="How much a person can refund in any 24 hours without approval. Empty: no limit.",
    )
    note_above = money_field(
        null=True,
        blank=True,
        validators=_NOT_NEGATIVE,
        help_text="Larger refunds require a staff note. Empty: never required.",
    )
    approval_up_to = money_field(
        null=True,
        blank=True,
        validators=_NOT_NEGATIVE,
        help_text="The largest refund that can be requested at all. Empty: any amount, with "
        "approval.",
    )
    two_approvers_above = money_field(
        null=True,
        blank=True,
        validators=_NOT_NEGATIVE,
        help_text="Larger refunds need approval from two people. Empty: one is enough.",
    )
    cancel = models.CharField(
        "canceling",
        max_length=10,
        choices=CancelRule.choices,
        default=CancelRule.ALLOW,
    )
    may_approve_up_to = money_field(
        null=True,
        blank=True,
        default=0,
        validators=_NOT_NEGATIVE,
        help_text="The largest refund by someone else that this role can approve. 0: none. Empty: "
        "any.",
    )

    sign_above = money_field(
        null=True,
        blank=True,
        validators=_NOT_NEGATIVE,
        verbose_name="passkey above",
        help_text="Approving a larger refund requires the approver's passkey. Empty: never.",
    )

    # Conditions: if one of them holds, or can't be ruled out, an action needs approval whatever
    # its amount (orders.policies.conditions).
    approval_days_after_delivery = models.PositiveSmallIntegerField(
        "days since delivery",
        null=True,
        blank=True,
        help_text="Needs approval if the order was delivered more than this many days ago. Empty: "
        "it doesn't matter when.",
    )
    approval_reasons = _words("These reasons need approval.", "reasons")
    approval_products = _words(
        "Actions on these products need approval. One SKU or exact title per line.", "products"
    )
    approval_order_tags = _words(
        "Orders with one of these tags need approval. One tag per line.", "order tags"
    )
    approval_payment_methods = _words(
        "Orders paid with one of these need approval. One per line, such as paypal.",
        "payment methods",
    )
    customer_refunds_up_to = money_field(
        null=True,
        blank=True,
        validators=_NOT_NEGATIVE,
        verbose_name="a customer's refunds in 90 days",
        help_text="The most a customer can be refunded in 90 days without approval, including the "
        "refund in question. Empty: no limit.",
    )
    customer_refund_count = models.PositiveSmallIntegerField(
        "number of a customer's refunds in 90 days",
        null=True,
        blank=True,
        help_text="How many refunds a customer can get in 90 days without approval, including the "
        "refund in question. Empty: no limit.",
    )
    approval_disputed = models.BooleanField(
        "disputed orders",
        default=False,
        help_text="Orders with a dispute that is open or lost need approval.",
    )
    approval_unverified = models.BooleanField(
        "unverified senders",
        default=False,
        help_text="Needs approval unless a verified address shows that the customer wrote.",
    )
    new_agent_days = models.PositiveSmallIntegerField(
        "an agent's first days",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Needs approval until the agent's account is this many days old. Empty: never.",
    )
    order_value_up_to = money_field(
        null=True,
        blank=True,
        validators=_NOT_NEGATIVE,
        verbose_name="order value",
        help_text="Needs approval if the order's total is higher. Empty: no limit.",
    )

    class Meta:
        verbose_name_plural = "policies"
        ordering = ["role", "store"]
        constraints = [
            models.UniqueConstraint(fields=["role", "store"], name="orders_one_policy"),
            models.UniqueConstraint(
                fields=["role"], condition=Q(store=None), name="orders_one_general_policy"
            ),
            # NULL, for no limit, passes a CHECK.
            models.CheckConstraint(
                condition=Q(customer_refunds_up_to__gte=0), name="orders_policy_customer_refunds"
            ),
            models.CheckConstraint(
                condition=Q(order_value_up_to__gte=0), name="orders_policy_order_value"
            ),
            models.CheckConstraint(
                condition=Q(new_agent_days__gte=1), name="orders_policy_new_agent_days"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} at {self.store or 'every store'}"

    @property
    def conditions(self) -> list[str]:
        """The names of the conditions that are set."""
        # 0 is a limit, too.
        is_set = {name: getattr(self, name) not in (None, []) for name in CONDITIONS}
        is_set |= {
            name: getattr(self, name) for name in ("approval_disputed", "approval_unverified")
        }
        names = {field.name: str(field.verbose_name) for field in self._meta.fields}
        return [names[name] for name in CONDITIONS if is_set[name]]

    def clean(self) -> None:
        """Raise ValidationError if requests were capped below what needs no approval."""
        free, highest = self.refund_up_to, self.approval_up_to
        if free is not None and highest is not None and highest < free:
            raise ValidationError(
                {"approval_up_to": "Can't be lower than what's allowed without approval."}
            )


class RefundBudget(models.Model):
    """One row per person and store, locked while the day's refunds are counted."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    store = models.ForeignKey(Store, models.CASCADE, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "store"], name="orders_one_budget")]

    def __str__(self) -> str:
        return f"{self.user} at {self.store}"
