"""T4: workers are killed while money moves, at every failpoint and at random moments."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable

from orders.models import ActionState, Order, OrderAction
from tests.chaos.case import Case, Outcome, Run
from tests.chaos.installation import Installation
from tests.chaos.processes.workers import Temper

Ask = Callable[[Installation, random.Random, Order], OrderAction | None]
CREW = 6
KILLS = 1000
# The answers a bad day gives, besides the kills: of every request, so many.
BAD_DAY = (
    {"operation": "refundCreate", "phase": "commit_then_drop", "probability": 0.10},
    {"operation": "refundCreate", "phase": "commit_then_500", "probability": 0.06},
    {"operation": "returnProcess", "phase": "commit_then_drop", "probability": 0.10},
    {"operation": "returnProcess", "phase": "commit_then_500", "probability": 0.06},
    {"operation": "orderCancel", "phase": "commit_then_drop", "probability": 0.10},
    {"operation": "orderCancel", "phase": "commit_then_500", "probability": 0.06},
    {"operation": "*", "phase": "drop_before", "probability": 0.02},
)
LATE = (
    {"operation": "refundCreate", "phase": "commit_late", "probability": 0.03},
    {"operation": "returnProcess", "phase": "commit_late", "probability": 0.03},
)
# Of the orders of a storm, so many are refunded through a return.
RETURNS = 0.3


# Where a worker may die, and the how-manieth time it passes there.
FAILPOINTS = (
    "claimed",
    "claimed:2",
    "read",
    "read:2",
    "read:3",
    "projected",
    "projected:2",
    "begun",
    "begun:2",
    "answered",
    "answered:2",
    "moved",
    "moved:2",
    "moved:3",
)
KINDS = ("refund", "refund through a return", "cancel", "cancel and all", "cancel and a part")


def every_failpoint(world: Installation, run: Run) -> Outcome:
    """One action of each kind dies at each place; a second worker takes it up."""
    temper = Temper(world.shop.origin, mutant=run.mutant)
    places = FAILPOINTS[: run.size(len(FAILPOINTS), least=6)]
    orders = world.orders(len(places) * (len(KINDS) - 1), quantity=20)
    coming_back = world.returned_orders(len(places), rng=run.random)
    accepted, doomed = [], []
    for place in places:
        for kind in KINDS:
            through = kind == "refund through a return"
            action = _ask(world, (coming_back if through else orders).pop(), kind)
            if action is not None:
                accepted.append(action.pk)
                doomed.append(world.workers.doom(action.pk, place, temper))
        for process in doomed[-len(KINDS) :]:
            process.join()
    died = sum(1 for process in doomed if process.exitcode == -signal.SIGKILL)
    world.workers.start(CREW, temper)
    drained = world.drain(within_s=30)
    return Outcome(
        figures={
            "cases": len(accepted),
            "died there": died,
            "drained": "yes" if drained else "no",
        },
        broken=world.check(accepted=accepted, is_drained=not run.mutant),
        of=len(accepted),
    )


def _ask(world: Installation, order: Order, kind: str) -> OrderAction | None:
    if kind == "refund":
        return world.refund(order, "7.00")
    if kind == "refund through a return":
        return world.refund_through(order, 7)
    amounts = {"cancel": None, "cancel and all": "20.00", "cancel and a part": "7.00"}
    return world.cancel(order, amounts[kind])


def refunds_key_valid(world: Installation, run: Run) -> Outcome:
    world.fault(*LATE, *BAD_DAY)
    return _storm(world, run, _ask_refund)


def refunds_key_expired(world: Installation, run: Run) -> Outcome:
    """Only the read protects: the shop forgets every key at once. Late commits and lag last
    seconds, not the day after which a key is really forgotten, so there are none here."""
    world.forget_keys()
    world.shop.conditions(shuffled=True, refunds=("success", "pending_success"), bank_s=0.5)
    world.fault(*BAD_DAY)
    return _storm(world, run, _ask_refund)


def returns(world: Installation, run: Run) -> Outcome:
    """There is no key here at all: what has no answer is read, or left to a person."""
    world.fault(*LATE, *BAD_DAY)
    return _storm(world, run, _ask_refund, through=1.0)


def cancels(world: Installation, run: Run) -> Outcome:
    world.fault(*BAD_DAY)
    return _storm(world, run, _ask_cancel)


def _storm(world: Installation, run: Run, ask: Ask, *, through: float = RETURNS) -> Outcome:
    """`through`: the share of refunds through a return; the rest is what `ask` asks for."""
    rng = run.random
    kills = run.size(KILLS, least=60)
    temper = Temper(world.shop.origin, mutant=run.mutant)
    world.workers.start(CREW, temper)
    orders: list[Order] = []
    coming_back: list[Order] = []
    accepted: list[int] = []
    while world.workers.kills < kills:
        if world.open_actions() < 3 * CREW:
            if rng.random() < through:
                coming_back = coming_back or world.returned_orders(10, rng=rng)
                action = world.refund_through(coming_back.pop(), rng.randint(1, 40))
            else:
                orders = orders or world.orders(20)
                action = ask(world, rng, orders.pop())
            if action is not None:
                accepted.append(action.pk)
        # Somewhere between the claim and the last write, most of the time.
        for _ in range(3):
            time.sleep(rng.uniform(0, 0.02))
            world.workers.kill_one(rng, temper)
    world.fault()
    # A mutant's damage is what it did, not what it left undone.
    drained = world.drain(within_s=10 if run.mutant else 90)
    rows = OrderAction.objects.values_list("state", flat=True)
    requests = [r["operation"] for r in world.shop.ledger()["requests"]]
    return Outcome(
        figures={
            "kills": world.workers.kills,
            "actions": len(accepted),
            "succeeded": list(rows).count(ActionState.SUCCEEDED),
            "refund requests": requests.count("refundCreate"),
            "through a return": through_returns(),
            "return requests": requests.count("returnProcess"),
            "left to people": list(rows).count(ActionState.NEEDS_HUMAN),
            "drained": "yes" if drained else "no",
        },
        broken=world.check(accepted=accepted, is_drained=not run.mutant),
        of=len(accepted),
    )


def through_returns() -> int:
    steps = OrderAction.objects.values_list("steps", flat=True)
    return sum(1 for found in steps if found and found[0]["goal"] == "return")


def _ask_refund(world: Installation, rng: random.Random, order: Order) -> OrderAction | None:
    return world.refund(order, f"{rng.randint(1, 100)}.00")


def _ask_cancel(world: Installation, rng: random.Random, order: Order) -> OrderAction | None:
    amount = rng.choice([None, "100.00", f"{rng.randint(1, 99)}.00"])
    return world.cancel(order, amount)


CASES = [
    *(
        Case(
            id=f"T4a-{backend}",
            title=f"every failpoint × kind, {backend}",
            run=every_failpoint,
            backend=backend,
            is_mean=True,
            mutants={"no key and no read": 0.05} if backend == "sqlite" else {},
            mutant_scale=1.0,
        )
        for backend in ("sqlite", "postgresql")
    ),
    Case(
        id="T4b-valid",
        title="random kills, refunds, key valid",
        run=refunds_key_valid,
        backend="postgresql",
        is_mean=True,
        takes_s=200,
        mutants={"no key and no read": 0.10, "acknowledged early": 0.05},
    ),
    Case(
        id="T4b-expired",
        title="random kills, refunds, key expired",
        run=refunds_key_expired,
        backend="postgresql",
        is_mean=True,
        takes_s=200,
        mutants={"no read": 0.10},
    ),
    Case(
        id="T4b-returns",
        title="random kills, refunds through returns",
        run=returns,
        backend="postgresql",
        is_mean=True,
        takes_s=200,
        mutants={"returns sent again": 0.05},
    ),
    Case(
        id="T4c",
        title="random kills, cancel, cancel + refund, and refunds through returns",
        run=cancels,
        backend="postgresql",
        is_mean=True,
        takes_s=150,
        mutants={"answers trusted": 0.05},
    ),
]
