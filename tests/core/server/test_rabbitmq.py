"""RabbitMQ as the broker (BROKER_URL); Redis stays the cache and wakes live updates."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.server.processes import POOLS
from tests.support.servers.postgres_and_redis import NotInstalled, Redis, free_port
from tests.support.servers.rabbitmq import RabbitMq
from tests.support.servers.started import ROOT, environment, is_so, run

ENQUEUE = "from core import queue; print(queue.enqueue('inbox.tasks.sweep_snoozed'))"


@pytest.fixture
def rabbitmq(tmp_path: Path) -> Iterator[RabbitMq]:
    folder = tmp_path / "rabbitmq"
    folder.mkdir()
    try:
        found = RabbitMq(folder)
    except NotInstalled as missing:
        pytest.skip(str(missing))
    yield found
    found.stop()


def told(command: list[str], env: dict[str, str]) -> str:
    made = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    return made.stdout + made.stderr


@pytest.mark.slow
def test_workers_get_their_work_from_it_and_outlive_it(
    rabbitmq: RabbitMq, database: str, redis: Redis, tmp_path: Path
) -> None:
    env = environment(database, f"redis://127.0.0.1:{redis.port}/0", tmp_path, free_port()) | {
        "BROKER_URL": rabbitmq.url
    }
    production = env | {"DJANGO_SETTINGS_MODULE": "settings.production"}
    process = run("serve", env)
    out = tmp_path / "serve.out"
    try:
        assert is_so(lambda: "serves port" in out.read_text() or process.poll() is not None)
        assert process.poll() is None, out.read_text()
        answers = [f"The pool {pool} answers" for pool in POOLS]

        def all_answer() -> bool:
            found = told(["manage.py", "doctor"], production)
            return all(text in found for text in ["OK       Broker: It answers", *answers])

        assert is_so(all_answer), told(["manage.py", "doctor"], production)
        assert told(["manage.py", "shell", "-v", "0", "-c", ENQUEUE], production) == "True\n"

        rabbitmq.kill()
        found = told(["manage.py", "doctor"], production)
        assert "PROBLEM  Broker: It can't be used" in found
        assert "guest" not in found
        # A click isn't lost with it: its row is there, and the sweep finds it.
        assert "False\n" in told(["manage.py", "shell", "-v", "0", "-c", ENQUEUE], production)
        rabbitmq.start()
        assert is_so(all_answer), "the workers are back without having been started again"
        assert "started again" not in out.read_text()
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0
