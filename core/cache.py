"""The cache: Redis, and this process's own memory while Redis doesn't answer.

Everything cached can be computed again, and what counts attempts goes on counting, by process. So
an outage of Redis doesn't stop anyone from logging in with a second factor, or any page from opening.

Django makes a new cache object for each request, so what has to outlast a request, the pool of
connections and the rest after a failure, is kept by server in `_shared`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import redis
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache, RedisCacheClient

logger = logging.getLogger(__name__)

# After a failure Redis isn't asked for this long: each request would wait for its time-out again.
REST_S: Final = 5.0


@dataclass(slots=True)
class _Server:
    """What this process knows of one Redis server."""

    client: RedisCacheClient | None = None
    resting_until: float = 0.0


@cache
def _shared(server: str) -> _Server:
    return _Server()


def _or_memory(name: str) -> Callable[..., Any]:
    def call(self: RedisOrMemory, *args: Any, **kwargs: Any) -> Any:
        if time.monotonic() >= self.server.resting_until:
            try:
                return getattr(RedisCache, name)(self, *args, **kwargs)
            except redis.RedisError:
                self.server.resting_until = time.monotonic() + REST_S
                logger.warning("The cache is down; each process uses its own memory instead")
        return getattr(self.memory, name)(*args, **kwargs)

    call.__name__ = name
    return call


class RedisOrMemory(RedisCache):
    """Django's Redis cache with a fallback."""

    def __init__(self, server: str, params: dict[str, object]) -> None:
        # A list, as Django splits a text at commas, which an address of Sentinels has.
        super().__init__([server], params)
        self.memory = LocMemCache("redis-is-down", {"MAX_ENTRIES": 10_000})
        self.server = _shared(server)

    @property
    def _cache(self) -> RedisCacheClient:
        """The client, whose pool of connections all requests of the process share."""
        if self.server.client is None:
            self.server.client = super()._cache
        return self.server.client

    add = _or_memory("add")
    get = _or_memory("get")
    set = _or_memory("set")
    touch = _or_memory("touch")
    delete = _or_memory("delete")
    get_many = _or_memory("get_many")
    set_many = _or_memory("set_many")
    delete_many = _or_memory("delete_many")
    has_key = _or_memory("has_key")
    incr = _or_memory("incr")
    clear = _or_memory("clear")
