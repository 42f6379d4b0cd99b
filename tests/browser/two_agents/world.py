"""The installation under test, with everything around it except the people."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

from core.server.processes import (
    Processes,
    answers,
    scheduler_command,
    until_it_is,
    web_command,
)
from tests.browser.two_agents.verdict import Delivery, Row
from tests.support.browser.demo import ROOT, free_port
from tests.support.servers.postgres_and_redis import NotInstalled, Postgres, Redis

_SEED = """
import sys, django; django.setup()
from django.contrib.auth.models import Group, User
from inbox.accounts import roles
from inbox.channels import keys as channel_keys
from inbox.models import Channel
agents, _is_new = Group.objects.get_or_create(name=roles.AGENTS)
for name in ("alice", "bob"):
    User.objects.create_user(name, password="demo", first_name=name.title()).groups.add(agents)
made = Channel.objects.create(name="Chat", proves_addresses=True, callback_url=sys.argv[1])
print(made.pk, channel_keys.new_key(made))
"""
_QUEUES = "actions,messages,sync,default"


class Database:
    """Read beside the product, without its code; a session is deleted in it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_postgresql = url.startswith("postgres")
        self._lock = threading.Lock()
        self._line: Any
        if self.is_postgresql:
            import psycopg

            self._line = psycopg.connect(url, autocommit=True)
        else:
            path = url.removeprefix("sqlite:///")
            self._line = sqlite3.connect(
                path, timeout=20, isolation_level=None, check_same_thread=False
            )

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return list(self._line.execute(self._said(sql), values))

    def change(self, sql: str, *values: object) -> None:
        with self._lock:
            self._line.execute(self._said(sql), values)

    def _said(self, sql: str) -> str:
        return sql if self.is_postgresql else sql.replace("%s", "?")

    def messages(self, channel: int) -> list[Row]:
        found = self.rows(
            "SELECT m.id, m.conversation_id, c.external_id, m.kind, m.text, u.username,"
            " m.delivery_state FROM inbox_message m"
            " JOIN inbox_conversation c ON c.id = m.conversation_id"
            " LEFT JOIN auth_user u ON u.id = m.author_id"
            " WHERE m.channel_id = %s ORDER BY m.id",
            channel,
        )
        return [
            Row(pk, talk, external, kind, text, author or "", state)
            for pk, talk, external, kind, text, author, state in found
        ]

    def conversations(self, channel: int) -> dict[str, int]:
        found = self.rows(
            "SELECT external_id, id FROM inbox_conversation WHERE channel_id = %s", channel
        )
        return {str(external): int(pk) for external, pk in found}

    def newest_inbound(self, conversation: int) -> int:
        found = self.rows(
            "SELECT max(id) FROM inbox_message WHERE conversation_id = %s AND kind = 'inbound'",
            conversation,
        )
        return int(found[0][0] or 0)

    def state(self, conversation: int) -> str:
        found = self.rows("SELECT state FROM inbox_conversation WHERE id = %s", conversation)
        return str(found[0][0])

    def has(self, token: str) -> bool:
        return bool(self.rows("SELECT 1 FROM inbox_message WHERE text LIKE %s", f"% {token} %"))

    def drafts(self, who: str, conversation: int) -> list[tuple[Any, ...]]:
        return self.rows(
            "SELECT d.mode, d.text FROM inbox_draft d JOIN auth_user u ON u.id = d.user_id"
            " WHERE u.username = %s AND d.conversation_id = %s",
            who,
            conversation,
        )

    def read_marks(self) -> list[tuple[str, int, int]]:
        return [
            (str(who), int(conversation), int(up_to))
            for who, conversation, up_to in self.rows(
                "SELECT u.username, r.conversation_id, r.last_message_id FROM inbox_readmark r"
                " JOIN auth_user u ON u.id = r.user_id"
            )
        ]


