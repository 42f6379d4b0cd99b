"""Commands of `./run`, started as an administrator starts them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 300


def environment(database: str, redis_url: str, folder: Path, port: int) -> dict[str, str]:
    """What the README says to set, and no more."""
    ours = {"DJANGO_SETTINGS_MODULE", "SHOPIFY_ADMIN_ORIGIN", "EMAIL_URL"}
    return {k: v for k, v in os.environ.items() if k not in ours} | {
        "SECRET_KEY": "a-secret-of-fifty-characters-and-more-for-this-test-only-0123456789",
        "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "ALLOWED_HOSTS": "inbox.example.com",
        "PUBLIC_URL": "https://inbox.example.com",
        "DATABASE_URL": database,
        "REDIS_URL": redis_url,
        "VAR_DIR": str(folder),
        "PORT": str(port),
        "WEB_WORKERS": "1",
    }


def run(command: str, env: dict[str, str]) -> subprocess.Popen[str]:
    out = Path(env["VAR_DIR"]) / f"{command}.out"
    with out.open("w") as sink:
        return subprocess.Popen(
            [sys.executable, "run", *command.split()],
            cwd=ROOT,
            env=env,
            text=True,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return 0


def is_so(question: Callable[[], bool], *, within_s: float = PATIENCE_S) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if question():
            return True
        time.sleep(0.2)
    return False
