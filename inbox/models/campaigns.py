"""Campaigns: messages triggered by order events and checkouts."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Self

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from inbox.texts import placeholders
from orders.models import EventKind


class CampaignTrigger(models.TextChoices):
    """Order events, with the same values as EventKind, and what happens to checkouts."""

    PLACED = EventKind.PLACED.value, _("Order placed")
    PAID = EventKind.PAID.value, _("Payment received")
    FULFILLED = EventKind.FULFILLED.value, _("Order shipped")
    DELIVERED = EventKind.DELIVERED.value, _("Delivered")
    CANCELED = EventKind.CANCELED.value, _("Order canceled")
    REFUNDED = EventKind.REFUNDED.value, _("Refunded")
    CHECKOUT_STARTED = "checkout_started", _("Checkout started")
    CHECKOUT_ABANDONED = "checkout_abandoned", _("Checkout abandoned")


CHECKOUT_TRIGGERS: Final = (
    CampaignTrigger.CHECKOUT_STARTED.value,
    CampaignTrigger.CHECKOUT_ABANDONED.value,
)
CONFIRMATIONS: Final = (CampaignTrigger.CANCELED.value, CampaignTrigger.REFUNDED.value)


class Purpose(models.TextChoices):
    """Marketing needs the customer's consent; transactional messages don't."""

    TRANSACTIONAL = "transactional", _("Transactional")
    MARKETING = "marketing", _("Marketing")


class Via(models.TextChoices):
    """The channels a campaign can use. The values match outbox.routes.Way where both exist."""

    CONVERSATION = "conversation", _("In the conversation")
    EMAIL = "email", _("Email")
    SMS = "sms", _("SMS")


def validate_placeholders(text: str) -> None:
    """Raise ValidationError naming the placeholders that no campaign can fill in."""
    if unknown := placeholders.unknown(text):
        known = ", ".join(sorted(placeholders.KNOWN))
        raise ValidationError(
            _("Unknown placeholder %(unknown)s. Available placeholders: %(known)s."),
            params={"unknown": ", ".join(unknown), "known": known},
        )


validate_language = RegexValidator(
    r"\A[a-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z", "Enter a language code such as de, ar or pt-BR."
)


class CampaignText(models.Model):
    """The texts of a campaign in one language (abstract)."""

    subject = models.CharField(
        max_length=200,
        validators=[validate_placeholders],
        help_text="The email's subject. Can use the same placeholders as the text.",
    )
    body = models.TextField(
        validators=[validate_placeholders],
        help_text="Plain text. Placeholders: {{ order.number }}, {{ order.date }}, {{ "
        "customer.first_name|there }} (the text after | is used if the value is missing), "
        "{{ customer.name }}, {{ amount }}, {{ refund_sentence }}, {{ refund_how }} (when "
        "and how the money arrives: by card, in cash, by transfer …), {{ refund_reference "
        "}} (the bank’s reference, once Shopify has it), {{ tracking.numbers }}, "
        "{{ store.name }}. For checkouts: {{ checkout.url }}. For marketing emails: "
        "{{ unsubscribe_url }}.",
    )
    sms_text = models.TextField(
        "SMS",
        max_length=480,
        blank=True,
        validators=[validate_placeholders],
        help_text="A shorter text for SMS. Leave empty to use the text above.",
    )

    class Meta:
        abstract = True

    @property
    def all_words(self) -> str:
        """Subject, body and SMS text together, to look for placeholders in."""
        return "\n".join((self.subject, self.body, self.sms_text))


class CampaignQuerySet(models.QuerySet["Campaign"]):
    """Filters by trigger and by whether a campaign is on."""

    def active(self) -> Self:
        """Campaigns that are on."""
        return self.filter(is_active=True)

    def on(self, event_kind: str) -> Self:
        """Active campaigns for this trigger, with their translations and conditions prefetched."""
        found = self.active().filter(event_kind=event_kind)
        return found.prefetch_related("translations", "conditions")


class Campaign(CampaignText):
    """A message that a trigger sends; the texts on the row itself are in `language`."""

    name = models.CharField(max_length=100, unique=True)
    event_kind = models.CharField(
        "when",
        max_length=20,
        choices=CampaignTrigger.choices,
        help_text="“Viewed a product”, “Added to cart”, and “Notify me” aren't available: Shopify "
        "reports them only to a pixel in the storefront.",
    )
    purpose = models.CharField(
        max_length=13,
        choices=Purpose.choices,
        default=Purpose.TRANSACTIONAL,
        help_text="Transactional: news about an order the customer placed, sent to everyone. "
        "Marketing: sent only to customers whose consent is “subscribed” in Shopify, "
        "checked again before each message. Checkout reminders are marketing.",
    )
    language = models.CharField(
        max_length=20,
        default="en",
        validators=[validate_language],
        help_text="The language of the text here. For customers whose language has no translation "
        "below, amounts and dates are written in it too.",
    )
    via_conversation = models.BooleanField(
        "in the conversation", default=True, help_text="Sent to the customer's conversation."
    )
    via_email = models.BooleanField(
        "by email", default=True, help_text="Sent to the order's email address."
    )
    via_sms = models.BooleanField(
        "by SMS", default=False, help_text="Sent to the order's phone number. Requires SMS_BACKEND."
    )
    skip_when_shopify_notifies = models.BooleanField(
        default=True,
        help_text="Send nothing if the agent let Shopify email the customer.",
    )
    staff_refund_minimum = models.DecimalField(
        "minimum for refunds made in Shopify",
        max_digits=12,
        decimal_places=2,
        default=Decimal(0),
        validators=[MinValueValidator(Decimal(0))],
        help_text="In the shop's currency. Refunds that staff make in Shopify's admin send this "
        "campaign only from this amount up; refunds by agents here always do. 0: every "
        "refund.",
    )
    staff_refund_wait_minutes = models.PositiveIntegerField(
        "delay for refunds made in Shopify (minutes)",
        default=0,
        validators=[MaxValueValidator(24 * 60)],
        help_text="How many minutes to wait after staff make a refund in Shopify's admin, because "
        "Shopify may already have written to the customer. 0: send right away.",
    )
    abandoned_after_minutes = models.PositiveIntegerField(
        default=60,
        validators=[MinValueValidator(10), MaxValueValidator(7 * 24 * 60)],
        help_text="A checkout counts as abandoned after this many minutes without activity or an "
        "order.",
    )
    quiet_days = models.PositiveSmallIntegerField(
        default=7,
        validators=[MinValueValidator(1), MaxValueValidator(365)],
        help_text="Marketing: the same customer gets this campaign at most once in this many days.",
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    switched_on_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="When it was last turned on. Empty: it has been on since it was created.",
    )

    objects = CampaignQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(event_kind__in=CampaignTrigger.values),
                name="inbox_campaign_event_known",
            ),
            models.CheckConstraint(
                condition=Q(purpose__in=Purpose.values), name="inbox_campaign_purpose_known"
            ),
            models.CheckConstraint(
                condition=~Q(event_kind__in=CONFIRMATIONS) | Q(purpose=Purpose.TRANSACTIONAL),
                name="inbox_confirmations_reach_everybody",
            ),
            models.CheckConstraint(
                condition=~Q(event_kind__in=CHECKOUT_TRIGGERS) | Q(purpose=Purpose.MARKETING),
                name="inbox_checkout_campaigns_need_consent",
            ),
            # Shopify records no marketing consent for messengers.
            models.CheckConstraint(
                condition=Q(purpose=Purpose.TRANSACTIONAL) | Q(via_conversation=False),
                name="inbox_no_marketing_in_conversations",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Record when the campaign is switched on or its trigger changes, because it only
        applies to events from then on."""
        if self.pk and self.is_active:
            same = Campaign.objects.filter(pk=self.pk, event_kind=self.event_kind, is_active=True)
            if not same.exists():
                self.switched_on_at = timezone.now()
                if kwargs.get("update_fields") is not None:
                    kwargs["update_fields"] = {*kwargs["update_fields"], "switched_on_at"}
        super().save(*args, **kwargs)

    @property
    def on_since(self) -> datetime:
        """Events before this moment never trigger the campaign."""
        return self.switched_on_at or self.created_at

    @property
    def channels(self) -> tuple[Via, ...]:
        """The channels this campaign is enabled for."""
        wanted = (
            (Via.CONVERSATION, self.via_conversation),
            (Via.EMAIL, self.via_email),
            (Via.SMS, self.via_sms),
        )
        return tuple(via for via, is_wanted in wanted if is_wanted)

    @property
    def is_marketing(self) -> bool:
        """Whether it requires consent."""
        return self.purpose == Purpose.MARKETING

    @property
    def is_of_checkouts(self) -> bool:
        """Whether checkouts trigger it rather than order events."""
        return self.event_kind in CHECKOUT_TRIGGERS

    @property
    def quiet_time(self) -> timedelta:
        """The minimum interval between two of this campaign's messages to the same customer."""
        return timedelta(days=self.quiet_days)

    @property
    def silence(self) -> timedelta:
        """How long a checkout must be idle before this campaign applies to it."""
        minutes = (
            self.abandoned_after_minutes
            if self.event_kind == CampaignTrigger.CHECKOUT_ABANDONED
            else 0
        )
        return timedelta(minutes=minutes)

    def clean(self) -> None:
        """Raise ValidationError for a purpose, channel, or text that may not be sent."""
        problems: dict[str, str] = {}
        if self.event_kind in CHECKOUT_TRIGGERS and not self.is_marketing:
            problems["purpose"] = "Checkout reminders are marketing. Choose Marketing."
        if self.event_kind in CONFIRMATIONS and self.is_marketing:
            problems["purpose"] = (
                "Customers must always be told about a cancellation or refund. Choose "
                "Transactional."
            )
        if self.is_marketing and self.via_conversation:
            problems["via_conversation"] = (
                "Shopify doesn't record marketing consent for messengers. Clear this checkbox."
            )
        if problems:
            raise ValidationError(problems)
        self.check_text(self, self.language)

    def check_text(self, text: CampaignText, language: str) -> None:
        """Raise ValidationError if this campaign could not send the text: a placeholder that its
        trigger does not provide or the language lacks, or a missing unsubscribe link."""
        used = placeholders.used(text.all_words)
        if alien := sorted(used - placeholders.available(self.event_kind)):
            names = ", ".join(f"{{{{ {name} }}}}" for name in alien)
            raise ValidationError(
                {
                    "body": f"{names}: not available for “{self.get_event_kind_display()}” "
                    "campaigns. Remove it."
                }
            )
        ours = sorted(used & placeholders.OUR_SENTENCES)
        if ours and not placeholders.has_catalog(language):
            raise ValidationError(
                {
                    "body": f"{{{{ {ours[0]} }}}} isn't available in “{language}”. Write "
                    "your own sentence with {{ amount }}."
                }
            )
        if (
            self.is_marketing
            and self.via_email
            and "unsubscribe_url" not in placeholders.used(text.body)
        ):
            raise ValidationError(
                {
                    "body": "A marketing email must say how to unsubscribe. Add "
                    "{{ unsubscribe_url }}."
                }
            )


