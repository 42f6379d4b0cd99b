"""The inbox: list, thread, and what agents do with a conversation."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from inbox import (
    access,
    fragments,
    live,
    pages,
    people,
    reach,
    roles,
    services,
    sidebar,
    streaming,
    timeline,
)
from inbox.forms import AssignForm, MessageForm, SnoozeForm
from inbox.models import Conversation, IdentityKind
from inbox.places import BesideConversation
from orders.selection import number

Context = dict[str, Any]


@require_GET
def list_page(request: HttpRequest) -> HttpResponse:
    """The list; navigation inside the inbox asks for the part that changes (X-Fragment)."""
    context = {"list": _list(request)}
    if fragments.wants(request, "list"):
        return render(request, "inbox/_list_pane.html", context | {"selected": None})
    return render(request, "inbox/list.html", context | _frame(request))


@require_GET
def list_rows(request: HttpRequest) -> HttpResponse:
    context = {"list": _list(request), "selected": number(request.GET.get("selected", ""))}
    return render(request, "inbox/_list.html", context)


@require_GET
def conversation(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The thread; the order sidebar follows in the same answer and never delays it."""
    found = access.get_conversation(request.user, pk)
    # Fetched ahead of a click that may never come: the page tells when it is shown.
    is_ahead = fragments.is_fetched_ahead(request)
    if not is_ahead:
        _mark_read(request, found)
    context = _context(request, found) | {
        "thread": timeline.thread(found, before=number(request.GET.get("before", ""))),
        "reply_form": MessageForm(),
        "unreachable": reach.refusal(found),
        "may_work": not access.door_refused(request.user, changes=True),
        "marks_read": is_ahead,
    }
    if fragments.wants(request, "view"):
        return render(request, "inbox/_view.html", context)
    return _whole_page(request, found, context)


@require_POST
def read(request: HttpRequest, pk: int) -> HttpResponse:
    """What was fetched ahead is being looked at now."""
    services.mark_read(conversation=access.get_conversation(request.user, pk))
    return HttpResponse(status=204)


@require_GET
def header(request: HttpRequest, pk: int) -> HttpResponse:
    found = access.get_conversation(request.user, pk)
    return render(request, "inbox/_header.html", _context(request, found))


@require_GET
def thread(request: HttpRequest, pk: int) -> HttpResponse:
    found = access.get_conversation(request.user, pk)
    _mark_read(request, found)
    shown = timeline.thread(found, since=number(request.GET.get("since", "")))
    return render(request, "inbox/_thread.html", {"conversation": found, "thread": shown})


def _mark_read(request: HttpRequest, found: Conversation) -> None:
    """Not for those who only look: nobody who answers has read it by that."""
    if not access.door_refused(request.user, changes=True):
        services.mark_read(conversation=found)


@require_POST
def reply(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Answer the customer; "mode" note without JavaScript writes a note instead."""
    return _write(request, pk, is_note=request.POST.get("mode") == "note")


@require_POST
def note(request: HttpRequest, pk: int) -> HttpResponseBase:
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
    known = list(found.identities.select_related("added_by", "removed_by"))
    text = people.all_text(found)
    context = {
        "contact": found,
        "person": people.person_of(
            found, known=known, text=text, agent=request.user, now=timezone.now()
        ),
        # A channel's own user id says nothing to people.
        "identities": [
            identity
            for identity in known
            if identity.removed_at is None and identity.kind != IdentityKind.CHANNEL_USER
        ],
        "removed": [identity for identity in known if identity.removed_at],
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


def _write(request: HttpRequest, pk: int, *, is_note: bool) -> HttpResponseBase:
    found = access.get_conversation(request.user, pk)
    form = MessageForm(request.POST)
    if form.is_valid():
        verb = services.note if is_note else services.reply
        verb(conversation=found, by=access.agent_of(request), text=form.cleaned_data["text"])
        if not fragments.is_fragment(request):
            return redirect("inbox:conversation", pk=found.pk)
        form = MessageForm()
    context = {
        "conversation": found, "reply_form": form, "unreachable": reach.refusal(found),
    }  # fmt: skip
    if not fragments.is_fragment(request):
        page = _context(request, found) | context | {"thread": timeline.thread(found)}
        return _whole_page(request, found, page, status=422)
    return render(request, "inbox/_composer.html", context)


def _whole_page(
    request: HttpRequest, found: Conversation, context: Context, *, status: int = 200
) -> HttpResponseBase:
    context |= {"list": _list(request), "late": streaming.MARK, **_frame(request)}
    page = render_to_string("inbox/conversation.html", context, request)
    place = BesideConversation(found)
    answer = streaming.in_two_parts(request, page, lambda: sidebar.html(request, place))
    answer.status_code = status
    return answer


def _after(request: HttpRequest, found: Conversation) -> HttpResponse:
    if not fragments.is_fragment(request):
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
