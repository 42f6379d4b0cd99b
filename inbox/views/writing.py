"""Views through which agents write in a conversation and change its state.

Every form carries what its page showed (templates/inbox/_shown.html). If that is out of date, the
response is a 409 that changes nothing, keeps what was typed and shows what is new. Its own forms
carry the new state, so pressing the button again is deliberate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import uuid4

from django.contrib import messages
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseBase,
)
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_POST

from inbox import access, fragment_requests
from inbox.conversations import (
    drafts,
    participants,
    services,
)
from inbox.conversations.forms import (
    AssignForm,
    MessageForm,
    MoveForm,
    SnoozeForm,
)
from inbox.conversations.services import (
    NotAssignable,
    Overtaken,
    Press,
)
from inbox.live import events
from inbox.models import Conversation, ConversationState, DraftMode, Participant
from inbox.views.conversations import Context, header_context, page_context, whole_page
from inbox.visibility import able_to_see
from orders.panels.filters import (
    number,
    uuid,
)

Service = Callable[..., Any]

_NOT_ASSIGNABLE: Final = "No agent with that name can take conversations."
_ANYWAY: Final = {
    "reply": gettext_lazy("Send anyway"),
    "note": gettext_lazy("Add as another note"),
    "snooze": gettext_lazy("Snooze anyway"),
    "resolve": gettext_lazy("Resolve anyway"),
    "reopen": gettext_lazy("Reopen anyway"),
    "assign": gettext_lazy("Assign anyway"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """The button that does it anyway.

    `url` "" submits the composer's own form. `brings` is the conversation state it leads to.
    """

    label: str
    url: str = ""
    name: str = ""
    value: str = ""
    brings: str = ""


@require_POST
def reply(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send a reply to the customer."""
    return _write(request, pk, DraftMode.REPLY)


