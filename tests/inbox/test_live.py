"""Live updates through a real Redis, where there is one (TEST_REDIS_URL)."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User

from inbox import live

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif("TEST_REDIS_URL" not in os.environ, reason="set TEST_REDIS_URL"),
]


def test_what_is_published_reaches_an_open_stream(alice: User, settings: Any) -> None:
    settings.REDIS_URL = os.environ["TEST_REDIS_URL"]
    live._client.cache_clear()
    token = live.stream_token(alice)
    texts: list[str] = []

    async def listen() -> None:
        heard = asyncio.Event()

        async def send(message: dict[str, Any]) -> None:
            texts.append(message.get("body", b"").decode())
            if "order:7" in texts[-1]:
                heard.set()

        async def receive() -> dict[str, Any]:
            await heard.wait()
            return {"type": "http.disconnect"}

        stream = asyncio.create_task(
            live.events({"query_string": f"token={token}".encode(), "headers": []}, receive, send)
        )
        for _ in range(200):
            if heard.is_set():
                break
            await asyncio.to_thread(live.publish, ["order:7"])
            await asyncio.sleep(0.05)
        await asyncio.wait_for(stream, timeout=10)

    async_to_sync(listen)()
    live._client().close()
    live._client.cache_clear()
    assert any('"topics": ["order:7"]' in text for text in texts)


def test_a_redis_that_is_down_is_no_error(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    live._client.cache_clear()
    live.publish(["inbox"])
    live._client.cache_clear()
