"""`./run serve` and its roles, started as an administrator starts them."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.server.processes import (
    LONG_LIFE_S,
    LONGEST_WAIT_S,
    POOLS,
    Keeper,
    Processes,
)
from tests.support.servers.postgres_and_redis import Redis, free_port
from tests.support.servers.started import PATIENCE_S, environment, is_so, run, status


def children_of(pid: int) -> dict[int, str]:
    """Process ids to command lines."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        found[int(child)] = b" ".join(words).decode()
    return found


def pid_of(serving: subprocess.Popen[str], words: str) -> int:
    return next((pid for pid, line in children_of(serving.pid).items() if words in line), 0)


@pytest.fixture
def serving(
    database: str, redis: Redis, tmp_path: Path
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    port = free_port()
    env = environment(database, f"redis://127.0.0.1:{redis.port}/0", tmp_path, port)
    process = run("serve", env)
    url = f"http://127.0.0.1:{port}"
    out = tmp_path / "serve.out"
    assert is_so(lambda: "serves port" in out.read_text() or process.poll() is not None)
    assert process.poll() is None, out.read_text()
    yield url, process
    process.terminate()
    assert process.wait(timeout=20) == 0


@pytest.mark.slow
def test_serve_starts_with_what_the_readme_says(
    serving: tuple[str, subprocess.Popen[str]], redis: Redis, tmp_path: Path
) -> None:
    """And what ends is started again alone; a broker that is away ends nothing."""
    url, process = serving
    assert status(f"{url}/readyz") == 200
    pools = {f"worker-{pool}": f"{pool}@" for pool in POOLS}
    roles = {"web": "core.server.web", **pools, "scheduler": " beat "}
    first = {role: pid_of(process, words) for role, words in roles.items()}
    assert all(first.values()), children_of(process.pid)

    killed = first["worker-messages"]
    os.kill(killed, signal.SIGKILL)
    assert is_so(lambda: pid_of(process, "messages@") not in {0, killed}, within_s=20)
    assert pid_of(process, "core.server.web") == first["web"], "each is started again alone"
    assert pid_of(process, "money@") == first["worker-money"]
    second = pid_of(process, "messages@")

    redis.kill()
    time.sleep(12)
    assert status(f"{url}/readyz") == 200, "the web server needs no broker to answer"
    redis.start()
    time.sleep(5)
    logs = "\n".join((tmp_path / f"{role}.log").read_text()[-1500:] for role in roles)
    assert pid_of(process, "messages@") == second, logs
    assert pid_of(process, "money@") == first["worker-money"], logs
    assert pid_of(process, " beat ") == first["scheduler"], logs
    assert pid_of(process, "core.server.web") == first["web"], logs


@pytest.mark.slow
@pytest.mark.parametrize("role", ["web", "worker money", "worker messages", "scheduler"])
def test_each_role_runs_alone(role: str, database: str, redis: Redis, tmp_path: Path) -> None:
    port = free_port()
    env = environment(database, f"redis://127.0.0.1:{redis.port}/0", tmp_path, port)
    process = run(role, env)
    words = {"web": "core.server.web", "scheduler": "beat"}.get(role, role.split()[-1] + "@")
    try:
        line = Path(f"/proc/{process.pid}/cmdline")
        assert is_so(lambda: words.encode() in line.read_bytes()), line.read_bytes()
        if role == "web":
            assert is_so(lambda: status(f"http://127.0.0.1:{port}/readyz") == 200)
        time.sleep(2)
        assert process.poll() is None, (tmp_path / f"{role}.out").read_text()
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.mark.slow
def test_the_workers_run_together_without_the_rest(
    database: str, redis: Redis, tmp_path: Path
) -> None:
    """And what they say is said where they were started."""
    process = run("worker", environment(database, f"redis://127.0.0.1:{redis.port}/0", tmp_path, 1))
    try:
        assert is_so(lambda: all(pid_of(process, f"{pool}@") for pool in POOLS))
        assert not pid_of(process, "core.server.web")
    finally:
        process.terminate()
        process.wait(timeout=20)
    assert not list(tmp_path.glob("worker-*.log"))


@pytest.mark.parametrize("has_folder", [True, False])
def test_child_processes_share_our_output_unless_they_have_logs(
    has_folder: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    processes = Processes(tmp_path if has_folder else None)
    says = "import sys; print('a word'); print('an error', file=sys.stderr)"
    child = processes.start("worker-money", [sys.executable, "-c", says])
    assert child.wait(timeout=PATIENCE_S) == 0
    said = capfd.readouterr()
    log = tmp_path / "worker-money.log"
    if has_folder:
        assert sorted(log.read_text().split("\n")) == ["", "a word", "an error"]
        assert (said.out, said.err) == ("", "")
    else:
        assert not log.exists()
        assert (said.out, said.err) == ("a word\n", "an error\n")


def test_a_pool_of_an_unknown_name_is_refused(tmp_path: Path) -> None:
    process = run(
        "worker nothing", environment("sqlite:///x", "redis://127.0.0.1:1/0", tmp_path, 1)
    )
    assert process.wait(timeout=PATIENCE_S) == 1
    assert "money, messages, reading" in (tmp_path / "worker nothing.out").read_text()


def test_messages_have_a_thread_for_every_lane_and_money_shares_none() -> None:
    from inbox import outbox
    from settings.celery import app

    assert POOLS["messages"] == ("messages", outbox.THREADS)
    assert POOLS["money"][0] == "actions"
    queues = [queue for names, _threads in POOLS.values() for queue in names.split(",")]
    assert len(queues) == len(set(queues))
    routed = {how["queue"] for how in app.conf.task_routes.values()}
    assert routed | {app.conf.task_default_queue} == set(queues)
    for name in ("deliver_message", "deliver_campaign", "deliver_webhook", "sweep_outbox"):
        assert app.conf.task_routes[f"inbox.tasks.{name}"] == {"queue": "messages"}


def test_a_missing_requirement_stops_the_start_with_one_line(tmp_path: Path) -> None:
    env = environment("sqlite:///x", "redis://127.0.0.1:1/0", tmp_path, free_port())
    del env["PUBLIC_URL"]
    process = run("serve", env)
    assert process.wait(timeout=PATIENCE_S) == 1
    said = (tmp_path / "serve.out").read_text()
    assert "Set PUBLIC_URL" in said
    assert "check --deploy" in said


def test_a_process_that_keeps_ending_is_restarted_less_and_less_often() -> None:
    keeper, now, starts = Keeper(), time.monotonic(), []
    for step in range(400):
        at = now + step * 0.5
        if keeper.is_due(True, at):
            starts.append(step * 0.5)
    gaps = [b - a for a, b in itertools.pairwise(starts)]
    assert starts[0] == 0
    assert gaps[:3] == sorted(gaps[:3])
    assert max(gaps) <= LONGEST_WAIT_S + 1
    assert LONG_LIFE_S > LONGEST_WAIT_S
