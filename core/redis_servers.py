"""Redis or Valkey by its URL: one server, over TLS or a socket, or a group that Sentinel watches.

    redis://user:password@host:port/0      rediss://… over TLS      unix:///path?db=0
    redis+sentinel://user:password@host:port,host:port/0?service=mymaster      rediss+sentinel://…

With TLS, the certificate and its host name are checked unless the URL says otherwise
(`ssl_cert_reqs=none`, `ssl_check_hostname=false`). `ssl_ca_certs`, `ssl_certfile` and `ssl_keyfile`
name files. The Sentinels' own password, if they have one, is `sentinel_password`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

import redis
import redis.asyncio
import redis.asyncio.retry
import redis.asyncio.sentinel
import redis.sentinel
from redis.backoff import NoBackoff
from redis.retry import Retry

SENTINEL_PORT: Final = 26379
_OF_ONE: Final = frozenset({"redis", "rediss", "unix"})
_OF_A_GROUP: Final = frozenset({"redis+sentinel", "rediss+sentinel"})
_OF_SENTINELS: Final = frozenset({"service", "sentinel_username", "sentinel_password"})
_OF_TLS: Final = frozenset(
    {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"}
)
# For Celery, which has no timeouts of its own for Sentinels.
_SENTINEL_TIMEOUTS: Final = {"socket_timeout": 2, "socket_connect_timeout": 1}
_CHECKED: Final = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A master that Sentinels know by the name `service`, and how it and they are connected to."""

    service: str
    sentinels: tuple[tuple[str, int], ...]
    options: dict[str, Any]
    sentinel_options: dict[str, Any]


def checked(url: str) -> str:
    """Return the URL. Raises ValueError if it isn't one of those above."""
    parts = urlsplit(url)
    if parts.scheme in _OF_A_GROUP:
        _group(parts)
    elif parts.scheme not in _OF_ONE or not (parts.hostname or parts.scheme == "unix"):
        raise ValueError(url)
    return url


def hosts(url: str) -> list[str]:
    """Return the names or addresses of the servers that the URL names; none for a socket."""
    parts = urlsplit(url)
    if parts.scheme in _OF_A_GROUP:
        return [host for host, _port in _group(parts).sentinels]
    return [parts.hostname] if parts.hostname else []


def is_encrypted(url: str) -> bool:
    """Return whether it's used over TLS."""
    return urlsplit(url).scheme.startswith("rediss")


class Pool:
    """What makes pools of connections, as Django's cache wants it."""

    @classmethod
    def from_url(cls, url: str, **options: Any) -> redis.ConnectionPool:
        """Return a pool to the server, or to whichever one is the group's master."""
        parts = urlsplit(url)
        if parts.scheme not in _OF_A_GROUP:
            return redis.ConnectionPool.from_url(url, **options)
        group = _group(parts)
        manager = redis.sentinel.Sentinel(  # type: ignore[no-untyped-call]
            group.sentinels, sentinel_kwargs=_asked_once(group, options, Retry(NoBackoff(), 0))
        )
        return redis.sentinel.SentinelConnectionPool(  # type: ignore[no-untyped-call]
            group.service, manager, **group.options, **options
        )


def client(url: str, **options: Any) -> redis.Redis:
    """Return a client with a pool of its own."""
    return redis.Redis.from_pool(Pool.from_url(url, **options))


def asynchronous_client(url: str, **options: Any) -> redis.asyncio.Redis:
    """Return a client for an event loop, with a pool of its own."""
    parts = urlsplit(url)
    if parts.scheme not in _OF_A_GROUP:
        return redis.asyncio.Redis.from_url(url, **options)
    group = _group(parts)
    manager = redis.asyncio.sentinel.Sentinel(  # type: ignore[no-untyped-call]
        group.sentinels,
        sentinel_kwargs=_asked_once(group, options, redis.asyncio.retry.Retry(NoBackoff(), 0)),
    )
    found: redis.asyncio.Redis = manager.master_for(group.service, **group.options, **options)
    return found


def celery_broker(url: str) -> dict[str, Any]:
    """Return Celery's settings for the broker at this URL.

    Left to itself, Celery checks no certificate of rediss://.
    """
    parts = urlsplit(url)
    if parts.scheme in _OF_A_GROUP:
        return _celery_group(parts)
    if parts.scheme != "rediss":
        return {"broker_url": url.replace("unix://", "redis+socket://", 1)}
    query = dict(parse_qsl(parts.query))
    rest = urlencode({name: value for name, value in query.items() if name not in _OF_TLS})
    return {
        "broker_url": parts._replace(query=rest).geturl(),
        "broker_use_ssl": _tls(query),
    }


def _celery_group(parts: SplitResult) -> dict[str, Any]:
    group = _group(parts)
    login, at, _hosts = parts.netloc.rpartition("@")
    addresses = (
        f"sentinel://{login}{at}{f'[{host}]' if ':' in host else host}:{port}{parts.path}"
        for host, port in group.sentinels
    )
    found = {
        "broker_url": ";".join(addresses),
        "broker_transport_options": {
            "master_name": group.service,
            "sentinel_kwargs": _asked_once(group, _SENTINEL_TIMEOUTS, Retry(NoBackoff(), 0)),
        },
    }
    if group.options.get("ssl"):
        found["broker_use_ssl"] = _tls(dict(parse_qsl(parts.query)))
    return found


def _group(parts: SplitResult) -> Group:
    """Read the URL of a group. Raises ValueError."""
    query = dict(parse_qsl(parts.query))
    if not query.get("service") or query.keys() - _OF_SENTINELS - _OF_TLS:
        raise ValueError(parts.geturl())
    login, _at, listed = parts.netloc.rpartition("@")
    username, _colon, password = login.partition(":")
    addresses = [urlsplit(f"//{address}") for address in listed.split(",")]
    if not all(address.hostname for address in addresses):
        raise ValueError(parts.geturl())
    tls = {"ssl": True, **_tls(query)} if parts.scheme == "rediss+sentinel" else {}
    own = {"username": unquote(username), "password": unquote(password)}
    theirs = {
        "username": query.get("sentinel_username", ""),
        "password": query.get("sentinel_password", ""),
    }
    return Group(
        service=query["service"],
        sentinels=tuple(
            (address.hostname or "", address.port or SENTINEL_PORT) for address in addresses
        ),
        options={
            "db": int(parts.path.strip("/") or 0),
            **{name: value for name, value in own.items() if value},
            **tls,
        },
        sentinel_options={**{name: value for name, value in theirs.items() if value}, **tls},
    )


def _tls(query: dict[str, str]) -> dict[str, Any]:
    given: dict[str, Any] = {name: value for name, value in query.items() if name in _OF_TLS}
    if "ssl_check_hostname" in given:
        given["ssl_check_hostname"] = given["ssl_check_hostname"].lower() not in {
            "false",
            "0",
            "no",
        }
    if given.get("ssl_cert_reqs") == "none":
        given.setdefault("ssl_check_hostname", False)
    return _CHECKED | given


def _asked_once(group: Group, options: Mapping[str, Any], retry: object) -> dict[str, Any]:
    """Return how Sentinels are connected to: a silent one is not tried again, but the next one is.

    By default, ten more attempts would hold up a click for a minute.
    """
    timeouts = {name: value for name, value in options.items() if name.endswith("_timeout")}
    return group.sentinel_options | timeouts | {"retry": retry}
