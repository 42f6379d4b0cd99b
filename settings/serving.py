"""`./run serve`: web, worker and scheduler on PostgreSQL and Redis from the environment.

Each role also runs alone, as `./run web` and so on, for whoever has a supervisor of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from settings.processes import (
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

THREADS: Final = 16


def serve(words: list[str]) -> None:
    """All three, each started again alone where it ends. Raises Trouble."""
    _prepare(for_web=True)
    port, folder = port_number("PORT", 8000), _folder()
    must_be_free(port)
    processes = Processes(folder)
    try:
        for role in ROLES:
            processes.start(role, _command(role))
        probe = f"http://127.0.0.1:{port}/livez"
        until_it_is(processes, lambda: answers(probe), "the web server", needs=("web",))
        print(f"Agent Inbox serves port {port}; put https in front of it.", flush=True)
        processes.keep()
    finally:
        processes.stop()


def _alone(role: str) -> Callable[[list[str]], None]:
    def run(words: list[str]) -> None:
        _prepare(for_web=role == "web")
        command = _command(role)
        os.chdir(ROOT)
        # In our place: what stops us stops it, and its log is ours.
        os.execv(command[0], command)

    return run


def _web() -> list[str]:
    host, workers = os.environ.get("HOST", "127.0.0.1"), count_of("WEB_WORKERS", 2)
    return web_command(port_number("PORT", 8000), host=host, workers=workers)


def _worker() -> list[str]:
    return worker_command(threads=THREADS)


def _scheduler() -> list[str]:
    return scheduler_command(_folder())


ROLES: Final[dict[str, Callable[[], list[str]]]] = {
    "web": _web,
    "worker": _worker,
    "scheduler": _scheduler,
}
COMMANDS: Final[dict[str, Callable[[list[str]], None]]] = {
    "serve": serve,
    **{role: _alone(role) for role in ROLES},
}


def _command(role: str) -> list[str]:
    return ROLES[role]()


def _prepare(*, for_web: bool) -> None:
    """What has to be so before any of our processes serves. Raises Trouble."""
    steps = [
        (["check", "--deploy", "--fail-level", "WARNING"], "what check --deploy says above"),
        (["migrate", "--check"], "the database is not of this version: ./run migrate"),
    ]
    if for_web:
        steps.append((["collectstatic", "--noinput", "--verbosity", "0"], "the static files"))
    for command, todo in steps:
        if subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT).returncode:
            raise Trouble(f"Something has to be done first: {todo}.")


def _folder() -> Path:
    folder = Path(os.environ.get("VAR_DIR", ROOT / "var"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
