"""`./run serve`: web, workers and scheduler on PostgreSQL and Redis from the environment.

For installations with their own supervisor, each role also runs alone, as `./run web` and so on;
`./run worker messages` runs a single worker pool.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from core.server.private_files import var_folder
from core.server.processes import (
    POOLS,
    ROOT,
    Processes,
    Trouble,
    answers,
    count_of,
    must_be_free,
    port_number,
    scheduler_command,
    until_it_is,
    web_command,
    worker_command,
)

Command = Callable[[list[str]], None]


def serve(arguments: list[str]) -> None:
    """Run every role; one that ends is restarted on its own. Raises Trouble."""
    prepare(for_web=True)
    port, folder = port_number("PORT", 8000), logs_folder()
    must_be_free(port)
    processes = Processes(folder)
    try:
        start_roles(processes, port)
        print(f"Agent Inbox serves port {port}; put HTTPS in front of it.", flush=True)
        processes.keep()
    finally:
        processes.stop()


def start_roles(processes: Processes, port: int) -> None:
    """Start web, workers and scheduler, and wait for the web server. Raises Trouble."""
    processes.start("web", _web())
    _start_workers(processes)
    processes.start("scheduler", _scheduler())
    probe = f"http://127.0.0.1:{port}/livez"
    until_it_is(processes, lambda: answers(probe), "the web server", needs=("web",))


def _alone(command: Callable[[], list[str]], *, for_web: bool = False) -> Command:
    def run(arguments: list[str]) -> None:
        prepare(for_web=for_web)
        _become(command())

    return run


def _workers(arguments: list[str]) -> None:
    """Run every worker pool, or only the one named. Raises Trouble."""
    if arguments and (len(arguments) > 1 or arguments[0] not in POOLS):
        raise Trouble(f"Pass ./run worker one of {', '.join(POOLS)}.")
    prepare(for_web=False)
    if arguments:
        _become(worker_command(arguments[0]))
    # Alone on a machine or in a container, where logs are expected on stdout.
    processes = Processes(None)
    try:
        _start_workers(processes)
        processes.keep()
    finally:
        processes.stop()


def _start_workers(processes: Processes) -> None:
    for pool in POOLS:
        processes.start(f"worker-{pool}", worker_command(pool))


def _become(command: list[str]) -> None:
    """Replace this process, so that signals and logs need no forwarding."""
    os.chdir(ROOT)
    os.execv(command[0], command)


def _web() -> list[str]:
    host, workers = os.environ.get("HOST", "127.0.0.1"), count_of("WEB_WORKERS", 2)
    return web_command(port_number("PORT", 8000), host=host, workers=workers)


def _scheduler() -> list[str]:
    return scheduler_command(logs_folder())


COMMANDS: Final[dict[str, Command]] = {
    "serve": serve,
    "web": _alone(_web, for_web=True),
    "worker": _workers,
    "scheduler": _alone(_scheduler),
}


def prepare(*, for_web: bool) -> None:
    """Run the checks that must pass before any process serves. Raises Trouble."""
    steps = [
        (["check", "--deploy", "--fail-level", "WARNING"], "fix what check --deploy reports above"),
        (
            ["migrate", "--check"],
            "do what is said above, or bring the database to this version: ./run migrate",
        ),
    ]
    # An image brings its static files along, in a folder that can't be written to.
    if for_web and not os.environ.get("STATIC_ROOT"):
        steps.append((["collectstatic", "--noinput", "--verbosity", "0"], "the static files"))
    for command, todo in steps:
        if subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT).returncode:
            raise Trouble(f"Before starting: {todo}.")
    # Each role alone as well; and only now are the static files there.
    logs_folder()


def logs_folder() -> Path:
    """Create VAR_DIR if needed, close it to other users, and return it."""
    return var_folder(Path(os.environ.get("VAR_DIR", ROOT / "var")))
