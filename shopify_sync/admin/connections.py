"""Admin for a store's connection, made for non-developers. Secrets go in but never come out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode

from core import queue
from core.json_types import JsonObject
from orders import audit
from orders.admin.base import DeskAdmin
from orders.models import AuditKind, Store
from shopify_sync.admin.sync import progress_bar
from shopify_sync.models import Backfill, ConnectionMethod, ShopConnection
from shopify_sync.setup import (
    connect,
    doctor,
)
from shopify_sync.setup.oauth import SHOP

if TYPE_CHECKING:
    ConnectionModelForm = forms.ModelForm[ShopConnection]
else:
    ConnectionModelForm = forms.ModelForm

_SECRETS = ("access_token", "api_secret", "previous_api_secret")


class ConnectionForm(ConnectionModelForm):
    """Form whose secret fields start empty; if left empty, the stored secret is kept."""

    shop = forms.CharField(
        label="Shop domain",
        help_text="The shop's permanent address, such as your-shop.myshopify.com. Shopify shows "
        "it under Settings → Domains.",
        widget=forms.TextInput(attrs={"placeholder": "your-shop.myshopify.com"}),
    )
    forget_previous = forms.BooleanField(
        label="Forget the previous secret",
        required=False,
        help_text="Shopify stops signing with it one hour after the change.",
    )

    class Meta:
        model = ShopConnection
        fields = ["method", "client_id", *_SECRETS]
        widgets = {"method": forms.RadioSelect}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance.pk:
            self.initial["method"] = ConnectionMethod.OAUTH
        else:
            self.fields["shop"].initial = self.instance.store.domain
            self.fields["shop"].disabled = True
        for name in _SECRETS:
            field = self.fields[name]
            field.widget = forms.PasswordInput(attrs={"autocomplete": "off"})
            field.required = name == "api_secret" and not self.instance.pk
            if self.instance.pk and getattr(self.instance, name):
                field.help_text = f"{field.help_text} Stored. Leave empty to keep it."
            self.initial.pop(name, None)

    def clean_shop(self) -> str:
        """Normalize the shop's address; reject one that is malformed or already connected."""
        shop = str(self.cleaned_data["shop"]).strip().lower()
        shop = shop.removeprefix("https://").removesuffix("/")
        if not SHOP.match(shop):
            raise forms.ValidationError(
                "Enter the permanent shop domain, which ends in .myshopify.com."
            )
        if objection := connect.objection_to(shop):
            raise forms.ValidationError(objection)
        if not self.instance.pk and ShopConnection.objects.filter(store__domain=shop).exists():
            raise forms.ValidationError(
                "This shop is already connected. Edit its connection instead."
            )
        return shop

    def clean(self) -> JsonObject:
        """Keep stored secrets whose fields were left empty, and require what the method needs."""
        cleaned = super().clean() or {}
        for name in _SECRETS:
            if not cleaned.get(name) and self.instance.pk:
                cleaned[name] = getattr(self.instance, name)
        is_token = cleaned.get("method") == ConnectionMethod.ADMIN_TOKEN
        if is_token and not cleaned.get("access_token"):
            self.add_error("access_token", "Enter the access token of your existing app.")
        if not is_token and not cleaned.get("client_id"):
            self.add_error("client_id", "Enter the app's client ID.")
        return cleaned


@admin.register(ShopConnection)
class ShopConnectionAdmin(DeskAdmin):
    """Connections, with a tick each for credentials, test call and webhooks."""

    form = ConnectionForm
    change_form_template = "admin/shopify_sync/shopconnection/change_form.html"
    list_title = "Shop connections"
    list_intro = (
        "One row per store, with three checks: credentials are present, a test call "
        "worked, and Shopify's webhooks are subscribed. Open a store to see what needs "
        "fixing."
    )
    list_empty = "No shops connected yet. Add one to choose from three ways to connect."
    help_texts = {
        "method": "How Agent Inbox connects to the shop.",
    }
    search_fields = ["store__domain", "store__name"]
    list_filter = ["method"]
    list_display = ["store", "method", "credentials", "test_call", "webhooks", "last_error"]
    list_select_related = ["store"]
    actions = ["examine"]
    fieldsets = [
        ("1. Shop", {"fields": ["shop"]}),
        (
            "2. How to connect",
            {
                "fields": ["method"],
                "description": "<strong>Install an app</strong>: works for any shop. Create an app in "
                "Shopify's developer dashboard, enter its client ID and secret below, "
                "save, then choose “Install in Shopify”. <strong>App of your own "
                "organization</strong>: the app and the shop belong to the same "
                "organization, so there's nothing to install. <strong>Existing access "
                "token</strong>: for a custom app created in the shop's admin before 2026.",
            },
        ),
        (
            "3. Credentials",
            {
                "fields": ["client_id", "api_secret", "access_token", "previous_api_secret"],
                "description": "Stored encrypted and never shown again. The access token is only for the "
                "third option; the previous secret is only needed while you change secrets.",
            },
        ),
    ]

    class Media:
        js = ["shopify_sync/progress.js"]
        css = {"all": ["shopify_sync/progress.css"]}

    @admin.display(boolean=True)
    def credentials(self, connection: ShopConnection) -> bool:
        """Whether token and secret are there; says nothing about whether they work."""
        return bool(connection.access_token and connection.api_secret)

    @admin.display(boolean=True)
    def test_call(self, connection: ShopConnection) -> bool:
        """Whether the last check could call Shopify with these credentials."""
        return connection.credentials_ok_at is not None

    @admin.display(boolean=True)
    def webhooks(self, connection: ShopConnection) -> bool:
        """Whether the last check found every webhook subscribed."""
        return connection.webhooks_ok_at is not None

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("<int:pk>/check/", view(self.check_now), name="shopify_sync_connection_check"),
            path("<int:pk>/shopify.app.toml", view(self.app_file), name="shopify_sync_app_file"),
        ]
        return [*own, *super().get_urls()]

    def get_fieldsets(self, request: HttpRequest, obj: ShopConnection | None = None) -> Any:
        """Offer to forget the previous secret only while there is one."""
        found = super().get_fieldsets(request, obj)
        if obj is None or not obj.previous_api_secret:
            return found
        return [*found, ("4. Previous secret", {"fields": ["forget_previous"]})]

    def save_model(
        self,
        request: HttpRequest,
        obj: ShopConnection,
        form: forms.ModelForm[ShopConnection],
        change: bool,
    ) -> None:
        """Create the store of a new connection, handle changed secrets, and audit the change.

        Tokens that were issued to other credentials are dropped. A replaced secret is kept as the
        previous one, because Shopify signs with it for up to an hour.
        """
        if not change:
            obj.store, _created = Store.objects.get_or_create(domain=form.cleaned_data["shop"])
        if {"api_secret", "client_id", "method"} & set(form.changed_data) and change:
            # Shopify would refuse to renew tokens issued to other credentials.
            obj.refresh_token = obj.previous_refresh_token = ""
        if form.cleaned_data.get("forget_previous"):
            obj.previous_api_secret = ""
        if change and "api_secret" in form.changed_data:
            # Shopify keeps signing with the old one for up to an hour.
            obj.previous_api_secret = ShopConnection.objects.get(pk=obj.pk).api_secret
        super().save_model(request, obj, form, change)
        audit.record(
            AuditKind.STORE,
            actor=request.user if isinstance(request.user, User) else None,
            after="connection changed" if change else "connection added",
            row=obj.pk,
            fields=sorted(form.changed_data),
        )

    def response_add(
        self, request: HttpRequest, obj: ShopConnection, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Explain how to install an OAuth app; connect at once with the other methods."""
        if obj.method == ConnectionMethod.OAUTH:
            text = (
                "Saved. Now choose “Install in Shopify”, where the shop's owner approves the app."
            )
            self.message_user(request, text, messages.INFO)
        else:
            # The admin saves in a transaction, and Shopify must not be called inside one.
            transaction.on_commit(lambda: self._connect(request, obj))
        return HttpResponseRedirect(_page(obj.pk))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: JsonObject | None = None,
    ) -> HttpResponse:
        """Show the last check's findings and the import's progress above the form."""
        # None also for what can't be an ID, which a query would fail on.
        row: ShopConnection | None = self.get_object(request, object_id)
        context = dict(extra_context or {})
        if row is not None:
            latest = Backfill.objects.filter(store=row.store).first()
            context |= {
                "connection": row,
                "ticks": [doctor.Tick(**tick) for tick in row.findings],
                "backfill_bar": progress_bar(latest) if latest else "",
                "install_url": f"{reverse('shopify-install')}?{urlencode({'shop': row.store.domain})}"
                if row.method == ConnectionMethod.OAUTH
                else "",
            }
        return super().change_view(request, object_id, form_url, context)

    def check_now(self, request: HttpRequest, pk: int) -> HttpResponse:
        """POST: run the doctor with repair, then return to the page that shows its findings."""
        row = self._row(request, pk)
        if request.method == "POST":
            self._connect(request, row)
        return HttpResponseRedirect(_page(pk))

    def app_file(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET: download a shopify.app.toml for this installation."""
        row = self._row(request, pk)
        return HttpResponse(
            connect.app_file(row),
            content_type="application/toml",
            headers={"Content-Disposition": 'attachment; filename="shopify.app.toml"'},
        )

    @admin.action(description="Check the connection and repair webhooks", permissions=["change"])
    def examine(self, request: HttpRequest, queryset: QuerySet[ShopConnection]) -> None:
        """Run the doctor, with repair, on each selected connection."""
        for connection in queryset.select_related("store"):
            self._connect(request, connection)

    def _row(self, request: HttpRequest, pk: int) -> ShopConnection:
        if not self.has_change_permission(request):
            raise PermissionDenied
        row: ShopConnection = get_object_or_404(
            self.get_queryset(request).select_related("store"), pk=pk
        )
        return row

    def _connect(self, request: HttpRequest, row: ShopConnection) -> None:
        ticks = doctor.examine(row.store, repair=True)
        wrong = [tick for tick in ticks if not tick.is_ok]
        for tick in wrong:
            self.message_user(request, f"{row}: {tick.name}: {tick.todo}", messages.ERROR)
        if not wrong:
            self.message_user(request, f"{row}: the connection works.", messages.SUCCESS)
            queue.enqueue("shopify_sync.tasks.advance_backfill", connect.begin_sync(row.store).pk)


def _page(pk: int) -> str:
    return reverse("admin:shopify_sync_shopconnection_change", args=[pk])