class Receiver:
    """The customers' messenger. Now and then it fails, or takes a message and does not say so."""

    def __init__(self, rng: Random) -> None:
        self.deliveries: list[Delivery] = []
        self.is_moody = False
        self.failed = 0
        outer = self
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    luck = rng.random() if outer.is_moody else 1.0
                    outer.failed += luck < 0.08
                    if luck >= 0.04:
                        said = body["data"]
                        outer.deliveries.append(
                            Delivery(
                                str(self.headers["webhook-id"]),
                                str(said["conversation"]),
                                str(said["text"]),
                            )
                        )
                if luck < 0.08:
                    # Refused, or taken and not said so.
                    self.close_connection = True
                    if luck < 0.04:
                        self.send_error(503)
                    return
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Wire:
    """Between browsers and the web server: connections can be cut, or go silent half open."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._host, self._port = str(parts.hostname), int(parts.port or 80)
        self._open: set[asyncio.StreamWriter] = set()
        self._silent: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """End every connection there is, streams among them."""
        self._abort(list(self._open))

    def go_silent(self, seconds: float) -> None:
        """Open connections go silent without being closed; after a while
        they end, as a router forgets them."""
        silent = list(self._open)
        self._silent |= set(silent)
        asyncio.get_running_loop().call_later(seconds, self._abort, silent)

    def end_silence(self) -> None:
        """The routers forget at once what they would forget in a while."""
        self._abort(list(self._silent))

    @staticmethod
    def _abort(writers: list[asyncio.StreamWriter]) -> None:
        for writer in writers:
            with suppress(Exception):
                writer.transport.abort()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back_reader, back_writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, back_writer}
        await asyncio.gather(
            self._pump(reader, back_writer),
            self._pump(back_reader, writer),
            return_exceptions=True,
        )
        self._open -= {writer, back_writer}
        self._silent -= {writer, back_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if writer in self._silent:
                    continue
                writer.write(data)
                await writer.drain()
        with suppress(Exception):
            writer.close()


@dataclass(slots=True)
class World:
    url: str
    database: Database
    redis: Redis
    receiver: Receiver
    channel: int
    key: str
    figures: dict[str, Any]


@contextmanager
def running(folder: Path, rng: Random) -> Iterator[World]:
    """PostgreSQL and Redis where the machine has them, else SQLite and the bundled Valkey."""
    postgres: Postgres | None = None
    with suppress(NotInstalled):
        postgres = Postgres(folder)
    url = postgres.url("judge") if postgres else f"sqlite:///{folder / 'inbox.sqlite3'}"
    try:
        redis, broker = Redis(folder, free_port(), is_embedded=False), "Redis"
    except NotInstalled:
        redis, broker = Redis(folder, free_port(), is_embedded=True), "bundled Valkey"
    receiver = Receiver(rng)
    port = free_port()
    os.environ.update(
        DJANGO_SETTINGS_MODULE="settings.dev",
        DATABASE_URL=url,
        REDIS_URL=f"redis://127.0.0.1:{redis.port}/0",
        VAR_DIR=str(folder),
        EMAIL_URL=f"file://{folder / 'mail'}",
        PUBLIC_URL=f"http://127.0.0.1:{port}",
        # No shop is connected, so there is nothing to ask.
        SHOPIFY_ADMIN_ORIGIN="http://127.0.0.1:9",
    )
    started = Processes(folder)
    try:
        base = f"http://127.0.0.1:{port}"
        _python("manage.py", "migrate", "--verbosity", "0")
        pk, key = _python("-c", _SEED, receiver.url).split()
        started.start("web", web_command(port, host="127.0.0.1"))
        started.start("worker", _worker())
        started.start("scheduler", scheduler_command(folder))
        until_it_is(started, lambda: answers(f"{base}/readyz"), "the web server")
        figures = {"database": "PostgreSQL" if postgres else "SQLite", "broker": broker}
        yield World(base, Database(url), redis, receiver, int(pk), key, figures)
    finally:
        started.stop()
        receiver.stop()
        redis.kill()
        if postgres is not None:
            postgres.stop()


def _worker() -> list[str]:
    """One for all queues: the agents' screens are what is judged, on a machine of any size."""
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
        "8",
        "--queues",
        _QUEUES,
        "--loglevel",
        "WARNING",
        "--without-gossip",
        "--without-mingle",
    ]


def _python(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout
