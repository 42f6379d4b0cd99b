"""Admin page for teams: who is in them, and which channels and stores they see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse

from core.dashboard import DESK
from inbox.accounts import roles
from inbox.conversations import moving
from inbox.models import Channel, Conversation, Team
from orders import audit
from orders.admin.base import (
    DeskAdmin,
    user_of,
)
from orders.models import AuditKind, Store

FOLLOWING: Final = (
    "The conversations of the channels follow within a minute. Until then, no one sees them."
)

if TYPE_CHECKING:
    TeamModelForm = forms.ModelForm[Team]
else:
    TeamModelForm = forms.ModelForm


class TeamForm(TeamModelForm):
    """A team with its channels, which belong to one team each."""

    channels = forms.ModelMultipleChoiceField(
        Channel.objects.all(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Selecting a channel of another team takes it over, and its conversations follow "
        "within a minute.",
    )

    class Meta:
        model = Team
        fields = ["name", "members", "channels", "stores"]
        widgets = {
            "members": forms.CheckboxSelectMultiple,
            "stores": forms.CheckboxSelectMultiple,
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "members" not in self.fields:
            return  # shown to someone who may only look
        members: Any = self.fields["members"]
        # What the page offers this person (DeskAdmin.get_field_queryset), without those who can't be
        # assigned anything.
        offered = members.queryset.order_by().values("pk")
        members.queryset = roles.assignable().filter(pk__in=offered).order_by("username")
        members.label_from_instance = lambda user: user.get_full_name() or user.get_username()
        if self.instance.pk:
            self.initial["channels"] = list(self.instance.channels.values_list("pk", flat=True))
        elif not Team.objects.exists():
            # The first team draws the boundaries: begin with everyone and everything inside.
            self.initial.update(
                members=list(members.queryset),
                channels=list(Channel.objects.all()),
                stores=list(Store.objects.all()),
            )

    def clean_channels(self) -> QuerySet[Channel]:
        """Refuse to leave a channel without a team: no one would see what customers write there."""
        chosen: QuerySet[Channel] = self.cleaned_data["channels"]
        if self.instance.pk and (
            left := self.instance.channels.exclude(pk__in=[channel.pk for channel in chosen])
        ):
            names = ", ".join(str(channel) for channel in left)
            raise forms.ValidationError(
                f"{names} would have no team, and no one would see its conversations. Select it on the "
                "page of another team instead."
            )
        return chosen


@admin.register(Team)
class TeamAdmin(DeskAdmin):
    """Teams; a change takes effect with the members' next request."""

    form = TeamForm
    list_title = "Teams"
    list_intro = (
        "Teams are boundaries: members see the conversations of their team's channels and the orders "
        "of its stores, and nothing else. Without any team, every agent sees everything."
    )
    list_empty = (
        "No teams, so every agent and supervisor sees every conversation and order. The first team "
        "changes that for everyone: who isn't in a team then sees nothing."
    )
    list_display = ["name", "people", "channels", "its_stores"]
    search_fields = ["name"]
    readonly_fields = ["created_at"]
    fieldsets = [
        ("Team", {"fields": ["name", "members"]}),
        ("What its members see", {"fields": ["channels", "stores"]}),
        ("History", {"fields": ["created_at"]}),
    ]
    help_texts = {
        "name": "Shown to agents, who can move conversations to it.",
        "members": "Agents and supervisors. A person in several teams sees what any of them sees.",
        "stores": "A store can be in several teams.",
        "created_at": "When it was added.",
    }

    def get_form(
        self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Offer only the channels that this person sees: taking one over shows what is written there."""
        form = super().get_form(request, obj, change=change, **kwargs)
        if "channels" in form.base_fields:
            form.base_fields["channels"].queryset = DESK.choices(
                request.user, Channel.objects.all()
            )
        return form

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        return super().get_queryset(request).prefetch_related("channels", "members", "stores")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        # They name what belongs to no team, which isn't theirs either.
        for text in () if DESK.is_limited(request.user) else gaps():
            self.message_user(request, text, messages.WARNING)
        return super().changelist_view(request, extra_context)

    @admin.display(description="People")
    def people(self, team: Team) -> int:
        return len(team.members.all())

    @admin.display(description="Channels")
    def channels(self, team: Team) -> str:
        return ", ".join(channel.name for channel in team.channels.all()) or "–"

    @admin.display(description="Stores")
    def its_stores(self, team: Team) -> str:
        return ", ".join(str(store) for store in team.stores.all()) or "–"

    def save_related(
        self,
        request: HttpRequest,
        form: forms.ModelForm[Team],
        formsets: Iterable[forms.BaseModelFormSet[Model, forms.ModelForm[Model]]],
        change: bool,
    ) -> None:
        team, by = form.instance, user_of(request)
        with transaction.atomic():
            super().save_related(request, form, formsets, change)
            audit.record(
                AuditKind.PERMISSIONS,
                actor=by,
                after="team changed" if change else "team added",
                team=team.pk,
                members=sorted(team.members.values_list("pk", flat=True)),
                stores=sorted(team.stores.values_list("pk", flat=True)),
            )
            channels = form.cleaned_data["channels"]
            has_changed = moving.give_channels(team=team, channels=channels, by=by)
            if change and "members" in form.changed_data:
                moving.release_from_strangers(team)
        if has_changed:
            self.message_user(request, FOLLOWING)

    def delete_model(self, request: HttpRequest, obj: Team) -> None:
        with transaction.atomic():
            audit.record(
                AuditKind.PERMISSIONS, actor=user_of(request), after="team deleted", team=obj.pk
            )
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Team]) -> None:
        for team in queryset:
            self.delete_model(request, team)


def gaps() -> list[str]:
    """Return a sentence for each kind of thing that no one sees because it has no team."""
    if not Team.objects.exists():
        return []
    channels = Channel.objects.filter(team=None)
    stores = Store.objects.active().filter(teams=None)
    people = roles.assignable().filter(teams=None)
    found = (
        ("No team has these channels, so no one sees their conversations: ", channels),
        ("No team has these stores, so no one sees their orders: ", stores),
        ("These people are in no team and see nothing: ", people),
    )
    texts = [f"{text}{', '.join(map(str, rows))}." for text, rows in found if rows]
    if count := Conversation.objects.filter(team=None).count():
        texts.append(f"Conversations without a team, which no one sees: {count}.")
    return texts
