"""A small run of the attack: too short for percentiles, long enough to lose a worker or a request."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from settings import asgi
from tests.attack import attackers, target
from tests.attack.__main__ import Report

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_six_attackers_cost_no_worker_and_no_honest_request() -> None:
    words = ["--seconds", "5", "--agents", "5", "--webhooks", "20", "--times-slower", "1000"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.attack", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode == 2:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("lost", "failed", "attacked_ms", "is_good"),
    [
        (0, {}, 29.0, True),
        (1, {}, 29.0, False),
        (0, {"page 500": 1}, 29.0, False),
        (0, {}, 30.0, False),
    ],
)
def test_a_report_is_good_only_if_no_one_was_hurt(
    lost: int, failed: dict[str, int], attacked_ms: float, is_good: bool
) -> None:
    calm, hostile = {"page": 10.0}, {"414": 9, "503": 1, "held open": 5}
    report = Report(lost, 100, failed, calm, {"page": attacked_ms}, hostile)
    assert report.is_good(3.0) == is_good
    broken = Report(lost, 100, failed, calm, {"page": attacked_ms}, {"500": 1})
    assert not broken.is_good(3.0)


def test_the_largest_body_of_the_attack_is_the_largest_that_is_taken() -> None:
    text = attackers.largest()
    assert len(text.partition(b"\r\n\r\n")[2]) == asgi.MOST
    assert asgi.body_limit({"path": "/login/", "headers": [(b"cookie", b"a=b")]}) == asgi.MOST


def sleeps(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep")


def test_a_worker_that_ends_is_noticed() -> None:
    """The control."""
    with subprocess.Popen(["sh", "-c", "sleep 60 & wait; sleep 60"]) as parent:
        try:
            # Not before it runs its own program: in the middle of that it has no command line.
            server = target.Server(0, parent)
            while not server.first or not all(map(sleeps, server.first)):
                server = target.Server(0, parent)
            assert server.lost() == 0
            subprocess.run(["kill", *map(str, server.first)], check=True)
            while not server.lost():
                pass
            assert server.lost() == 1
        finally:
            parent.kill()
