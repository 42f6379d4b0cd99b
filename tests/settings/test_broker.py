"""A worker survives the loss of its broker, even while it is busy."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from celery import Celery

from tests.support.servers.postgres_and_redis import Redis

PATIENCE_S = 40
APP = """
import os, time
from pathlib import Path
from celery import Celery

if os.environ["IS_MENDED"] == "1":
    from core.server import broker_loss
    broker_loss.survive_its_loss()
app = Celery("busy", broker=os.environ["BROKER"])
app.conf.update(
    task_acks_late=True, task_reject_on_worker_lost=True, task_ignore_result=True,
    worker_prefetch_multiplier=1, worker_cancel_long_running_tasks_on_connection_loss=True,
    broker_connection_retry_on_startup=True,
)

@app.task(name="busy.work")
def work(name, seconds):
    Path(name + ".begun").touch()
    time.sleep(seconds)
    Path(name + ".done").touch()
"""


def is_so(question: Callable[[], bool], *, within_s: float = PATIENCE_S) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if question():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("is_mended", [True, False], ids=["mended", "control"])
def test_a_busy_worker_outlives_its_broker(tmp_path: Path, is_mended: bool) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    redis = Redis(tmp_path, port, is_embedded=True)
    (tmp_path / "busy.py").write_text(APP)
    url = f"redis://127.0.0.1:{port}/0"
    env = os.environ | {
        "BROKER": url,
        "IS_MENDED": str(int(is_mended)),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.getcwd()]),
    }
    # With it, Celery imports our own app, which is mended.
    env.pop("DJANGO_SETTINGS_MODULE", None)
    if is_mended:
        env["DJANGO_SETTINGS_MODULE"] = "settings.test"
    with (tmp_path / "log").open("ab") as log:
        worker = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "celery",
                "-A",
                "busy",
                "worker",
                "--pool",
                "threads",
                "--concurrency",
                "2",
                "--without-gossip",
                "--without-mingle",
            ],
            cwd=tmp_path,
            env=env,
            stdout=log,
            stderr=log,
        )
    try:
        client = Celery("client", broker=url)
        client.send_task("busy.work", ["first", 6])
        assert is_so((tmp_path / "first.begun").exists), (tmp_path / "log").read_text()
        redis.kill()
        time.sleep(0.5)
        redis.start()
        if not is_mended:
            assert is_so(lambda: worker.poll() is not None)
            assert "Unrecoverable error: AttributeError" in (tmp_path / "log").read_text()
            return
        assert is_so((tmp_path / "first.done").exists)
        client.send_task("busy.work", ["second", 0])
        assert is_so((tmp_path / "second.done").exists), (tmp_path / "log").read_text()
        assert worker.poll() is None
    finally:
        worker.kill()
        worker.wait()
        redis.kill()
