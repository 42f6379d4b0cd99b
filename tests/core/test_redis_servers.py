"""Redis by its URL: over TLS, and as a group whose master changes."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import kombu
import pytest
import redis
import redis.sentinel
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.retry import Retry

from core import redis_servers
from core.cache import RedisOrMemory
from settings import env
from settings.celery import OF_REDIS, broker
from tests.support.servers.postgres_and_redis import NotInstalled, Redis, free_port
from tests.support.servers.started import is_so


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache/0",
        "rediss://:secret@cache:6380/1",
        "unix:///run/redis.sock?db=1",
        "redis+sentinel://one,two:26380/0?service=inbox",
    ],
)
def test_every_kind_of_address_is_accepted(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    assert env.redis("REDIS_URL") == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cache:6379",
        "redis://",
        "http://:c4n4ry@cache/0",
        "redis+sentinel://:c4n4ry@one,two/0",
        "redis+sentinel://:c4n4ry@one,/0?service=inbox",
        "redis+sentinel://:c4n4ry@one/zero?service=inbox",
        "redis+sentinel://:c4n4ry@one/0?service=inbox&tls=1",
    ],
)
def test_any_other_stops_the_start_without_its_password(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(ImproperlyConfigured, match=r"^REDIS_URL=") as caught:
        env.redis("REDIS_URL")
    assert "c4n4ry" not in str(caught.value)


@pytest.mark.parametrize("url", ["redis://broker/0", "rediss://broker/0", "http://x", "rabbit"])
def test_a_broker_that_is_not_rabbitmq_stops_the_start(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_URL", url)
    with pytest.raises(ImproperlyConfigured, match=r"a Redis server goes in REDIS_URL"):
        env.broker_url()
    monkeypatch.setenv("BROKER_URL", "amqps://broker/inbox")
    assert env.broker_url() == "amqps://broker/inbox"


@pytest.fixture
def mute() -> Iterator[tuple[int, list[int]]]:
    """A server that takes connections and says nothing; its port, and a list of them."""
    seen: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def take() -> None:
            with contextlib.suppress(OSError):
                while True:
                    held.append(server.accept()[0])
                    seen.append(len(held))

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield server.getsockname()[1], seen
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for one in held:
            one.close()


def test_a_silent_sentinel_is_asked_once(mute: tuple[int, list[int]]) -> None:
    """By default it is asked eleven times before the next one is."""
    port, seen = mute
    url = f"redis+sentinel://127.0.0.1:{port}/0?service=inbox"
    timeouts = {"socket_timeout": 0.05, "socket_connect_timeout": 0.05}
    with pytest.raises(redis.sentinel.MasterNotFoundError):
        redis_servers.client(url, **timeouts, retry=Retry(NoBackoff(), 0)).ping()
    assert len(seen) == 1
    kwargs = redis_servers.celery_broker(url)["broker_transport_options"]["sentinel_kwargs"]
    kwargs = kwargs | timeouts
    manager = redis.sentinel.Sentinel([("127.0.0.1", port)], sentinel_kwargs=kwargs)  # type: ignore[no-untyped-call]
    with pytest.raises(redis.sentinel.MasterNotFoundError):
        manager.discover_master("inbox")  # type: ignore[no-untyped-call]
    assert len(seen) == 2


def test_celery_checks_certificates_unless_told_otherwise() -> None:
    found = redis_servers.celery_broker("rediss://:secret@cache:6380/0?ssl_ca_certs=/ca.pem")
    assert found == {
        "broker_url": "rediss://:secret@cache:6380/0",
        "broker_use_ssl": {
            "ssl_cert_reqs": "required",
            "ssl_check_hostname": True,
            "ssl_ca_certs": "/ca.pem",
        },
    }
    lax = redis_servers.celery_broker("rediss://cache/0?ssl_cert_reqs=none")["broker_use_ssl"]
    assert lax == {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    assert "broker_use_ssl" not in redis_servers.celery_broker("redis://cache/0")


def test_celery_asks_every_sentinel_and_keeps_its_other_options() -> None:
    url = "rediss+sentinel://ann:p%40ss@one,[::1]:26380/2?service=inbox&sentinel_password=other"
    found: dict[str, Any] = broker(url, "")
    assert found["broker_url"] == (
        "sentinel://ann:p%40ss@one:26379/2;sentinel://ann:p%40ss@[::1]:26380/2"
    )
    options = found["broker_transport_options"]
    assert options["master_name"] == "inbox"
    assert options["sentinel_kwargs"]["password"] == "other"
    assert options["sentinel_kwargs"]["ssl"] is True
    assert found["broker_use_ssl"]["ssl_cert_reqs"] == "required"
    assert OF_REDIS.items() <= options.items()


def test_a_broker_of_its_own_takes_the_messages() -> None:
    found = broker("redis://cache/0", "amqps://inbox:secret@mq/inbox")
    assert found["broker_url"] == "amqps://inbox:secret@mq/inbox"
    assert "visibility_timeout" not in found["broker_transport_options"]  # type: ignore[operator]


# --- Real servers --------------------------------------------------------------------------------
def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate of 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis for a test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


def started(folder: Path, name: str, *options: str) -> Redis:
    own = folder / name
    own.mkdir()
    try:
        return Redis(own, free_port(), is_embedded=False, options=options)
    except NotInstalled as missing:
        pytest.skip(str(missing))


def passes_messages(url: str) -> bool:
    """Send one message through Celery's transport, and receive it."""
    found = redis_servers.celery_broker(url)
    with kombu.Connection(
        found["broker_url"],
        ssl=found.get("broker_use_ssl", False),
        transport_options={"max_retries": 1, **found.get("broker_transport_options", {})},
    ) as connection:
        queue = connection.SimpleQueue("test_redis_servers")
        queue.put("a word")
        message = queue.get(timeout=10)
        message.ack()
        queue.close()
        return bool(message.payload == "a word")


