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
    model = CampaignTranslation
    extra = 0


class ConditionInline(StackedInline):
    model = CampaignCondition
    extra = 0
    verbose_name_plural = (
        "audience: all of these must hold. Empty: everybody. Counted for the same customer in the "
        "same store"
    )


class CampaignForm(CampaignModelForm):
    """Refuses campaigns that could not send anything."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("via_sms") and not sms.is_configured():
            self.add_error("via_sms", "No SMS provider is set up: set SMS_BACKEND, or untick this.")
        channels = ("via_conversation", "via_email", "via_sms")
        if not any(cleaned.get(channel) for channel in channels):
            self.add_error(None, "Tick at least one channel, or nobody will get it.")
        return cleaned


@admin.register(Campaign)
class CampaignAdmin(DeskAdmin):
    """Campaigns; a campaign's page also shows who would have got it lately."""

    list_title = "Campaigns"
    list_intro = (
        "Messages that go out by themselves when something happens to an order or a checkout, in "
        "the customer's language. Each event sends each campaign once, whoever caused it."
    )
    list_empty = "No campaign yet: customers hear nothing from us. Add a text for cancellations."
    search_fields = ["name", "subject", "body"]
    help_texts = {
        "name": "For you; customers do not see it.",
        "is_active": "Off: nothing more is sent.",
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
            "When not to send",
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
        return ", ".join(str(channel.label) for channel in campaign.channels) or "none"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        campaign = self.get_object(request, object_id) if request.method == "GET" else None
        looked = backtest.last_days(campaign, now=timezone.now()) if campaign else None
        context = {"would_get": looked} | (extra_context or {})
        return super().change_view(request, object_id, form_url, context)


@admin.register(CampaignMessage)
class CampaignMessageAdmin(ReadOnlyAdmin):
    """The log of what campaigns sent, and why they didn't."""

    list_title = "Campaign messages"
    list_intro = "What each event made each campaign do: what left, and why something did not."
    list_empty = "Nothing was sent yet. A campaign writes once its event happens."
    help_texts = {
        "campaign": "Which campaign.",
        "event": "What happened to which order.",
        "via": "Where it went.",
        "state": "Written: it leaves, or has left. Skipped or waiting: see the reason.",
        "amount": "The refund it told of.",
        "message": "In the conversation.",
        "recipient": "The order's e-mail address.",
        "subject": "As it was sent.",
        "body": "As it was sent.",
        "created_at": "When it was written.",
        "delivery_state": "Whether it has left.",
        "error": "Why it could not leave.",
        "attempts": "How often it was tried.",
        "next_attempt_at": "When it is tried again.",
    }
    search_fields = ["campaign__name", "event__order__name"]
    date_hierarchy = "created_at"
    list_display = ["campaign", "about", "via", "state", "reason", "delivery_state", "created_at"]
    list_filter = ["state", "via", "delivery_state", "campaign"]
    list_select_related = ["campaign", "event__order", "checkout"]

    @admin.display(description="about")
    def about(self, row: CampaignMessage) -> str:
        return str(row.event or row.checkout)
