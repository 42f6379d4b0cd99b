"""The databases of a benchmark: DATABASE_URL, or a SQLite file and a private PostgreSQL with fsync."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from bench.harness.result import Result


@contextmanager
def own_postgresql() -> Iterator[str]:
    """Yield the URL of a database in a new cluster that forces every commit to disk.

    BENCH_DATABASE_URL, if set, is yielded instead. Raises NotInstalled.
    """
    from tests.support.servers.postgres_and_redis import Postgres

    if given := os.environ.get("BENCH_DATABASE_URL"):
        yield given
        return
    with tempfile.TemporaryDirectory() as folder:
        server = Postgres(Path(folder), fsync=True)
        try:
            yield server.url("bench")
        finally:
            server.stop()


@contextmanager
def test_database() -> Iterator[None]:
    """Set up Django on an empty test database of DATABASE_URL's server."""
    import django

    django.setup()
    from django.test.runner import DiscoverRunner

    runner = DiscoverRunner(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    try:
        yield
    finally:
        runner.teardown_databases(databases)


def on_both(module: str) -> list[Result]:
    """Run `module.measure()` on DATABASE_URL if it is set, else on SQLite and a private PostgreSQL.

    Each runs in a process of its own, because a process reads its settings only once.
    """
    from tests.support.servers.postgres_and_redis import NotInstalled

    if os.environ.get("DATABASE_URL"):
        return _in_a_process(module, os.environ["DATABASE_URL"])
    with tempfile.TemporaryDirectory() as folder:
        found = _in_a_process(module, f"sqlite:///{folder}/bench.sqlite3")
    try:
        with own_postgresql() as url:
            return found + _in_a_process(module, url)
    except NotInstalled as error:
        print(f"{module}: only on SQLite. {error}")
        return found


def _in_a_process(module: str, url: str) -> list[Result]:
    code = f"import bench.harness.databases as d; d.child({module!r})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"DATABASE_URL": url},
        stdout=subprocess.PIPE,
        check=True,
    )
    return [Result(**row) for row in json.loads(done.stdout.splitlines()[-1])]


def child(module: str) -> None:
    """Measure, and print the results as one line of JSON; runs in `on_both`'s child process."""
    with test_database():
        found = importlib.import_module(module).measure()
    print(json.dumps([asdict(result) for result in found]))
