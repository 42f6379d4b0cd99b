"""T12: SQLite, many writers and killed workers never fail with "locked"."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial

from django.db import OperationalError

from orders.models import OrderAction
from tests.chaos.case import Case, Outcome, Run
from tests.chaos.installation import Installation, in_threads
from tests.chaos.processes.workers import Temper

ACTIONS = 500
KILLS = 100
WRITERS = 8


def writers(world: Installation, run: Run) -> Outcome:
    rng = run.random
    temper = Temper(world.shop.origin)
    if run.mutant:
        _deferred_transactions()
    world.workers.start(3, temper)
    wanted = run.size(ACTIONS, least=80)
    accepted: list[int] = []
    errors: list[str] = []
    kills = run.size(KILLS, least=10)
    while len(accepted) < wanted:
        orders = world.orders(WRITERS)
        asks: list[Callable[[], OrderAction | None]] = [
            partial(world.refund, order, f"{rng.randint(1, 50)}.00") for order in orders
        ]
        for answer in in_threads(asks):
            if isinstance(answer, OrderAction):
                accepted.append(answer.pk)
            elif isinstance(answer, OperationalError):
                errors.append(f"an agent was told: {answer}")
        errors += [f"an agent was refused: {said}" for said in world.lock_waits]
        world.lock_waits.clear()
        if run.mutant and errors:
            break
        due = kills * len(accepted) / wanted - world.workers.kills
        for _ in range(math.ceil(due)):
            time.sleep(rng.uniform(0, 0.02))
            world.workers.kill_one(rng, temper)
    drained = world.drain(within_s=20 if run.mutant else 60)
    return Outcome(
        figures={
            "actions": len(accepted),
            "kills": world.workers.kills,
            "locked": len(errors),
            "drained": "yes" if drained else "no",
        },
        broken=errors + ([] if run.mutant else world.check(accepted=accepted)),
        of=max(len(accepted), WRITERS),
    )


def _deferred_transactions() -> None:
    """SQLite's default: a lock is taken at the first write, and two readers then collide."""
    from django.db import connection

    connection.settings_dict["OPTIONS"]["transaction_mode"] = "DEFERRED"
    connection.close()


CASES = [
    Case(
        id="T12",
        title="SQLite, 8 writers, kills",
        run=writers,
        is_mean=True,
        takes_s=140,
        mutants={"immediate transactions": 0.001},
    )
]
