"""Admin page for other help desks that may frame the order panel."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from inbox.frames import authentication
from inbox.models import FrameKind, HelpDeskFrame
from orders import audit
from orders.admin.base import DeskAdmin
from orders.models import AuditKind


@admin.register(HelpDeskFrame)
class HelpDeskFrameAdmin(DeskAdmin):
    """Frames; docs/sidebar.md says how to put the address into the help desk."""

    list_title = "Help desk frames"
    list_intro = (
        "Other help desks that can show the order panel in a frame. Only the ones listed "
        "here can; docs/sidebar.md explains how to set up each one."
    )
    list_empty = "No help desk can show the panel yet. Add one with the exact origin of its pages."
    search_fields = ["name", "origins"]
    help_texts = {
        "origins": (
            "The origins of the help desk's pages, one per line: https://desk.example.com. "
            "Only these can show the panel and send it messages."
        ),
        "confirm_up_to": (
            "In the shop's currency. Above this amount, the confirmation opens in a "
            "separate window, where the other page can't cover the button. 0: every "
            "confirmation does."
        ),
        "proves_addresses": (
            "Select this only if customers can't write to that help desk under an address "
            "that isn't theirs (in Chatwoot: with identity validation, or channels that "
            "verify the address themselves). If off, a signed address must say “verified”; "
            "an unverified address shows no orders."
        ),
        "is_active": "If off, the help desk can't show the panel.",
        "kind": "How the help desk tells the panel which customer is open, and for which agent.",
        "created_at": "When it was added.",
    }

    list_display = ["name", "kind", "is_active", "proves_addresses", "origins", "confirm_up_to"]
    list_filter = ["kind", "is_active"]
    fieldsets = [
        ("Help desk", {"fields": ["name", "kind", "origins", "is_active"]}),
        ("Customers", {"fields": ["proves_addresses"]}),
        ("Money", {"fields": ["confirm_up_to"]}),
        ("Setup", {"fields": ["address", "created_at"]}),
    ]
    readonly_fields = ["address", "created_at"]
    actions = ["new_secret"]

    @admin.display(description="Sidebar URL")
    def address(self, frame: HelpDeskFrame) -> str:
        """Put this into the help desk; docs/sidebar.md has an example of the signing."""
        if not frame.pk:
            return "Shown after you save. Copy it into the help desk."
        base = f"{settings.PUBLIC_URL}{reverse('sidebar:frame')}?frame={frame.pk}"
        if frame.kind == FrameKind.CHATWOOT:
            return base
        return f"{base}#frame={frame.pk}&agent=…&email=…&ts=…&nonce=…&sig=… (made by its server)"

    def save_model(
        self,
        request: HttpRequest,
        obj: HelpDeskFrame,
        form: forms.ModelForm[HelpDeskFrame],
        change: bool,
    ) -> None:
        """Save and audit together; show a new frame's signing secret this once."""
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            self._note(request, obj, "changed" if change else "created", form.changed_data)
        if not obj.secret and obj.kind == FrameKind.GENERIC:
            self._show_secret(request, obj)

    def delete_model(self, request: HttpRequest, obj: HelpDeskFrame) -> None:
        """Delete and audit together."""
        with transaction.atomic():
            self._note(request, obj, "deleted", [])
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[HelpDeskFrame]) -> None:
        for frame in queryset:
            self.delete_model(request, frame)

    @admin.action(description="Create a new signing secret (the old one stops working)")
    def new_secret(self, request: HttpRequest, queryset: QuerySet[HelpDeskFrame]) -> None:
        """Replace the signing secrets of the selected frames that have one, and show them."""
        for frame in queryset.filter(kind=FrameKind.GENERIC):
            self._show_secret(request, frame)

    def _show_secret(self, request: HttpRequest, frame: HelpDeskFrame) -> None:
        with transaction.atomic():
            secret = authentication.new_secret(frame)
            self._note(request, frame, "new secret", [])
        text = f"{frame}: signing secret {secret} — shown only now, copy it."
        self.message_user(request, text, messages.WARNING)

    def _note(self, request: HttpRequest, frame: HelpDeskFrame, what: str, of: list[str]) -> None:
        """Write the change to the audit log: who may frame the panel is a permission."""
        values = {name: str(getattr(frame, name)) for name in of}
        actor: Any = request.user
        audit.record(
            AuditKind.PERMISSIONS,
            actor=actor,
            after=what,
            frame=frame.pk,
            name=frame.name,
            changed=values,
        )
