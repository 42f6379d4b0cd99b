"""Messages between pages in Django's cookie, under a name that no neighboring host can set."""

from __future__ import annotations

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage
from django.http import HttpRequest


class PrefixedCookie(CookieStorage):
    """Has the __Host- prefix if cookies are secure; over plain http browsers would refuse it."""

    def __init__(self, request: HttpRequest, *args: object, **more: object) -> None:
        super().__init__(request, *args, **more)
        if settings.SESSION_COOKIE_SECURE:
            self.cookie_name = "__Host-messages"


class MessageStorage(FallbackStorage):
    """The cookie, and the session for what doesn't fit."""

    storage_classes = (PrefixedCookie, SessionStorage)
