"""Where pages save what an agent is writing."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_POST

from inbox import access
from inbox.conversations import drafts
from inbox.conversations.forms import DraftForm
from orders.panels.filters import uuid

# A page names the last versions it has seen; older ones cannot be the draft any more.
_FOLLOWS: Final = 60


@require_POST
def save(request: HttpRequest, pk: int) -> HttpResponse:
    """JSON: what became of it (drafts.Outcome), and the text and mode that stand there now; of what
    cannot be kept, the `problem` in words, where its author can do something about it (422)."""
    found = access.get_conversation(request.user, pk)
    form = DraftForm(request.POST)
    follows = [
        version for word in request.POST.getlist("follows")[-_FOLLOWS:] if (version := uuid(word))
    ]
    if not form.is_valid():
        problem = " ".join(str(error) for error in form.errors.get("text", ()))
        return JsonResponse({"problem": problem}, status=422)
    kept = drafts.save(
        conversation=found,
        by=access.agent_of(request),
        words=drafts.Words(**form.cleaned_data),
        follows=follows,
    )
    return JsonResponse(
        {
            "outcome": kept.outcome,
            "text": kept.text,
            "mode": kept.mode,
            "version": str(kept.version),
        }
    )
