"""The endpoint where pages save what an agent is writing."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_POST

from inbox import access
from inbox.conversations import drafts
from inbox.conversations.forms import DraftForm
from orders.panels.filters import uuid

# A page lists the versions it has seen; those before the last 60 can't be the draft anymore.
_FOLLOWS: Final = 60


@require_POST
def save(request: HttpRequest, pk: int) -> HttpResponse:
    """Save a draft. Returns JSON with the outcome (drafts.Outcome) and the draft as it is now.

    Answers 422 if it can't be saved, with a `problem` if the author can do something about it.
    """
    found = access.get_conversation(request.user, pk)
    form = DraftForm(request.POST)
    follows = [
        version for text in request.POST.getlist("follows")[-_FOLLOWS:] if (version := uuid(text))
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
