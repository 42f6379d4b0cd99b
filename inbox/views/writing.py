"""What agents write and change in a conversation, and how the answer shows.

Every form carries what its page showed (templates/inbox/_shown.html). Where that is no longer so,
the answer is a 409 that changes nothing, keeps what was typed and shows what is new; its forms
carry what it shows, so that pressing once more is meant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import uuid4

from django.http import HttpRequest, HttpResponseBadRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_POST

from inbox import access
from inbox.conversations import (
    drafts,
    participants,
    waking,
)
from inbox.conversations.forms import (
    AssignForm,
    MessageForm,
    SnoozeForm,
)
from inbox.conversations.waking import (
    Overtaken,
    Press,
)
from inbox.live import events
from inbox.models import Conversation, ConversationState, DraftMode, Participant
from inbox.views import fragments
from inbox.views.conversations import Context, header_context, page_context, whole_page
from orders.panels.filters import (
    number,
    uuid,
)

Verb = Callable[..., Any]

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
    """The button that does it all the same; `url` "": the composer's own form is sent. `brings`:
    the state that it leads to."""

    label: str
    url: str = ""
    name: str = ""
    value: str = ""
    brings: str = ""


@require_POST
def reply(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Answer the customer."""
    return _write(request, pk, DraftMode.REPLY)


@require_POST
def note(request: HttpRequest, pk: int) -> HttpResponseBase:
    return _write(request, pk, DraftMode.NOTE)


@require_POST
def assign(request: HttpRequest, pk: int) -> HttpResponseBase:
    found = access.get_conversation(request.user, pk)
    form = AssignForm(request.POST)
    if not form.is_valid():
        return HttpResponseBadRequest("Nobody of that name can take conversations.")
    to = form.cleaned_data["assignee"]
    again = _again("assign", found, "assignee", str(to.pk) if to else "")
    if to == request.user:
        again = _again("assign", found, "assignee", str(to.pk), label=gettext("Take over anyway"))
    return _change(request, found, waking.assign, again, to=to)


@require_POST
def snooze(request: HttpRequest, pk: int) -> HttpResponseBase:
    found = access.get_conversation(request.user, pk)
    form = SnoozeForm(request.POST)
    if not form.is_valid():
        return HttpResponseBadRequest("Choose how long to snooze.")
    hours = form.cleaned_data["hours"]
    again = _again("snooze", found, "hours", str(hours))
    return _change(request, found, waking.snooze, again, hours=hours)


@require_POST
def resolve(request: HttpRequest, pk: int) -> HttpResponseBase:
    found = access.get_conversation(request.user, pk)
    again = _again("resolve", found, brings=ConversationState.RESOLVED)
    return _change(request, found, waking.resolve, again)


@require_POST
def reopen(request: HttpRequest, pk: int) -> HttpResponseBase:
    found = access.get_conversation(request.user, pk)
    again = _again("reopen", found, brings=ConversationState.OPEN)
    return _change(request, found, waking.reopen, again)


def press_of(request: HttpRequest) -> Press:
    """What the form says of its page. Nothing is refused for what it leaves out."""
    said = request.POST
    return Press(
        client_id=uuid(said.get("client_id", "")),
        seen=number(said.get("seen", "")),
        state=said.get("expected_state"),
        assignee=said.get("expected_assignee"),
        state_mark=said.get("expected_state_mark"),
        recipient=said.get("expected_recipient"),
    )


