"""Whether the settings, the disk, Redis, the workers and email are as they should be."""

from __future__ import annotations

import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import redis
from celery import current_app
from django.conf import settings
from django.core import checks, mail
from kombu.exceptions import OperationalError

from core import redis_servers
from core.operations.findings import Finding, ok, problem, warning
from core.server.processes import POOLS

_NET_TIMEOUT_S: Final = 3.0
_GIB: Final = 2**30
# What stands still without a pool's workers.
_POOL_DOES: Final = {
    "money": "cancellations and refunds wait",
    "messages": "replies and campaigns wait",
    "reading": "orders aren't read, and nothing else is done in the background",
}
# The scheduler writes its file every three minutes.
_SCHEDULER_SILENT_S: Final = 15 * 60


def look_at_settings() -> Iterator[Finding]:
    """Run the checks that must pass before `./run serve` starts anything."""
    found = _messages(include_deployment_checks=True)
    for message in found:
        yield problem("Settings", message.msg, message.hint or "./run serve won't start like this.")
    if not found:
        yield ok("Settings", "They pass every check for a deployment.")


def look_at_rules() -> Iterator[Finding]:
    """Run the checks that read the database: policies, and rights that our role shouldn't have."""
    for message in _messages(tags=[checks.Tags.database], databases=["default"]):
        yield warning("Rules", message.msg, message.hint or "")


def _messages(**which: Any) -> list[checks.CheckMessage]:
    return [
        message
        for message in checks.run_checks(**which)
        if message.level >= checks.WARNING and not message.is_silenced()
    ]


def look_at_disk() -> Finding:
    """Look at the disk of VAR_DIR, where logs and files are written."""
    folder = Path(settings.VAR_DIR)
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return problem(
            "Disk",
            f"VAR_DIR ({folder}) isn't a folder that this user may write to.",
            "Create it, or run this as the servers' user.",
        )
    usage = shutil.disk_usage(folder)
    text = f"{usage.free / _GIB:.1f} GiB of {usage.total / _GIB:.1f} GiB are free at {folder}."
    share = usage.free / usage.total
    if share < 0.05:
        return problem("Disk", text, "Make room: soon nothing can be written.")
    if share < 0.15:
        return warning("Disk", text, "Make room before it's full.")
    return ok("Disk", text)


def look_at_redis() -> Finding:
    """Connect to the broker, and see whether it may delete messages when its memory is full."""
    if not settings.REDIS_URL:
        return problem("Redis", "REDIS_URL is empty.", "Set it: workers get their work from there.")
    try:
        # Its text could name parts of the URL, so only the kind of error is said.
        broker = redis_servers.client(
            settings.REDIS_URL,
            socket_timeout=_NET_TIMEOUT_S,
            socket_connect_timeout=_NET_TIMEOUT_S,
        )
        with broker:
            memory = broker.info("memory")
    except (redis.RedisError, ValueError, OSError) as error:
        return problem(
            "Redis",
            f"It can't be used ({type(error).__name__}). Clicks still count, but everything is late.",
            "Check that Redis runs and accepts this host, and that REDIS_URL is right.",
        )
    if settings.BROKER_URL:
        return ok("Redis", "It answers. It isn't the broker.")
    policy = str(memory.get("maxmemory_policy", ""))
    if memory.get("maxmemory") and policy.startswith("allkeys"):
        return problem(
            "Redis",
            f"With maxmemory-policy {policy} it deletes queued messages when its memory is full.",
            "Set maxmemory-policy to noeviction.",
        )
    return ok("Redis", "It answers and doesn't delete queued messages.")


def look_at_broker() -> Iterator[Finding]:
    """Connect to the broker, if it isn't Redis."""
    if not settings.BROKER_URL:
        return
    try:
        with current_app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=int(_NET_TIMEOUT_S))
    except (OperationalError, OSError, ValueError) as error:
        yield problem(
            "Broker",
            f"It can't be used ({type(error).__name__}). Clicks still count, but everything is late.",
            "Check that it runs and accepts this host, and that BROKER_URL is right.",
        )
    else:
        yield ok("Broker", "It answers.")


def look_at_workers() -> Iterator[Finding]:
    """Ask the workers through the broker which queues they serve. Expects that it answers."""
    answered = current_app.control.inspect(timeout=_NET_TIMEOUT_S).active_queues() or {}
    served = {queue["name"] for queues in answered.values() for queue in queues}
    for pool, (queues, _threads) in POOLS.items():
        if set(queues.split(",")) <= served:
            yield ok("Workers", f"The pool {pool} answers.")
        else:
            yield problem(
                "Workers",
                f"No worker of the pool {pool} answers: {_POOL_DOES[pool]}.",
                f"Start ./run serve, or ./run worker {pool}, and read its log.",
            )


def look_at_scheduler() -> Iterator[Finding]:
    """Look at the file that the scheduler keeps in VAR_DIR, if it runs on this machine."""
    files = list(Path(settings.VAR_DIR).glob("schedule*"))
    if not files:
        return
    silent_s = time.time() - max(file.stat().st_mtime for file in files)
    if silent_s > _SCHEDULER_SILENT_S:
        yield problem(
            "Scheduler",
            f"It has written nothing in VAR_DIR for {silent_s / 60:.0f} minutes.",
            "Start ./run serve or ./run scheduler. If it runs on another machine now, delete "
            "VAR_DIR/schedule here.",
        )
    else:
        yield ok("Scheduler", "It runs on this machine.")


def look_at_email(*, online: bool) -> Finding:
    """Look at how email leaves; `online` also connects to the server and logs in."""
    if not settings.EMAIL_BACKEND.startswith("inbox."):
        return warning(
            "Email",
            "No email leaves: EMAIL_URL doesn't name an SMTP server.",
            "Set EMAIL_URL, for example smtp+tls://user:password@host:587.",
        )
    if "@localhost" in settings.DEFAULT_FROM_EMAIL:
        return warning(
            "Email",
            "Emails come from an address at localhost, so receivers refuse them.",
            "Set DEFAULT_FROM_EMAIL to an address of yours.",
        )
    if settings.EMAIL_HOST_PASSWORD and not (settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL):
        return warning(
            "Email",
            "The password is sent to the mail server without encryption.",
            "Use smtp+tls:// or smtps:// in EMAIL_URL.",
        )
    if online:
        try:
            with mail.get_connection():
                pass
        except OSError as error:
            # Of SMTP's errors, too; a server's words may repeat what it was told.
            return problem(
                "Email",
                f"The mail server doesn't let us in ({type(error).__name__}).",
                "Check EMAIL_URL, and that this host may connect to the mail server.",
            )
    return ok("Email", f"It leaves through {settings.EMAIL_HOST}.")


def look_at_address() -> Finding:
    """Ask for this server at PUBLIC_URL, as Shopify does. Uses the network."""
    url = f"{settings.PUBLIC_URL}/livez"
    try:
        with urllib.request.urlopen(url, timeout=_NET_TIMEOUT_S) as answer:  # noqa: S310  https, checked
            if answer.read(3) == b"ok":
                return ok("Address", f"{settings.PUBLIC_URL} answers.")
            reason = "something else answers there"
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = str(getattr(error, "reason", error))
    return problem(
        "Address",
        f"{settings.PUBLIC_URL} doesn't answer as this product does: {reason}.",
        "Check the proxy, its certificate and DNS: Shopify's webhooks arrive there.",
    )
