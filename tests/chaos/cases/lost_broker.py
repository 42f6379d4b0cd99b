"""T5: real Celery workers, a scheduler and a broker, each taken away in turn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from orders.tasks import perform_action
from tests.chaos.case import Case, Outcome, Run
from tests.chaos.installation import Installation
from tests.support.servers.postgres_and_redis import Redis

EACH = 30
SETTLED_WITHIN_S = 30
FROZEN_S = 90
FLUSHED_S = 60


@dataclass
class Celery:
    """Workers and schedulers as `./run serve` starts them, with child processes to kill."""

    folder: Path
    origin: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def worker(self) -> subprocess.Popen[bytes]:
        return self._start(
            "worker",
            "--pool",
            "prefork",
            "--concurrency",
            "2",
            "--queues",
            "actions,messages,sync,default",
            "--without-gossip",
            "--without-mingle",
        )

    def beat(self) -> subprocess.Popen[bytes]:
        schedule = self.folder / f"schedule{len(self.processes)}"
        return self._start("beat", "--schedule", str(schedule), "--pidfile", "")

    def stop(self) -> None:
        for process in self.processes:
            self.kill_group(process)

    def kill_group(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL for a worker and its children, as a machine that goes away."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGCONT)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        env = os.environ | {"SHOPIFY_ADMIN_ORIGIN": self.origin}
        with (self.folder / "celery.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "settings", *words, "--loglevel", "ERROR"],
                env=env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process


@dataclass
class Scene:
    world: Installation
    celery: Celery
    broker: Redis
    each: int
    first: subprocess.Popen[bytes]
    second: subprocess.Popen[bytes]
    accepted: list[int] = field(default_factory=list)
    figures: dict[str, int | float | str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def ask(self, count: int | None = None) -> None:
        for index, order in enumerate(self.world.orders(count or self.each, quantity=20)):
            made = (
                self.world.refund(order, "7.00") if index % 3 else self.world.cancel(order, "7.00")
            )
            if made is not None:
                self.accepted.append(made.pk)

    def settle(self, name: str) -> None:
        """From now, the fault's end, until nothing is open."""
        began = time.monotonic()
        done = self.world.drain(within_s=SETTLED_WITHIN_S, hurry=False)
        took = time.monotonic() - began
        self.figures[f"{name} (s)"] = round(took, 1)
        if not done:
            left = self.world.open_actions()
            self.broken.append(f"{name}: {left} actions open {SETTLED_WITHIN_S} s after the fault")
            self.world.drain(within_s=60, hurry=False)


def everything(world: Installation, run: Run) -> Outcome:
    scene = _scene(world, run, beats=1)
    parts: list[Callable[[Scene], None]] = [
        _group_killed,
        _child_killed,
        _three_times,
        _three_schedulers,
        _broker_restarted,
        _flushed,
        _frozen,
    ]
    try:
        for part in parts:
            part(scene)
    finally:
        scene.celery.stop()
    return _outcome(scene)


def embedded(world: Installation, run: Run) -> Outcome:
    """The demo's bundled broker: lost messages, a restart."""
    scene = _scene(world, run, beats=1)
    try:
        _three_times(scene)
        _broker_restarted(scene)
    finally:
        scene.celery.stop()
    return _outcome(scene)


def without_a_sweep(world: Installation, run: Run) -> Outcome:
    """Messages are flushed while the workers stand still; who sweeps finds the rows."""
    scene = _scene(world, run, beats=0 if run.mutant else 1)
    try:
        for worker in (scene.first, scene.second):
            os.killpg(worker.pid, signal.SIGSTOP)
        scene.ask()
        scene.broker.flush()
        for worker in (scene.first, scene.second):
            os.killpg(worker.pid, signal.SIGCONT)
        if run.mutant:
            world.drain(within_s=SETTLED_WITHIN_S, hurry=False)
        else:
            scene.settle("messages flushed")
    finally:
        scene.celery.stop()
    outcome = _outcome(scene)
    if run.mutant:
        outcome.broken = ["lost"] * world.open_actions()
    return outcome


def _scene(world: Installation, run: Run, *, beats: int) -> Scene:
    if world.broker is None:
        raise RuntimeError("this case needs a broker")
    celery = Celery(world.folder, world.shop.origin)
    first, second = celery.worker(), celery.worker()
    for _ in range(beats):
        celery.beat()
    scene = Scene(world, celery, world.broker, run.size(EACH, least=6), first, second)
    scene.ask(2)
    # Slow to start, and not what is tested.
    world.drain(within_s=90, hurry=False)
    return scene


def _outcome(scene: Scene) -> Outcome:
    return Outcome(
        figures={"actions": len(scene.accepted), **scene.figures},
        broken=scene.broken + scene.world.check(accepted=scene.accepted),
        of=len(scene.accepted),
    )


def _group_killed(scene: Scene) -> None:
    scene.ask()
    scene.celery.kill_group(scene.first)
    scene.celery.kill_group(scene.second)
    scene.first, scene.second = scene.celery.worker(), scene.celery.worker()
    scene.settle("all workers killed")


def _child_killed(scene: Scene) -> None:
    scene.ask(scene.each // 2)
    pid = scene.first.pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    scene.ask(scene.each // 2)
    scene.settle("child processes killed")


def _three_times(scene: Scene) -> None:
    scene.ask()
    for action_id in scene.accepted[-scene.each :] * 3:
        perform_action.delay(action_id)
    scene.settle("enqueued three times more")


def _three_schedulers(scene: Scene) -> None:
    more = [scene.celery.beat(), scene.celery.beat()]
    scene.ask()
    scene.settle("three schedulers")
    for process in more:
        scene.celery.kill_group(process)


def _broker_restarted(scene: Scene) -> None:
    scene.broker.kill()
    scene.ask()
    scene.broker.start()
    scene.settle("broker down, then back")


def _flushed(scene: Scene) -> None:
    until = time.monotonic() + FLUSHED_S
    for _ in range(3):
        scene.ask(scene.each // 3)
        scene.broker.flush()
    while time.monotonic() < until:
        time.sleep(5)
        scene.broker.flush()
    scene.settle("flushed every 5 s for a minute")


def _frozen(scene: Scene) -> None:
    """The first worker sleeps with what it holds; when it wakes, its word counts no more."""
    scene.ask()
    os.killpg(scene.first.pid, signal.SIGSTOP)
    time.sleep(FROZEN_S)
    open_meanwhile = scene.world.open_actions()
    os.killpg(scene.first.pid, signal.SIGCONT)
    scene.figures["open while a worker slept 90 s"] = open_meanwhile
    scene.settle("worker asleep for 90 s")
    time.sleep(3)


CASES = [
    Case(
        id="T5",
        title="workers, broker and scheduler taken away",
        run=everything,
        is_mean=True,
        backend="postgresql",
        broker="redis",
        takes_s=330,
    ),
    Case(
        id="T5-flush",
        title="every message lost at once",
        run=without_a_sweep,
        is_mean=True,
        backend="postgresql",
        broker="redis",
        mutants={"sweep": 0.05},
        mutant_scale=0.5,
    ),
    Case(
        id="T5-embedded",
        title="the bundled broker, on SQLite",
        run=embedded,
        broker="embedded",
        is_mean=True,
    ),
]
