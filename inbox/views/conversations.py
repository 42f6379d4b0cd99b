"""Views of the inbox that agents read: the list, a conversation, a contact."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from inbox import (
    access,
    fragment_requests,
    read_marks,
)
from inbox.channels import recipients
from inbox.contacts import profile
from inbox.contacts.activity import page as activity
from inbox.conversations import (
    drafts,
    listing,
    participants,
    services,
    timeline,
)
from inbox.conversations.forms import MessageForm
from inbox.models import Contact, Conversation, DraftMode, IdentityKind, Team
from inbox.panel import rendering, streamed_pages
from inbox.panel.contexts import BesideConversation
from inbox.visibility import able_to_see, scope_of
from orders.panels.filters import number

Context = dict[str, Any]


@require_GET
def list_page(request: HttpRequest) -> HttpResponse:
    """Show the conversation list; navigation within the inbox asks for the pane alone."""
    context = {"list": _list(request)}
    if fragment_requests.wants(request, "list"):
        return render(request, "inbox/_list_pane.html", context | {"selected": None})
    return render(request, "inbox/list.html", context | _base_context(request))


@require_GET
def list_rows(request: HttpRequest) -> HttpResponse:
    """Return the rows of the list, for live updates and for loading more."""
    context = {"list": _list(request), "selected": number(request.GET.get("selected", ""))}
    return render(request, "inbox/_list.html", context)


@require_GET
def conversation(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Show a conversation, on the page with ?message= if given. The order sidebar follows in the same
    response and never delays it."""
    found = access.get_conversation(request.user, pk)
    before = number(request.GET.get("before", ""))
    if (message := number(request.GET.get("message", ""))) is not None:
        before = timeline.before_of(found, message)
    context = page_context(request, found, before=before)
    if fragment_requests.wants(request, "view"):
        return render(request, "inbox/_view.html", context)
    return whole_page(request, found, context)


@require_POST
def read(request: HttpRequest, pk: int) -> HttpResponse:
    """Mark the conversation read up to `seen`, which the page reports.

    Ignored for background requests: an agent who is away reads nothing.
    """
    found = access.get_conversation(request.user, pk)
    seen = number(request.POST.get("seen", ""))
    if seen is not None and not fragment_requests.is_background(request):
        services.mark_read(conversation=found, by=access.agent_of(request), up_to=seen)
    return HttpResponse(status=204)


@require_GET
def header(request: HttpRequest, pk: int) -> HttpResponse:
    """Return the conversation's header, for a live update."""
    found = access.get_conversation(request.user, pk)
    return render(request, "inbox/_header.html", header_context(request, found))


@require_GET
def thread(request: HttpRequest, pk: int) -> HttpResponse:
    """Return the conversation's messages from ?since= on, for a live update."""
    found = access.get_conversation(request.user, pk)
    context = {"conversation": found}
    since = number(request.GET.get("since", ""))
    # Pages fetch this on every change, whether or not the agent is there to read it.
    context |= thread_context(request, found, since=since, marks=False)
    return render(request, "inbox/_thread.html", context)


@require_GET
def contact(request: HttpRequest, pk: int) -> HttpResponse:
    """Show who a contact is, and everything that happened to their orders and conversations."""
    found = access.get_contact(request.user, pk)
    known = list(found.identities.select_related("added_by", "removed_by"))
    text = profile.all_text(found, agent=request.user)
    shown = [identity for identity in known if profile.is_shown(identity, agent=request.user)]
    context = {
        "contact": found,
        "person": profile.person_of(
            found, known=known, text=text, agent=request.user, now=timezone.now()
        ),
        # A channel's own user ID means nothing to agents.
        "identities": [
            identity
            for identity in shown
            if identity.removed_at is None and identity.kind != IdentityKind.CHANNEL_USER
        ],
        "removed": [identity for identity in shown if identity.removed_at],
        "activity": _activity(request, found),
        "conversations": _conversations(request, found),
        **_base_context(request),
    }
    return render(request, "inbox/contact.html", context)


def _conversations(request: HttpRequest, found: Contact) -> list[Conversation]:
    """Return the conversations a contact owns or takes part in, newest first.

    Two queries, because a single one would read far more than it returns.
    """
    seen = access.conversations_for(request.user)
    own = seen.filter(contact=found).order_by("-last_message_at")[:20]
    joined = seen.filter(participants__contact=found).exclude(contact=found)
    both = [*own, *joined.order_by("-last_message_at").distinct()[:20]]
    return sorted(both, key=lambda row: row.last_message_at, reverse=True)[:20]


