"""Admin pages for contacts and conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from inbox.accounts import roles
from inbox.contacts import search
from inbox.models import Contact, Conversation, Identity
from inbox.visibility import admin_scope
from orders import audit
from orders.admin.base import (
    DeskAdmin,
    link,
    user_of,
)
from orders.models import AuditKind

if TYPE_CHECKING:
    StackedInline = admin.StackedInline[Any, Any]
else:
    StackedInline = admin.StackedInline


def _people(request: HttpRequest, words: str) -> frozenset[int]:
    """Return the IDs of the contacts that a search finds; of a frequent name, some."""
    found = search.find(words, scope=admin_scope(request.user))
    return found.ids | search.some_named(found.names)


class LinkedToTheInbox(DeskAdmin):
    """Shows the link `in_the_inbox` to people whom the inbox is open to."""

    def get_fieldsets(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if roles.may_work(request.user):
            return fieldsets
        return [
            (title, {**options, "fields": [n for n in options["fields"] if n != "in_the_inbox"]})
            for title, options in fieldsets
        ]


class IdentityInline(StackedInline):
    """The contact's addresses, removed ones included."""

    model = Identity
    extra = 0
    readonly_fields = ["added_at", "added_by", "removed_at", "removed_by"]
    fields = ["kind", "value", "source", "added_at", "added_by", "removed_at", "removed_by"]


@admin.register(Contact)
class ContactAdmin(LinkedToTheInbox):
    """Contacts and their identities; edits of identities go to the audit log."""

    list_title = "Contacts"
    list_intro = (
        "People who wrote to you, and the addresses we know for them. Agents fix a wrong "
        "match in the inbox, where it can be undone."
    )
    list_empty = "No matching contacts. A contact appears with its first message."
    help_texts = {
        "name": "From their channel or Shopify.",
        "created_at": "When they first contacted you.",
    }
    readonly_fields = ["created_at", "in_the_inbox"]
    fieldsets = [
        ("Person", {"fields": ["name", "language", "in_the_inbox", "created_at"]}),
    ]
    list_display = ["name", "language", "created_at"]

    def save_formset(
        self, request: HttpRequest, form: forms.ModelForm[Contact], formset: Any, change: bool
    ) -> None:
        """Audit every edited identity: an address typed here is proven by nothing else."""
        with transaction.atomic():
            super().save_formset(request, form, formset, change)
            edited = [row for row, _names in formset.changed_objects]
            for row in (*formset.new_objects, *edited, *formset.deleted_objects):
                audit.record(
                    AuditKind.IDENTITY,
                    actor=user_of(request),
                    after="edited",
                    contact=form.instance.pk,
                    identity=row.pk,
                    address=row.kind,
                    because="administration",
                )

    search_fields = ["name"]
    inlines = [IdentityInline]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Contact], search_term: str
    ) -> tuple[QuerySet[Contact], bool]:
        """Search as the inbox does, by indexes."""
        if not (words := search_term.strip()):
            return queryset, False
        return queryset.filter(pk__in=_people(request, words)), False

    @admin.display(description="In the inbox")
    def in_the_inbox(self, contact: Contact) -> SafeString | str:
        """The contact's profile, with all orders and conversations."""
        return (
            link(reverse("inbox:contact", args=[contact.pk]), "Open the profile")
            if contact.pk
            else "–"
        )


@admin.register(Conversation)
class ConversationAdmin(LinkedToTheInbox):
    """Who has which conversation; agents read and answer them in the inbox."""

    list_title = "Conversations"
    list_intro = "Every conversation and its assignee. To read and reply, open the inbox."
    list_empty = "No matching conversations. A conversation starts with a customer's message."
    help_texts = {
        "contact": "The conversation's contact. To move it to another person, fix the contact instead.",
        "subject": "Shown above the messages.",
        "assignee": "Only this agent and supervisors can cancel and refund from this conversation.",
        "state": "Snoozed conversations reopen automatically.",
        "snoozed_until": "Required if the conversation is snoozed; otherwise leave empty.",
        "channel": "The channel it came through.",
        "team": "Who sees it. Move it to another team in the inbox.",
        "created_at": "When it started.",
    }
    readonly_fields = ["in_the_inbox", "channel", "team", "created_at"]
    list_display = ["contact", "channel", "team", "state", "assignee", "last_message_at"]
    list_filter = ["state", "team", "channel", "assignee", "last_message_at"]
    ordering = ["-last_message_at", "-pk"]
    search_fields = ["contact__name"]
    list_select_related = ["contact", "channel", "team", "assignee"]
    fieldsets = [
        (
            "Conversation",
            {"fields": ["contact", "subject", "channel", "team", "in_the_inbox", "created_at"]},
        ),
        ("Assignment", {"fields": ["assignee", "state", "snoozed_until"]}),
    ]
    raw_id_fields = ["contact"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Conversation], search_term: str
    ) -> tuple[QuerySet[Conversation], bool]:
        """Search as the inbox does, by indexes."""
        if not (words := search_term.strip()):
            return queryset, False
        return queryset.filter(contact__in=_people(request, words)), False

    @admin.display(description="In the inbox")
    def in_the_inbox(self, conversation: Conversation) -> SafeString | str:
        """The conversation, with the customer's orders beside it."""
        address = reverse("inbox:conversation", args=[conversation.pk])
        return link(address, "Open the conversation")

    def has_add_permission(self, request: HttpRequest) -> bool:
        # A conversation begins with a customer's message on a channel.
        return False
