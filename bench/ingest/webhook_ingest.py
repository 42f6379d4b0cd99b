"""Webhooks stored durably and exactly once, and answered 200: requests per second on PostgreSQL.

Every contender gets the same signed order body of 8.9 KB, each time with a new webhook ID, over
8 and over 32 kept-alive connections. Each runs two processes against the same PostgreSQL with
fsync on. They take turns of a few seconds, five times over (BENCH_ROUNDS), and the medians are
compared, so that a machine that slows down slows them all. After each turn the rows are counted:
what was answered 200 must be there. (A turn ends with one delivery in flight on each connection;
those may be stored without being counted.)

ours                 the product as `./run serve` starts it, production settings, a broker
nothing (floor)      a bare ASGI callable that answers and stores nothing
bare batches         bench/peers/bare.py: signature, one table, one index, committed in batches
express              @shopify/shopify-app-express 8 on Node, one insert per webhook
react-router         @shopify/shopify-app-react-router 3 on Node, one insert per webhook
django-shopify-webhook  0.8, its decorator over a view that creates a row
Django view          a view with the usual middleware that creates a row

Budgets: 3x express, 8x django-shopify-webhook, p99 below 50 ms at 32 connections; the stretch
goal is 0.9x the bare batches. The first run installs the peers into var/bench; one that can't be
installed is left out, and the reason is printed.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections import defaultdict

from bench.harness import sample
from bench.harness.result import Result
from bench.ingest import load, receivers

CONNECTIONS = (8, 32)
SECONDS = float(os.environ.get("BENCH_SECONDS", "2"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))


def run() -> list[Result]:
    """Measure on PostgreSQL; skipped if it isn't installed."""
    from tests.support.servers.postgres_and_redis import NotInstalled

    try:
        with receivers.on_postgresql() as found:
            return compare(found, "webhook_ingest")
    except NotInstalled as error:
        print(f"webhook_ingest: skipped. {error}")
        return []


def compare(found: list[receivers.Receiver], name: str) -> list[Result]:
    """Compare `found[0]`, which is ours, with the others."""
    loads: dict[tuple[str, int], list[load.Load]] = defaultdict(list)
    for turn in range(ROUNDS + 1):
        for connections in CONNECTIONS:
            for receiver in found:
                if done := _turn(receiver, turn, connections):
                    loads[receiver.name, connections].append(done)
    results = []
    for connections in CONNECTIONS:
        rates = {
            r.name: statistics.median(one.rate for one in loads[r.name, connections]) for r in found
        }
        ours = found[0].name
        for receiver in found:
            runs = loads[receiver.name, connections]
            spread = [one.rate for one in runs]
            print(
                f"{receiver.name:24} {connections:>3} connections {rates[receiver.name]:>9.0f}/s"
                f" ({min(spread):.0f} to {max(spread):.0f})"
                f"  p50 {statistics.median(one.p50_ms for one in runs):6.1f} ms"
                f"  p99 {statistics.median(one.p99_ms for one in runs):6.1f} ms"
            )
            if receiver.name != ours:
                results.append(
                    Result(
                        f"{name}, {connections} connections",
                        "req/s",
                        rates[ours],
                        rates[receiver.name],
                        receiver.name,
                        "higher",
                    )
                )
    most = CONNECTIONS[-1]
    p99 = statistics.median(one.p99_ms for one in loads[found[0].name, most])
    results.append(Result(f"{name}, p99 at {most}", "ms", p99, 50, "the budget"))
    return results


def _turn(receiver: receivers.Receiver, turn: int, connections: int) -> load.Load | None:
    """Deliver to one receiver and check its rows; returns None for the warm-up, turn 0.

    Exits if a delivery failed or one answered 200 is missing.
    """
    before = receiver.rows()
    done = load.deliver(
        receiver.url,
        sample.webhook_body(),
        receivers.headers(sample.webhook_body()),
        run=f"{receiver.name.replace(' ', '-')}-{turn}-{connections}",
        connections=connections,
        seconds=SECONDS if turn else 1,
    )
    if done.failed:
        sys.exit(f"{receiver.name}: {done.failed} of its answers were not 200. {receiver.log}")
    if before is not None:
        receiver.settle()
        stored = (receiver.rows() or 0) - before
        lost = done.answers - stored
        if lost > 0 or stored > done.answers + connections:
            sys.exit(f"{receiver.name}: {done.answers} were answered 200, {stored} are stored.")
    return done if turn else None