def _write(request: HttpRequest, pk: int, mode: DraftMode) -> HttpResponseBase:
    found = access.get_conversation(request.user, pk)
    form = MessageForm(request.POST, mode=mode)
    press = press_of(request)
    typed = _typed(request, found, form, press)
    to = request.POST.get("to", "")
    chosen = number(to)
    if not form.is_valid():
        context = page_context(request, found, since=_since(request), chosen=chosen) | typed
        return _show(request, found, context, status=422)
    text = form.cleaned_data["text"]
    verb: Verb = waking.note
    try:
        if mode == DraftMode.REPLY:
            verb = partial(waking.reply, to=_reader(found, to))
        verb(conversation=found, by=access.agent_of(request), text=text, press=press)
    except Overtaken as overtaken:
        typed["again"] = Again(label=str(_ANYWAY[mode]))
        if overtaken.earlier:
            # What is in the composer now is another message.
            typed |= {"composer_id": uuid4(), "version": ""}
        typed["recipients"] = participants.recipients(found, chosen=chosen)
        return _overtaken(request, found, overtaken, press, typed)
    if not fragments.is_fragment(request):
        return redirect("inbox:conversation", pk=pk)
    _read_from_here(request)
    answer = _show(request, found, page_context(request, found, since=_since(request)))
    if "before=" in fragments.page_address(request):
        # It was written on a page of the past; the one that is shown now is the newest.
        answer["HX-Replace-Url"] = reverse("inbox:conversation", args=[pk])
    return _told(answer, "inbox")


def _reader(found: Conversation, chosen: str) -> Participant | None:
    """Whom the page named; None: nobody. Who does not write here any more is not answered in the
    person of somebody else, nor is what nobody can read."""
    to = participants.get(found, number(chosen))
    if chosen and to is None:
        raise Overtaken(is_readdressed=True)
    return to


def _typed(request: HttpRequest, found: Conversation, form: MessageForm, press: Press) -> Context:
    """The composer as it was sent, for an answer that has written nothing."""
    draft = drafts.of(request.user, found)
    is_its_draft = draft is not None and draft.client_id == press.client_id
    return {
        "reply_form": form,
        "mode": form.data["mode"],
        "composer_id": press.client_id or uuid4(),
        "version": draft.version if draft is not None and is_its_draft else "",
    }


def _change(
    request: HttpRequest, found: Conversation, verb: Verb, again: Again, **what: Any
) -> HttpResponseBase:
    press = press_of(request)
    try:
        verb(conversation=found, by=access.agent_of(request), press=press, **what)
    except Overtaken as overtaken:
        return _overtaken(request, found, overtaken, press, {"again": again, "main": "header"})
    if not fragments.is_fragment(request):
        return redirect("inbox:conversation", pk=found.pk)
    _read_from_here(request)
    fresh = access.get_conversation(request.user, found.pk)
    context = header_context(request, fresh) | {"main": "header"}
    answer = render(request, "inbox/_answer.html", context)
    return _told(answer, f"inbox conversation-orders:{found.pk}")


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
        # Whoever does not say what their page shows may not look at this answer, either.
        marks=press.seen is not None,
    )
    context = shown | kept | {"overtaken": overtaken}
    if context["again"].brings == fresh.state:
        context["again"] = None
    return _show(request, fresh, context, status=409)


def _show(
    request: HttpRequest, found: Conversation, context: Context, *, status: int = 200
) -> HttpResponseBase:
    """The composer or the header, and beside it what else has changed; without htmx the page."""
    if fragments.is_fragment(request):
        return render(request, "inbox/_answer.html", context, status=status)
    return whole_page(request, found, context, status=status)


def _since(request: HttpRequest) -> int | None:
    """From which message on the page shows the thread: the answer does, too, or whoever reads
    further up would lose their place."""
    return number(request.POST.get("since", ""))


def _read_from_here(request: HttpRequest) -> None:
    """What the answer shows has the write in it: the browser need not fetch it for that."""
    request.live_position = events.position()  # type: ignore[attr-defined]


def _told(answer: HttpResponseBase, topics: str) -> HttpResponseBase:
    """For js/live.js: which other parts of the page this has changed."""
    answer["X-Changed"] = topics
    return answer


def _again(
    verb: str,
    found: Conversation,
    name: str = "",
    value: str = "",
    *,
    label: str = "",
    brings: str = "",
) -> Again:
    return Again(
        label=label or str(_ANYWAY[verb]),
        url=reverse(f"inbox:{verb}", args=[found.pk]),
        name=name,
        value=value,
        brings=brings,
    )