class CampaignTranslation(CampaignText):
    """A campaign's texts in one more language."""

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="translations")
    language = models.CharField(
        max_length=20,
        validators=[validate_language],
        help_text="A language code such as de or ar. Customers whose language is pt-BR also get pt.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "language"], name="inbox_one_text_per_language"
            )
        ]

    def __str__(self) -> str:
        return f"{self.campaign} ({self.language})"

    def clean(self) -> None:
        """Check the text as the campaign's own; raises ValidationError."""
        self.campaign.check_text(self, self.language)


class Comparison(models.TextChoices):
    """How the number of past events is compared with `count`."""

    AT_LEAST = "at_least", _("at least")
    AT_MOST = "at_most", _("at most")
    EXACTLY = "exactly", _("exactly")
    NEVER = "never", _("not at all")


class CampaignCondition(models.Model):
    """Something the customer must or must not have done; a campaign requires all its conditions."""

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="conditions")
    event_kind = models.CharField("what", max_length=20, choices=CampaignTrigger.choices)
    comparison = models.CharField("how often", max_length=8, choices=Comparison.choices)
    count = models.PositiveSmallIntegerField(
        "times",
        default=1,
        help_text="Counts orders or checkouts, including the one that sends the message.",
    )
    days = models.PositiveSmallIntegerField(
        "within (days)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(3650)],
        help_text="Empty: no time limit, as far back as this store's orders have been read.",
    )

    class Meta:
        verbose_name = "audience condition"
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(event_kind__in=CampaignTrigger.values),
                name="inbox_condition_event_known",
            ),
            models.CheckConstraint(
                condition=Q(comparison__in=Comparison.values),
                name="inbox_condition_comparison_known",
            ),
        ]

    def __str__(self) -> str:
        times = "" if self.comparison == Comparison.NEVER else f" {self.count}×"
        within = f", {self.days} d" if self.days else ""
        return f"{self.get_event_kind_display()}: {self.get_comparison_display()}{times}{within}"

    def clean(self) -> None:
        """Raise ValidationError for a condition that everyone meets or no one can."""
        if self.comparison == Comparison.AT_LEAST and self.count == 0:
            raise ValidationError({"count": "“At least 0” matches everyone. Enter 1 or more."})
        if self.comparison == Comparison.NEVER and self.event_kind == self.campaign.event_kind:
            raise ValidationError(
                {
                    "event_kind": "This event is what sends the message, so no one would get it. Choose "
                    "another event, or “at most”."
                }
            )
