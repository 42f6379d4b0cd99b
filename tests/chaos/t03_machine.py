"""T3: random people, faults, clocks and webhooks against one order at a time (Hypothesis)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Sum
from django.utils import timezone
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from orders import services
from orders.errors import ActionRefused, InvalidMoney, ShopUnreachable, StalePreview
from orders.models import ActionState, Order, OrderAction, Policy, Store
from shopify_sync import actions, ingest
from shopify_sync.errors import ShopifyError
from shopify_sync.models import ShopConnection
from shopify_sync.practice_store import actions as shop_actions
from shopify_sync.practice_store.errors import UserError
from tests.chaos import history
from tests.chaos.case import Case, Outcome, Run
from tests.chaos.installation import Installation
from tests.chaos.workers import Temper, prepare
from tests.support.shop import DOMAIN

RUNS, STEPS = 100, 50
LIMIT = 40
FAULTS = (
    "drop_before", "500_before", "throttle", "401", "423", "commit_then_drop", "commit_then_500",
    "truncate", "html200", "null_data",
)  # fmt: skip
amounts = st.integers(1, 100).map(lambda n: f"{n}.00")


class Life(RuleBasedStateMachine):
    """One order of 100.00 and everybody who touches it."""

    world: Installation
    counts: dict[str, int]
    broken: list[str]

    def __init__(self) -> None:
        super().__init__()
        Store.objects.update(is_frozen=False, undo_seconds=0)
        self.world.fault()
        self.order = self.world.orders(1)[0]
        self.counts["runs"] += 1

    def _fresh(self) -> Order:
        return Order.objects.select_related("store").get(pk=self.order.pk)

    def _actions(self) -> Any:
        return OrderAction.objects.filter(order=self.order)

    def _try(self, work: Any, *words: Any, **named: Any) -> None:
        self.counts["steps"] += 1
        try:
            work(*words, **named)
        except (
            ActionRefused,
            StalePreview,
            ShopUnreachable,
            ShopifyError,
            InvalidMoney,
            UserError,
        ):
            self.counts["refused"] += 1

    @rule(amount=amounts)
    def refund(self, amount: str) -> None:
        self._try(self.world.refund, self._fresh(), amount)

    @rule(amount=st.none() | amounts)
    def cancel(self, amount: str | None) -> None:
        self._try(self.world.cancel, self._fresh(), amount)

    @rule()
    def work(self) -> None:
        self.counts["steps"] += 1
        ShopConnection.objects.update(breaker_open_until=None, breaker_count=0)
        self._actions().active().update(next_attempt_at=None)
        for pk in self._actions().active().values_list("pk", flat=True):
            actions.perform(pk)

    @rule(
        phase=st.sampled_from(FAULTS), where=st.sampled_from(("refundCreate", "orderCancel", "*"))
    )
    def bad_answer(self, phase: str, where: str) -> None:
        self.counts["steps"] += 1
        self.world.fault({"operation": where, "phase": phase, "times": 1})
        self.work()
        self.world.fault()

    @rule()
    def withdraw(self) -> None:
        self._on_active(services.withdraw, by=self.world.alice)

    @rule()
    def approve(self) -> None:
        self._on_active(services.approve, by=self.world.sara, guard=lambda _order: None)

    @rule()
    def decline(self) -> None:
        self._on_active(services.decline, by=self.world.sara, note="no")

    @rule()
    def settle_by_hand(self) -> None:
        # The forced read settles what happened; what it leaves open did not happen.
        self._on_active(
            services.settle_by_hand, by=self.world.sara, reason="seen", was_applied=False
        )

    @rule(hours=st.integers(1, 30))
    def time_passes(self, hours: int) -> None:
        self.counts["steps"] += 1
        before = timezone.now() - timedelta(hours=hours)
        rows = self._actions().active()
        rows.filter(step_first_sent_at__isnull=False).update(step_first_sent_at=before)
        rows.filter(state=ActionState.SENDING).update(lease_until=before)
        if hours > 4:
            rows.update(expires_at=before)
            services.expire_approvals(now=timezone.now())

    @rule(amount=st.integers(1, 50))
    def staff_refund_in_shopify(self, amount: int) -> None:
        placed = self.world.shop.store.world.shops[DOMAIN].orders[self.order.legacy_id]
        self._try(self.world.shop.act, lambda c: shop_actions.refund(c, placed, Decimal(amount)))

    @rule()
    def webhook(self) -> None:
        self._try(ingest.refresh, self._fresh())

    def _on_active(self, verb: Any, **words: Any) -> None:
        for pk in self._actions().active().values_list("pk", flat=True):
            self._try(verb, action_id=pk, now=timezone.now(), **words)

    @invariant()
    def money_is_conserved(self) -> None:
        own = self._actions()
        if own.active().count() > 1:
            self.broken.append(f"{self.order}: two active actions")
        held = own.aggregate(sum=Sum("reserved"))["sum"] or 0
        reserved = Order.objects.values_list("reserved", flat=True).get(pk=self.order.pk)
        if held != reserved:
            self.broken.append(f"{self.order}: {reserved} reserved, {held} held")
        self.broken += self._violations(is_drained=False)

    def teardown(self) -> None:
        self.world.fault()
        for _ in range(12):
            self.work()
            self._on_active(services.approve, by=self.world.sara, guard=lambda _order: None)
            self._on_active(
                services.settle_by_hand, by=self.world.sara, reason="seen", was_applied=False
            )
            if not self._actions().active().exists():
                break
        self.broken += self._violations(is_drained=True)
        self.counts["actions"] += self._actions().count()

    def _violations(self, *, is_drained: bool) -> list[str]:
        shop = self.world.shop.store.world.shops[DOMAIN]
        everything = shop.orders
        placed = everything[self.order.legacy_id]
        # The books of this order alone.
        shop.orders = {placed.number_id: placed}
        try:
            ledger = self.world.shop.ledger()
        finally:
            shop.orders = everything
        rows = self._actions().select_related("order")
        return history.violations(history.facts_of(rows), ledger, is_drained=is_drained)


def lives(world: Installation, run: Run) -> Outcome:
    prepare(Temper(world.shop.origin, mutant=run.mutant))
    Policy.objects.create(role=world.alice.groups.get(), refund_up_to=LIMIT)
    Policy.objects.create(role=world.sara.groups.get(), may_approve_up_to=None)
    Life.world, Life.broken = world, []
    Life.counts = {"runs": 0, "steps": 0, "actions": 0, "refused": 0}
    machine = seed(run.seed)(Life)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=run.size(RUNS, least=10),
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    return Outcome(figures=dict(Life.counts), broken=Life.broken, of=Life.counts["actions"])


CASES = [
    Case(
        id="T3", title="random lives of an order", run=lives,
        mutants={"no key and no read": 0.02}, mutant_scale=0.1, takes_s=150,
    )
]  # fmt: skip
