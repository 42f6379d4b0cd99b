"""Where a change came from: a request's ID, address and person, or someone at a terminal.

The audit log, log lines, the response header and a support ticket all share the ID.
"""

from __future__ import annotations

import getpass
import os
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse

_SAFE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class Origin:
    """The request being worked on; empty outside of one.

    `person` returns the request's user as it is then: with an API token, the user is known only
    once the view has begun. `terminal` is the operating system's user who started a command.
    """

    request_id: str = ""
    ip: str | None = None
    person: Callable[[], object] | None = None
    terminal: str = ""


_origin: ContextVar[Origin] = ContextVar("request_origin", default=Origin())  # noqa: B039  frozen


@contextmanager
def origin(
    request_id: str, ip: str | None, person: Callable[[], object] | None = None
) -> Iterator[None]:
    """Record everything inside this block as part of the request."""
    with _set(Origin(request_id, ip, person)):
        yield


@contextmanager
def terminal() -> Iterator[None]:
    """Record everything inside this block as done by the user logged in to this terminal."""
    with _set(Origin(terminal=_os_user())):
        yield


@contextmanager
def _set(found: Origin) -> Iterator[None]:
    token = _origin.set(found)
    try:
        yield
    finally:
        _origin.reset(token)


def _os_user() -> str:
    """Return the user's name; with sudo, that of the person who called it."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        # A container may run with a user ID that has no name.
        return f"uid {os.getuid()}"


def current_origin() -> Origin:
    """Return the current request's ID and address; both are empty outside of a request."""
    return _origin.get()


def client_ip(request: HttpRequest) -> str | None:
    """Return the client's address; X-Forwarded-For counts only behind a trusted proxy."""
    if settings.TRUSTED_PROXY:
        # The last entry is what the proxy itself saw; anyone can write the ones before it.
        forwarded = request.headers.get("X-Forwarded-For", "").rsplit(",", 1)[-1].strip()
        if forwarded:
            return forwarded[:45]
    return request.META.get("REMOTE_ADDR") or None


class RequestOrigin:
    """Middleware: give every request an ID, taken from X-Request-ID if that is safe to log."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _SAFE_ID.match(given) else uuid.uuid4().hex
        with origin(request_id, client_ip(request), lambda: getattr(request, "user", None)):
            response = self._get_response(request)
        response["X-Request-ID"] = request_id
        return response
