"""Admin pages for people and their roles.

Only roles are assigned here. Individual permissions and superuser status are not, so that a stolen
administrator's account can't promote itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from inbox.accounts import grants, notices, roles
from inbox.accounts.login import factors, sessions, single_sign_on
from inbox.accounts.models import FailedLogIn, RoleGrant
from orders.admin.base import DeskAdmin, ReadOnlyAdmin
from orders.errors import Refusal

if TYPE_CHECKING:
    ChangeForm = UserChangeForm[User]
    StockUserAdmin = UserAdmin[User]
    Decide = Callable[..., Refusal | None]
else:
    ChangeForm = UserChangeForm
    StockUserAdmin = UserAdmin

# What an administrator does about a link that nothing could send.
_UNSENT = (
    "The email server can't be reached. Once it can, select them in the list and choose “Send a "
    "link to set a new password”."
)


class PersonForm(ChangeForm):
    """Refuses roles that one person may not combine. Passwords are their owners' business."""

    password = None  # type: ignore[assignment]  # as Django documents it

    def clean(self) -> dict[str, object]:
        """Reject an administrator who would also be an agent or supervisor."""
        cleaned = super().clean() or {}
        if grants.mixes({group.name for group in cleaned.get("groups") or ()}):
            self.add_error("groups", grants.MAY_NOT_MIX)
        return cleaned


