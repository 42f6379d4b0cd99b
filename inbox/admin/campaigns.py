"""Admin pages for campaigns: their texts, their audience, and the messages they sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from inbox.campaigns import backtest
from inbox.channels import sms
from inbox.models import Campaign, CampaignCondition, CampaignMessage, CampaignTranslation
from orders.admin.base import (
    DeskAdmin,
    ReadOnlyAdmin,
)

if TYPE_CHECKING:
    StackedInline = admin.StackedInline[Any, Any]
    CampaignModelForm = forms.ModelForm[Campaign]
else:
    StackedInline = admin.StackedInline
    CampaignModelForm = forms.ModelForm


class TranslationInline(StackedInline):
    """The campaign's text in further languages."""

    model = CampaignTranslation
    extra = 0


class ConditionInline(StackedInline):
    """Who gets the campaign, depending on what they did before."""

    model = CampaignCondition
    extra = 0
    verbose_name_plural = (
        "audience: the customer must meet all of these conditions. Leave empty for "
        "everyone. Counted per customer and store"
    )


class CampaignForm(CampaignModelForm):
    """Refuses campaigns that could not send anything."""

    def clean(self) -> dict[str, object]:
        """Require a channel, and an SMS provider for SMS."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("via_sms") and not sms.is_configured():
            self.add_error(
                "via_sms", "No SMS provider is set up. Set SMS_BACKEND, or clear this checkbox."
            )
        channels = ("via_conversation", "via_email", "via_sms")
        if not any(cleaned.get(channel) for channel in channels):
            self.add_error(None, "Select at least one channel, or no one will get this.")
        return cleaned


@admin.register(Campaign)
class CampaignAdmin(DeskAdmin):
    """Campaigns; a campaign's page also shows who would have got it lately."""

    list_title = "Campaigns"
    list_intro = (
        "Messages sent automatically when something happens to an order or a checkout, in "
        "the customer's language. Each event sends each campaign once, no matter who "
        "caused it."
    )
    list_empty = (
        "No campaigns yet, so customers don't get any automatic messages. Start with one for "
        "cancellations."
    )
    search_fields = ["name", "subject", "body"]
    help_texts = {
        "name": "For your team; customers don't see it.",
        "is_active": "If off, nothing more is sent.",
        "event_kind": (
            "“Viewed a product”, “Added to cart”, and “Notify me” aren't available: "
            "Shopify reports them only to a pixel in the storefront."
        ),
        "purpose": (
            "Transactional: news about an order the customer placed, sent to everyone. "
            "Marketing: sent only to customers whose consent is “subscribed” in Shopify, "
            "checked again before each message. Checkout reminders are marketing."
        ),
        "language": (
            "The language of the text here. For customers whose language has no "
            "translation below, amounts and dates are written in it too."
        ),
        "subject": "The email's subject. Can use the same placeholders as the text.",
        "sms_text": "A shorter text for SMS. Leave empty to use the text above.",
        "via_conversation": "Sent to the customer's conversation.",
        "via_email": "Sent to the order's email address.",
        "via_sms": "Sent to the order's phone number. Requires SMS_BACKEND.",
        "skip_when_shopify_notifies": "Send nothing if the agent let Shopify email the customer.",
        "staff_refund_minimum": (
            "In the shop's currency. Refunds that staff make in Shopify's admin send this "
            "campaign only from this amount up; refunds by agents here always do. 0: every "
            "refund."
        ),
        "staff_refund_wait_minutes": (
            "How many minutes to wait after staff make a refund in Shopify's admin, "
            "because Shopify may already have written to the customer. 0: send right away."
        ),
        "abandoned_after_minutes": (
            "A checkout counts as abandoned after this many minutes without activity or an order."
        ),
        "quiet_days": (
            "Marketing: the same customer gets this campaign at most once in this many days."
        ),
    }
    form = CampaignForm
    change_form_template = "admin/inbox/campaign/change_form.html"
    list_display = ["name", "event_kind", "purpose", "via", "language", "is_active"]
    list_filter = ["event_kind", "purpose", "is_active"]
    inlines = [ConditionInline, TranslationInline]
    fieldsets = [
        (None, {"fields": ["name", "is_active", "event_kind", "purpose"]}),
        ("Channels", {"fields": ["via_conversation", "via_email", "via_sms"]}),
        ("Text", {"fields": ["language", "subject", "body", "sms_text"]}),
        (
            "Sending limits",
            {
                "fields": [
                    "skip_when_shopify_notifies",
                    "staff_refund_minimum",
                    "staff_refund_wait_minutes",
                    "abandoned_after_minutes",
                    "quiet_days",
                ]
            },
        ),
    ]

    @admin.display(description="channels")
    def via(self, campaign: Campaign) -> str:
        """The channels it is sent through."""
        return ", ".join(str(channel.label) for channel in campaign.channels) or "none"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show who would have got the campaign in the last days."""
        campaign = self.get_object(request, object_id) if request.method == "GET" else None
        looked = backtest.last_days(campaign, now=timezone.now()) if campaign else None
        context = {"would_get": looked} | (extra_context or {})
        return super().change_view(request, object_id, form_url, context)


@admin.register(CampaignMessage)
class CampaignMessageAdmin(ReadOnlyAdmin):
    """The log of what campaigns sent, and why they didn't."""

    list_title = "Campaign messages"
    list_intro = "What each campaign did for each event: what was sent, and why something wasn't."
    list_empty = "No messages yet. A campaign writes when its event happens."
    help_texts = {
        "campaign": "The campaign that wrote it.",
        "event": "What happened to which order.",
        "via": "The channel.",
        "state": "“Written” means it is being sent or has been sent. If it was skipped or is "
        "waiting, see the reason.",
        "amount": "The refund it's about.",
        "message": "In the conversation.",
        "recipient": "The email address on the order.",
        "subject": "As it was sent.",
        "body": "As it was sent.",
        "created_at": "When it was written.",
        "delivery_state": "Whether it was sent.",
        "error": "Why it couldn't be sent.",
        "attempts": "Number of attempts.",
        "next_attempt_at": "When the next attempt is due.",
    }
    search_fields = ["campaign__name", "event__order__name"]
    list_display = ["campaign", "about", "via", "state", "reason", "delivery_state", "created_at"]
    list_filter = ["state", "via", "delivery_state", "campaign", "created_at"]
    list_select_related = ["campaign", "event__order", "checkout"]

    @admin.display(description="about")
    def about(self, row: CampaignMessage) -> str:
        """The event or checkout that triggered it."""
        return str(row.event or row.checkout)
