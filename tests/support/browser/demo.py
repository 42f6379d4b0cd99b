"""The whole demo, started as a user starts it, in a folder and on ports of its own."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
READY_WITHIN_S = 150


@dataclass(frozen=True)
class Demo:
    url: str
    store_url: str
    folder: Path
    pid: int

    def ledger(self, shop: str = "demo.myshopify.com") -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.store_url}/_practice/ledger?shop={shop}") as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def staff(self, order: str, act: str, **more: str) -> None:
        """Press a button of the shop's own page."""
        words = {"shop": "demo.myshopify.com", "order": order, "act": act, **more}
        body = urllib.parse.urlencode(words).encode()
        urllib.request.urlopen(f"{self.store_url}/_practice/act", body).close()

    def say(self, text: str, *, name: str, email: str, conversation: str = "") -> str:
        """Write as a customer, through the channel that proves addresses; the conversation's key."""
        keys = json.loads((self.folder / "demo" / "keys.json").read_text())
        channel = next(row for row in keys["channels"] if row["verifies"])
        key = conversation or secrets.token_hex(6)
        body = {
            "external_id": secrets.token_hex(8),
            "conversation": key,
            "sender": {"external_id": email, "name": name, "email": email},
            "text": text,
            "sent_at": datetime.now(UTC).isoformat(),
        }
        request = urllib.request.Request(
            f"{self.url}/api/v1/channels/{channel['id']}/messages/",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {channel['key']}", "Content-Type": "application/json"},
        )
        urllib.request.urlopen(request).close()
        return key


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_demo(folder: Path, *, redis_url: str = "") -> Iterator[Demo]:
    """Raises RuntimeError with what it printed when it does not start. Without `redis_url` it has
    a Redis of its own, whose end would end it."""
    folder.mkdir(exist_ok=True)
    port, store_port = free_port(), free_port()
    ours = {"DJANGO_SETTINGS_MODULE", "DATABASE_URL", "REDIS_URL", "SHOPIFY_ADMIN_ORIGIN"}
    env = {k: v for k, v in os.environ.items() if k not in ours}
    env |= {"PORT": str(port), "STORE_PORT": str(store_port), "VAR_DIR": str(folder)}
    if redis_url:
        env["REDIS_URL"] = redis_url
    out = folder / "out.txt"
    with out.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "core.server", "demo"],
            cwd=ROOT,
            env=env,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        until = time.monotonic() + READY_WITHIN_S
        while "Agent Inbox is ready" not in out.read_text():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the demo did not start:\n{out.read_text()}")
            time.sleep(0.3)
        yield Demo(
            f"http://127.0.0.1:{port}", f"http://127.0.0.1:{store_port}", folder, process.pid
        )
    finally:
        process.terminate()
        process.wait(timeout=20)
