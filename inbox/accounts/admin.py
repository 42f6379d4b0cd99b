"""Admin pages for people, their roles and API tokens.

Only roles are assigned here. Individual permissions and superuser status are not, so that a stolen
administrator's account can't promote itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from rest_framework.authtoken.admin import TokenAdmin
from rest_framework.authtoken.models import TokenProxy

from inbox.accounts import roles
from orders.admin.base import DeskAdmin

if TYPE_CHECKING:
    ChangeForm = UserChangeForm[User]
    StockUserAdmin = UserAdmin[User]
else:
    ChangeForm = UserChangeForm
    StockUserAdmin = UserAdmin

MAY_NOT_MIX: Final = (
    "Administrators change limits; agents and supervisors move money. One person can't do "
    "both, so a single stolen account is never enough. Create a second account."
)


class PersonForm(ChangeForm):
    """Refuses roles that one person may not combine."""

    def clean(self) -> dict[str, Any]:
        """Reject an administrator who would also be an agent or supervisor."""
        cleaned = super().clean() or {}
        chosen = {group.name for group in cleaned.get("groups") or ()}
        if roles.ADMINS in chosen and chosen & {roles.AGENTS, roles.SUPERVISORS}:
            self.add_error("groups", MAY_NOT_MIX)
        return cleaned


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class PersonAdmin(DeskAdmin, StockUserAdmin):
    """Users, reduced to the fields an administrator has to decide on."""

    form = PersonForm
    list_title = "People"
    list_intro = (
        "Everyone who can log in. Give each person a role; Policies set what a role can "
        "refund. Deactivate people who leave instead of deleting them: the audit log still "
        "names them."
    )
    list_display = ["username", "name", "its_roles", "is_staff", "is_active", "last_login"]
    list_filter = ["groups", "is_active", "is_staff"]
    search_fields = ["username", "first_name", "last_name", "email"]
    readonly_fields = ["last_login", "date_joined", "roles_explained"]
    filter_horizontal = ()
    fieldsets = (
        ("Person", {"fields": ("username", "password", "first_name", "last_name", "email")}),
        ("Access", {"fields": ("is_active", "groups", "roles_explained", "is_staff")}),
        ("History", {"fields": ("last_login", "date_joined")}),
    )
    help_texts = {
        "username": "Used to log in.",
        "first_name": "Shown to colleagues.",
        "last_name": "Shown to colleagues.",
        "email": "Used for notices to this person.",
        "is_active": "If off, they can't log in. Their work stays as it is.",
        "groups": "Most people need only one. Hold Ctrl or ⌘ to select several.",
        "is_staff": "Can open this admin. Administrators and auditors need this; agents don't.",
        "last_login": "When they last logged in.",
        "date_joined": "When the account was created.",
    }

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Show the roles as checkboxes."""
        form = super().get_form(request, obj, change=change, **kwargs)
        if "groups" in form.base_fields:
            form.base_fields["groups"].widget = forms.CheckboxSelectMultiple(
                choices=form.base_fields["groups"].choices
            )
            form.base_fields["groups"].help_text = "Most people need only one."
            form.base_fields["groups"].label = "Roles"
        return form

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let only superusers edit a superuser."""
        # Only a superuser may edit a superuser; others could set the password and log in as them.
        is_above = obj is not None and obj.is_superuser and not _is_superuser(request)
        return not is_above and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse, because the audit log and refunds refer to people."""
        # The log and their refunds refer to them: deactivate them instead.
        return False

    @admin.display(description="Name")
    def name(self, user: User) -> str:
        """The full name; a dash if none was entered."""
        return user.get_full_name() or "–"

    @admin.display(description="Roles")
    def its_roles(self, user: User) -> str:
        """The roles, and whether the person is a superuser, who may do everything."""
        named = ", ".join(group.name for group in user.groups.all())
        return f"{named or 'none'}{' (superuser)' if user.is_superuser else ''}"

    @admin.display(description="What the roles can do")
    def roles_explained(self, user: User) -> SafeString:
        """What each may refund is set under Policies."""
        lines = format_html_join("\n", "<li><strong>{}</strong>: {}</li>", roles.EXPLAINED.items())
        return format_html_join("", '<ul class="desk-roles">{}</ul>', [(lines,)])


@admin.register(Group)
class RoleAdmin(DeskAdmin, GroupAdmin):
    """Groups, which are the roles; the four that the code knows can't be renamed or deleted."""

    list_title = "Roles"
    list_intro = (
        "Agents and supervisors work in the inbox; Policies set what they can refund. "
        "Admins and auditors work here, with the permissions below."
    )
    list_display = ["name", "meaning", "people"]
    filter_horizontal = ()
    help_texts = {
        "name": "The app identifies its four built-in roles by these names.",
        "permissions": "For this admin only. Refunds are governed by Policies.",
    }

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Lock the names of the built-in roles, by which the code knows them."""
        # The code knows roles by name: a renamed one would lose its rights.
        return ("name",) if obj and obj.name in roles.EXPLAINED else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse for the built-in roles."""
        is_known = obj is not None and obj.name in roles.EXPLAINED
        return not is_known and super().has_delete_permission(request, obj)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("user_set")

    @admin.display(description="What this role can do")
    def meaning(self, group: Group) -> str:
        """What a built-in role may do; custom roles have only their permissions."""
        return roles.EXPLAINED.get(group.name, "A custom role.")

    @admin.display(description="People")
    def people(self, group: Group) -> int:
        """How many people have the role; the rows are prefetched."""
        return len(group.user_set.all())


# The admin would otherwise name a token by its key: on the delete page, in messages, and forever
# in Django's log. The proxy model exists for the admin alone.
def _token_name(token: Any) -> str:
    return f"Token of {token.user}"


TokenProxy.__str__ = _token_name  # type: ignore[method-assign]
admin.site.unregister(TokenProxy)


@admin.register(TokenProxy)
class ApiTokenAdmin(DeskAdmin, TokenAdmin):
    """API tokens are created, shown once and deleted here. The key can't be read again."""

    list_title = "API tokens"
    list_intro = (
        "A program with a token can do whatever its user can do, through the REST API. The "
        "key is shown only once. If it's lost, create a new token."
    )
    list_empty = "No tokens yet."
    list_display = ("user", "created")
    list_filter = ()
    list_select_related = ["user"]
    search_help_text = None
    help_texts = {
        "user": "Requests made with this token count as this person's, including limits and the audit "
        "log."
    }

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save, and show the key this once."""
        super().save_model(request, obj, form, change)
        text = f"{obj}: {obj.key} — shown only now, copy it."
        self.message_user(request, text, messages.WARNING)


def _is_superuser(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser
