"""A cancellation or refund that an agent requested; stored before anything is sent to Shopify."""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime
from typing import Final, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from core.database.leases import (
    is_due,
    is_free,
)
from orders.models.orders import Order, money_field
from orders.money import Money


class ActionKind(models.TextChoices):
    """What an action does. CANCEL_AND_REFUND is one action: a cancellation may itself refund."""

    CANCEL = "cancel", _("Cancel order")
    CANCEL_AND_REFUND = "cancel_and_refund", _("Cancel order and refund")
    REFUND = "refund", pgettext_lazy("noun", "Refund")


class ActionState(models.TextChoices):
    """Where an action is in its life; TRANSITIONS lists the moves between states."""

    AWAITING_APPROVAL = "awaiting_approval", _("Waiting for approval")
    QUEUED = "queued", _("Starting")
    SENDING = "sending", _("Sending to Shopify")
    PENDING = "pending", _("Shopify is working on it")
    UNKNOWN = "unknown", _("Checking with Shopify")
    BLOCKED = "blocked", _("Waiting for an administrator")
    NEEDS_HUMAN = "needs_human", _("Compare with Shopify")
    SUCCEEDED = "succeeded", _("Done")
    PARTIAL = "partial", _("Canceled, refund failed")
    REJECTED = "rejected", _("Not carried out")
    REVERSED = "reversed", _("Refund failed at the bank")
    WITHDRAWN = "withdrawn", _("Withdrawn")
    DECLINED = "declined", _("Declined")
    EXPIRED = "expired", _("Expired")
    AWAITING_BANK = "awaiting_bank", _("Waiting for the bank")


ACTIVE_STATES = (
    ActionState.AWAITING_APPROVAL,
    ActionState.QUEUED,
    ActionState.SENDING,
    ActionState.PENDING,
    ActionState.UNKNOWN,
    ActionState.BLOCKED,
    ActionState.NEEDS_HUMAN,
)
# The request may still be sent, or sent again, so its frozen bytes must not change.
SENDABLE_STATES = tuple(state for state in ACTIVE_STATES if state != ActionState.NEEDS_HUMAN)
SETTLED_STATES = tuple(state for state in ActionState if state not in ACTIVE_STATES)
# Not sent yet: unless `maybe_applied` is set, the action may still be withdrawn.
WITHDRAWABLE_STATES = (ActionState.AWAITING_APPROVAL, ActionState.QUEUED, ActionState.BLOCKED)
# Ended before anything was sent.
UNSENT_STATES = (ActionState.WITHDRAWN, ActionState.DECLINED, ActionState.EXPIRED)
# Nothing was done at Shopify; not allowed while `maybe_applied` is set.
NOTHING_DONE_STATES = (ActionState.REJECTED, *UNSENT_STATES)
# Something was done: Shopify shows it, or a supervisor confirmed it.
_PROVEN = {
    ActionState.SUCCEEDED,
    ActionState.AWAITING_BANK,
    ActionState.PARTIAL,
    ActionState.REVERSED,
}
# How the marker begins that ends every note we leave at Shopify.
MARKER_BEGINS: Final = "[ax:"
# All legal moves. A database trigger (migration 0012) refuses any other.
TRANSITIONS: Final[dict[ActionState, frozenset[ActionState]]] = {
    ActionState.AWAITING_APPROVAL: frozenset({ActionState.QUEUED, *UNSENT_STATES}),
    ActionState.QUEUED: frozenset(
        {
            ActionState.SENDING,
            ActionState.WITHDRAWN,
            ActionState.EXPIRED,
            *_PROVEN,
        }
    ),
    ActionState.SENDING: frozenset(
        {
            ActionState.QUEUED,
            ActionState.PENDING,
            ActionState.UNKNOWN,
            ActionState.BLOCKED,
            ActionState.NEEDS_HUMAN,
            ActionState.REJECTED,
            ActionState.EXPIRED,
            *_PROVEN,
        }
    ),
    ActionState.PENDING: frozenset({ActionState.SENDING, ActionState.NEEDS_HUMAN, *_PROVEN}),
    ActionState.UNKNOWN: frozenset({ActionState.SENDING, ActionState.NEEDS_HUMAN, *_PROVEN}),
    ActionState.BLOCKED: frozenset(
        {
            ActionState.SENDING,
            ActionState.WITHDRAWN,
            ActionState.EXPIRED,
            ActionState.NEEDS_HUMAN,
            *_PROVEN,
        }
    ),
    ActionState.NEEDS_HUMAN: frozenset({ActionState.REJECTED, *_PROVEN}),
    # The refund is booked; only the bank still has to confirm it.
    ActionState.AWAITING_BANK: frozenset(
        {
            ActionState.SUCCEEDED,
            ActionState.PARTIAL,
            ActionState.REVERSED,
        }
    ),
    # A bank may refuse a refund days after Shopify booked it.
    ActionState.SUCCEEDED: frozenset({ActionState.REVERSED, ActionState.PARTIAL}),
    # Shopify cancels first and may book the refund after our last look.
    ActionState.PARTIAL: frozenset({ActionState.SUCCEEDED, ActionState.AWAITING_BANK}),
    # Recorded as not done, yet Shopify shows it with our marker: a supervisor was wrong, or a
    # backup from before the send was restored. What Shopify shows wins.
    **{state: frozenset(_PROVEN) for state in NOTHING_DONE_STATES},
}
# States a worker resumes on its own, once `next_attempt_at` has passed.
_WORKABLE_STATES = (
    ActionState.QUEUED,
    ActionState.PENDING,
    ActionState.UNKNOWN,
    ActionState.BLOCKED,
)


