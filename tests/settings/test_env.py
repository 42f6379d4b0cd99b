"""Settings from the environment: a value, or a file that holds it."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from settings import env

ROOT = Path(__file__).parents[2]
BROKER = "from settings.celery import app; print(app.conf.broker_url)"


def test_tasks_go_to_the_broker_that_redis_url_file_names(tmp_path: Path) -> None:
    file = tmp_path / "redis"
    file.write_text("unix:///run/redis.sock?virtual_host=3\n")
    found = subprocess.run(
        [sys.executable, "-c", BROKER],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"REDIS_URL_FILE": str(file), "VAR_DIR": str(tmp_path)},
    )
    assert found.stdout.strip() == "redis+socket:///run/redis.sock?virtual_host=3"


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (env.database, "mysql://inbox:c4n4ry@db/inbox"),
        (env.database, "postgres://inbox:c4n4ry#x@db/inbox"),
        (env.email, "smtp://user:c4n4ry/2@mail"),
        (env.email, "http://user:c4n4ry@mail"),
    ],
)
def test_a_bad_address_stops_the_start_without_its_password(
    monkeypatch: pytest.MonkeyPatch, read: Any, value: str
) -> None:
    monkeypatch.setenv("SOME_URL", value)
    with pytest.raises(ImproperlyConfigured, match=r"^SOME_URL=.* expected ") as caught:
        read("SOME_URL", "")
    assert "c4n4ry" not in "".join(traceback.format_exception(caught.value))


def test_an_invalid_number_is_named_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_NUMBER", "-3")
    with pytest.raises(ImproperlyConfigured, match="SOME_NUMBER='-3': expected a whole number"):
        env.whole("SOME_NUMBER", 1)


def test_database_connections_have_keepalives_and_timeouts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each may be set in the address."""
    monkeypatch.setenv("SOME_URL", "postgres://inbox@db/inbox?connect_timeout=9")
    options = env.database("SOME_URL", "")["OPTIONS"]
    assert options["connect_timeout"] == "9"
    assert options["tcp_user_timeout"] == 20_000
    kept = [options[f"keepalives_{what}"] for what in ("idle", "interval", "count")]
    assert kept == [10, 5, 3]
    monkeypatch.setenv("SOME_URL", "postgres://inbox@db/inbox")
    assert env.database("SOME_URL", "")["OPTIONS"]["connect_timeout"] == 5
