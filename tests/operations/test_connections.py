"""`./run doctor` warns about connections that leave the machine unprotected."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from core.operations import connections
from core.operations.findings import Level
from settings import env

SAFE = {
    "DATABASE_URL": "postgres://inbox:secret@db.example.com/inbox?sslmode=verify-full",
    "REDIS_URL": "rediss://:secret@cache.example.com:6379/0",
    "EMAIL_URL": "smtp+tls://inbox:secret@mail.example.com",
}


def found(monkeypatch: pytest.MonkeyPatch, **urls: str) -> list[str]:
    for name, url in (SAFE | urls).items():
        monkeypatch.setenv(name, url)
    given = SimpleNamespace(
        DATABASES={"default": env.database("DATABASE_URL", "")}
        | (
            {"replica": env.replica("DATABASE_REPLICA_URL")}
            if "DATABASE_REPLICA_URL" in urls
            else {}
        ),
        REDIS_URL=env.text("REDIS_URL"),
        BROKER_URL=env.text("BROKER_URL", ""),
        **env.email("EMAIL_URL", ""),
    )
    monkeypatch.setattr(connections, "settings", given)
    looked = list(connections.look_at_connections())
    assert all("secret" not in f"{one.text} {one.todo}" for one in looked)
    return [one.text for one in looked if one.level == Level.WARNING]


@pytest.mark.parametrize(
    ("name", "url", "warned"),
    [
        ("DATABASE_URL", "postgres://inbox:secret@db.example.com/inbox", ["without TLS"]),
        (
            "DATABASE_URL",
            "postgres://inbox@10.0.0.7/inbox?sslmode=prefer",
            ["without TLS", "without a password"],
        ),
        ("REDIS_URL", "redis://:secret@cache.example.com/0", ["without TLS"]),
        ("REDIS_URL", "rediss://cache.example.com/0", ["without a password"]),
        (
            "REDIS_URL",
            "redis+sentinel://:secret@localhost,cache.example.com:26379/0?service=inbox",
            ["Redis is used without TLS"],
        ),
        (
            "REDIS_URL",
            "rediss+sentinel://cache.example.com/0?service=inbox",
            ["without a password"],
        ),
        ("BROKER_URL", "amqp://inbox:secret@mq.example.com/inbox", ["broker is used without TLS"]),
        ("DATABASE_REPLICA_URL", "postgres://inbox:secret@db2.example.com/inbox", ["without TLS"]),
        ("EMAIL_URL", "smtp://inbox:secret@mail.example.com", ["without TLS"]),
    ],
)
def test_an_unprotected_connection_is_warned_about(
    name: str, url: str, warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = found(monkeypatch, **{name: url})
    assert len(texts) == len(warned)
    assert all(part in text for part, text in zip(warned, texts, strict=True))


@pytest.mark.parametrize(
    "urls",
    [
        {},
        {"DATABASE_URL": "sqlite:///inbox.sqlite3", "EMAIL_URL": "console://"},
        {"DATABASE_URL": "postgres:///inbox?host=/run/postgresql", "REDIS_URL": "redis://[::1]/0"},
        {"DATABASE_URL": "postgres://inbox@127.0.0.1/inbox", "EMAIL_URL": "smtp://localhost"},
        # Beside it in a composition of containers.
        {"DATABASE_URL": "postgres://inbox@database/inbox", "REDIS_URL": "redis://valkey:6379/0"},
    ],
)
def test_protected_and_local_ones_are_not(
    urls: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found(monkeypatch, **urls) == []
