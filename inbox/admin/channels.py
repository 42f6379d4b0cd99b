"""Admin page for help desk channels and their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from inbox.channels import api, keys
from inbox.channels.errors import NotSent
from inbox.conversations import moving
from inbox.models import Channel, Team
from orders import audit
from orders.admin.base import (
    DeskAdmin,
    user_of,
)
from orders.models import AuditKind

if TYPE_CHECKING:
    ChannelModelForm = forms.ModelForm[Channel]
else:
    ChannelModelForm = forms.ModelForm


class ChannelForm(ChannelModelForm):
    """Refuses a callback URL to which nothing would be sent, and a channel whose conversations no
    one would see."""

    def clean_callback_url(self) -> str:
        """Raises ValidationError."""
        url: str = self.cleaned_data["callback_url"]
        if url and "callback_url" in self.changed_data:
            try:
                api.check_address(url)
            except NotSent as error:
                raise ValidationError(str(error)) from error
        return url

    def clean_team(self) -> Team | None:
        """Once there are teams, a channel has one. Raises ValidationError."""
        team: Team | None = self.cleaned_data["team"]
        if team is None and Team.objects.exists():
            raise ValidationError(
                "Choose a team. Without one, no one would see this channel's conversations."
            )
        return team


@admin.register(Channel)
class ChannelAdmin(DeskAdmin):
    """Channels; a new key and signing secret are shown once."""

    form = ChannelForm
    change_form_template = "admin/inbox/channel/change_form.html"
    list_title = "Help desk channels"
    list_intro = (
        "The ways customers reach you. A messenger sends its messages here with a key, and "
        "replies go to its callback URL. Keys are shown only once, when they're created."
    )
    list_empty = "No channels yet. Add one, then copy its key into your messenger."
    list_display = [
        "name",
        "kind",
        "team",
        "is_active",
        "proves_addresses",
        "callback_url",
        "key_prefix",
    ]
    list_filter = ["kind", "team", "is_active"]
    list_select_related = ["team"]
    search_fields = ["name"]
    readonly_fields = ["key_prefix", "created_at", "address"]
    help_texts = {
        "team": "Who sees its conversations. If you change it, its conversations follow within a minute.",
        "kind": "A messenger uses the API; an email channel sends replies as email.",
        "is_active": "If off, its messages are rejected and nothing is sent through it.",
        "callback_url": (
            "Replies are posted to this https URL, signed according to Standard Webhooks. It "
            "must be on the public internet. If empty, replies stay in the conversation."
        ),
        "proves_addresses": (
            "Select this only if no one can write under an address that isn't theirs, as "
            "in a messenger that knows users by phone number or a chat behind your own "
            "login. If off, an address counts as verified only if the message says so "
            "(sender.verified); any other address only suggests a customer."
        ),
        "key_prefix": "The first characters of the key (axk_…). The key itself isn't stored.",
        "created_at": "When it was added.",
    }
    fieldsets = [
        ("Channel", {"fields": ["name", "kind", "team", "is_active"]}),
        ("Outgoing", {"fields": ["callback_url"]}),
        ("Incoming", {"fields": ["proves_addresses", "address", "key_prefix", "created_at"]}),
    ]

    @admin.display(description="Inbound URL")
    def address(self, channel: Channel) -> str:
        """The messenger posts messages to this URL, with “Authorization: Bearer” and its key."""
        if not channel.pk:
            return "Shown after you save the channel."
        return f"{settings.PUBLIC_URL}/api/v1/channels/{channel.pk}/messages/"

    def get_urls(self) -> list[URLPattern]:
        new_key = self.admin_site.admin_view(require_POST(self.new_key))
        return [path("<int:pk>/key/", new_key, name="inbox_channel_key"), *super().get_urls()]

    def save_model(
        self, request: HttpRequest, obj: Channel, form: forms.ModelForm[Channel], change: bool
    ) -> None:
        """Save, audit whether it verifies addresses, and show a new channel its key this once."""
        with transaction.atomic():
            if change:
                # As they are now; moving.give_channels alone changes them.
                current = Channel.objects.select_for_update(no_key=True, of=("self",))
                locked = current.get(pk=obj.pk)
                obj.team, obj.moving_since = locked.team, locked.moving_since
            super().save_model(request, obj, form, change)
            if change and "team" in form.changed_data:
                self._give(request, obj, form.cleaned_data["team"])
            if "proves_addresses" in form.changed_data:
                # From now on, what the channel says decides whose orders may be acted on.
                audit.record(
                    AuditKind.PERMISSIONS,
                    actor=user_of(request),
                    channel=obj.pk,
                    proves_addresses=obj.proves_addresses,
                )
        if not change:
            self._show_key(request, obj)

    def _give(self, request: HttpRequest, channel: Channel, team: Team) -> None:
        if moving.give_channels(team=team, channels=[channel], by=user_of(request)):
            self.message_user(
                request,
                f"The conversations of {channel} follow to {team} within a minute. Until then, no one "
                "sees them.",
            )

    def has_delete_permission(self, request: HttpRequest, obj: Channel | None = None) -> bool:
        """Refuse for a channel with conversations, which have to stay."""
        # Its conversations must stay: deactivate it instead.
        if obj is not None and obj.conversations.exists():
            return False
        return super().has_delete_permission(request, obj)

    def new_key(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Replace the channel's key and show the new one, this once."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        channel: Channel = get_object_or_404(self.get_queryset(request), pk=pk)
        self._show_key(request, channel)
        return HttpResponseRedirect(reverse("admin:inbox_channel_change", args=[pk]))

    def _show_key(self, request: HttpRequest, channel: Channel) -> None:
        with transaction.atomic():
            key = keys.new_key(channel)
            audit.record(
                AuditKind.PERMISSIONS,
                actor=audit.current_actor(),
                channel=channel.pk,
                change="new key",
            )
        secret = keys.signing_secret(channel)
        text = f"{channel}: key {key} · signing secret {secret} — shown only now, copy them."
        self.message_user(request, text, messages.WARNING)
