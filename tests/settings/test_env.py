"""Settings from the environment: a value, or a file that holds it."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from settings import env


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


def test_a_bad_number_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_NUMBER", "-3")
    with pytest.raises(ImproperlyConfigured, match="SOME_NUMBER='-3': expected a whole number"):
        env.whole("SOME_NUMBER", 1)
