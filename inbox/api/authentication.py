"""Authentication by API token, and what a token's scope and stores allow."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from core.change_origin import current_origin
from inbox import api_tokens
from inbox.models import ApiToken, TokenScope


class ApiTokenAuthentication(BaseAuthentication):
    """Authenticate `Authorization: Token …`; `request.auth` is the token."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        header = get_authorization_header(request).split()
        if len(header) != 2 or header[0].lower() != b"token":
            return None
        now = timezone.now()
        token = api_tokens.owned_by(header[1].decode("latin-1"), now=now)
        if token is None:
            raise AuthenticationFailed(
                "The token isn't valid. It may have expired or been revoked: make a new one under "
                "API tokens in the account menu."
            )
        api_tokens.note_use(token, ip=current_origin().ip, now=now)
        return token.owner, token

    def authenticate_header(self, request: Request) -> str:
        return "Token"


class ApiTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How a token is described in /api/schema/."""

    target_class = ApiTokenAuthentication
    name = "apiToken"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token` followed by a space and an API token.",
        }


class HasScope(BasePermission):
    """Require the scope a view names in `scope`, or `read` for safe methods. Sessions have all."""

    message = "This token's scope doesn't allow that."

    def has_permission(self, request: Request, view: object) -> bool:
        if not isinstance(request.auth, ApiToken):
            return True
        # A view that names no scope for changes needs the widest.
        of_view: TokenScope = getattr(view, "scope", TokenScope.ACT)
        return request.auth.allows(TokenScope.READ if request.method in SAFE_METHODS else of_view)


def stores_of(request: Request) -> list[int] | None:
    """Return IDs of the stores a request's token is limited to; None if it isn't."""
    if not isinstance(request.auth, ApiToken):
        return None
    return list(request.auth.stores.values_list("pk", flat=True)) or None


def may_act(request: Request) -> bool:
    """Return whether the request may act without another person's approval."""
    return not isinstance(request.auth, ApiToken) or request.auth.allows(TokenScope.ACT)
