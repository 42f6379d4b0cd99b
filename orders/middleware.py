"""Every request gets an id, which the audit log, the answer and a support ticket share."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from orders import audit

_SAFE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


class RequestOrigin:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _SAFE_ID.match(given) else uuid.uuid4().hex
        with audit.origin(request_id, client_ip(request)):
            response = self._get_response(request)
        response["X-Request-ID"] = request_id
        return response


def client_ip(request: HttpRequest) -> str | None:
    """The peer's address; a proxy's word only where the proxy is trusted."""
    if settings.TRUSTED_PROXY:
        # The last entry is the proxy's own observation; those before it anyone may write.
        forwarded = request.headers.get("X-Forwarded-For", "").rsplit(",", 1)[-1].strip()
        if forwarded:
            return forwarded[:45]
    return request.META.get("REMOTE_ADDR") or None
