"""PostgreSQL's own client programs, run for Django's connection.

Passwords travel in the environment of the program, never on its command line, which every user of
the machine can read.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

# How long a dump waits for a table that a migration holds.
_LOCK_WAIT: Final = "60s"
# `options` limits how long statements may take, which is for the servers only.
_NOT_PASSED_ON: Final = frozenset({"password", "sslpassword", "options"})
_SHOWN: Final = 1500


class Trouble(Exception):
    """An operation that can't be done; the message says what to do about it."""


def dump(connection: BaseDatabaseWrapper, path: Path, *, snapshot: str, holding: int) -> None:
    """Write the database, as this exported snapshot shows it, to the file. Raises Trouble.

    The archive names no owners and grants no rights, since another installation has other roles.
    `holding` is a file descriptor whose lock lasts as long as the program, even if we are killed.
    """
    command = [
        program_for(connection, "pg_dump"),
        "--format=custom",
        "--no-owner",
        "--no-privileges",
        f"--lock-wait-timeout={_LOCK_WAIT}",
        f"--snapshot={snapshot}",
        f"--file={path}",
        f"--dbname={conninfo(connection)}",
    ]
    found = subprocess.run(
        command,
        env=environment(connection),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=[holding],
        check=False,
    )
    if found.returncode:
        raise Trouble(_explained("pg_dump", found.stderr, path))


def check_archive(path: Path) -> None:
    """Have pg_restore read the archive's table of contents. Raises Trouble."""
    found = subprocess.run(
        [program("pg_restore"), "--list", str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if found.returncode:
        raise Trouble(_explained("pg_restore", found.stderr, path))


def load(connection: BaseDatabaseWrapper, path: Path, *, before: str, after: str) -> None:
    """Load the archive, with these statements around it, in one transaction. Raises Trouble.

    Whatever interrupts it, the database is as it was: psql commits only what we tell it to commit,
    and we do that only after pg_restore has read the archive to its end.
    """
    read = [program("pg_restore"), "--no-owner", "--no-privileges", "--no-comments", "--file=-"]
    write = [
        program("psql"),
        "--no-psqlrc",
        "--quiet",
        "--set=ON_ERROR_STOP=1",
        f"--dbname={conninfo(connection)}",
    ]
    with tempfile.TemporaryFile() as refused, tempfile.TemporaryFile() as unread:
        psql = subprocess.Popen(
            write,
            env=environment(connection),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=refused,
        )
        source = subprocess.Popen(
            [*read, str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=unread
        )
        try:
            is_read = _pass_on(source, psql, before=before, after=after)
        finally:
            source.kill()
            source.wait()
            psql.wait()
        if psql.returncode:
            raise Trouble(_explained("psql", _end_of(refused), path))
        if not is_read:
            raise Trouble(_explained("pg_restore", _end_of(unread), path))


def _pass_on(
    source: subprocess.Popen[bytes], psql: subprocess.Popen[bytes], *, before: str, after: str
) -> bool:
    """Feed psql one transaction; False if the archive couldn't be read, so nothing was committed."""
    assert source.stdout is not None and psql.stdin is not None  # noqa: S101, PT018  both are pipes
    try:
        with source.stdout, psql.stdin as sink:
            sink.write(f"BEGIN;\n{before}\n".encode())
            shutil.copyfileobj(source.stdout, sink)
            if source.wait():
                return False
            # The archive's script empties the search path.
            sink.write(f"\nRESET search_path;\n{after}\nCOMMIT;\n".encode())
    except BrokenPipeError:
        # psql has ended, and says why.
        return True
    return True


def program_for(connection: BaseDatabaseWrapper, name: str) -> str:
    """Return the path of a client program that isn't older than the server. Raises Trouble."""
    path = program(name)
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\) (\d+)", said)
    server: int = connection.pg_version // 10000  # type: ignore[attr-defined]
    if found and int(found[1]) < server:
        raise Trouble(
            f"{name} is version {found[1]}, but the server is PostgreSQL {server}, which it can't "
            f"dump. Install the package postgresql-client-{server}, and make sure that its {name} "
            "comes first in PATH."
        )
    return path


def program(name: str) -> str:
    """Return the path of a client program. Raises Trouble."""
    path = shutil.which(name)
    if path is None:
        raise Trouble(
            f"{name} is not installed. Install PostgreSQL's client programs, in the server's "
            "version or newer: apt-get install postgresql-client"
        )
    return path


def conninfo(connection: BaseDatabaseWrapper) -> str:
    """Return the connection string, without secrets."""
    known = {option.keyword.decode() for option in Conninfo.get_defaults()} - _NOT_PASSED_ON
    given = connection.get_connection_params()
    return make_conninfo(**{name: value for name, value in given.items() if name in known})


def environment(connection: BaseDatabaseWrapper) -> dict[str, str]:
    """Return our environment with the password, and with messages in English."""
    password = connection.get_connection_params().get("password")
    return os.environ | ({"PGPASSWORD": password} if password else {}) | {"LC_MESSAGES": "C"}


def _end_of(file: IO[bytes]) -> bytes:
    file.seek(max(0, file.seek(0, os.SEEK_END) - _SHOWN))
    return file.read()


def _explained(name: str, said: bytes, path: Path) -> str:
    text = said.decode(errors="replace").strip()[-_SHOWN:]
    if "No space left on device" in text:
        return f"A disk is full: that of {path.parent}, or the database's. Make room.\n{text}"
    if "did not find magic string" in text or "unsupported version" in text:
        return (
            f"{path} can't be read. Either it isn't a backup, or it was made by a newer version of "
            f"PostgreSQL's client programs than yours.\n{text}"
        )
    return f"{name} failed:\n{text}"
