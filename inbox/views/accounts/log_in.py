"""The login, as a page and as a dialog on a page whose session has ended."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from allauth.account.internal.flows.login import perform_password_login
from allauth.account.internal.stagekit import LOGIN_SESSION_KEY
from allauth.account.models import Login
from django.contrib.auth import views
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from inbox import access, fragment_requests
from inbox.accounts import notices
from inbox.accounts.login import sessions, single_sign_on, throttling
from inbox.conversations import drafts
from inbox.models import DraftMode
from orders.panels.filters import uuid

# The fragment that the dialog asks for (js/session.js).
_PART: Final = "log-in"
# Where the session holds text that was written before the login, until its second step.
_KEPT: Final = "kept_text"
_MODES: Final = {"inbox:reply": DraftMode.REPLY, "inbox:note": DraftMode.NOTE}


class LogInForm(AuthenticationForm):
    """A form that doesn't look at the password while its sender has to wait."""

    # What is counted; None if no name was given that a password could be checked for.
    tried: throttling.Attempt | None = None
    wait_s = 0

    def clean(self) -> dict[str, object]:
        """Check the password. Raises ValidationError, also while it's too early."""
        name = self.cleaned_data.get("username")
        if self.request is not None and name is not None:
            self.tried = throttling.attempt(self.request, name)
            self.wait_s = throttling.wait_s(self.tried, now=timezone.now())
        if self.wait_s:
            raise ValidationError(_too_many(self.wait_s), code="wait")
        return super().clean()


@method_decorator(login_not_required, name="dispatch")
class LogIn(views.LoginView):
    """Log in. The dialog gets the form alone, and a 204 with the agent's ID once it worked."""

    authentication_form = LogInForm
    redirect_authenticated_user = True

    def get_template_names(self) -> list[str]:
        """Return the form alone for the dialog."""
        return ["inbox/_log_in.html" if is_part(self.request) else "inbox/login.html"]

    def get_context_data(self, **more: object) -> dict[str, object]:
        return super().get_context_data(**context(self.request), **more)

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        """Answer the dialog with 204 and the agent's ID instead of a redirect."""
        return finished(request, super().dispatch(request, *args, **kwargs))

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """Count a wrong password, or say how long to wait."""
        answer = super().form_invalid(form)
        wait_s = form.wait_s if isinstance(form, LogInForm) else 0
        tried = _tried(form)
        if wait_s:
            # The dialog shows what comes with a 200.
            answer.status_code = 200 if is_part(self.request) else 429
            answer["Retry-After"] = str(wait_s)
        elif tried and form.non_field_errors():
            throttling.failed(tried, now=timezone.now())
        return answer

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Log in, or go on to the second step if this person has one."""
        keep_text(self.request)
        if tried := _tried(form):
            throttling.succeeded(tried)
        login = Login(user=form.get_user(), redirect_url=self.get_success_url())
        name = {"username": form.cleaned_data["username"]}
        answer: HttpResponse = perform_password_login(self.request, name, login)
        return answer


def _tried(form: AuthenticationForm) -> throttling.Attempt | None:
    return form.tried if isinstance(form, LogInForm) else None


def _too_many(wait_s: int) -> str:
    if wait_s > 60:
        wait = ngettext("%d minute", "%d minutes", -(-wait_s // 60)) % -(-wait_s // 60)
    else:
        wait = ngettext("%d second", "%d seconds", wait_s) % wait_s
    return _(
        "Too many wrong passwords. Try again in %(wait)s, use a passkey, or reset your password by "
        "email."
    ) % {"wait": wait}


def is_part(request: HttpRequest) -> bool:
    """Return whether the login dialog of an open page asks, rather than the browser."""
    return fragment_requests.wants(request, _PART)


def has_passkeys(request: HttpRequest) -> bool:
    """Return whether passkeys work at this address. They belong to a name, never to a number."""
    host = request.get_host().rpartition(":")[0] or request.get_host()
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return True
    return False


def context(request: HttpRequest) -> dict[str, Any]:
    """Return what the login form shows besides its fields."""
    return {
        "is_part": is_part(request),
        "kept": request.POST.get("kept", ""),
        "has_passkeys": has_passkeys(request),
        "providers": single_sign_on.providers(),
    }


def keep_text(request: HttpRequest) -> None:
    """Carry sealed text of this form past the second step of the login.

    Call it once a password or passkey was right, or strangers could fill the session store.
    """
    kept = request.POST.get("kept", "")
    if sessions.is_sealed(kept):
        request.session[_KEPT] = kept


def finished(request: HttpRequest, answer: HttpResponseBase) -> HttpResponseBase:
    """Answer for a step of the login: the dialog needs no page, only to know who logged in.

    Text that was written before the login becomes a draft again if its author is back.
    """
    user = request.user
    if answer.status_code != 302 or not isinstance(user, User):
        return answer
    # Sealed for its author: if another agent logs in, the text is dropped.
    kept = sessions.unseal(request.session.pop(_KEPT, ""), user)
    if kept:
        answer = _restore_draft(request, kept)
    if is_part(request):
        answer = HttpResponse(status=204, headers={"X-Agent": str(user.pk)})
    if request.method == "POST":
        if not throttling.is_known_device(request, user):
            browser = request.headers.get("User-Agent", "")
            notices.new_device(user, browser=browser, now=timezone.now())
        throttling.remember_device(request, answer, user)
    return answer


def pending_address(request: HttpRequest) -> str:
    """Return where the login leads that waits for its second step; "" if none does."""
    pending = request.session.get(LOGIN_SESSION_KEY)
    return str(pending.get("redirect_url") or "") if isinstance(pending, dict) else ""


def _restore_draft(request: HttpRequest, kept: sessions.Kept) -> HttpResponse:
    try:
        found = access.get_conversation(request.user, kept.conversation_id)
    except Http404:
        return redirect("inbox:list")
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
    shown = context(request) | {
        "form": AuthenticationForm(request),
        "next": reverse("inbox:conversation", args=[pk]),
        "kept": kept,
        "were_lost": not kept,
    }
    return render(request, "inbox/login.html", shown, status=401)


def _referring_path(request: HttpRequest) -> str:
    try:
        before = urlsplit(fragment_requests.referring_page(request))
    except ValueError:
        return "/"
    # Only to our own pages, or a foreign form could pick where the login leads.
    if before.netloc != request.get_host():
        return "/"
    return before._replace(scheme="", netloc="").geturl() or "/"
