"""T6: every kind of response to every mutation leads to the right state, text and buttons."""

from __future__ import annotations

import random
import time
from typing import Any, Final

from orders import panels, perform, previews
from orders.models import ActionState, Order, OrderAction
from practice_store.changes import staff_actions as shop_actions
from shopify_sync.api import client as shopify_client
from shopify_sync.models import ShopConnection
from tests.chaos.case import Case, Outcome, Run
from tests.chaos.installation import Installation
from tests.chaos.processes.proxy import Line, Proxy
from tests.chaos.processes.workers import Temper, prepare
from tests.support.servers.postgres_and_redis import free_port
from tests.support.shop.in_process import DOMAIN

MUTATIONS = ("refundCreate", "returnProcess", "orderCancel", "fulfillmentCancel")
# The answer → where the action is then, when it was the first try.
ANSWERS = {
    "drop_before": ActionState.UNKNOWN,
    "500_before": ActionState.UNKNOWN,
    "throttle": ActionState.QUEUED,
    "429": ActionState.QUEUED,
    "430": ActionState.QUEUED,
    "401": ActionState.BLOCKED,
    "402": ActionState.BLOCKED,
    "403": ActionState.BLOCKED,
    "423": ActionState.BLOCKED,
    "commit_then_drop": ActionState.UNKNOWN,
    "commit_then_500": ActionState.UNKNOWN,
    "commit_late": ActionState.UNKNOWN,
    "truncate": ActionState.UNKNOWN,
    "html200": ActionState.UNKNOWN,
    "malformed_json": ActionState.UNKNOWN,
    "null_data": ActionState.UNKNOWN,
    # Nothing that proves that nothing happened.
    "400": ActionState.UNKNOWN,
    "404": ActionState.UNKNOWN,
    "408": ActionState.UNKNOWN,
    "409": ActionState.UNKNOWN,
    "422": ActionState.UNKNOWN,
    "commit_then_400": ActionState.UNKNOWN,
    "commit_then_404": ActionState.UNKNOWN,
    "commit_then_408": ActionState.UNKNOWN,
    "commit_then_409": ActionState.UNKNOWN,
    "commit_then_422": ActionState.UNKNOWN,
    "error_before": ActionState.UNKNOWN,
    "error_after": ActionState.UNKNOWN,
    "null_payload_before": ActionState.UNKNOWN,
    "null_payload": ActionState.UNKNOWN,
    "no_user_errors_before": ActionState.UNKNOWN,
    "no_user_errors": ActionState.UNKNOWN,
}
WIRES = {
    "refused": (None, ActionState.QUEUED),
    "cut in the request": (Line(cut_at=b"input"), ActionState.UNKNOWN),
    "cut before the answer": (Line(cut_after=0), ActionState.UNKNOWN),
    "cut in the answer": (Line(cut_after=200), ActionState.UNKNOWN),
}


def matrix(world: Installation, run: Run) -> Outcome:
    prepare(Temper(world.shop.origin, mutant=run.mutant))
    broken: list[str] = []
    accepted = []
    for mutation in MUTATIONS:
        for answer, expected in ANSWERS.items():
            for is_second in (False, True):
                action = _ask(world, mutation)
                if action is None:
                    broken.append(f"{mutation}: could not be asked for")
                    continue
                accepted.append(action.pk)
                if is_second:
                    _perform_with(world, action, mutation, "drop_before")
                _perform_with(world, action, mutation, answer)
                # After a doubtful send nothing but a read decides, whatever the answer.
                wanted = ActionState.UNKNOWN if is_second else expected
                broken += _compare(f"{mutation} {answer} {is_second}", action, wanted)
    world.be_mean(run.seed)
    _drain(world)
    return Outcome(
        figures={"cases": len(accepted)},
        broken=(broken if not run.mutant else []) + world.check(accepted=accepted),
        of=len(accepted),
    )