@require_GET
def contact_activity(request: HttpRequest, pk: int) -> HttpResponse:
    """Return the first page of the contact's activity, for a live update."""
    found = access.get_contact(request.user, pk)
    context = {"activity": _activity(request, found)}
    return render(request, "inbox/_activity.html", context)


def _activity(request: HttpRequest, found: Contact) -> activity.Page:
    show, after = (request.GET.get(name, "") for name in ("show", "after"))
    return activity.page_of(found, scope=scope_of(request.user), show=show, after=after)


def page_context(
    request: HttpRequest,
    found: Conversation,
    *,
    before: int | None = None,
    since: int | None = None,
    unread_after: int | None = None,
    shown_besides: int = 0,
    marks: bool = True,
    chosen: int | None = None,
) -> Context:
    """Build the context of inbox/_view.html and its parts.

    `chosen` is the participant the reply goes to; see `thread_context` for the rest.
    """
    shown = thread_context(
        request,
        found,
        before=before,
        since=since,
        unread_after=unread_after,
        shown_besides=shown_besides,
        marks=marks,
    )
    return (
        header_context(request, found, seen=shown["seen"])
        | shown
        | _composer(request, found)
        | {
            "unreachable": recipients.refusal(found),
            "recipients": participants.recipients(found, chosen=chosen),
        }
    )


def _composer(request: HttpRequest, found: Conversation) -> Context:
    """Fill the composer with the agent's draft, if there is one; `version` is "" if not."""
    draft = drafts.of(request.user, found)
    if draft is None:
        return {
            "reply_form": MessageForm(),
            "mode": DraftMode.REPLY,
            "composer_id": uuid4(),
            "version": "",
        }
    return {
        "reply_form": MessageForm(initial={"text": draft.text}),
        "mode": draft.mode,
        "composer_id": draft.client_id,
        "version": draft.version,
    }


def header_context(
    request: HttpRequest, found: Conversation, *, seen: int | None = None
) -> Context:
    """Build the context of the conversation's header.

    `seen` is the last message the page shows; None means the last one this agent was ever shown.
    """
    return {
        "conversation": found,
        "acting": access.acting_refusal(request.user, found),
        "agents": able_to_see(found.seen_by_team),
        "others": participants.others(found),
        # Few, and none in most installations.
        "teams": list(Team.objects.all()),
        "seen": read_marks.mark_of(request.user, found) or 0 if seen is None else seen,
        "press_id": uuid4(),
    }


def thread_context(
    request: HttpRequest,
    found: Conversation,
    *,
    before: int | None = None,
    since: int | None = None,
    unread_after: int | None = None,
    shown_besides: int = 0,
    marks: bool = True,
) -> Context:
    """Build the context of the thread.

    In: `unread_after` is the last message the page says it showed, `shown_besides` the last
    message shown in a notice. `marks` allows marking the conversation read right away for a page
    that can't report later what was seen.

    Out: `seen` is the last message the agent has seen with this response; `is_news` asks the page
    to report once the agent has looked at it.
    """
    row = read_marks.row_of(request.user, found)
    mark = row.last_message_id if row else None
    if mark is not None and unread_after is not None:
        # Another tab may have moved the mark past what this page has shown.
        unread_after = min(mark, unread_after)
    shown = timeline.thread(
        found,
        before=before,
        since=since,
        unread_after=mark if unread_after is None else unread_after,
        scope=scope_of(request.user),
    )
    up_to = max(shown.last_inbound, shown_besides)
    seen = max(up_to, mark or 0)
    is_news = read_marks.is_news(row, found, to=request.user, up_to=seen)
    if is_news and marks and not fragment_requests.says_what_was_seen(request):
        services.mark_read(conversation=found, by=access.agent_of(request), up_to=seen)
        is_news = False
    return {"thread": shown, "seen": seen, "is_news": is_news}


def whole_page(
    request: HttpRequest, found: Conversation, context: Context, *, status: int = 200
) -> HttpResponseBase:
    """Render the conversation with the list, and stream the order sidebar after it."""
    context |= {"list": _list(request), "late": streamed_pages.MARK, **_base_context(request)}
    page = render_to_string("inbox/conversation.html", context, request)
    place = BesideConversation(found, scope_of(request.user))
    answer = streamed_pages.in_two_parts(request, page, lambda: rendering.html(request, place))
    answer.status_code = status
    return answer


def _list(request: HttpRequest) -> listing.ConversationList:
    asked = request.GET
    return listing.conversation_list(
        request.user,
        scope=asked.get("scope", ""),
        state=asked.get("state", ""),
        query=asked.get("q", ""),
        after=asked.get("after", ""),
    )


def _base_context(request: HttpRequest) -> Context:
    return {"section": "inbox", "is_live": True}
