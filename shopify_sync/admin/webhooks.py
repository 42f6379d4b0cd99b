"""Admin for stored webhooks: view them, replay dead ones, and the balance page."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from core import queue
from core.dashboard import DESK
from core.json_types import JsonObject
from orders.admin.base import ReadOnlyAdmin
from shopify_sync.models import EventState, WebhookEvent, WebhookTally
from shopify_sync.reading import orders
from shopify_sync.webhooks import balance
from shopify_sync.webhooks import replay as replaying
from shopify_sync.webhooks.body_preview import masked_body


class OrderNumberForm(forms.Form):
    """Form for an order's numeric ID, the last part of its URL in Shopify's admin."""

    order_number = forms.IntegerField(label="Shopify order ID", min_value=1, max_value=2**63 - 1)


# Enough to have met every topic that a shop sends.
_RECENT: Final = 2_000


class RecentTopics(admin.AllValuesFieldListFilter):
    """Filter by the topics of recent events; finding all there ever were would read every event."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        recent = WebhookEvent.objects.order_by("-pk").values_list("topic", flat=True)[:_RECENT]
        self.lookup_choices = sorted(set(recent))  # type: ignore[assignment]


@admin.register(WebhookEvent)
class WebhookEventAdmin(ReadOnlyAdmin):
    """Received webhooks, which can be processed again, singly or by topic."""

    change_list_template = "admin/shopify_sync/webhookevent/change_list.html"
    change_form_template = "admin/shopify_sync/webhookevent/change_form.html"
    list_title = "Webhook events"
    list_intro = (
        "What Shopify sent, as received. Dead events couldn't be processed: filter by "
        "state, review one, then select rows and choose “Process again”."
    )
    list_empty = "No matching webhooks. If no filter is set, none has arrived yet."
    fieldsets = [
        ("Received", {"fields": ["topic", "store", "received_at", "triggered_at", "contents"]}),
        ("Processing", {"fields": ["state", "attempts", "next_attempt_at", "error"]}),
        (
            "Shopify's numbers",
            {
                "classes": ["collapse"],
                "fields": [
                    "webhook_id",
                    "event_id",
                    "api_version",
                    "order_id",
                    "customer_number",
                    "body_sha256",
                ],
            },
        ),
    ]
    help_texts = {
        "topic": "What it's about.",
        "store": "Whose.",
        "received_at": "When it arrived.",
        "triggered_at": "When it happened, according to Shopify.",
        "state": "Waiting: it will be processed soon. Dead: it needs review.",
        "attempts": "Number of attempts.",
        "next_attempt_at": "When the next attempt is due.",
        "error": "The last error.",
        "webhook_id": "The ID of this delivery. Each delivery is stored once.",
        "event_id": "Shared by all deliveries of the same event.",
        "api_version": "The Shopify API version of the event.",
    }
    list_display = ["topic", "store", "received_at", "state", "attempts", "webhook_id"]
    list_filter = ["state", ("topic", RecentTopics), "store"]
    search_fields = ["webhook_id", "event_id"]
    list_select_related = ["store"]
    readonly_fields = ["contents"]
    actions = ["replay"]

    @admin.display(description="body, masked")
    def contents(self, event: WebhookEvent) -> str:
        """The body, with personal data masked."""
        return masked_body(event.body_bytes)

    @admin.action(description="Process again", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> None:
        """Process the selected events again, in any state, unless their body has been deleted."""
        events = WebhookEvent.objects.filter(pk__in=queryset.values("pk"))
        self._report_count(request, replaying.replay(events, by=_admin_user(request)))

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Decide by the change permission, although ReadOnlyAdmin allows no changes."""
        return request.user.has_perm("shopify_sync.change_webhookevent")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("replay-dead/", view(self.replay_dead), name="shopify_sync_replay_dead"),
            path("<int:pk>/read-order/", view(self.read_order), name="shopify_sync_read_order"),
        ]
        return [*own, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: JsonObject | None = None
    ) -> HttpResponse:
        """Filtered by topic, offer to process all of its dead events again."""
        topic = request.GET.get("topic") or request.GET.get("topic__exact") or ""
        # PostgreSQL rejects text with a NUL, even in a comparison.
        topic = topic.replace("\x00", "")
        context = self._dead(request, topic) if topic else {}
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: JsonObject | None = None,
    ) -> HttpResponse:
        """Offer to reread the order of an event that names one, and to replay the dead of a
        topic."""
        context = dict(extra_context or {})
        event = self.get_object(request, object_id)
        if event is not None and self.has_replay_permission(request):
            context |= self._dead(request, event.topic) if event.state == EventState.DEAD else {}
            if event.store.is_active and orders.may_name_an_order(event.topic):
                number = replaying.recognized_order(event)
                context["order_form"] = OrderNumberForm(initial={"order_number": number})
        return super().change_view(request, object_id, form_url, context)

    def replay_dead(self, request: HttpRequest) -> HttpResponse:
        """POST: process every dead event of a topic again."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        self._require_replay_permission(request)
        topic = request.POST.get("topic", "")
        # No topic means nothing, rather than everything.
        theirs = DESK.limited(request.user, replaying.dead(topic=topic))
        dead = WebhookEvent.objects.filter(pk__in=theirs.values("pk"))
        count = replaying.replay(dead, by=_admin_user(request)) if topic else 0
        self._report_count(request, count)
        return HttpResponseRedirect(reverse("admin:shopify_sync_webhookevent_changelist"))

    def read_order(self, request: HttpRequest, pk: int) -> HttpResponse:
        """POST: read the order with the given Shopify ID again, whatever the event's body says."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        self._require_replay_permission(request)
        events = self.get_queryset(request).select_related("store").filter(store__is_active=True)
        event = get_object_or_404(events, pk=pk)
        form = OrderNumberForm(request.POST)
        if not orders.may_name_an_order(event.topic):
            self.message_user(request, "This topic isn't about an order.", messages.ERROR)
        elif not form.is_valid():
            text = "Enter the Shopify order ID: the digits at the end of the order's URL."
            self.message_user(request, text, messages.ERROR)
        else:
            number = form.cleaned_data["order_number"]
            order_id = replaying.read_again(event, legacy_id=number, by=_admin_user(request))
            queue.enqueue("shopify_sync.tasks.fetch_order", order_id)
            self.message_user(request, f"Order {number} is being reread from Shopify.")
        return HttpResponseRedirect(reverse("admin:shopify_sync_webhookevent_change", args=[pk]))

    def _dead(self, request: HttpRequest, topic: str) -> JsonObject:
        if not self.has_replay_permission(request):
            return {}
        dead = DESK.limited(request.user, replaying.dead(topic=topic))
        return {"dead_topic": topic, "dead_count": dead.count()}

    def _require_replay_permission(self, request: HttpRequest) -> None:
        if not self.has_replay_permission(request):
            raise PermissionDenied

    def _report_count(self, request: HttpRequest, count: int) -> None:
        what = "event" if count == 1 else "events"
        self.message_user(request, f"{count} {what} will be processed again.")


def _admin_user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


@admin.register(WebhookTally)
class BalanceAdmin(ReadOnlyAdmin):
    """A page instead of a list: what arrived, what happened to it, and whether it adds up."""

    def has_view_permission(self, request: HttpRequest, obj: WebhookTally | None = None) -> bool:
        """Refuse to those who see only some of the stores, because it adds all of them up."""
        return not DESK.is_limited(request.user) and super().has_view_permission(request, obj)

    def changelist_view(
        self, request: HttpRequest, extra_context: JsonObject | None = None
    ) -> HttpResponse:
        """Render the balance as of now instead of a list of rows."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        now = timezone.now()
        context = {
            **self.admin_site.each_context(request),
            "title": "Balance",
            "opts": self.model._meta,
            "lines": balance.lines(now=now),
            "hours": balance.hours(now=now),
            "topics": balance.topics(now=timezone.now()),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/shopify_sync/balance.html", context)
