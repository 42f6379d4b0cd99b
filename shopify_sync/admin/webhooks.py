"""Webhooks as they came, and playing dead ones again."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from shopify_sync.admin.pages import LookOnly
from shopify_sync.models import EventState, WebhookEvent


@admin.register(WebhookEvent)
class WebhookEventAdmin(LookOnly):
    list_display = ["topic", "store", "received_at", "state", "attempts", "webhook_id"]
    list_filter = ["state", "topic", "store"]
    search_fields = ["webhook_id", "event_id"]
    list_select_related = ["store"]
    exclude = ["body"]
    actions = ["replay"]

    @admin.action(description="Process again", permissions=["view"])
    def replay(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> None:
        count = queryset.update(
            state=EventState.WAITING, attempts=0, next_attempt_at=None, error=""
        )
        self.message_user(request, f"{count} events will be processed again.")