@pytest.mark.slow
def test_over_tls_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    port = free_port()
    tls = (f"--tls-port {port} --tls-cert-file {cert} --tls-key-file {key}").split()
    server = started(tmp_path, "server", *tls, "--tls-auth-clients", "no")
    strict, known = (
        f"rediss://127.0.0.1:{port}/0",
        f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={cert}",
    )
    try:
        assert redis_servers.client(known).ping()
        assert passes_messages(known)
        with pytest.raises(redis.ConnectionError):
            redis_servers.client(strict).ping()
        with pytest.raises((kombu.exceptions.OperationalError, ssl.SSLError)):
            passes_messages(strict)
    finally:
        server.kill()


@pytest.fixture
def group(tmp_path: Path) -> Iterator[tuple[str, Redis]]:
    """A master with a copy, two Sentinels that watch them, and the group's URL."""
    master = started(tmp_path, "master", "--requirepass", "secret", "--masterauth", "secret")
    copy = started(
        tmp_path,
        "copy",
        *("--requirepass", "secret", "--masterauth", "secret"),
        *("--replicaof", "127.0.0.1", str(master.port)),
    )
    all_of_them = [master, copy]
    for number in (1, 2):
        own = tmp_path / f"sentinel{number}"
        own.mkdir()
        (own / "sentinel.conf").write_text(
            f"sentinel monitor inbox 127.0.0.1 {master.port} 2\n"
            "sentinel auth-pass inbox secret\n"
            "sentinel down-after-milliseconds inbox 1000\n"
            "sentinel failover-timeout inbox 5000\n"
        )
        all_of_them.append(Redis(own, free_port(), is_embedded=False, is_sentinel=True))
    ports = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in all_of_them[2:])
    url = f"redis+sentinel://:secret@{ports}/0?service=inbox"
    first = all_of_them[2]
    with redis.Redis(port=first.port, decode_responses=True) as sentinel:
        assert is_so(lambda: _knows(sentinel), within_s=60)
    yield url, master
    for server in all_of_them:
        server.kill()


def _knows(sentinel: redis.Redis) -> bool:
    told: Any = sentinel.sentinel_master("inbox")
    return bool(told["num-slaves"] and told["num-other-sentinels"])


def writes(url: str) -> bool:
    try:
        with redis_servers.client(url, socket_timeout=2, socket_connect_timeout=2) as client:
            return bool(client.set("a", "1"))
    except redis.RedisError:
        return False


@pytest.mark.slow
def test_a_group_goes_on_with_its_new_master(group: tuple[str, Redis]) -> None:
    url, master = group
    options = {"pool_class": "core.redis_servers.Pool", "socket_timeout": 2.0}
    cache = RedisOrMemory(url, {"OPTIONS": options})
    assert writes(url)
    assert passes_messages(url)
    cache.set("before", 1)
    assert cache.get("before") == 1
    assert cache.memory.get("before") is None, "it's in Redis"

    master.kill()
    assert is_so(lambda: writes(url), within_s=90), "the copy became the master"
    assert passes_messages(url)
    until = time.monotonic() + 30
    while cache.memory.get("after") is not None or cache.get("after") != 2:
        assert time.monotonic() < until
        cache.memory.delete("after")
        cache.set("after", 2)
        time.sleep(0.5)


@pytest.mark.slow
def test_live_updates_listen_to_a_groups_master(group: tuple[str, Redis]) -> None:
    url, _master = group
    listening = """
import asyncio, sys
from core import redis_servers
async def main():
    client = redis_servers.asynchronous_client(sys.argv[1], socket_connect_timeout=1.0)
    async with client, client.pubsub() as pubsub:
        await pubsub.subscribe("test")
        print("listens", flush=True)
        async for message in pubsub.listen():
            if message["type"] == "message":
                print(message["data"].decode(), flush=True)
                return
asyncio.run(main())
"""
    with subprocess.Popen(
        [sys.executable, "-c", listening, url], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "listens\n"
            with redis_servers.client(url) as client:
                assert is_so(lambda: bool(client.publish("test", "a word")), within_s=10)
            assert process.stdout.readline() == "a word\n"
            assert process.wait(timeout=20) == 0
        finally:
            process.kill()
