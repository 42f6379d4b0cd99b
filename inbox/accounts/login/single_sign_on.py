"""Log in through the company's own identity provider (OpenID Connect), if one is configured.

The provider says who someone is; what they may do is decided here, and the second factor is asked
here as well. An account at the provider alone opens nothing here.
"""

from __future__ import annotations

import hashlib
import logging
from typing import Any, Final

import jwt
import requests
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter, get_adapter
from allauth.socialaccount.models import SocialAccount, SocialApp
from allauth.socialaccount.providers.oauth2.client import OAuth2Client, OAuth2Error
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.shortcuts import render
from requests.adapters import HTTPAdapter

from core import http

logger = logging.getLogger(__name__)
TIMEOUT_S: Final = 10.0
# Far above what a provider's metadata, tokens and keys take.
LONGEST_ANSWER: Final = 1024 * 1024
# What only the holder of a private key can sign.
_ALGORITHMS: Final = [f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512)]
_pool: Final = http.pool(connect_s=TIMEOUT_S, read_s=TIMEOUT_S)


class _Bounded(HTTPAdapter):
    """Requests whose answers end: by time, however slowly they drip, and by size."""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        # Forms come as text; allauth sends nothing else.
        body = request.body.encode() if isinstance(request.body, str) else None
        try:
            answer = http.call(
                _pool,
                request.method or "GET",
                request.url or "",
                within_s=TIMEOUT_S,
                at_most=LONGEST_ANSWER,
                body=body,
                headers={name: str(value) for name, value in request.headers.items()},
            )
        except http.NoAnswer as error:
            raise requests.ConnectionError(str(error), request=request) from error
        found = self.build_response(request, answer)
        found._content = answer.data
        return found


class ProviderDown(OAuth2Error):
    """The provider can't be reached, or doesn't answer as it should."""


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
        # One tie at a time: an earlier one is of another provider, or of another account there.
        untie(found[0])
        sociallogin.connect(request, found[0])

    def on_authentication_error(
        self, request: HttpRequest, provider: Any, *, exception: object = None, **_: object
    ) -> None:
        """Say that it's the provider that is down, with a 503, rather than who can't log in."""
        if isinstance(exception, (ProviderDown, requests.RequestException)):
            logger.warning("The provider at OIDC_ISSUER doesn't answer: %s", exception)
            page = render(request, "socialaccount/provider_down.html", status=503)
            raise ImmediateHttpResponse(page)

    def get_provider(self, *args: Any, **kwargs: Any) -> Any:
        provider = super().get_provider(*args, **kwargs)
        # For what allauth asks the provider outside our own views.
        provider.oauth2_adapter_class = ProviderAdapter
        return provider

    def get_requests_session(self) -> requests.Session:
        session = requests.Session()
        # A redirect is an error: it would take the client's secret to another address.
        session.max_redirects = 0
        # Neither passwords nor proxies from the surroundings.
        session.trust_env = False
        session.mount("https://", _Bounded())
        session.mount("http://", _Bounded())
        return session


class _Client(OAuth2Client):
    """Asks for an ID token that names this login and no other."""

    def get_redirect_url(
        self, authorization_url: str, scope: list[str], extra_params: dict[str, str]
    ) -> str:
        more = extra_params | {"nonce": _nonce(self.state)}
        address: str = super().get_redirect_url(authorization_url, scope, more)
        return address


class ProviderAdapter(OpenIDConnectOAuth2Adapter):
    """The provider as OIDC_ISSUER names it, and no other."""

    client_class = _Client

    @property
    def openid_config(self) -> dict[str, Any]:
        """The provider's metadata. Raises ProviderDown without it, OAuth2Error of another issuer."""
        try:
            config: dict[str, Any] = super().openid_config
            issuer = str(config["issuer"])
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise ProviderDown("Its metadata can't be read.") from error
        # The setting has no slash at its end, whatever was typed.
        if issuer.rstrip("/") != settings.OIDC_ISSUER:
            raise OAuth2Error(f"OIDC_ISSUER is {settings.OIDC_ISSUER}, not {issuer}.")
        return config

    def complete_login(self, *args: Any, **kwargs: Any) -> Any:
        """Return who the provider says it is, by a number that is theirs at this issuer only.

        Raises OAuth2Error without an ID token, or if anything is wrong with it.
        """
        if not kwargs["response"].get("id_token"):
            raise OAuth2Error("The provider sent no ID token.")
        login = super().complete_login(*args, **kwargs)
        told = login.account.extra_data
        # The rest is about the person whom the token names, not only about the access token's.
        if told.get("userinfo", told["id_token"]).get("sub") != told["id_token"]["sub"]:
            raise OAuth2Error("The user info is about someone else than the ID token.")
        login.account.uid = uid_of(settings.OIDC_ISSUER, login.account.uid)
        return login

    def _decode_id_token(self, app: SocialApp, id_token: str) -> dict[str, Any]:
        """Check the token's signature, too, which allauth leaves to the connection it comes by."""
        try:
            found: dict[str, Any] = jwt.decode(
                id_token,
                self._key_of(jwt.get_unverified_header(id_token)),
                algorithms=_ALGORITHMS,
                issuer=self.openid_config["issuer"],
                audience=app.client_id,
                options={"require": ["iss", "sub", "aud", "exp", "iat"]},
            )
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            raise OAuth2Error(f"The ID token is refused: {error}") from error
        if found.get("nonce") != _nonce(self.request.GET.get("state", "")):
            raise OAuth2Error("The ID token is of another login.")
        return found

    def _key_of(self, header: dict[str, Any]) -> jwt.PyJWK:
        """Return the provider's key that the token names; one of a single key needn't."""
        with get_adapter().get_requests_session() as session:
            answer = session.get(self.openid_config["jwks_uri"])
            answer.raise_for_status()
        keys = jwt.PyJWKSet.from_dict(answer.json()).keys
        named = [key for key in keys if key.key_id == header.get("kid")]
        [key] = named or (keys if "kid" not in header else [])
        return key


def _nonce(state: str) -> str:
    """Return what an ID token has to repeat: a hash of the state, which only this session knows."""
    return hashlib.sha256(f"nonce:{state}".encode()).hexdigest()


def uid_of(issuer: str, subject: str) -> str:
    """Return what a tie is found by.

    A subject is unique at its issuer only. Another issuer may give the same one to someone else.
    """
    return hashlib.sha256(f"{issuer}\n{subject}".encode()).hexdigest()


def untie(user: User) -> None:
    """Forget which account at the provider is this person's; their address decides again."""
    SocialAccount.objects.filter(user=user).delete()


def providers() -> list[tuple[str, str]]:
    """Return the provider's name and where the login with it begins, if there is one."""
    return [(settings.OIDC_NAME, "/login/sso/")] if settings.OIDC_ISSUER else []
