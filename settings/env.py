"""Typed settings from the environment: NAME, or NAME_FILE for a file that holds the value.

A bad value stops startup with a one-line message that says what to do.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from core import redis_servers

T = TypeVar("T")
# A setting that is a dictionary, whose keys Django or a library defines.
Section = dict[str, Any]


def text(name: str, default: str | None = None) -> str:
    """Return the value, stripped. Raises ImproperlyConfigured if it is unset and has no default."""
    if file := os.environ.get(f"{name}_FILE"):
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE: {file} can't be read ({error}).") from error
    value = os.environ.get(name, default)
    if value is None:
        raise ImproperlyConfigured(f"Set {name} (or {name}_FILE); see README.md.")
    return value.strip()


def parsed(name: str, convert: Callable[[str], T], default: str, expected: str) -> T:
    """Convert a value; a ValueError or KeyError becomes ImproperlyConfigured, naming `expected`."""
    value = text(name, default)
    try:
        return convert(value)
    except (ValueError, KeyError):
        # A URL may hold a password, and so may the original error's message: show neither.
        shown = value if "//" not in value else f"{value.partition('//')[0]}//…"
        raise ImproperlyConfigured(f"{name}={shown!r}: expected {expected}.") from None


def items(name: str, default: str | None = "") -> list[str]:
    """Return a comma-separated list."""
    return [part.strip() for part in text(name, default).split(",") if part.strip()]


def broker_url() -> str:
    """Return BROKER_URL, or "" for Redis. Raises ImproperlyConfigured for another kind of URL."""

    def convert(value: str) -> str:
        if value and urlsplit(value).scheme not in {"amqp", "amqps"}:
            raise ValueError(value)
        return value

    return parsed(
        "BROKER_URL", convert, "", "amqp://… or amqps://…; a Redis server goes in REDIS_URL"
    )


def networks(name: str, default: str) -> list[IPv4Network | IPv6Network]:
    """Return a comma-separated list of addresses and networks."""

    def convert(value: str) -> list[IPv4Network | IPv6Network]:
        return [ip_network(part.strip()) for part in value.split(",") if part.strip()]

    return parsed(name, convert, default, "addresses or networks such as 127.0.0.1,10.0.0.0/8")


def flag(name: str, default: bool = False) -> bool:
    """Return a boolean written as 1/0, true/false or yes/no."""
    meanings = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    return parsed(name, lambda v: meanings[v.lower()], "1" if default else "0", "1 or 0")


def whole(name: str, default: int, *, least: int = 0) -> int:
    """Return an integer of at least `least`."""

    def convert(value: str) -> int:
        number = int(value)
        if number < least:
            raise ValueError(value)
        return number

    return parsed(name, convert, str(default), f"a whole number, {least} or more")


def choice(name: str, default: str, among: tuple[str, ...]) -> str:
    """Return one of the words listed in `among`, written in any case."""
    words = {word: word for word in among}
    return parsed(name, lambda v: words[v.lower()], default, " or ".join(among))


def database(name: str, default: str) -> Section:
    """Return Django's database settings from postgres://user:password@host:port/name or
    sqlite:///path.
    """
    return parsed(name, _database, default, "postgres://… or sqlite:///path")


def replica(name: str) -> Section:
    """Return Django's settings of a PostgreSQL standby, on which nothing can be written."""
    found = parsed(name, _standby, "", "postgres://…, a standby of DATABASE_URL's database")
    found["OPTIONS"]["options"] += " -c default_transaction_read_only=on"
    # While it's down, each process waits for this long once in a while.
    found["OPTIONS"]["connect_timeout"] = 2
    # Tests have one database.
    return found | {"TEST": {"MIRROR": "default"}}


def _standby(url: str) -> Section:
    if urlsplit(url).scheme == "sqlite":
        raise ValueError(url)
    return _database(url)


def redis(name: str) -> str:
    """Return the URL of a Redis server or group (core.redis_servers)."""
    # Unset, it says to set it.
    given = text(name)
    return parsed(name, redis_servers.checked, given, "redis://…, rediss://…, or …+sentinel://…")


def email(name: str, default: str) -> Section:
    """Return Django's email settings from a URL.

    Accepts smtp(s|+tls)://user:password@host:port, file:///folder and console://.
    """
    return parsed(name, _email, default, "smtp+tls://…, smtps://…, file:///folder or console://")


def _database(url: str) -> Section:
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": unquote(
                parts.path.removeprefix("/") if parts.path.startswith("//") else parts.path
            ),
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                # With the default (DEFERRED), a third of concurrent transactions fail as "locked".
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                # FULL: a webhook that was answered 200 survives a power failure.
                # recursive_triggers: otherwise OR REPLACE deletes rows without their DELETE trigger.
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
                "PRAGMA recursive_triggers=ON;",
            },
        }
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ValueError(url)
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    # 0: prepare every statement at once. It pays off in the webhook receiver, whose single
    # statement is then planned once. A pooler that can't pass prepared statements on (PgBouncer
    # before 1.21) needs ?prepare_threshold=none.
    threshold = query.pop("prepare_threshold", "0")
    options = "-c statement_timeout=15000 -c lock_timeout=3000"
    options += " -c idle_in_transaction_session_timeout=20000"
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", parts.hostname or ""),
        "PORT": parts.port or "",
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "options": options,
            # Detect a host that vanished silently: by default libpq waits forever to connect, and
            # TCP takes a quarter of an hour to give up.
            "connect_timeout": 5,
            # In ms; longer than any statement may take.
            "tcp_user_timeout": 20_000,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "prepare_threshold": None if threshold == "none" else int(threshold),
            **query,
        },
    }


def _email(url: str) -> Section:
    parts = urlsplit(url)
    backends = "django.core.mail.backends"
    if parts.scheme == "console":
        return {"EMAIL_BACKEND": f"{backends}.console.EmailBackend"}
    if parts.scheme == "file":
        return {
            "EMAIL_BACKEND": f"{backends}.filebased.EmailBackend",
            "EMAIL_FILE_PATH": parts.path,
        }
    if parts.scheme not in {"smtp", "smtp+tls", "smtps"} or not parts.hostname:
        raise ValueError(url)
    return {
        # Django's SMTP backend with one deadline for the whole delivery.
        "EMAIL_BACKEND": "inbox.channels.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or {"smtps": 465, "smtp+tls": 587}.get(parts.scheme, 25),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": parts.scheme == "smtp+tls",
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_TIMEOUT": 10,
    }
