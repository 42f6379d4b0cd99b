"""How much money each role may move, and the lock under which a day's refunds are counted."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from orders.models.orders import money_field
from orders.models.stores import Store

_NOT_NEGATIVE = [MinValueValidator(0)]


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

    class Meta:
        verbose_name_plural = "policies"
        ordering = ["role", "store"]
        constraints = [
            models.UniqueConstraint(fields=["role", "store"], name="orders_one_policy"),
            models.UniqueConstraint(
                fields=["role"], condition=Q(store=None), name="orders_one_general_policy"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} at {self.store or 'every store'}"

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