class NewPersonForm(PersonForm):
    """A new person: they get a link by email and set their own password."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].required = True


admin.site.unregister(User)
admin.site.unregister(Group)
# Second factors and sessions belong to their owners.
admin.site.unregister(EmailAddress)
admin.site.unregister(Authenticator)
admin.site.unregister(UserSession)
admin.site.unregister(SocialAccount)
admin.site.unregister(SocialApp)
admin.site.unregister(SocialToken)


@admin.register(User)
class PersonAdmin(DeskAdmin, StockUserAdmin):
    """Users, reduced to the fields an administrator has to decide on."""

    form = PersonForm
    add_form = NewPersonForm
    actions = ["send_link", "end_sessions"]
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
        ("Person", {"fields": ("username", "first_name", "last_name", "email")}),
        ("Access", {"fields": ("is_active", "groups", "roles_explained", "is_staff")}),
        ("History", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        ("Person", {"fields": ("username", "first_name", "last_name", "email")}),
        ("Access", {"fields": ("groups", "roles_explained", "is_staff")}),
    )
    help_texts = {
        "username": "Used to log in.",
        "first_name": "Shown to colleagues.",
        "last_name": "Shown to colleagues.",
        "email": "Receives the links by which this person sets a password, and notices.",
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
            form.base_fields["groups"].help_text = (
                "Most people need only one. Roles that move or approve money, and administrators, "
                "take a second administrator: until then they wait under Role requests."
            )
            form.base_fields["groups"].label = "Roles"
        return form

    def get_urls(self) -> list[URLPattern]:
        """Leave out Django's page that sets someone else's password."""
        # Administrators never set or see a password.
        return [url for url in super().get_urls() if url.name != "auth_user_password_change"]

    def save_model(
        self, request: HttpRequest, obj: User, form: forms.ModelForm[User], change: bool
    ) -> None:
        """Invite a new person; end the sessions of one who was deactivated or got a new address."""
        was = User.objects.filter(pk=obj.pk).first() if change else None
        if was is None:
            obj.set_unusable_password()
        super().save_model(request, obj, form, change)
        if was is None:
            transaction.on_commit(lambda: self._invite(request, obj))
            return
        if was.is_active and not obj.is_active:
            sessions.end_all(obj)
        if was.email.casefold() != obj.email.casefold():
            # Anyone who came in through the old address has to prove the new one.
            single_sign_on.untie(obj)
            sessions.end_all(obj, but=request.session.session_key)
            transaction.on_commit(lambda: notices.address_changed(obj, was.email))

    def _invite(self, request: HttpRequest, person: User) -> None:
        if notices.invite(person):
            self.message_user(request, f"{person.email} gets a link to set a password.")
        else:
            self.message_user(
                request, f"The account {person.username} is saved. {_UNSENT}", messages.ERROR
            )

    def save_related(
        self,
        request: HttpRequest,
        form: forms.ModelForm[User],
        formsets: Iterable[forms.BaseModelFormSet[Model, forms.ModelForm[Model]]],
        change: bool,
    ) -> None:
        """Save the roles, except new ones that take a second administrator: ask for those."""
        person: User = form.instance
        if "groups" not in form.cleaned_data or not isinstance(request.user, User):
            super().save_related(request, form, formsets, change)
            return
        is_back = "is_active" in form.changed_data and person.is_active
        is_readdressed = "email" in form.changed_data
        if change and (is_back or is_readdressed):
            # Otherwise one administrator could take the account over and then approve what another
            # had asked for its owner.
            grants.decline_all(user=person, by=request.user, now=timezone.now())
        # The new address gets the links: without a second factor, anyone who reads it is the person.
        is_taken_over = is_readdressed and not factors.has_one(person)
        is_new = change and (is_back or is_taken_over)
        # Coming back, or becoming someone else, is like getting the roles again.
        held = set() if is_new else set(person.groups.values_list("pk", flat=True))
        wanted = list(form.cleaned_data["groups"])
        new = [group for group in wanted if group.pk not in held and grants.needs_second(group)]
        form.cleaned_data["groups"] = [group for group in wanted if group not in new]
        super().save_related(request, form, formsets, change)
        if change and "groups" in form.changed_data:
            sessions.end_all(person, but=request.session.session_key)
        for group in new:
            grants.request(user=person, group=group, by=request.user, now=timezone.now())
            text = f"The role {group.name} waits for another administrator (Role requests)."
            self.message_user(request, text, messages.WARNING)

    @admin.action(description="Send a link to set a new password", permissions=["change"])
    def send_link(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Send the people their links; no one else sees them."""
        people = [person for person in queryset if person.is_active and person.email]
        sent = sum(
            notices.send_reset(person) if person.has_usable_password() else notices.invite(person)
            for person in people
        )
        self.message_user(request, f"Links sent: {sent}.")
        if sent < len(people):
            self.message_user(request, f"Not sent: {len(people) - sent}. {_UNSENT}", messages.ERROR)

    @admin.action(description="End their sessions", permissions=["change"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Log the people out everywhere, such as after a laptop was lost; this session goes on."""
        by = request.user if isinstance(request.user, User) else None
        people = [one for one in queryset if self.has_change_permission(request, one)]
        for person in people:
            sessions.log_out(person, by=by, but=request.session.session_key)
        self.message_user(request, f"Logged out: {len(people)}.")
        if above := len(queryset) - len(people):
            self.message_user(
                request, f"Not logged out: {above}. They are superusers.", messages.ERROR
            )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("groups")

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        # Only a superuser may edit a superuser; others could have its links sent to themselves.
        is_above = obj is not None and obj.is_superuser and not _is_superuser(request)
        return not is_above and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
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

    def get_readonly_fields(
        self, request: HttpRequest, obj: Group | None = None
    ) -> tuple[str, ...]:
        """Lock the names of the built-in roles, by which the code knows them."""
        # The code knows roles by name: a renamed one would lose its rights.
        return ("name",) if obj and obj.name in roles.EXPLAINED else ()

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Refuse for the built-in roles."""
        is_known = obj is not None and obj.name in roles.EXPLAINED
        return not is_known and super().has_delete_permission(request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("user_set")

    @admin.display(description="What this role can do")
    def meaning(self, group: Group) -> str:
        """What a built-in role may do; custom roles have only their permissions."""
        return roles.EXPLAINED.get(group.name, "A custom role.")

    @admin.display(description="People")
    def people(self, group: Group) -> int:
        """How many people have the role; the rows are prefetched."""
        return len(group.user_set.all())


@admin.register(RoleGrant)
class RoleGrantAdmin(ReadOnlyAdmin):
    """Roles that wait for a second administrator."""

    list_title = "Role requests"
    list_intro = (
        "Roles that move or approve money, and the administrators’ role, are given by two "
        "administrators. Select requests of others and approve or decline them."
    )
    list_empty = "No requests yet."
    list_display = ["user", "group", "state", "requested_by", "requested_at", "decided_by"]
    list_filter = ["state"]
    list_select_related = ["user", "group", "requested_by", "decided_by"]
    actions = ["approve", "decline"]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("auth.change_user")

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("auth.change_user")

    @admin.action(description="Approve", permissions=["view"])
    def approve(self, request: HttpRequest, queryset: QuerySet[RoleGrant]) -> None:
        """Approve the selected requests of others."""
        self._decide(request, queryset, grants.approve)

    @admin.action(description="Decline", permissions=["view"])
    def decline(self, request: HttpRequest, queryset: QuerySet[RoleGrant]) -> None:
        """Decline the selected requests, or withdraw one's own."""
        self._decide(request, queryset, grants.decline)

    def _decide(self, request: HttpRequest, queryset: QuerySet[RoleGrant], decide: Decide) -> None:
        for grant in queryset:
            why = decide(grant_id=grant.pk, by=request.user, now=timezone.now())
            level = messages.ERROR if why else messages.SUCCESS
            self.message_user(request, f"{grant}: {why.reason if why else 'done'}", level)


@admin.register(FailedLogIn)
class FailedLogInAdmin(ReadOnlyAdmin):
    """Counted wrong passwords, by hour, account and place."""

    list_title = "Failed logins"
    list_intro = (
        "Wrong passwords, counted by hour, account and address; kept for 30 days. Guessing slows "
        "down by itself and can’t lock anyone out."
    )
    list_empty = "None in the last 30 days."
    list_display = ["hour", "user", "place", "count", "last_at"]
    list_filter = ["hour"]
    list_select_related = ["user"]
    fields = ["hour", "user", "place", "count", "last_at"]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("orders.view_auditentry")

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("orders.view_auditentry")


def _is_superuser(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser
