"""The admin site: an overview of what needs attention, then the models grouped by task.

Lives in `settings` because only this layer may import every app.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, resolve_url
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, reverse
from django.utils import timezone

from core.dashboard import (
    DESK,
    Tile,
)
from inbox.accounts import roles
from inbox.accounts.login import reauthentication
from inbox.visibility import admin_scope
from orders.models import Store
from orders.reports import money_page

# Each group's title, its purpose, and its models with a line each, in the order they are needed.
GROUPS: Final[tuple[tuple[str, str, dict[str, str]], ...]] = (
    (
        "Stores & Shopify",
        "Connect a store and check its connection.",
        {
            "orders.Store": "Store settings and what agents can do",
            "shopify_sync.ShopConnection": "Credentials and connection checks",
            "shopify_sync.Backfill": "Imports of past orders",
            "shopify_sync.SyncCursor": "Progress of the five-minute sync check",
            "shopify_sync.Comparison": "Nightly check of every order",
            "shopify_sync.Drift": "Changes that arrived without a webhook",
        },
    ),
    (
        "Orders & money",
        "What happened to orders and payments.",
        {
            "orders.Order": "Orders as last read from Shopify",
            "orders.OrderAction": "Every request and its outcome",
            "orders.OrderEvent": "Order history",
        },
    ),
    (
        "Policies & people",
        "Who works here, and how much they can refund.",
        {
            "orders.Policy": "Limits, approvals, and a way to test them",
            "auth.User": "Team members and their roles",
            "inbox.Team": "Who sees which channels and stores",
            "auth.Group": "What each role can do",
            "inbox.RoleGrant": "Roles that wait for a second administrator",
            "inbox.ApiToken": "Tokens of programs that act for a person",
        },
    ),
    (
        "Inbox & channels",
        "How customers reach you.",
        {
            "inbox.Channel": "Messengers and email, with their keys",
            "inbox.HelpDeskFrame": "Other help desks that show the order panel",
            "inbox.Conversation": "Conversations and assignees",
            "inbox.Contact": "Customers and their addresses",
        },
    ),
    (
        "Campaigns",
        "Automatic messages about orders and checkouts.",
        {
            "inbox.Campaign": "Message texts and when they're sent",
            "inbox.CampaignMessage": "What was sent, and what wasn't",
        },
    ),
    (
        "Audit & privacy",
        "Who did what, and privacy requests.",
        {
            "orders.AuditEntry": "Append-only, tamper-evident record",
            "inbox.FailedLogIn": "Wrong passwords, counted",
            "inbox.CustomerView": "Who opened which customer",
            "orders.PrivacyRequest": "Data requests and deletions",
            "orders.RedactedIdentity": "People whose data must not be imported again",
        },
    ),
    (
        "Outgoing webhooks",
        "What other programs are told.",
        {
            "inbox.WebhookEndpoint": "Programs, what they are told, and their signing secrets",
            "inbox.WebhookDelivery": "What was sent, and what came back",
        },
    ),
    (
        "Webhooks",
        "What Shopify sent, and proof that nothing was lost.",
        {
            "shopify_sync.WebhookEvent": "Review and reprocess dead ones",
            "shopify_sync.WebhookTally": "Every request accounted for",
        },
    ),
)
# What decides about money, keys or people, as its pages are named.
SENSITIVE: Final = frozenset(
    {
        "auth_group",
        "auth_user",
        "inbox_apitoken",
        "inbox_channel",
        "inbox_helpdeskframe",
        "inbox_rolegrant",
        "inbox_team",
        "inbox_webhookendpoint",
        "orders_policy",
        "shopify_sync_shopconnection",
    }
)
_NAMES: Final = {
    "orders.OrderAction": "Cancellations & refunds",
    "orders.AuditEntry": "Audit log",
    "orders.RedactedIdentity": "Redacted people",
    "shopify_sync.ShopConnection": "Shop connections",
    "shopify_sync.SyncCursor": "Reconciliation",
    "shopify_sync.Backfill": "Order imports",
    "shopify_sync.Comparison": "Nightly comparisons",
    "shopify_sync.Drift": "Sync differences",
    "inbox.CustomerView": "Viewed customers",
    "inbox.Channel": "Help desk channels",
    "auth.User": "People",
    "auth.Group": "Roles",
    "inbox.RoleGrant": "Role requests",
    "inbox.FailedLogIn": "Failed logins",
    "inbox.ApiToken": "API tokens",
}
# Urgent tiles come first; within a tone, in the order the apps give them.
_URGENCY: Final = ("critical", "warning", "attention", "info", "default", "success")


@dataclass(frozen=True, slots=True)
class StoreTiles:
    """A store and its tiles, for the overview."""

    store: Store
    tiles: tuple[Tile, ...]


class DeskSite(AdminSite):
    """The admin site with the overview as its front page and models grouped by task."""

    site_header = site_title = "Agent Inbox"
    index_title = "Overview"
    index_template = "admin/desk.html"
    empty_value_display = "–"

    @login_not_required
    def login(
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Send people to the one login there is, which asks for the second factor, too."""
        if self.has_permission(request):
            return redirect("admin:index")
        if request.user.is_authenticated:
            raise PermissionDenied
        wanted = request.GET.get("next") or reverse("admin:index")
        return redirect(f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': wanted})}")

    def admin_view(self, view: Callable[..., HttpResponseBase], cacheable: bool = False) -> Any:
        """Ask again who is there before anything that decides about money, keys or people."""
        inner = super().admin_view(view, cacheable)

        @wraps(inner)
        def asking(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            is_open = self.has_permission(request) and _is_sensitive(request)
            if is_open and reauthentication.is_due(request):
                return reauthentication.ask(request)
            return inner(request, *args, **kwargs)

        return asking

    def get_urls(self) -> list[URLPattern | URLResolver]:
        # "View on site" is a redirect by two free-form paths: no model of ours has a page for it, and
        # matching it takes time with the square of an address's length.
        found = [url for url in super().get_urls() if getattr(url, "name", "") != "view_on_site"]
        return [*money_page.urls(self), *found]

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Group the models by task; an app's own page keeps Django's list."""
        apps = super().get_app_list(request, app_label)
        if app_label:
            return apps
        found = {
            f"{app['app_label']}.{model['object_name']}": model
            for app in apps
            for model in app["models"]
        }
        groups = []
        for title, hint, names in GROUPS:
            models = [
                _named(found.pop(key), key, text) for key, text in names.items() if key in found
            ]
            if title == "Orders & money" and request.user.has_perm("orders.view_orderaction"):
                models.insert(0, _money_page())
            if models:
                groups.append(_group(title, hint, models))
        if found:
            groups.append(_group("Other", "", list(found.values())))
        return groups

    def index(
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> TemplateResponse:
        """Render the overview: tiles of the installation and of each active store."""
        common, by_store = _tiles(request)
        stores = admin_scope(request.user).active_stores()
        if not request.user.has_perm("orders.view_store"):
            stores = stores.none()
        context = {
            "common": common,
            "stores": [StoreTiles(store, tuple(by_store[store.pk])) for store in stores],
            "may_connect": request.user.has_perm("shopify_sync.add_shopconnection"),
        }
        return super().index(request, context | (extra_context or {}))


def _is_sensitive(request: HttpRequest) -> bool:
    """Return whether this opens or sends a form, or an action, of one of SENSITIVE."""
    found = request.resolver_match
    model, _, page = (found.url_name or "").rpartition("_") if found else ("", "", "")
    return model in SENSITIVE and (page != "changelist" or request.method == "POST")


def _tiles(request: HttpRequest) -> tuple[list[Tile], dict[int, list[Tile]]]:
    """Return the installation's tiles and those of each store that this user may see, urgent first."""
    now, scope = timezone.now(), admin_scope(request.user)
    common: list[Tile] = []
    by_store: dict[int, list[Tile]] = defaultdict(list)
    for provider in DESK.tiles:
        for tile in provider(now):
            if not request.user.has_perm(tile.permission):
                continue
            if tile.admin_url and not roles.may_work(request.user):
                tile = replace(tile, url=tile.admin_url)
            if tile.store_id is None:
                # It counts the whole installation.
                if scope.teams is None:
                    common.append(tile)
            elif scope.sees_store(tile.store_id):
                by_store[tile.store_id].append(tile)
    for tiles in (common, *by_store.values()):
        tiles.sort(key=lambda tile: _URGENCY.index(tile.tone))
    return common, by_store


def _group(title: str, hint: str, models: list[Any]) -> dict[str, Any]:
    slug = title.lower().replace(" & ", "-").replace(" ", "-")
    return {
        "name": title,
        "hint": hint,
        "app_label": slug,
        "slug": slug,
        "models": models,
        "app_url": f"{reverse('admin:index')}#{slug}",
        "has_module_perms": True,
    }


def _named(model: dict[str, object], key: str, text: str) -> dict[str, object]:
    return {**model, "name": _NAMES.get(key, model["name"]), "hint": text}


def _money_page() -> dict[str, object]:
    return {
        "name": "Money",
        "object_name": "Money",
        "hint": "Charts of refunds and cancellations",
        "admin_url": reverse("admin:orders_money"),
        "add_url": None,
        "view_only": True,
        "perms": {"view": True},
    }
