"""The cache goes on without Redis: throttles count, and values come back."""

from __future__ import annotations

import pytest
import redis
from django.core.cache.backends.redis import RedisCache

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
