"""Admin page that lists everyone's API tokens and revokes them."""

from __future__ import annotations

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from inbox import api_tokens
from inbox.models import ApiToken
from orders.admin.base import DeskAdmin


@admin.register(ApiToken)
class ApiTokenAdmin(DeskAdmin):
    """Tokens can be seen and revoked here. Only their owners make them, for themselves: anyone who
    made one for another person could act in their name."""

    list_title = "API tokens"
    list_intro = (
        "A program with a token uses the REST API in its owner's name, within the token's scope. "
        "People make their own tokens in the inbox, under API tokens in the account menu."
    )
    list_empty = "No tokens yet."
    list_display = ["name", "owner", "scope", "state", "expires_at", "last_used_at", "last_used_ip"]
    list_filter = ["scope"]
    list_select_related = ["owner"]
    search_fields = ["name", "owner__username"]
    actions = ["revoke_tokens"]
    fieldsets = [
        ("Token", {"fields": ["name", "owner", "scope", "stores", "hint"]}),
        ("Use", {"fields": ["state", "expires_at", "last_used_at", "last_used_ip"]}),
        ("History", {"fields": ["created_at", "revoked_at"]}),
    ]
    readonly_fields = ["state", "hint", "created_at"]
    help_texts = {
        "name": "What its owner calls it.",
        "owner": "Requests made with this token count as this person's, including limits and the "
        "audit log.",
        "scope": "What it allows, at most. It never allows more than its owner may do.",
        "stores": "Only these stores' orders. None listed: all that its owner may see.",
        "hint": "The first characters of the token. The token itself isn't stored.",
        "created_at": "When it was made.",
        "expires_at": "It stops working then.",
        "last_used_at": "Updated at most once a minute.",
        "last_used_ip": "The address of the last request.",
        "revoked_at": "When it was revoked. Revoking can't be undone.",
    }

    @admin.display(description="State")
    def state(self, token: ApiToken) -> str:
        """Whether it works, apart from its owner's role."""
        if token.revoked_at:
            return "Revoked"
        return "Active" if token.expires_at > timezone.now() else "Expired"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("inbox.change_apitoken")

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        # Revoked tokens stay listed, as the audit log refers to them.
        return False

    @admin.action(description="Revoke the selected tokens", permissions=["revoke"])
    def revoke_tokens(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        """Revoke tokens for good, for example when a program's server was broken into."""
        by = request.user if isinstance(request.user, User) else None
        count = api_tokens.revoke(queryset, by=by, now=timezone.now(), why="by an administrator")
        self.message_user(request, f"{count} revoked.", messages.SUCCESS)