class Outcome(models.TextChoices):
    """How an action ended, and why.

    The state says what may still happen; the outcome selects the text people read
    (orders.actions.status_texts). Empty while the action is active, and for actions that ended before
    outcomes were stored.
    """

    DONE = "done", _("Done")
    DONE_BY_HAND = "done_by_hand", _("Done, according to a supervisor")
    AWAITING_BANK = "awaiting_bank", _("Waiting for the bank")
    FAILED_AT_BANK = "failed_at_bank", _("Failed at the bank")
    PARTLY_FAILED_AT_BANK = "partly_failed_at_bank", _("Failed in part at the bank")
    REFUSED_BY_SHOPIFY = "refused_by_shopify", _("Refused by Shopify")
    REFUSED_BY_RULES = "refused_by_rules", _("Stopped by our rules")
    STALE = "stale", _("The order changed in the meantime")
    ORDER_GONE = "order_gone", _("Shopify no longer shows the order")
    NOT_BOOKED = "not_booked", _("Shopify recorded no refund")
    NOT_DONE_BY_HAND = "not_done_by_hand", _("Not carried out, according to a supervisor")
    WITHDRAWN = "withdrawn", _("Withdrawn")
    UNINSTALLED = "uninstalled", _("Not sent: the app was uninstalled")
    ERASED = "erased", _("Not sent: the customer’s data had to be deleted")
    DECLINED = "declined", _("Declined")
    NOT_APPROVED = "not_approved", _("Not approved in time")
    NOT_SENT = "not_sent", _("Not sent within a day")


class Returned(models.TextChoices):
    """The agent's answer to "Has the item come back?"."""

    NOT_ASKED = "", _("Not asked")
    RECEIVED = "received", _("Received at center")
    NOT_NEEDED = "not_needed", _("No return needed")


class RefundMethod(models.TextChoices):
    """Where a refund's money goes."""

    ORIGINAL = "original", _("Original payment")
    STORE_CREDIT = "store_credit", _("Store credit")


class OrderActionQuerySet(models.QuerySet["OrderAction"]):
    """Filters for actions under way, and for those a worker may take up."""

    def active(self) -> Self:
        """Actions that have not ended; an order has at most one."""
        return self.filter(state__in=ACTIVE_STATES)

    def due(self, *, now: datetime) -> Self:
        """Actions to work on: their time has come, or their worker died and its lease expired."""
        ready = Q(state__in=_WORKABLE_STATES) & is_due("next_attempt_at", now=now)
        abandoned = Q(state=ActionState.SENDING) & is_free("lease_until", now=now)
        # A frozen store sends nothing, but what was sent before is still looked up, and an action
        # that a dead worker held is released.
        may_proceed = (
            Q(order__store__is_frozen=False) | Q(maybe_applied=True) | Q(state=ActionState.SENDING)
        )
        return self.filter(ready | abandoned, may_proceed)


