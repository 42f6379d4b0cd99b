"""A small page over a kept-alive connection: our socket compared with uvicorn's `--workers`.

/livez, which costs the application next to nothing, from two processes; one client asks again as
soon as it has the response. A response leaves in two writes, headers and body. Without TCP_NODELAY
the second waits until the client has acknowledged the first, which it delays by 40 ms.
"""

from __future__ import annotations

import http.client
import os
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from bench.harness.result import Result
from core.server import processes as product
from core.server.processes import Processes
from tests.support.servers.postgres_and_redis import free_port

REQUESTS = 100
ROUNDS = 3


def run() -> list[Result]:
    """Measure both servers in turns, side by side."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            DJANGO_SETTINGS_MODULE="settings.dev", DATABASE_URL=f"sqlite:///{folder}/x.sqlite3"
        )
        started = Processes(Path(folder))
        ours, theirs = free_port(), free_port()
        try:
            started.start("ours", product.web_command(ours, host="127.0.0.1", workers=2))
            started.start(
                "uvicorn",
                [
                    sys.executable,
                    "-m",
                    "uvicorn",
                    "settings.asgi:application",
                    "--port",
                    str(theirs),
                    "--workers",
                    "2",
                    "--no-access-log",
                    "--log-level",
                    "warning",
                ],
            )
            for port in (ours, theirs):
                probe = f"http://127.0.0.1:{port}/livez"
                product.until_it_is(started, partial(product.answers, probe), "a web server")
            delays = {port: [_median_ms(port) for _ in range(ROUNDS)] for port in (ours, theirs)}
        finally:
            started.stop()
            os.environ["DJANGO_SETTINGS_MODULE"] = "settings.test"
            os.environ.pop("DATABASE_URL")
    after, before = (statistics.median(delays[port]) for port in (ours, theirs))
    return [Result("serving, /livez kept alive", "ms", after, before, "uvicorn --workers 2")]


def _median_ms(port: int) -> float:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    found = []
    for _ in range(REQUESTS):
        start = time.perf_counter()
        line.request("GET", "/livez")
        line.getresponse().read()
        found.append((time.perf_counter() - start) * 1000)
    line.close()
    return statistics.median(found)
