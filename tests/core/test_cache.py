"""The cache goes on without Redis: throttles count, and values come back."""

from __future__ import annotations

from contextvars import copy_context
from typing import Any

import pytest
import redis
from django.core.cache import CacheHandler
from django.core.cache.backends.redis import RedisCache

from core import cache as own
from core.cache import RedisOrMemory

NOWHERE = "redis://127.0.0.1:1/0"


def test_memory_stands_in_for_redis() -> None:
    cache = RedisOrMemory(NOWHERE, {})
    cache.clear()
    assert cache.add("tries", 1, timeout=60) is True
    assert cache.add("tries", 1, timeout=60) is False
    assert cache.incr("tries") == 2
    cache.set("a", [1], timeout=60)
    assert (cache.get("a"), cache.get("b", "none")) == ([1], "none")
    cache.delete("a")
    assert cache.has_key("a") is False


def test_the_stock_cache_would_fail() -> None:
    """Negative control."""
    with pytest.raises(redis.RedisError):
        RedisCache(NOWHERE, {}).get("a")


def test_what_one_request_learned_of_redis_the_next_one_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each request has a cache object of its own, in a context of its own."""
    settings = {"default": {"BACKEND": "core.cache.RedisOrMemory", "LOCATION": NOWHERE}}
    handler = CacheHandler(settings)
    asked: list[int] = []
    real = RedisCache.get

    def get(self: RedisCache, *args: Any, **kwargs: Any) -> object:
        asked.append(id(self))
        return real(self, *args, **kwargs)

    monkeypatch.setattr(RedisCache, "get", get)
    own._shared.cache_clear()
    seen = [copy_context().run(lambda: handler["default"]) for _ in range(3)]
    assert len(set(map(id, seen))) == 3
    clients = set()
    for each in seen:
        assert isinstance(each, RedisOrMemory)
        assert each.get("a") is None
        clients.add(id(each._cache))
    assert len(asked) == 1, "Redis is asked once, then left alone for a while"
    assert len(clients) == 1