def new_marker() -> str:
    """Ten random hex characters by which an action is recognized in Shopify's notes."""
    return secrets.token_hex(5)


class OrderAction(models.Model):
    """One cancellation or refund, from its confirmation to its outcome.

    Created by orders.actions.requests; its state changes only in orders.actions.transitions.
    """

    order = models.ForeignKey(Order, models.PROTECT, related_name="actions")
    kind = models.CharField(max_length=20, choices=ActionKind.choices)
    state = models.CharField(max_length=20, choices=ActionState.choices, default=ActionState.QUEUED)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="order_actions"
    )
    requested_at = models.DateTimeField(auto_now_add=True)
    origin = models.CharField(
        max_length=100, blank=True, help_text="Where it was requested, such as conversation:12."
    )
    nonce = models.CharField(
        max_length=64,
        help_text="One for each summary shown, so that a second click finds this row.",
    )
    digest = models.CharField(max_length=64, help_text="SHA-256 of the frozen request.")

    # What was requested (a previews.Proposal), and the exact requests that will be sent for it.
    proposal = models.JSONField()
    steps = models.JSONField()
    idempotency_key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    marker = models.CharField(max_length=20, default=new_marker, unique=True, editable=False)

    # What to refund, in the customer's currency; null: nothing.
    amount = money_field(null=True)
    currency = models.CharField(max_length=3, blank=True)
    reason = models.CharField(max_length=100, blank=True)
    staff_note = models.CharField(max_length=255, blank=True)
    notify = models.BooleanField(
        default=False, help_text="Whether Shopify emails the customer itself."
    )
    returned = models.CharField(
        max_length=12, choices=Returned.choices, default=Returned.NOT_ASKED, blank=True
    )

    amount_shop = money_field(
        default=0, help_text="The same amount in the shop's currency, which limits are set in."
    )
    reserved = money_field(
        default=0, help_text="Set aside from the order's money until the action ends."
    )

    # How many others have to approve, and who has.
    approvals_needed = models.PositiveSmallIntegerField(default=0)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    co_approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    expires_at = models.DateTimeField(
        null=True, help_text="If it hasn't been approved and sent by then, it expires."
    )
    why_approval = models.CharField(max_length=255, blank=True)

    # The worker's own bookkeeping.
    fence = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    # Not a small integer: one poll a minute would overflow it after 22 days.
    attempts = models.PositiveIntegerField(default=0)
    crashes = models.PositiveSmallIntegerField(
        default=0, help_text="How many workers in a row died while processing it."
    )
    next_attempt_at = models.DateTimeField(null=True)
    maybe_applied = models.BooleanField(
        default=False, help_text="Shopify may have received a request."
    )
    step = models.PositiveSmallIntegerField(default=0, help_text="The step that was started last.")
    step_first_sent_at = models.DateTimeField(
        null=True,
        help_text="When that step was first sent, which starts its idempotency key's 24 hours.",
    )
    step_last_sent_at = models.DateTimeField(
        null=True,
        help_text="When that step was last sent; Shopify may still commit it for a while after "
        "this.",
    )
    accepted_steps = models.PositiveSmallIntegerField(
        default=0,
        help_text="How many of the first steps were accepted or seen done; those are never sent "
        "again.",
    )
    sent_at = models.DateTimeField(
        null=True,
        help_text="When the first byte was sent to Shopify; spending limits count from here.",
    )
    is_doubtful = models.BooleanField(
        default=False, help_text="The outcome of that step's last send is unknown."
    )
    job_gid = models.CharField(max_length=200, blank=True)
    refund_gid = models.CharField(max_length=100, blank=True)
    evidence_at = models.DateTimeField(null=True, help_text="When Shopify showed it as done.")
    outcome = models.CharField(
        max_length=30, choices=Outcome.choices, blank=True, help_text="How it ended, and why."
    )
    message = models.TextField(blank=True, help_text="Shopify's response, word for word.")
    settled_at = models.DateTimeField(null=True)

    objects = OrderActionQuerySet.as_manager()

    class Meta:
        ordering = ["-requested_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=ActionState.values), name="orders_action_state_known"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=ActionKind.values), name="orders_action_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=["", *Outcome.values])
                & (Q(outcome="") | Q(state__in=SETTLED_STATES)),
                name="orders_action_outcome_known",
            ),
            # A cancel refunds too, so a cancel and a refund must never be in flight together.
            models.UniqueConstraint(
                fields=["order"],
                condition=Q(state__in=ACTIVE_STATES),
                name="orders_one_active_action",
            ),
            models.UniqueConstraint(
                fields=["requested_by", "nonce"], name="orders_one_action_per_click"
            ),
            models.UniqueConstraint(
                fields=["order", "refund_gid"],
                condition=~Q(refund_gid=""),
                name="orders_one_action_per_refund",
            ),
            models.CheckConstraint(
                condition=Q(kind=ActionKind.CANCEL, amount=None)
                | (
                    # The null must be named: NULL > 0 is not false, and a CHECK lets it pass.
                    ~Q(kind=ActionKind.CANCEL)
                    & Q(amount__isnull=False, amount__gt=0)
                    & ~Q(currency="")
                ),
                name="orders_refund_has_amount",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=(ActionState.SUCCEEDED, ActionState.AWAITING_BANK))
                | Q(evidence_at__isnull=False),
                name="orders_success_has_evidence",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=NOTHING_DONE_STATES) | Q(maybe_applied=False),
                name="orders_unsent_was_not_sent",
            ),
            models.CheckConstraint(
                condition=Q(state__in=(ActionState.AWAITING_APPROVAL, *UNSENT_STATES))
                | Q(approvals_needed=0)
                | Q(approvals_needed=1, approved_by__isnull=False)
                | Q(approvals_needed=2, approved_by__isnull=False, co_approved_by__isnull=False),
                name="orders_sent_was_approved",
            ),
            models.CheckConstraint(
                condition=(Q(approved_by=None) | ~Q(approved_by=F("requested_by")))
                & (
                    Q(co_approved_by=None)
                    | ~Q(co_approved_by=F("requested_by")) & ~Q(co_approved_by=F("approved_by"))
                ),
                name="orders_approved_by_others",
            ),
            models.CheckConstraint(
                condition=Q(reserved__gte=0) & (Q(state__in=ACTIVE_STATES) | Q(reserved=0)),
                name="orders_settled_reserves_nothing",
            ),
            models.CheckConstraint(
                condition=Q(state__in=ACTIVE_STATES, settled_at=None)
                | Q(state__in=SETTLED_STATES, settled_at__isnull=False),
                name="orders_settled_has_time",
            ),
        ]
        indexes = [
            # sweep_actions: active actions by the time they are due.
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(state__in=ACTIVE_STATES),
                name="orders_action_due",
            ),
            # The admin's list, newest first.
            models.Index(fields=["-requested_at", "-id"], name="orders_action_newest"),
            # Everyone's refunds of the last day, as each person's below.
            models.Index(fields=["sent_at"], name="orders_action_sent"),
            models.Index(fields=["step_last_sent_at"], name="orders_action_last_sent"),
            models.Index(fields=["settled_at"], name="orders_action_settled"),
            # A person's refunds of the last day, for their budget: looked up by first and by last
            # send.
            models.Index(fields=["requested_by", "sent_at"], name="orders_action_spent"),
            models.Index(
                fields=["requested_by", "step_last_sent_at"], name="orders_action_last_spent"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.order}"

    @property
    def is_active(self) -> bool:
        """Whether the action has not ended yet."""
        return self.state in ACTIVE_STATES

    @property
    def can_be_withdrawn(self) -> bool:
        """Whether certainly nothing was sent yet."""
        return self.state in WITHDRAWABLE_STATES and not self.maybe_applied

    @property
    def money(self) -> Money | None:
        """The amount to refund, in the customer's currency; None for a plain cancellation."""
        return Money(self.amount, self.currency) if self.amount is not None else None

    @property
    def note_marker(self) -> str:
        """The marker as it ends a note at Shopify, where a read looks for it."""
        return f"{MARKER_BEGINS}{self.marker}]"


def has_marker(note: str) -> bool:
    """Return whether a note at Shopify carries the marker of any of our actions."""
    return MARKER_BEGINS in note
