"""The inbox: list, thread, and what agents do with a conversation."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from inbox import access, live, pages, roles, services, timeline
from inbox.forms import AssignForm, MessageForm, SnoozeForm
from inbox.models import Conversation, IdentityKind

Context = dict[str, Any]


@require_GET
def list_page(request: HttpRequest) -> HttpResponse:
    context = {"list": _list(request), **_frame(request)}
    return render(request, "inbox/list.html", context)


@require_GET
def list_rows(request: HttpRequest) -> HttpResponse:
    selected = request.GET.get("selected", "")
    context = {"list": _list(request), "selected": int(selected) if selected.isdigit() else None}
    return render(request, "inbox/_list.html", context)


@require_GET
def conversation(request: HttpRequest, pk: int) -> HttpResponse:
    """The thread; the order sidebar is loaded beside it and never delays it."""
    found = access.get_conversation(request.user, pk)
    services.mark_read(conversation=found)
    before = request.GET.get("before", "")
    context = _context(request, found) | {
        "list": _list(request),
        "thread": timeline.thread(found, before=int(before) if before.isdigit() else None),
        "reply_form": MessageForm(),
        **_frame(request),
    }
    return render(request, "inbox/conversation.html", context)


@require_GET
def header(request: HttpRequest, pk: int) -> HttpResponse:
    found = access.get_conversation(request.user, pk)
    return render(request, "inbox/_header.html", _context(request, found))


@require_GET
def thread(request: HttpRequest, pk: int) -> HttpResponse:
    found = access.get_conversation(request.user, pk)
    services.mark_read(conversation=found)
    context = {"conversation": found, "thread": timeline.thread(found)}
    return render(request, "inbox/_thread.html", context)


@require_POST
def reply(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer the customer; "mode" note without JavaScript writes a note instead."""
    return _write(request, pk, is_note=request.POST.get("mode") == "note")


@require_POST
def note(request: HttpRequest, pk: int) -> HttpResponse:
    return _write(request, pk, is_note=True)


@require_POST
def assign(request: HttpRequest, pk: int) -> HttpResponse:
    found = access.get_conversation(request.user, pk)
    form = AssignForm(request.POST)
    if not form.is_valid():
        return HttpResponseBadRequest("Nobody of that name can take conversations.")
    services.assign(conversation=found, to=form.cleaned_data["assignee"])
    return _after(request, found)


@require_POST
def snooze(request: HttpRequest, pk: int) -> HttpResponse:
    found = access.get_conversation(request.user, pk)
    form = SnoozeForm(request.POST)
    if not form.is_valid():
        return HttpResponseBadRequest("Choose how long to snooze.")
    services.snooze(conversation=found, hours=form.cleaned_data["hours"])
    return _after(request, found)


@require_POST
def resolve(request: HttpRequest, pk: int) -> HttpResponse:
    found = access.get_conversation(request.user, pk)
    services.resolve(conversation=found)
    return _after(request, found)


@require_POST
def reopen(request: HttpRequest, pk: int) -> HttpResponse:
    found = access.get_conversation(request.user, pk)
    services.reopen(conversation=found)
    return _after(request, found)


@require_GET
def contact(request: HttpRequest, pk: int) -> HttpResponse:
    """Row F46: who they are, and everything that happened to their orders."""
    found = access.get_contact(request.user, pk)
    own = access.conversations_for(request.user).filter(contact=found)
    context = {
        "contact": found,
        # A channel's own user id says nothing to people.
        "identities": found.identities.active().exclude(kind=IdentityKind.CHANNEL_USER),
        "removed": found.identities.exclude(removed_at=None).select_related("removed_by"),
        "activity": timeline.activity(found),
        "conversations": own.order_by("-last_message_at")[:20],
        **_frame(request),
    }
    return render(request, "inbox/contact.html", context)


@require_GET
def contact_activity(request: HttpRequest, pk: int) -> HttpResponse:
    found = access.get_contact(request.user, pk)
    context = {"contact": found, "activity": timeline.activity(found)}
    return render(request, "inbox/_activity.html", context)


def _write(request: HttpRequest, pk: int, *, is_note: bool) -> HttpResponse:
    found = access.get_conversation(request.user, pk)
    form = MessageForm(request.POST)
    if form.is_valid():
        verb = services.note if is_note else services.reply
        verb(conversation=found, by=access.agent_of(request), text=form.cleaned_data["text"])
        if not request.headers.get("HX-Request"):
            return redirect("inbox:conversation", pk=found.pk)
        form = MessageForm()
    context = {"conversation": found, "reply_form": form}
    if not request.headers.get("HX-Request"):
        page = _context(request, found) | _frame(request) | context
        page |= {"list": _list(request), "thread": timeline.thread(found)}
        return render(request, "inbox/conversation.html", page, status=422)
    return render(request, "inbox/_composer.html", context)


def _after(request: HttpRequest, found: Conversation) -> HttpResponse:
    if not request.headers.get("HX-Request"):
        return redirect("inbox:conversation", pk=found.pk)
    fresh = access.get_conversation(request.user, found.pk)
    return render(request, "inbox/_header.html", _context(request, fresh))


def _list(request: HttpRequest) -> pages.ConversationList:
    asked = request.GET
    return pages.conversation_list(
        request.user,
        scope=asked.get("scope", ""),
        state=asked.get("state", ""),
        query=asked.get("q", ""),
        after=asked.get("after", ""),
    )


def _context(request: HttpRequest, found: Conversation) -> Context:
    return {
        "conversation": found,
        "acting": access.acting_refusal(request.user, found),
        "agents": roles.assignable(),
    }


def _frame(request: HttpRequest) -> Context:
    return {"section": "inbox", "stream_token": live.stream_token(request.user)}
