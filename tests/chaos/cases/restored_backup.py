"""T13: after restoring a backup with open actions, everything is reread and nothing is resent."""

from __future__ import annotations

import os
import subprocess
import time

from django.db import connections

from orders.models import ActionState, OrderAction
from tests.chaos.case import Case, Outcome, Run
from tests.chaos.installation import LAG_S, Installation
from tests.chaos.processes.workers import Temper


def restore(world: Installation, run: Run) -> Outcome:
    temper = Temper(world.shop.origin, mutant=run.mutant)
    rng = run.random
    accepted = []
    for order in world.orders(run.size(50, least=10), quantity=20):
        made = world.refund(order, "7.00") if rng.random() < 0.5 else world.cancel(order, "7.00")
        if made is not None:
            accepted.append(made.pk)
    dump = world.folder / "yesterday.sql"
    _run("pg_dump", "--no-owner", "--file", str(dump), os.environ["DATABASE_URL"])
    world.workers.start(4, Temper(world.shop.origin))
    world.drain()
    sent_before = _sends(world)
    world.workers.stop()
    connections.close_all()
    _run(
        "psql",
        "-q",
        os.environ["DATABASE_URL"],
        "-c",
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public",
    )
    _run("psql", "-q", "-v", "ON_ERROR_STOP=1", os.environ["DATABASE_URL"], "-f", str(dump))
    # A dump is not restored while a replica still lags behind what happened before it.
    time.sleep(LAG_S)
    still_open = OrderAction.objects.filter(state=ActionState.QUEUED).count()
    world.workers.start(4, temper)
    world.drain(within_s=30)
    again = _sends(world) - sent_before
    return Outcome(
        figures={"open in the dump": still_open, "sent again": again},
        broken=[f"sent again after the restore: {again}"] * again
        + world.check(accepted=accepted, is_drained=not run.mutant),
        of=len(accepted),
    )


def _sends(world: Installation) -> int:
    names = {"refundCreate", "orderCancel"}
    return sum(r["operation"] in names for r in world.shop.ledger()["requests"])


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


CASES = [
    Case(
        id="T13",
        title="a dump with open actions is restored",
        run=restore,
        backend="postgresql",
        is_mean=True,
        mutants={"no key and no read": 0.2},
        mutant_scale=0.4,
    )
]
