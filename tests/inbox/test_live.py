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
    # The stream asks for its person's role by a connection of its own.
    pytest.mark.django_db(transaction=True),
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


@pytest.mark.parametrize("is_filtered", [True, False])
def test_a_frames_stream_hears_of_its_own_customer_only(
    alice: User, settings: Any, is_filtered: bool
) -> None:
    """Without the filter (the control, an agent's own stream) the other order is heard too."""
    settings.REDIS_URL = os.environ["TEST_REDIS_URL"]
    live._client.cache_clear()
    jane, john = live.person_topic("jane@example.com"), live.person_topic("john@example.com")
    token = live.frame_stream_token([jane]) if is_filtered else live.stream_token(alice)
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

        scope = {"query_string": f"token={token}".encode(), "headers": []}
        stream = asyncio.create_task(live.events(scope, receive, send))
        for _ in range(200):
            if heard.is_set():
                break
            await asyncio.to_thread(live.publish, ["order:8", "contact:2", john])
            await asyncio.to_thread(live.publish, ["order:7", "contact:1", "decisions", jane])
            await asyncio.sleep(0.05)
        await asyncio.wait_for(stream, timeout=10)

    async_to_sync(listen)()
    live._client().close()
    live._client.cache_clear()
    told = "".join(texts)
    assert "order:7" in told
    assert jane in told
    assert ("order:8" in told or "contact:" in told or "decisions" in told) is not is_filtered


def test_a_frames_stream_ends_with_its_token(settings: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(live, "FRAME_TOKEN_AGE_S", 1)
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.2)
    token = live.frame_stream_token([live.person_topic("jane@example.com")])
    sent: list[dict[str, Any]] = []

    async def listen() -> None:
        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(60)
            return {"type": "http.disconnect"}

        scope = {"query_string": f"token={token}".encode(), "headers": []}
        await asyncio.wait_for(live.events(scope, receive, send), timeout=10)

    async_to_sync(listen)()
    assert sent[0]["status"] == 200
    assert sent[-1] == {"type": "http.response.body", "body": b""}


def test_a_redis_that_is_down_is_no_error(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    live._client.cache_clear()
    live.publish(["inbox"])
    live._client.cache_clear()
