"""Messages that order events trigger (row F47)."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from inbox import placeholders
from inbox.models.conversations import DeliveryState, Message, Outbox
from orders.models import EventKind, OrderEvent
from orders.models.orders import money_field


class CampaignTrigger(models.TextChoices):
    CANCELED = EventKind.CANCELED.value, _("Order canceled")
    REFUNDED = EventKind.REFUNDED.value, _("Refunded")


class Via(models.TextChoices):
    CONVERSATION = "conversation", _("In the conversation")
    EMAIL = "email", _("E-mail")


def validate_placeholders(text: str) -> None:
    if unknown := placeholders.unknown(text):
        known = ", ".join(sorted(placeholders.KNOWN))
        raise ValidationError(
            _("Unknown placeholder %(unknown)s. Known are: %(known)s."),
            params={"unknown": ", ".join(unknown), "known": known},
        )


class CampaignText(models.Model):
    subject = models.CharField(
        max_length=200,
        validators=[validate_placeholders],
        help_text="Of the e-mail. May hold the same placeholders as the text.",
    )
    body = models.TextField(
        validators=[validate_placeholders],
        help_text="Plain text. Placeholders: {{ order.number }}, {{ customer.first_name|there }} "
        "(the word after | is used where the value is missing), {{ customer.name }}, "
        "{{ amount }}, {{ refund_sentence }}, {{ store.name }}.",
    )

    class Meta:
        abstract = True


class Campaign(CampaignText):
    name = models.CharField(max_length=100, unique=True)
    event_kind = models.CharField("when", max_length=20, choices=CampaignTrigger.choices)
    via_conversation = models.BooleanField(
        "in the conversation", default=True, help_text="Into the customer's conversation."
    )
    via_email = models.BooleanField(
        "by e-mail", default=True, help_text="To the order's e-mail address."
    )
    skip_when_shopify_notifies = models.BooleanField(
        default=True,
        help_text="Send nothing when the agent let Shopify e-mail the customer.",
    )
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(event_kind__in=CampaignTrigger.values),
                name="inbox_campaign_event_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def channels(self) -> tuple[Via, ...]:
        wanted = ((Via.CONVERSATION, self.via_conversation), (Via.EMAIL, self.via_email))
        return tuple(via for via, is_wanted in wanted if is_wanted)


class CampaignTranslation(CampaignText):
    """The same campaign in the customer's language."""

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="translations")
    language = models.CharField(max_length=20, help_text="A language code such as de or ar.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "language"], name="inbox_one_text_per_language"
            )
        ]

    def __str__(self) -> str:
        return f"{self.campaign} ({self.language})"


class SendState(models.TextChoices):
    WRITTEN = "written", _("Written")
    SKIPPED = "skipped", _("Skipped")


class CampaignMessage(Outbox):
    """What one event made one campaign do on one channel: each once.

    In a conversation the Message leaves; an e-mail leaves from this row itself.
    """

    campaign = models.ForeignKey(Campaign, models.PROTECT, related_name="messages")
    event = models.ForeignKey(OrderEvent, models.CASCADE, related_name="campaign_messages")
    via = models.CharField(max_length=12, choices=Via.choices)
    state = models.CharField(max_length=8, choices=SendState.choices)
    reason = models.CharField(max_length=300, blank=True, help_text="Why it was skipped.")
    # The refund this message told of; null: of none.
    amount = money_field(null=True, blank=True)
    message = models.OneToOneField(
        Message, models.SET_NULL, null=True, blank=True, related_name="campaign_message"
    )
    recipient = models.CharField(max_length=255, blank=True)
    subject = models.CharField(max_length=300, blank=True)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "event", "via"], name="inbox_each_campaign_message_once"
            ),
            models.CheckConstraint(condition=Q(via__in=Via.values), name="inbox_via_known"),
            models.CheckConstraint(
                condition=Q(state__in=SendState.values), name="inbox_campaign_state_known"
            ),
        ]
        indexes = [
            # sweep_outbox.
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(delivery_state=DeliveryState.PENDING),
                name="inbox_campaign_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign} {self.via} {self.event_id}"
