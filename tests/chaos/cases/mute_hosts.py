"""T20: replies to hosts that hang, drip or refuse never delay refunds."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from django.contrib.auth.models import User
from django.utils import timezone

from core.server import processes
from inbox.channels import keys
from inbox.conversations import services
from inbox.models import Channel, ChannelKind, Contact, Conversation, DeliveryState, Message
from orders.models import ActionState, Order, OrderAction
from tests.chaos.case import Case, Outcome, Run
from tests.chaos.installation import Installation
from tests.support.servers import hosts
from tests.support.servers.hosts import Host

REPLIES = 300
REFUNDS = 50
POLITE = 20
# One agent after the other presses the button.
EVERY_S = 0.4
NO_LONGER_S = 1.0
POLITE_WITHIN_S = 15.0


@dataclass
class Crew:
    """The workers of `./run serve`, or one pool for everything, and a scheduler."""

    folder: Path
    env: dict[str, str]
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *, is_shared: bool) -> None:
        if is_shared:
            self._start(
                [
                    sys.executable,
                    "-m",
                    "celery",
                    "-A",
                    "tests.chaos.processes.shared_pool",
                    "worker",
                    "--pool",
                    "threads",
                    "--concurrency",
                    "16",
                    "--queues",
                    "actions,messages,sync,default",
                    "--loglevel",
                    "ERROR",
                ]
            )
        else:
            for pool in processes.POOLS:
                self._start(processes.worker_command(pool))
        self._start(processes.scheduler_command(self.folder))

    def _start(self, command: list[str]) -> None:
        with (self.folder / "celery.log").open("ab") as log:
            self.children.append(
                subprocess.Popen(command, env=self.env, stdout=log, stderr=log, cwd=processes.ROOT)
            )

    def stop(self) -> None:
        for child in self.children:
            child.kill()
            child.wait()


@dataclass(frozen=True)
class Waits:
    """Of each refund, how long the agent waited for it, in seconds, longest last."""

    done: list[float]

    @property
    def longest(self) -> float:
        return self.done[-1]

    @property
    def median(self) -> float:
        return self.done[len(self.done) // 2]


def beside_refunds(world: Installation, run: Run) -> Outcome:
    replies, refunds = run.size(REPLIES, least=40), run.size(REFUNDS, least=10)
    with ExitStack() as stack:
        bad = [
            stack.enter_context(Host(talk, pause_s=1.0)) for talk in (hosts.mute, hosts.dripping)
        ]
        mail = stack.enter_context(Host(hosts.mute))
        polite = stack.enter_context(Host(hosts.polite))
        urls = [host.url for host in bad] + [f"http://127.0.0.1:{hosts.refusing_port()}/"]
        channels = [
            Channel.objects.create(name=f"Bad {number}", callback_url=url)
            for number, url in enumerate(urls)
        ] + [Channel.objects.create(name="Mail", kind=ChannelKind.EMAIL)]
        good = Channel.objects.create(name="Good", callback_url=polite.url)
        for channel in [*channels, good]:
            keys.new_key(channel)
        env = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.chaos.loopback",
            "SHOPIFY_ADMIN_ORIGIN": world.shop.origin,
            "EMAIL_URL": f"smtp://127.0.0.1:{mail.port}",
        }
        crew = Crew(world.folder, env)
        stack.callback(crew.stop)
        crew.start(is_shared=bool(run.mutant))
        orders = world.orders(2 * refunds + 2)
        talks = _conversations(channels, replies)
        # Slow to start, and not what is tested.
        _refund(world, orders[:2])
        world.drain(within_s=120, hurry=False)
        alone = _refund(world, orders[2 : 2 + refunds])
        if len(alone.done) < refunds:
            raise RuntimeError("the workers do not work")
        began = timezone.now()
        for talk in talks:
            services.reply(conversation=talk, by=world.alice, text="Hello")
        for talk in _conversations([good], POLITE):
            services.reply(conversation=talk, by=world.alice, text="Hello")
        beside = _refund(world, orders[2 + refunds :])
        longest_polite = _polite(good, world.alice, began)
        asked = sum(host.asked for host in [*bad, mail])
    return _outcome(alone, beside, longest_polite, asked, replies)


def _conversations(channels: list[Channel], count: int) -> list[Conversation]:
    made = []
    for number in range(count):
        channel = channels[number % len(channels)]
        contact = Contact.objects.create(name="Jane")
        contact.identities.create(kind="email", value=f"jane{number}@{channel.pk}.example.com")
        talk = Conversation.objects.create(
            channel=channel, contact=contact, external_id=f"c-{number}"
        )
        made.append(talk)
    return made


def _refund(world: Installation, orders: list[Order]) -> Waits:
    """Ask for a refund of each, one after the other, and wait until all are done."""
    asked: list[int] = []
    next_at = time.monotonic()
    for order in orders:
        time.sleep(max(0.0, next_at - time.monotonic()))
        next_at += EVERY_S
        action = world.refund(order, "7.00")
        if action is None:
            raise RuntimeError("the refund was refused")
        asked.append(action.pk)
    world.drain(within_s=240, hurry=False)
    rows = OrderAction.objects.filter(pk__in=asked, state=ActionState.SUCCEEDED)
    return Waits(sorted(_wait_s(row) for row in rows))


def _wait_s(action: OrderAction) -> float:
    if action.settled_at is None:
        raise RuntimeError("it was not settled")
    return (action.settled_at - action.requested_at).total_seconds()


def _polite(channel: Channel, by: User, began: datetime) -> float:
    """How long the last reply to a host that answers took."""
    until = time.monotonic() + 60
    waiting = Message.objects.filter(channel=channel).exclude(delivery_state=DeliveryState.SENT)
    while waiting.exists() and time.monotonic() < until:
        time.sleep(0.2)
    if waiting.exists():
        return float("inf")
    last = Message.objects.filter(channel=channel).order_by("sent_at").last()
    if last is None or last.sent_at is None:
        return float("inf")
    return (last.sent_at - began).total_seconds()


def _outcome(alone: Waits, beside: Waits, polite: float, asked: int, replies: int) -> Outcome:
    broken = [
        f"a refund took {wait:.1f} s beside the replies, and at most {alone.longest:.1f} s without"
        for wait in beside.done
        if wait > alone.longest + NO_LONGER_S
    ]
    missing = len(alone.done) - len(beside.done)
    broken += ["a refund was not done in four minutes"] * missing
    if polite > POLITE_WITHIN_S:
        broken.append(f"replies to a host that answers took {polite:.0f} s")
    figures: dict[str, int | float | str] = {
        "refunds": len(alone.done),
        "replies to bad hosts": replies,
        "connections they saw": asked,
        "refund alone, median (s)": round(alone.median, 2),
        "longest (s)": round(alone.longest, 2),
        "beside the replies, median (s)": round(beside.median, 2) if beside.done else "none",
        "longest beside (s)": round(beside.longest, 2) if beside.done else "none",
        "last reply to a host that answers (s)": round(polite, 1),
    }
    return Outcome(figures=figures, broken=broken, of=max(1, len(alone.done)))


CASES = [
    Case(
        id="T20",
        title="replies to mute, dripping and refusing hosts beside refunds",
        run=beside_refunds,
        backend="postgresql",
        broker="redis",
        takes_s=150,
        is_timed=True,
        mutants={"own pools": 0.3},
        mutant_scale=1.0,
    ),
]
