"""API tokens for tests."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import User
from django.utils import timezone

from inbox import api_tokens
from inbox.models import TokenScope
from orders.models import Store


def api_token(
    user: User,
    scope: str = "act",
    *,
    name: str = "Test",
    days: int = 90,
    stores: Iterable[Store] = (),
) -> str:
    """The text of a new token, made by the user for the user."""
    _token, text = api_tokens.create(
        owner=user,
        name=name,
        scope=TokenScope(scope),
        days=days,
        stores=stores,
        by=user,
        now=timezone.now(),
    )
    return text


def bearing(text: str) -> dict[str, str]:
    """Headers of a request with this token."""
    return {"Authorization": f"Token {text}"}
