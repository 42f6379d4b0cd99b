"""Servers of their own for the commands that are started here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers.postgres_and_redis import NotInstalled, Postgres, Redis, free_port
from tests.support.servers.started import PATIENCE_S, environment, run


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    # pytest's own folders are closed to the user that PostgreSQL insists on.
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder) / "cluster"
        inner.mkdir()
        try:
            found = Postgres(inner)
        except NotInstalled as missing:
            pytest.skip(str(missing))
        yield found
        found.stop()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    found = Redis(tmp_path, free_port(), is_embedded=True)
    yield found
    found.kill()


@pytest.fixture(scope="module")
def database(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of this version, as `./run migrate` leaves it."""
    url = postgres.url("serving")
    folder = tmp_path_factory.mktemp("migrating")
    made = run("migrate", environment(url, "redis://127.0.0.1:1/0", folder, 1))
    assert made.wait(timeout=PATIENCE_S) == 0, (folder / "migrate.out").read_text()
    return url
