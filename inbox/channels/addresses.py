"""Which URLs we send to: those that an administrator entered for another program."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings


def is_callable(url: str) -> bool:
    """Return whether this is an https URL of a host.

    Whether the host is on the public internet is checked while connecting (core.http): any earlier
    answer of a name server could differ from the one that counts. With DEBUG on, http and hosts on
    this machine are allowed.
    """
    allowed = {"http", "https"} if settings.DEBUG else {"https"}
    try:
        parts = urlsplit(url)
        return parts.scheme in allowed and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def has_login(url: str) -> bool:
    """Return whether the URL holds a user name or password, which would end up in logs."""
    parts = urlsplit(url)
    return parts.username is not None or parts.password is not None
