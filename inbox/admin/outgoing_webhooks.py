"""Admin pages for webhooks to other programs: their endpoints, and the log."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from inbox.channels import addresses
from inbox.models import WebhookDelivery, WebhookEndpoint, WebhookState
from inbox.models.outgoing_webhooks import SUBSCRIBABLE
from inbox.outgoing_webhooks import endpoints, events, outcomes
from inbox.outgoing_webhooks.claiming import ATTEMPTS
from orders import audit
from orders.admin.base import DeskAdmin, ReadOnlyAdmin, user_of
from orders.models import AuditKind

if TYPE_CHECKING:
    EndpointModelForm = forms.ModelForm[WebhookEndpoint]
else:
    EndpointModelForm = forms.ModelForm


class EndpointForm(EndpointModelForm):
    """Refuses a URL to which nothing would be sent."""

    event_types = forms.MultipleChoiceField(
        label="Events",
        choices=[(kind.value, f"{kind.value} – {kind.label}") for kind in SUBSCRIBABLE],
        widget=forms.CheckboxSelectMultiple,
        help_text="What the program is told. docs/webhooks.md says when each is sent.",
    )

    def clean_url(self) -> str:
        """Raises ValidationError."""
        url: str = self.cleaned_data["url"]
        if not addresses.is_callable(url):
            raise ValidationError("Enter an https URL.")
        if addresses.has_login(url):
            raise ValidationError("The URL can't hold a user name or password.")
        return url


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(DeskAdmin):
    """Endpoints; a new signing secret is shown once."""

    form = EndpointForm
    change_form_template = "admin/inbox/webhookendpoint/change_form.html"
    list_title = "Webhook endpoints"
    list_intro = (
        "Other programs that are told when something happens to an action, a decision or an order. "
        "Each gets a signing secret, which is shown only once."
    )
    list_empty = "No endpoints yet. Add one with the URL that your program listens at."
    list_display = ["name", "url", "is_active", "off_reason", "off_since", "failing_since"]
    list_filter = ["is_active"]
    search_fields = ["name"]
    filter_horizontal = ["stores"]
    readonly_fields = [
        "off_reason",
        "off_since",
        "failing_since",
        "old_secret_until",
        "created_at",
    ]
    fieldsets = [
        ("Endpoint", {"fields": ["name", "url", "is_active"]}),
        ("What it is told", {"fields": ["event_types", "stores"]}),
        ("State", {"fields": ["off_reason", "off_since", "failing_since"]}),
        ("Signing", {"fields": ["old_secret_until", "created_at"]}),
    ]
    help_texts = {
        "name": "What you call the program.",
        "url": "An https URL on the public internet. Webhooks are posted there, signed according "
        "to Standard Webhooks.",
        "is_active": "If off, nothing is sent, and what happens in the meantime isn't sent later. What "
        "already waits is sent if you turn it on again within four days.",
        "stores": "Only events of these stores. None selected: all stores, also later ones.",
        "off_reason": "Why we turned it off. Empty: we didn't.",
        "off_since": "Since when it has been off.",
        "failing_since": "Since when it has accepted nothing. After five days it is turned off.",
        "old_secret_until": "Until then, the signing secret before signs as well.",
        "created_at": "When it was added.",
    }

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path(
                "<int:pk>/secret/",
                view(require_POST(self.new_secret)),
                name="inbox_webhookendpoint_secret",
            ),
            path(
                "<int:pk>/test/",
                view(require_POST(self.send_test)),
                name="inbox_webhookendpoint_test",
            ),
        ]
        return [*own, *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Link the endpoint's part of the log."""
        log = reverse("admin:inbox_webhookdelivery_changelist")
        context = {"log_url": f"{log}?endpoint__id__exact={object_id}", **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def save_model(
        self,
        request: HttpRequest,
        obj: WebhookEndpoint,
        form: forms.ModelForm[WebhookEndpoint],
        change: bool,
    ) -> None:
        """Save and audit what was changed; show a new endpoint's secret this once."""
        changed = {name for name in form.changed_data if name != "stores"}
        if "is_active" in form.changed_data or not change:
            obj.off_reason, obj.failing_since = "", None
            obj.off_since = None if obj.is_active else timezone.now()
            changed |= {"off_reason", "off_since", "failing_since"}
        with transaction.atomic():
            # Only these columns: a worker may turn it off, and someone else replace its secret.
            obj.save(update_fields=sorted(changed) if change else None)
            audit.record(
                AuditKind.PERMISSIONS,
                actor=user_of(request),
                webhook_endpoint=obj.pk,
                change="changed" if change else "created",
                name=obj.name,
                changed=sorted(form.changed_data),
            )
        if not change:
            self._show_secret(request, obj)

    def has_delete_permission(
        self, request: HttpRequest, obj: WebhookEndpoint | None = None
    ) -> bool:
        """Refuse for an endpoint that is still in the log: turn it off instead."""
        if obj is not None and obj.deliveries.exists():
            return False
        return super().has_delete_permission(request, obj)

    def new_secret(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Replace the signing secret and show the new one, this once."""
        endpoint = self._changeable(request, pk)
        self._show_secret(request, endpoint)
        return HttpResponseRedirect(reverse("admin:inbox_webhookendpoint_change", args=[pk]))

    def send_test(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Send a test event to an endpoint that is turned on."""
        endpoint = self._changeable(request, pk)
        if endpoint.is_active:
            with transaction.atomic():
                events.test_event(endpoint)
            self.message_user(request, "The test event is on its way.", messages.SUCCESS)
        else:
            self.message_user(request, "Turn the endpoint on first.", messages.ERROR)
        return HttpResponseRedirect(reverse("admin:inbox_webhookendpoint_change", args=[pk]))

    def _changeable(self, request: HttpRequest, pk: int) -> WebhookEndpoint:
        if not self.has_change_permission(request):
            raise PermissionDenied
        found: WebhookEndpoint = get_object_or_404(self.get_queryset(request), pk=pk)
        return found

    def _show_secret(self, request: HttpRequest, endpoint: WebhookEndpoint) -> None:
        secret = endpoints.new_secret(endpoint, by=user_of(request), now=timezone.now())
        text = f"{endpoint}: signing secret {secret} — shown only now, copy it."
        self.message_user(request, text, messages.WARNING)


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    """The log. A message can be sent again, under the same ID."""

    list_title = "Webhook deliveries"
    list_intro = (
        "What was sent to other programs, and what they responded. To repeat messages, select them "
        "and choose “Send again”."
    )
    list_empty = "No matching webhooks. If no filter is set, none has been written yet."
    list_display = [
        "event_type",
        "endpoint",
        "created_at",
        "state",
        "attempts",
        "response_status",
        "duration_ms",
        "next_attempt_at",
    ]
    list_filter = ["state", "endpoint", "event_type"]
    list_select_related = ["endpoint"]
    search_fields = ["message_id__exact"]
    actions = ["send_again"]
    fieldsets = [
        ("Message", {"fields": ["event_type", "endpoint", "message_id", "created_at", "payload"]}),
        ("Delivery", {"fields": ["state", "attempts", "next_attempt_at", "delivered_at"]}),
        ("Last attempt", {"fields": ["tried_at", "response_status", "duration_ms", "error"]}),
    ]
    help_texts = {
        "event_type": "What it tells.",
        "endpoint": "Where it is sent.",
        "message_id": "The header webhook-id, the same on every attempt.",
        "created_at": "When it was written, in the same transaction as what it tells.",
        "payload": "The body, exactly as it is sent.",
        "state": "Waiting: it will be tried again. Not delivered: it won't, unless you send it again.",
        "attempts": f"Number of attempts, at most {ATTEMPTS} within about three days.",
        "next_attempt_at": "When the next attempt is due.",
        "delivered_at": "When the endpoint accepted it.",
        "tried_at": "When the last attempt ended.",
        "response_status": "The HTTP status of the response. Empty: there was none.",
        "duration_ms": "How long the attempt took, in milliseconds.",
        "error": "Why it wasn't accepted.",
    }

    def has_send_permission(self, request: HttpRequest) -> bool:
        """Those who may change endpoints."""
        return request.user.has_perm("inbox.change_webhookendpoint")

    @admin.action(description="Send again", permissions=["send"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        """Send messages again that were delivered or given up."""
        ended = queryset.exclude(state=WebhookState.PENDING).order_by().values_list("pk", flat=True)
        with transaction.atomic():
            sent = [pk for pk in ended if outcomes.send_again(pk)]
            transaction.on_commit(partial(events.wake, sent), robust=True)
        self.message_user(request, f"{len(sent)} are sent again.", messages.SUCCESS)
