"""Webhooks as they came, playing dead ones again, and the balance of it all."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from shopify_sync import balance
from shopify_sync.admin.pages import LookOnly
from shopify_sync.models import EventState, WebhookEvent, WebhookTally


@admin.register(WebhookEvent)
class WebhookEventAdmin(LookOnly):
    list_display = ["topic", "store", "received_at", "state", "attempts", "webhook_id"]
    list_filter = ["state", "topic", "store"]
    search_fields = ["webhook_id", "event_id"]
    list_select_related = ["store"]
    exclude = ["body"]
    actions = ["replay"]

    @admin.action(description="Process again", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> None:
        count = queryset.update(
            state=EventState.WAITING, attempts=0, next_attempt_at=None, error=""
        )
        self.message_user(request, f"{count} events will be processed again.")

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("shopify_sync.change_webhookevent")


@admin.register(WebhookTally)
class BalanceAdmin(LookOnly):
    """One page in place of a list: what came, what became of it, and whether it agrees."""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        now = timezone.now()
        context = {
            **self.admin_site.each_context(request),
            "title": "Balance",
            "opts": self.model._meta,
            "lines": balance.lines(now=now),
            "hours": balance.hours(now=now),
            "topics": balance.topics(),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/shopify_sync/balance.html", context)
