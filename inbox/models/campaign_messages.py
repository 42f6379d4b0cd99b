"""What each campaign sent, or why it sent nothing."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from inbox.models.campaigns import Campaign, Via
from inbox.models.conversations import DeliveryState, Message, Outbox
from orders.models import Checkout, OrderEvent
from orders.models.orders import money_field


class SendState(models.TextChoices):
    """What was decided about a campaign message; its delivery is a separate state."""

    WAITING = "waiting", _("Waiting for Shopify's answer")
    WRITTEN = "written", _("Written")
    SKIPPED = "skipped", _("Skipped")


class CampaignMessage(Outbox):
    """What one campaign did about one order event or checkout on one channel; at most one row each.

    In a conversation, the linked Message is what gets delivered; an email or SMS is delivered
    from this row itself. A WAITING row is decided once Shopify has been asked, and
    `next_attempt_at` then says when to ask.
    """

    campaign = models.ForeignKey(Campaign, models.PROTECT, related_name="messages")
    event = models.ForeignKey(
        OrderEvent, models.CASCADE, null=True, related_name="campaign_messages"
    )
    checkout = models.ForeignKey(
        Checkout, models.CASCADE, null=True, related_name="campaign_messages"
    )
    via = models.CharField(max_length=12, choices=Via.choices)
    state = models.CharField(max_length=8, choices=SendState.choices)
    reason = models.CharField(max_length=300, blank=True, help_text="Why it was skipped.")
    # The refund that the message announced; null if it announced none.
    amount = money_field(null=True, blank=True)
    message = models.OneToOneField(
        Message, models.SET_NULL, null=True, blank=True, related_name="campaign_message"
    )
    recipient = models.CharField(max_length=255, blank=True)
    subject = models.CharField(max_length=300, blank=True)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    written_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "event", "via"], name="inbox_each_campaign_message_once"
            ),
            models.UniqueConstraint(
                fields=["campaign", "checkout", "via"], name="inbox_each_checkout_message_once"
            ),
            models.CheckConstraint(
                condition=Q(event=None, checkout__isnull=False)
                | Q(event__isnull=False, checkout=None),
                name="inbox_message_of_event_or_checkout",
            ),
            models.CheckConstraint(condition=Q(via__in=Via.values), name="inbox_via_known"),
            models.CheckConstraint(
                condition=Q(state__in=SendState.values), name="inbox_campaign_state_known"
            ),
        ]
        indexes = [
            # Retention: those that still hold a text or an address.
            models.Index(
                fields=["created_at", "id"],
                condition=~Q(recipient="", subject="", body="", error=""),
                name="inbox_campaign_age",
            ),
            # sweep_outbox.
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(delivery_state=DeliveryState.PENDING),
                name="inbox_campaign_due",
            ),
            # Counting the sends in progress.
            models.Index(
                fields=["lease_until"],
                condition=Q(lease_until__isnull=False),
                name="inbox_campaign_leased",
            ),
            # /metrics: recent failures.
            models.Index(
                fields=["failed_at"],
                condition=Q(delivery_state=DeliveryState.FAILED),
                name="inbox_campaign_failed",
            ),
            # sweep_waiting.
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(state=SendState.WAITING),
                name="inbox_campaign_waiting",
            ),
            # The quiet period: what was sent recently.
            models.Index(
                fields=["campaign", "written_at"],
                condition=Q(state=SendState.WRITTEN),
                name="inbox_campaign_written",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign} {self.via} {self.event_id or self.checkout_id}"
