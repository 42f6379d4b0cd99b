"""Log in through the company's own identity provider (OpenID Connect), if one is configured.

The provider says who someone is; what they may do is decided here, and a role that moves money
still asks for a second factor here. Nobody gets an account by having one at the provider.
"""

from __future__ import annotations

from typing import Any, Final

import requests
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.shortcuts import render

TIMEOUT_S: Final = 10.0


class _Session(requests.Session):
    """Requests to the provider; one that doesn't answer must not hold up a thread for long."""

    def request(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("timeout", TIMEOUT_S)
        return super().request(*args, **kwargs)


class SocialAdapter(DefaultSocialAccountAdapter):
    """Accounts at the provider: tied to existing people, once, by the address on their account."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: object) -> bool:
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Tie a new subject to the person whose address the provider has verified, or refuse."""
        if sociallogin.is_existing:
            return
        addresses = [one.email for one in sociallogin.email_addresses if one.verified]
        # Compared in Python, too: databases differ in what `iexact` takes for equal.
        found = [
            user
            for address in addresses
            for user in User.objects.filter(email__iexact=address, is_active=True)
            if user.email.lower() == address.lower()
        ]
        sociallogin.email_addresses = []
        if len(found) != 1:
            raise ImmediateHttpResponse(
                render(request, "socialaccount/no_account.html", status=403)
            )
        sociallogin.connect(request, found[0])

    def get_requests_session(self) -> requests.Session:
        return _Session()


def providers() -> list[tuple[str, str]]:
    """Return the provider's name and where the log-in with it begins, if there is one."""
    return [(settings.OIDC_NAME, "/login/sso/")] if settings.OIDC_ISSUER else []
