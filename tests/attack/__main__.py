"""`python -m tests.attack --seconds 60`: is anyone hurt by six attackers?

Starts the web server as in production, on a PostgreSQL and a Redis of its own and on this machine
only; measures 20 agents and 50 webhooks a second without and then with the attack; prints the
workers lost, the honest requests that failed, and the 99th percentiles. Exits with 1 if a worker or
a request was lost, or if the attack tripled a percentile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.attack import target
from tests.support.servers.postgres_and_redis import NotInstalled


@dataclass(frozen=True)
class Report:
    """The outcome of a run; times in milliseconds."""

    workers_lost: int
    asked: int
    failed: dict[str, int]
    p99_calm_ms: dict[str, float]
    p99_attacked_ms: dict[str, float]
    hostile: dict[str, int]

    @property
    def slower(self) -> float:
        """How many times slower the slowest of a hundred is under attack, for the worse kind."""
        return max(self.p99_attacked_ms[kind] / self.p99_calm_ms[kind] for kind in self.p99_calm_ms)

    @property
    def server_errors(self) -> int:
        """How many hostile requests met a 5xx, apart from 503: come back later."""
        return sum(n for status, n in self.hostile.items() if status[0] == "5" and status != "503")

    def is_good(self, times_slower: float) -> bool:
        """Whether no honest client was hurt, and no hostile request broke anything."""
        hurt = self.workers_lost or self.failed or self.server_errors
        return not hurt and self.slower < times_slower


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each of the two phases")
    parser.add_argument(
        "--rounds", type=int, default=3, help="takes turns, so that a busy machine hurts both alike"
    )
    parser.add_argument("--agents", type=int, default=20)
    parser.add_argument("--webhooks", type=float, default=50.0, help="per second")
    parser.add_argument("--rate", type=float, default=20.0, help="per second and attacker, at most")
    parser.add_argument("--times-slower", type=float, default=3.0, help="the p99 must stay below")
    options = parser.parse_args()
    try:
        report = run(options)
    except NotInstalled as error:
        print(error)
        return 2
    print(f"workers lost           {report.workers_lost}")
    print(
        f"honest requests failed {sum(report.failed.values())} of {report.asked} {report.failed or ''}"
    )
    for kind, calm in report.p99_calm_ms.items():
        print(f"p99 of a {kind:8} {calm:9.1f} ms, attacked {report.p99_attacked_ms[kind]:.1f} ms")
    print(f"slower                 {report.slower:.2f} times")
    print(f"hostile requests       {sum(report.hostile.values())} {report.hostile}")
    return 0 if report.is_good(options.times_slower) else 1


def run(options: argparse.Namespace) -> Report:
    """Run both phases. Raises NotInstalled."""
    with tempfile.TemporaryDirectory(prefix="attack-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        env, postgres, redis = target.environment(folder)
        try:
            os.environ.update(env)
            return _measure(folder, env, options)
        finally:
            redis.kill()
            postgres.stop()


def _measure(folder: Path, env: dict[str, str], options: argparse.Namespace) -> Report:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    from tests.attack.honest import Honest

    call_command("migrate", verbosity=0)
    people = target.people(options.agents, conversations=30)
    connections.close_all()
    with target.serving(env, folder / "web.log") as server:

        def honest(seconds: float) -> Honest:
            return Honest(
                server.port,
                people.cookies,
                people.pages,
                target.SHOP,
                target.SECRET,
                seconds,
                options.webhooks,
            )

        asyncio.run(honest(min(5.0, options.seconds)).work())  # warm caches and connections
        seconds = options.seconds / options.rounds
        calm, attacked = honest(seconds), honest(seconds)
        hostile: Counter[str] = Counter()
        for _ in range(options.rounds):
            asyncio.run(calm.work())
            words = [str(server.port), str(seconds), str(options.rate), people.key]
            attackers = subprocess.Popen(
                [sys.executable, "-m", "tests.attack.attackers", *words], stdout=subprocess.PIPE
            )
            asyncio.run(attacked.work())
            said, _errors = attackers.communicate(timeout=60)
            hostile.update(json.loads(said))
        lost = server.lost()
    return Report(
        workers_lost=lost,
        asked=sum(len(found) for phase in (calm, attacked) for found in phase.times_s.values()),
        failed={
            f"{what}, {phase}": count
            for phase, found in (("calm", calm), ("attacked", attacked))
            for what, count in found.failed.items()
        },
        p99_calm_ms={kind: calm.p99_ms(kind) for kind in calm.times_s},
        p99_attacked_ms={kind: attacked.p99_ms(kind) for kind in attacked.times_s},
        hostile=dict(hostile),
    )


if __name__ == "__main__":
    sys.exit(main())
