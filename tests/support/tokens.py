"""API tokens for tests."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from inbox import api_tokens
from inbox.models import TokenScope


def api_token(user: User, scope: str = "act", *, name: str = "Test", **more: Any) -> str:
    """The text of a new token; `more` is what api_tokens.create takes besides."""
    settings = {"days": 90, "by": user, "now": timezone.now()} | more
    return api_tokens.create(owner=user, name=name, scope=TokenScope(scope), **settings)[1]


def bearing(text: str) -> dict[str, str]:
    """Headers of a request with this token."""
    return {"Authorization": f"Token {text}"}
