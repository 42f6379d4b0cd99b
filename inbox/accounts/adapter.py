"""How django-allauth works here: no sign-up, our addresses, our emails, our encryption."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, Final

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.auth_backends import AuthenticationBackend
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.utils.http import url_has_allowed_host_and_scheme

from core import encryption
from core.change_origin import client_ip
from inbox.accounts import mail
from inbox.accounts.login import factors, links, names, reauthentication
from inbox.accounts.login import sessions as ours

NAME: Final = "Agent Inbox"
# Said by the page that follows anyway.
_UNSAID: Final = frozenset({"account/messages/logged_in.txt", "account/messages/logged_out.txt"})


class UsernameOrEmail(AuthenticationBackend):
    """Log in by username or email address; a person's address is the one on their account.

    allauth's own table of addresses stays empty: an address that was replaced must not open the
    account any longer.
    """

    def _authenticate_by_email(self, email: str, password: str) -> User | None:
        user: User | None = self._check_password(names.by_address(email), password)
        return user

    def _authenticate_by_username(self, username: str, password: str) -> User | None:
        user: User | None = self._check_password(names.by_username(username), password)
        return user


class AccountAdapter(DefaultAccountAdapter):
    """Accounts: created by administrators only."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        try:
            return str(ipaddress.ip_address(client_ip(request) or ""))
        except ValueError:
            return "0.0.0.0"  # noqa: S104  unknown, in a column that can't be empty

    def is_safe_url(self, url: str) -> bool:
        request = context.request
        return url_has_allowed_host_and_scheme(
            url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
        )

    def add_message(
        self,
        request: HttpRequest,
        level: int,
        message_template: str | None = None,
        *more: object,
        **named: object,
    ) -> None:
        if message_template not in _UNSAID:
            super().add_message(request, level, message_template, *more, **named)

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:
        # As for an account that doesn't exist.
        return redirect("login")

    def is_reauthentication_required(self, *, app: str, **_: object) -> bool:
        return reauthentication.is_due(self.request)

    def get_reauthentication_methods(self, user: User) -> list[dict[str, Any]]:
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        strong = [method for method in methods if method["id"].startswith("mfa")]
        return strong or methods

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return "/account/"

    def get_reset_password_from_key_url(self, key: str) -> str:
        return links.address_of(key)

    def send_password_reset_mail(self, user: User, email: str, context: dict[str, object]) -> None:
        # To the address on the account, not to what was typed, which may only look like it.
        super().send_password_reset_mail(user, user.email, context)

    def send_notification_mail(
        self,
        template_prefix: str,
        user: User,
        context: dict[str, object] | None = None,
        email: str | None = None,
    ) -> None:
        super().send_notification_mail(template_prefix, user, context, email or user.email)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, object]) -> None:
        """Hand an email to a worker, so that its time says nothing about who exists."""
        shown = {"site_name": NAME, "public_url": settings.PUBLIC_URL, **context}
        subject = " ".join(render_to_string(f"{template_prefix}_subject.txt", shown).split())
        mail.send(email, subject, render_to_string(f"{template_prefix}_message.txt", shown))


class SessionsAdapter(DefaultUserSessionsAdapter):
    """Sessions that their owner ends from elsewhere."""

    def end_sessions(self, sessions: Iterable[UserSession]) -> None:
        ours.end(sessions)


class MfaAdapter(DefaultMFAAdapter):
    """Second factors: secrets encrypted like all others, keys named after the product."""

    def encrypt(self, text: str) -> str:
        return encryption.seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        try:
            return encryption.unseal(encrypted_text)
        except encryption.UndecryptableSecret as error:
            # Never an empty secret, whose codes anyone can compute.
            raise PermissionDenied from error

    def get_totp_issuer(self) -> str:
        return NAME

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Return whether its owner may go without it: not if it's the last one they need."""
        if not factors.needs_one(authenticator.user):
            return True
        others = Authenticator.objects.filter(user_id=authenticator.user_id)
        others = others.exclude(pk=authenticator.pk)
        left: bool = others.exclude(type=Authenticator.Type.RECOVERY_CODES).exists()
        return left

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        return {"id": context.request.get_host().partition(":")[0], "name": NAME}
