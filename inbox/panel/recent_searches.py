"""What a person searched orders for, in their own session.

Words may be a customer's address: they are sealed, no one else sees them, and they are gone when the
session ends.
"""

from __future__ import annotations

from typing import Final

from cryptography.fernet import InvalidToken
from django.http import HttpRequest

from core.encryption import box

KEPT: Final = 8
_KEY: Final = "order_searches"


def of(request: HttpRequest) -> list[str]:
    """Return the latest searches, the newest first."""
    return [words for _sealed, words in _opened(request)]


def keep(request: HttpRequest, words: str) -> None:
    """Remember a search as the newest."""
    known = _opened(request)
    if known and known[0][1] == words:
        return
    sealed = box().encrypt(words.encode()).decode()
    others = [old for old, text in known if text != words]
    request.session[_KEY] = [sealed, *others][:KEPT]


def remove(request: HttpRequest, words: str) -> None:
    """Forget a search; "" forgets all of them."""
    request.session[_KEY] = [old for old, text in _opened(request) if words and text != words]


def _opened(request: HttpRequest) -> list[tuple[str, str]]:
    """Return the sealed and the plain words; what no key opens any more is left out."""
    found = []
    for sealed in request.session.get(_KEY, ()):
        try:
            found.append((sealed, box().decrypt(sealed.encode()).decode()))
        except InvalidToken:
            continue
    return found