@require_POST
def note(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Add an internal note, which only agents see."""
    return _write(request, pk, DraftMode.NOTE)


@require_POST
def assign(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Assign the conversation to an agent, or unassign it."""
    found = access.get_conversation(request.user, pk)
    form = AssignForm(request.POST, agents=able_to_see(found.seen_by_team))
    if not form.is_valid():
        return HttpResponseBadRequest(_NOT_ASSIGNABLE)
    to = form.cleaned_data["assignee"]
    again = _again("assign", found, "assignee", str(to.pk) if to else "")
    if to == request.user:
        again = _again("assign", found, "assignee", str(to.pk), label=gettext("Take over anyway"))
    try:
        return _change(request, found, services.assign, again, to=to)
    except NotAssignable:
        return HttpResponseBadRequest(_NOT_ASSIGNABLE)


@require_POST
def move(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Move the conversation to another team, and leave it if the agent doesn't see it there."""
    found = access.get_conversation(request.user, pk)
    form = MoveForm(request.POST)
    if not form.is_valid():
        return HttpResponseBadRequest("There is no such team. Reload the page and choose again.")
    team = form.cleaned_data["team"]
    services.move(conversation=found, to=team, by=access.agent_of(request))
    if access.conversations_for(request.user).filter(pk=pk).exists():
        url = reverse("inbox:conversation", args=[pk])
    else:
        url = reverse("inbox:list")
        text = gettext("The conversation was moved to %(team)s. You aren’t in that team.")
        messages.success(request, text % {"team": team})
    if fragment_requests.is_fragment(request):
        return HttpResponse(status=204, headers={"HX-Redirect": url})
    return redirect(url)


@require_POST
def snooze(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Snooze the conversation for a number of hours."""
    found = access.get_conversation(request.user, pk)
    form = SnoozeForm(request.POST)
    if not form.is_valid():
        return HttpResponseBadRequest("Choose how long to snooze.")
    hours = form.cleaned_data["hours"]
    again = _again("snooze", found, "hours", str(hours))
    return _change(request, found, services.snooze, again, hours=hours)


@require_POST
def resolve(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Resolve the conversation; until it is reopened, its agent can't act on orders from it."""
    found = access.get_conversation(request.user, pk)
    again = _again("resolve", found, brings=ConversationState.RESOLVED)
    return _change(request, found, services.resolve, again)


@require_POST
def reopen(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Reopen a snoozed or resolved conversation."""
    found = access.get_conversation(request.user, pk)
    again = _again("reopen", found, brings=ConversationState.OPEN)
    return _change(request, found, services.reopen, again)


def press_of(request: HttpRequest) -> Press:
    """Read what the form says its page showed. Fields it leaves out are not checked."""
    data = request.POST
    return Press(
        client_id=uuid(data.get("client_id", "")),
        seen=number(data.get("seen", "")),
        state=data.get("expected_state"),
        assignee=data.get("expected_assignee"),
        state_mark=data.get("expected_state_mark"),
        recipient=data.get("expected_recipient"),
    )


def _write(request: HttpRequest, pk: int, mode: DraftMode) -> HttpResponseBase:
    found = access.get_conversation(request.user, pk)
    form = MessageForm(request.POST, mode=mode)
    press = press_of(request)
    typed = _composer_as_sent(request, found, form, press)
    to = request.POST.get("to", "")
    chosen = number(to)
    if not form.is_valid():
        context = page_context(request, found, since=_since(request), chosen=chosen) | typed
        return _show(request, found, context, status=422)
    text = form.cleaned_data["text"]
    service: Service = services.note
    try:
        if mode == DraftMode.REPLY:
            service = partial(services.reply, to=_recipient(found, to))
        service(conversation=found, by=access.agent_of(request), text=text, press=press)
    except Overtaken as overtaken:
        typed["again"] = Again(label=str(_ANYWAY[mode]))
        if overtaken.earlier:
            # This press has written a message already; the composer now holds another one.
            typed |= {"composer_id": uuid4(), "version": ""}
        typed["recipients"] = participants.recipients(found, chosen=chosen)
        return _overtaken(request, found, overtaken, press, typed)
    if not fragment_requests.is_fragment(request):
        return redirect("inbox:conversation", pk=pk)
    _note_live_position(request)
    answer = _show(request, found, page_context(request, found, since=_since(request)))
    if "before=" in fragment_requests.page_address(request):
        # It was sent from a page of older messages, but the response shows the newest.
        answer["HX-Replace-Url"] = reverse("inbox:conversation", args=[pk])
    return _mark_changed(answer, "inbox")


def _recipient(found: Conversation, chosen: str) -> Participant | None:
    """Return the participant the form names; None if it names no one.

    Raises Overtaken if they no longer write here, so that the reply never goes to someone else.
    """
    to = participants.get(found, number(chosen))
    if chosen and to is None:
        raise Overtaken(is_readdressed=True)
    return to


def _composer_as_sent(
    request: HttpRequest, found: Conversation, form: MessageForm, press: Press
) -> Context:
    """Rebuild the composer as it was submitted, for a response that has written nothing."""
    draft = drafts.of(request.user, found)
    is_its_draft = draft is not None and draft.client_id == press.client_id
    return {
        "reply_form": form,
        "mode": form.data["mode"],
        "composer_id": press.client_id or uuid4(),
        "version": draft.version if draft is not None and is_its_draft else "",
    }


def _change(
    request: HttpRequest, found: Conversation, service: Service, again: Again, **what: object
) -> HttpResponseBase:
    press = press_of(request)
    try:
        service(conversation=found, by=access.agent_of(request), press=press, **what)
    except Overtaken as overtaken:
        return _overtaken(request, found, overtaken, press, {"again": again, "main": "header"})
    if not fragment_requests.is_fragment(request):
        return redirect("inbox:conversation", pk=found.pk)
    _note_live_position(request)
    # Read again: the service changed its own, locked copy.
    fresh = access.get_conversation(request.user, found.pk)
    context = header_context(request, fresh) | {"main": "header"}
    answer = render(request, "inbox/_answer.html", context)
    return _mark_changed(answer, f"inbox conversation-orders:{found.pk}")


def _overtaken(
    request: HttpRequest, found: Conversation, overtaken: Overtaken, press: Press, kept: Context
) -> HttpResponseBase:
    fresh = access.get_conversation(request.user, found.pk)
    shown = page_context(
        request,
        fresh,
        since=_since(request),
        unread_after=press.seen,
        shown_besides=max((message.pk for message in overtaken.messages), default=0),
        # A client that doesn't say what its page showed may not display this response either,
        # so don't count it as read.
        marks=press.seen is not None,
    )
    context = shown | kept | {"overtaken": overtaken}
    if context["again"].brings == fresh.state:
        context["again"] = None
    return _show(request, fresh, context, status=409)


def _show(
    request: HttpRequest, found: Conversation, context: Context, *, status: int = 200
) -> HttpResponseBase:
    """Render what has changed for htmx, or else the whole page."""
    if fragment_requests.is_fragment(request):
        return render(request, "inbox/_answer.html", context, status=status)
    return whole_page(request, found, context, status=status)


def _since(request: HttpRequest) -> int | None:
    """Return the first message the page shows of the thread.

    The response starts there as well, or an agent reading further up would lose their place.
    """
    return number(request.POST.get("since", ""))


def _note_live_position(request: HttpRequest) -> None:
    """Note that the response already includes this write, so the browser needn't fetch it again."""
    request.live_position = events.position()  # type: ignore[attr-defined]


def _mark_changed(answer: HttpResponseBase, topics: str) -> HttpResponseBase:
    """Tell js/live.js which other parts of the page this has changed."""
    answer["X-Changed"] = topics
    return answer


def _again(
    view: str,
    found: Conversation,
    name: str = "",
    value: str = "",
    *,
    label: str = "",
    brings: str = "",
) -> Again:
    return Again(
        label=label or str(_ANYWAY[view]),
        url=reverse(f"inbox:{view}", args=[found.pk]),
        name=name,
        value=value,
        brings=brings,
    )
