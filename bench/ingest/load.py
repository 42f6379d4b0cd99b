"""Load over many kept-alive connections, each with one delivery in flight.

Uses wrk if it is installed, else an asyncio client, which is slower: it takes a core away from what
it measures.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.harness.result import p99

WRK = shutil.which("wrk")


@dataclass(frozen=True)
class Load:
    """The outcome of a run: `answers` counts responses with status 200, `failed` all others."""

    answers: int
    failed: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Successful deliveries per second."""
        return self.answers / self.seconds


def deliver(
    url: str, body: bytes, headers: dict[str, str], *, run: str, connections: int, seconds: float
) -> Load:
    """POST the body for `seconds`, each time with an X-Shopify-Webhook-Id that starts with `run`."""
    if not WRK:
        return asyncio.run(_deliver(url, body, headers, run, connections, seconds))
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        header_lines = "\n".join(f"{name}: {value}" for name, value in headers.items())
        done = subprocess.run(
            [
                WRK,
                "--threads",
                "2",
                "--connections",
                str(connections),
                "--duration",
                f"{max(1, round(seconds))}s",
                "--timeout",
                "10s",
                "--script",
                Path(__file__).with_name("load.lua"),
                url,
            ],
            env=os.environ
            | {"LOAD_BODY": file.name, "LOAD_HEADERS": header_lines, "LOAD_RUN": run},
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
    found = json.loads(done.stdout.splitlines()[-1])
    # wrk counts every response, whatever its status.
    return Load(**found | {"answers": found["answers"] - found["failed"]})


async def _deliver(
    url: str, body: bytes, headers: dict[str, str], run: str, connections: int, seconds: float
) -> Load:
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    sent = headers | {"Host": host, "Content-Length": str(len(body))}
    head = f"POST /{path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in sent.items())
    delays: list[float] = []
    failed = 0
    until = time.perf_counter() + seconds

    async def line(number: int) -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection(name, int(port))
        count = 0
        while (start := time.perf_counter()) < until:
            count += 1
            own = f"X-Shopify-Webhook-Id: {run}-{number}-{count}\r\n\r\n"
            writer.write((head + own).encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            fields = answer.lower().split(b"content-length:")
            if len(fields) > 1 and (length := int(fields[1].split(b"\r\n", 1)[0])):
                await reader.readexactly(length)
            if answer[9:12] == b"200":
                delays.append((time.perf_counter() - start) * 1000)
            else:
                failed += 1
        writer.close()

    await asyncio.gather(*(line(number) for number in range(connections)))
    return Load(len(delays), failed, seconds, statistics.median(delays), p99(delays))
