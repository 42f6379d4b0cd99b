"""The login, as a page and as a dialog on a page whose session has ended."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from django.contrib.auth import views
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.utils.decorators import method_decorator

from inbox import access, fragment_requests
from inbox.accounts import sessions
from inbox.conversations import drafts
from inbox.models import DraftMode
from orders.panels.filters import uuid

# The fragment that the dialog asks for (js/session.js).
_PART: Final = "log-in"
_MODES: Final = {"inbox:reply": DraftMode.REPLY, "inbox:note": DraftMode.NOTE}


@method_decorator(login_not_required, name="dispatch")
class LogIn(views.LoginView):
    """Log in. The dialog gets the form alone, and a 204 with the agent's ID once it worked."""

    redirect_authenticated_user = True

    def get_template_names(self) -> list[str]:
        """Return the form alone for the dialog."""
        return ["inbox/_log_in.html" if self._is_part() else "inbox/login.html"]

    def get_context_data(self, **more: Any) -> dict[str, Any]:
        kept = self.request.POST.get("kept", "")
        return super().get_context_data(is_part=self._is_part(), kept=kept, **more)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer the dialog with 204 and the agent's ID instead of a redirect."""
        answer = super().dispatch(request, *args, **kwargs)
        if answer.status_code == 302 and self._is_part():
            return HttpResponse(status=204, headers={"X-Agent": str(request.user.pk)})
        return answer

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Log in, and restore what the same agent wrote before the session ended."""
        answer = super().form_valid(form)
        # Sealed for its author: if another agent logs in, the text is dropped.
        kept = sessions.unseal(self.request.POST.get("kept", ""), self.request.user)
        return _restore_draft(self.request, kept) if kept else answer

    def _is_part(self) -> bool:
        return fragment_requests.wants(self.request, _PART)


def _restore_draft(request: HttpRequest, kept: sessions.Kept) -> HttpResponse:
    try:
        found = access.get_conversation(request.user, kept.conversation_id)
    except Http404:
        return redirect("inbox:list")
    if access.is_access_refused(request.user, changes=True):
        return redirect("inbox:conversation", pk=found.pk)
    drafts.put(
        conversation=found,
        by=access.agent_of(request),
        mode=kept.mode,
        text=kept.text,
        client_id=kept.client_id,
    )
    return redirect("inbox:conversation", pk=found.pk)


def log_in_page_for(request: HttpRequest) -> HttpResponse:
    """Build the login page for a form submitted without a script after the session ended.

    It leads back to the page the form was on and carries along what was written to the
    conversation.
    """
    match = request.resolver_match
    text = request.POST.get("text", "").replace("\x00", "")
    mode = _MODES.get(match.view_name) if match else None
    if match is None or mode is None or not text.strip():
        query = urlencode({"next": _referring_path(request)})
        return HttpResponseRedirect(f"{resolve_url('login')}?{query}")
    # A note must never turn into a reply to the customer, no matter which URL the form was sent to.
    if request.POST.get("mode") == DraftMode.NOTE:
        mode = DraftMode.NOTE
    pk = match.kwargs["pk"]
    client_id = uuid(request.POST.get("client_id", "")) or uuid4()
    written = sessions.Kept(conversation_id=pk, mode=mode, text=text, client_id=client_id)
    kept = sessions.seal(request, written)
    context = {
        "form": AuthenticationForm(request),
        "next": reverse("inbox:conversation", args=[pk]),
        "kept": kept,
        "were_lost": not kept,
    }
    return render(request, "inbox/login.html", context, status=401)


def _referring_path(request: HttpRequest) -> str:
    try:
        before = urlsplit(fragment_requests.referring_page(request))
    except ValueError:
        return "/"
    # Only to our own pages, or a foreign form could pick where the login leads.
    if before.netloc != request.get_host():
        return "/"
    return before._replace(scheme="", netloc="").geturl() or "/"
