"""The connection of a store. Secrets go in and never come out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from shopify_sync import connecting, tasks
from shopify_sync.admin.pages import ModelAdmin
from shopify_sync.models import ShopConnection

if TYPE_CHECKING:
    ConnectionModelForm = forms.ModelForm[ShopConnection]
else:
    ConnectionModelForm = forms.ModelForm

_SECRETS = ("access_token", "api_secret", "previous_api_secret")


class ConnectionForm(ConnectionModelForm):
    """Secret fields start empty; left empty they keep what is stored."""

    class Meta:
        model = ShopConnection
        fields = ["store", *_SECRETS]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in _SECRETS:
            field = self.fields[name]
            field.widget = forms.PasswordInput(attrs={"autocomplete": "off"})
            field.required = name != "previous_api_secret" and not self.instance.pk
            if self.instance.pk and getattr(self.instance, name):
                field.help_text = f"{field.help_text} Stored. Leave empty to keep it."
            self.initial.pop(name, None)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for name in _SECRETS:
            if not cleaned.get(name) and self.instance.pk:
                cleaned[name] = getattr(self.instance, name)
        return cleaned


@admin.register(ShopConnection)
class ShopConnectionAdmin(ModelAdmin):
    """Row F01: credentials, test call and webhooks, each with its own tick."""

    form = ConnectionForm
    list_display = ["store", "credentials", "test_call", "webhooks", "last_error"]
    list_select_related = ["store"]
    readonly_fields = [
        "scopes",
        "credentials_ok_at",
        "webhooks_ok_at",
        "last_error",
        "last_error_at",
    ]
    actions = ["examine"]

    @admin.display(boolean=True)
    def credentials(self, connection: ShopConnection) -> bool:
        return bool(connection.access_token and connection.api_secret)

    @admin.display(boolean=True)
    def test_call(self, connection: ShopConnection) -> bool:
        return connection.credentials_ok_at is not None

    @admin.display(boolean=True)
    def webhooks(self, connection: ShopConnection) -> bool:
        return connection.webhooks_ok_at is not None

    @admin.action(description="Check the connection and repair webhooks")
    def examine(self, request: HttpRequest, queryset: QuerySet[ShopConnection]) -> None:
        for connection in queryset.select_related("store"):
            for tick in connecting.examine(connection.store, repair=True):
                level = messages.SUCCESS if tick.is_ok else messages.ERROR
                text = f"{connection}: {tick.name} {'ok' if tick.is_ok else tick.todo}"
                self.message_user(request, text, level)
            tasks.ring(tasks.reconcile_store, [connection.store_id])
