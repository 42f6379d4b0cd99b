"""Channels and campaigns are configured here; conversations are for the inbox itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from inbox import channel_keys
from inbox.models import (
    Campaign,
    CampaignMessage,
    CampaignTranslation,
    Channel,
    Contact,
    Conversation,
    Identity,
)

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    StackedInline = admin.StackedInline[Any, Any]
    TabularInline = admin.TabularInline[Any, Any]
else:
    ModelAdmin = admin.ModelAdmin
    StackedInline = admin.StackedInline
    TabularInline = admin.TabularInline


@admin.register(Channel)
class ChannelAdmin(ModelAdmin):
    list_display = ["name", "kind", "is_active", "callback_url", "key_prefix"]
    readonly_fields = ["key_prefix", "created_at"]
    actions = ["new_key"]

    def save_model(self, request: HttpRequest, obj: Channel, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            self._show_key(request, obj)

    @admin.action(description="Make a new key (the old one stops working)")
    def new_key(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        for channel in queryset:
            self._show_key(request, channel)

    def _show_key(self, request: HttpRequest, channel: Channel) -> None:
        key = channel_keys.new_key(channel)
        secret = channel_keys.signing_secret(channel)
        text = f"{channel}: key {key} · signing secret {secret} — shown only now, copy them."
        self.message_user(request, text, messages.WARNING)


class IdentityInline(TabularInline):
    model = Identity
    extra = 0
    readonly_fields = ["added_at"]


@admin.register(Contact)
class ContactAdmin(ModelAdmin):
    list_display = ["name", "language", "created_at"]
    search_fields = ["name", "identities__value"]
    inlines = [IdentityInline]


@admin.register(Conversation)
class ConversationAdmin(ModelAdmin):
    list_display = ["contact", "channel", "state", "assignee", "last_message_at"]
    list_filter = ["state", "channel", "assignee"]
    search_fields = ["contact__name", "contact__identities__value"]
    list_select_related = ["contact", "channel", "assignee"]
    fields = ["contact", "subject", "assignee", "state", "snoozed_until"]
    raw_id_fields = ["contact"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        # Conversations begin with a customer's message, by a channel.
        return False


class TranslationInline(StackedInline):
    model = CampaignTranslation
    extra = 0


@admin.register(Campaign)
class CampaignAdmin(ModelAdmin):
    list_display = ["name", "event_kind", "via_conversation", "via_email", "is_active"]
    list_filter = ["event_kind", "is_active"]
    inlines = [TranslationInline]


@admin.register(CampaignMessage)
class CampaignMessageAdmin(ModelAdmin):
    """What was sent, and why something was not."""

    list_display = ["campaign", "event", "via", "state", "reason", "delivery_state", "created_at"]
    list_filter = ["state", "via", "delivery_state", "campaign"]
    list_select_related = ["campaign", "event__order"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
