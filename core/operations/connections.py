"""Whether passwords and customers' data leave this machine unprotected.

A host without a dot in its name is in the same private network, such as a container's neighbor.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings

from core import redis_servers
from core.database import replica
from core.operations.findings import Finding, ok, warning

# PostgreSQL's other modes go on without TLS if the server, or someone in between, has none.
_TLS_MODES: Final = frozenset({"require", "verify-ca", "verify-full"})


def look_at_connections() -> Iterator[Finding]:
    """Look at the addresses of the database, Redis and the mail server; connects to none."""
    standby = settings.DATABASES.get(replica.ALIAS, {})
    found = [
        *_database(settings.DATABASES["default"], "DATABASE_URL"),
        *_database(standby, "DATABASE_REPLICA_URL"),
        *_redis(settings.REDIS_URL),
        *_broker(settings.BROKER_URL),
        *_mail(),
    ]
    yield from found or [ok("Connections", "None leaves this machine without TLS and a password.")]


def _database(given: dict[str, Any], name: str) -> Iterator[Finding]:
    if not _is_remote(str(given.get("HOST", ""))):
        return
    if given.get("OPTIONS", {}).get("sslmode") not in _TLS_MODES:
        todo = f"Add ?sslmode=verify-full to {name}, or require without a certificate to check."
        yield warning("Connections", "The database may be used without TLS.", todo)
    if not given.get("PASSWORD"):
        todo = f"Put a password into {name}, unless the server checks something else."
        yield warning("Connections", "The database is used without a password.", todo)


def _redis(url: str) -> Iterator[Finding]:
    if not any(map(_is_remote, redis_servers.hosts(url))):
        return
    if not redis_servers.is_encrypted(url):
        yield warning("Connections", "Redis is used without TLS.", "Use rediss:// in REDIS_URL.")
    if not urlsplit(url).password:
        yield warning(
            "Connections",
            "Redis is used without a password.",
            "Set requirepass there, and put the password into REDIS_URL.",
        )


def _broker(url: str) -> Iterator[Finding]:
    parts = urlsplit(url)
    if _is_remote(parts.hostname or "") and parts.scheme != "amqps":
        yield warning(
            "Connections", "The broker is used without TLS.", "Use amqps:// in BROKER_URL."
        )


def _mail() -> Iterator[Finding]:
    is_smtp = "smtp" in settings.EMAIL_BACKEND
    if is_smtp and _is_remote(settings.EMAIL_HOST) and not _has_mail_tls():
        yield warning(
            "Connections", "Email is sent without TLS.", "Use smtp+tls:// or smtps:// in EMAIL_URL."
        )


def _has_mail_tls() -> bool:
    return bool(settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL)


def _is_remote(host: str) -> bool:
    """A socket's path and an empty host are local."""
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return "." in host and not host.startswith("/")