def wires(world: Installation, run: Run) -> Outcome:
    """The same with the line itself: refused, cut in the request, cut in the answer."""
    host, _, port = world.shop.origin.removeprefix("http://").partition(":")
    proxy = Proxy((host, int(port)))
    prepare(Temper(world.shop.origin))
    broken, accepted = [], []
    tries = [
        (mutation, name, *wire)
        for mutation in ("refundCreate", "returnProcess")
        for name, wire in WIRES.items()
    ]
    for mutation, name, line, wanted in tries:
        for _ in range(run.size(8, least=2)):
            action = _ask(world, mutation)
            if action is None:
                continue
            accepted.append(action.pk)
            _only_the_send_goes_through(proxy, line)
            _reset_breaker()
            perform.perform(action.pk)
            _everything_direct()
            broken += _compare(f"{mutation} {name}", action, wanted)
    proxy.close()
    _drain(world)
    return Outcome(
        figures={"cases": len(accepted), "cuts": proxy.cuts},
        broken=broken + world.check(accepted=accepted),
        of=len(accepted),
    )


def _ask(world: Installation, mutation: str) -> OrderAction | None:
    if mutation == "returnProcess":
        return world.refund_through(world.returned_orders(1, rng=random.Random(1))[0], 7)
    order = world.orders(1, quantity=20)[0]
    if mutation == "refundCreate":
        return world.refund(order, "7.00")
    if mutation == "orderCancel":
        return world.cancel(order, "20.00")
    _ship(world, order)
    choice = previews.CancelChoice(reason="CUSTOMER", cancel_shipments=True)
    return world.act(order, choice)


def _ship(world: Installation, order: Order) -> None:
    placed = world.shop.store.world.shops[DOMAIN].orders[order.legacy_id]
    world.shop.act(lambda context: shop_actions.ship(context, placed))


def _perform_with(world: Installation, action: OrderAction, mutation: str, answer: str) -> None:
    world.fault({"operation": mutation, "phase": answer, "times": 1})
    OrderAction.objects.active().filter(pk=action.pk).update(next_attempt_at=None)
    _reset_breaker()
    perform.perform(action.pk)
    world.fault()


def _reset_breaker() -> None:
    ShopConnection.objects.update(breaker_count=0, breaker_since=None, breaker_open_until=None)


def _compare(name: str, action: OrderAction, wanted: ActionState) -> list[str]:
    action.refresh_from_db()
    if action.state != wanted:
        return [f"{name}: {action.state} instead of {wanted}"]
    notice = panels.action_notice(action)
    doubt = wanted == ActionState.UNKNOWN
    broken = []
    if notice.can_withdraw == doubt:
        broken.append(f"{name}: withdrawing is {'offered' if doubt else 'not offered'}")
    if notice.can_check != doubt:
        broken.append(f"{name}: no button to look")
    if doubt and "Don’t repeat this" not in notice.text and not action.message:
        broken.append(f"{name}: no word of warning")
    return broken


def _drain(world: Installation) -> None:
    until = time.monotonic() + 300
    while world.open_actions() and time.monotonic() < until:
        OrderAction.objects.active().update(next_attempt_at=None)
        for pk in list(OrderAction.objects.active().values_list("pk", flat=True)):
            _reset_breaker()
            perform.perform(pk)
        time.sleep(0.1)


_client: Any = shopify_client.AdminClient
_way: Final = "send" if hasattr(_client, "send") else "execute"
_real: Any = getattr(_client, _way)


def _only_the_send_goes_through(proxy: Proxy, line: Line | None) -> None:
    """Reads go straight; the mutation meets the wire's fault. None: a closed port."""

    def send(self: Any, *words: Any) -> Any:
        if _way == "execute" and words[0] not in {"RefundCreate", "ReturnProcess"}:
            return _real(self, *words)
        proxy.line = Line(**vars(line)) if line else Line()
        port = proxy.port if line else free_port()
        direct, self._url = self._url, _through(self._url, port)
        try:
            return _real(self, *words)
        finally:
            self._url = direct
            proxy.line = Line()

    setattr(_client, _way, send)


def _through(url: str, port: int) -> str:
    path = url.split("/", 3)[3]
    return f"http://127.0.0.1:{port}/{path}"


def _everything_direct() -> None:
    setattr(_client, _way, _real)


CASES = [
    Case(
        id="T6",
        title=f"{len(ANSWERS)} answers × {len(MUTATIONS)} mutations × first and second try",
        run=matrix,
        mutants={"answers trusted": 0.05},
        mutant_scale=1.0,
    ),
    Case(id="T6-wire", title="the line refused and cut", run=wires),
]
