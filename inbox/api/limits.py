"""Rate limits: of each token, person and channel in the REST API, and of each person's pages.

Counted by minute in the cache that all processes share; while Redis is down, each process counts
by itself (core.cache).
"""

from __future__ import annotations

import math
import time
from typing import ClassVar, Final

from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from inbox.models import ApiToken, Channel

WINDOW_S: Final = 60


def counted(who: str) -> tuple[int, int]:
    """Count a request. Returns how many it makes in this minute, and the seconds until the next."""
    now = time.time()
    minute = int(now // WINDOW_S)
    key = f"rate:{who}:{minute}"
    cache.add(key, 0, 2 * WINDOW_S)
    try:
        count = cache.incr(key)
    except ValueError:
        # Redis went down or came back between the two, so the key is in the other store.
        cache.set(key, 1, 2 * WINDOW_S)
        count = 1
    return count, math.ceil((minute + 1) * WINDOW_S - now)


class _PerMinute(BaseThrottle):
    setting: ClassVar[str]
    _wait_s = 0

    def allow_request(self, request: Request, view: object) -> bool:
        limit: int = getattr(settings, self.setting)
        who = self._who(request)
        if not limit or not who:
            return True
        count, self._wait_s = counted(who)
        return count <= limit

    def wait(self) -> float:
        """Return the seconds until the next minute begins, for Retry-After."""
        return self._wait_s

    def _who(self, request: Request) -> str:
        raise NotImplementedError


class PerKey(_PerMinute):
    """Limit each API token, and each person who uses the API with their session."""

    setting = "API_REQUESTS_PER_MINUTE"

    def _who(self, request: Request) -> str:
        if isinstance(request.auth, ApiToken):
            return f"token:{request.auth.pk}"
        return f"user:{request.user.pk}" if request.user.pk else ""


class PerChannel(_PerMinute):
    """Limit each channel's incoming messages."""

    setting = "CHANNEL_MESSAGES_PER_MINUTE"

    def _who(self, request: Request) -> str:
        return f"channel:{request.auth.pk}" if isinstance(request.auth, Channel) else ""
