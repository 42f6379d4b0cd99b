"""The server under attack: production settings, PostgreSQL and Redis of its own, two processes."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet

from core.server.processes import web_command
from tests.support.servers.postgres_and_redis import Postgres, Redis, free_port

ROOT = Path(__file__).resolve().parents[2]
SHOP = "attacked.myshopify.com"
SECRET = b"shpss_attack"
WORKERS = 2


def environment(folder: Path) -> tuple[dict[str, str], Postgres, Redis]:
    """Start the servers that production needs, and return its settings. Raises NotInstalled."""
    postgres = Postgres(folder)
    redis = Redis(folder, free_port(), is_embedded=False)
    made = {
        "DJANGO_SETTINGS_MODULE": "settings.production",
        "SECRET_KEY": "attack-" + "k" * 60,
        "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "ALLOWED_HOSTS": "127.0.0.1",
        "PUBLIC_URL": "https://127.0.0.1",
        "DATABASE_URL": postgres.url("attacked"),
        "REDIS_URL": f"redis://127.0.0.1:{redis.port}/0",
        "TRUSTED_PROXY": "1",
        "VAR_DIR": str(folder / "var"),
        "LOG_LEVEL": "ERROR",
        # The agents here have sessions without ever having logged in.
        "SECOND_FACTOR_REQUIRED": "0",
    }
    return made, postgres, redis


@dataclass
class People:
    """Who and what is there to be read: agents' cookies, pages, and a channel's ID and key."""

    cookies: list[str]
    pages: list[str]
    key: str


def people(agents: int, conversations: int) -> People:
    """Make the installation's contents, with the settings of `environment` in force."""
    from django.conf import settings
    from django.contrib.auth.models import Group, User
    from django.test import Client
    from django.utils import timezone

    from inbox.channels import keys
    from inbox.conversations import services
    from inbox.models import Channel
    from orders.models import Store
    from shopify_sync.models import ShopConnection
    from tests.support.people.signing_in import give_app

    store = Store.objects.create(domain=SHOP, currency="EUR")
    ShopConnection.objects.create(store=store, access_token="t", api_secret=SECRET.decode())
    channel = Channel.objects.create(name="Messenger", proves_addresses=True)
    pages = ["/inbox/"]
    for number in range(conversations):
        message, _is_new = services.receive(
            channel=channel,
            external_id=f"m-{number}",
            conversation_id=f"c-{number}",
            sender=services.Sender(external_id=f"u-{number}", name=f"Customer {number}"),
            text="Where is my order? " * 20,
            sent_at=timezone.now(),
        )
        pages.append(f"/inbox/conversations/{message.conversation_id}/")
    cookies = []
    for number in range(agents):
        user = User.objects.create_user(f"agent{number}")
        user.groups.add(Group.objects.get(name="agents"))
        # In production, agents without a second factor can do nothing but set one up.
        give_app(user)
        client = Client()
        client.force_login(user)
        name = settings.SESSION_COOKIE_NAME
        cookies.append(f"{name}={client.cookies[name].value}")
    return People(cookies, pages, f"{channel.pk}:{keys.new_key(channel)}")


class Server:
    """The running web server, and whether its processes are still those it began with."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.port = port
        self._process = process
        self.first = self._workers()

    def lost(self) -> int:
        """Return how many of the first worker processes are gone."""
        return len(self.first - self._workers())

    def _workers(self) -> set[int]:
        """The children that have a thread pool: not the helper that Python starts beside them."""
        pid = self._process.pid
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return {int(child) for child in text.split() if _is_worker(child)}


def _is_worker(pid: str) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False  # It ended a moment ago, before or after the file was opened.
    return bool(command) and b"resource_tracker" not in command


@contextmanager
def serving(env: dict[str, str], log: Path) -> Iterator[Server]:
    """The web server as `./run web` starts it, after `collectstatic`."""
    env = os.environ | env
    manage = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
    subprocess.run(manage, cwd=ROOT, env=env, check=True)
    port = free_port()
    with log.open("wb") as sink:
        command = web_command(port, host="127.0.0.1", workers=WORKERS)
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=sink, stderr=sink)
    try:
        _wait_for(port)
        yield Server(port, process)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int, *, within_s: float = 120.0) -> None:
    until = time.monotonic() + within_s
    while True:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            line.request("GET", "/readyz")
            if line.getresponse().status == 200:
                return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        finally:
            line.close()
