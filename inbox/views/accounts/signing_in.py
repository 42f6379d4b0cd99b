"""The second step of a login, passkeys, and a person's own page about signing in.

The flows are django-allauth's; here they get our pages, our dialog and our rules.
"""

from __future__ import annotations

from allauth.account.views import PasswordResetFromKeyView
from allauth.mfa.base.views import AuthenticateView, IndexView
from allauth.mfa.webauthn.views import LoginWebAuthnView
from allauth.usersessions.views import ListUserSessionsView
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _

from inbox.accounts.login import factors, reauthentication, throttling
from inbox.views.accounts import log_in


@method_decorator(login_not_required, name="dispatch")
class SecondStep(AuthenticateView):
    """Ask for the second factor after the password. The login dialog gets the form alone."""

    def get_template_names(self) -> list[str]:
        is_part = log_in.is_part(self.request)
        return ["inbox/_second_step.html" if is_part else "inbox/second_step.html"]

    def get_context_data(self, **more: object) -> dict[str, object]:
        found: dict[str, object] = super().get_context_data(**more)
        return found | {
            "is_part": log_in.is_part(self.request),
            "has_passkeys": log_in.has_passkeys(self.request),
        }

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        return log_in.finished(request, super().dispatch(request, *args, **kwargs))


@method_decorator(login_not_required, name="dispatch")
class PasskeyLogIn(LoginWebAuthnView):
    """Log in with a passkey alone: it is a device and a fingerprint, face or PIN in one."""

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        return log_in.finished(request, super().dispatch(request, *args, **kwargs))

    def form_valid(self, form: BaseForm) -> HttpResponse:
        log_in.keep_text(self.request)
        answer: HttpResponse = super().form_valid(form)
        return answer

    def form_invalid(self, form: BaseForm) -> HttpResponse:
        again = AuthenticationForm(self.request, data={})
        again.full_clean()
        again.errors.clear()
        again.add_error(None, _("We don’t recognize this passkey. Log in with your password."))
        wanted = self.request.POST.get("next", "")
        context = log_in.context(self.request) | {"form": again, "next": wanted}
        part = log_in.is_part(self.request)
        template = "inbox/_log_in.html" if part else "inbox/login.html"
        return render(self.request, template, context)


class SetPassword(PasswordResetFromKeyView):
    """Set a password by a link, and be able to log in with it, however many wrong ones came before.

    The person got the link at the address on their account, so this browser is theirs.
    """

    reset_user: User

    def form_valid(self, form: BaseForm) -> HttpResponse:
        answer: HttpResponse = super().form_valid(form)
        throttling.was_reset(self.request, answer, self.reset_user)
        return answer


class SigningIn(IndexView):
    """A person's second factors, password and sessions."""

    def get_context_data(self, **more: object) -> dict[str, object]:
        found: dict[str, object] = super().get_context_data(**more)
        return found | {
            "is_missing": factors.is_missing(self.request.user),
            "has_passkeys": log_in.has_passkeys(self.request),
        }


class Sessions(ListUserSessionsView):
    """Where a person is logged in. Ending the other sessions takes a fresh proof.

    Or someone at a screen that was left open could log its owner out everywhere else.
    """

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if reauthentication.is_due(request):
            return reauthentication.ask(request)
        answer: HttpResponse = super().post(request, *args, **kwargs)
        return answer
