"""T3: random order histories: agents, faults, clocks, webhooks, and changes between the click
and the send.

All of it happens in this process and by a clock that is moved: production's own leases, back-offs
and deadlines count, in hours that take milliseconds. Each life has its own dice, thrown from the
run's seed and its number, and does at each step something that makes sense just then.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.contrib.auth.models import User
from django.db.models import Sum
from django.utils import timezone

from orders import previews, services
from orders.errors import ActionRefused, InvalidMoney, ShopUnreachable, StalePreview
from orders.models import (
    CancelRule,
    Order,
    OrderAction,
    Policy,
    RefundMethod,
    Store,
)
from orders.money import Money
from practice_store.changes import staff_actions as shop_actions
from practice_store.context import Context
from practice_store.derived import order_sums as shop_money
from practice_store.errors import UserError
from practice_store.faults.lasting import Conditions
from practice_store.sales import lifecycle
from practice_store.state import Order as ShopOrder
from practice_store.state import Shop as ShopState
from practice_store.store import SCOPES
from shopify_sync.api.errors import ShopifyError
from shopify_sync.reading import orders
from tests.chaos import mutants
from tests.chaos.case import Case, Outcome, Run
from tests.chaos.clock import Clock
from tests.chaos.installation import Installation
from tests.chaos.judging import history
from tests.support.shop.in_process import DOMAIN
from tests.support.shop.queues import sweep_actions

LIVES, STEPS = 150, 25
LIMIT = 40
LAG_S: Final = 60.0
# Seconds after which a waiting action has expired: 24 hours and a moment.
DAY: Final = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, *(7200,) * 10, 7900)
FAULTS: Final = (
    {"phase": "drop_before"},
    {"phase": "500_before"},
    {"phase": "throttle"},
    {"phase": "401"},
    {"phase": "402"},
    {"phase": "423"},
    {"phase": "430"},
    {"phase": "400"},
    {"phase": "404"},
    {"phase": "408"},
    {"phase": "409"},
    {"phase": "422"},
    {"phase": "commit_then_drop"},
    {"phase": "commit_then_500"},
    {"phase": "commit_then_400"},
    {"phase": "commit_then_404"},
    {"phase": "commit_then_408"},
    {"phase": "commit_then_409"},
    {"phase": "commit_then_422"},
    {"phase": "truncate"},
    {"phase": "html200"},
    {"phase": "malformed_json"},
    {"phase": "null_data"},
    {"phase": "null_payload"},
    {"phase": "null_payload_before"},
    {"phase": "no_user_errors"},
    {"phase": "no_user_errors_before"},
    {"phase": "user_errors_and_result"},
    {"phase": "error_before"},
    {"phase": "error_after"},
    {"phase": "error_before", "codes": ["SERVICE_UNAVAILABLE"], "with_null": True},
    {"phase": "error_after", "codes": ["SERVICE_UNAVAILABLE"], "with_null": True},
    {"phase": "error_after", "codes": ["ACCESS_DENIED", "TIMEOUT"]},
    {"phase": "error_after", "codes": ["INTERNAL_SERVER_ERROR"]},
    {"phase": "commit_late", "late_s": 3},
    {"phase": "commit_late", "late_s": 90},
)
CHANGES: Final = (
    "staff refund",
    "customer pays the rest",
    "staff cancel",
    "delivered",
    "dispute opens",
    "another customer",
    "policy: low limit",
    "policy: low maximum",
    "policy: no cancel",
    "policy: cancel asks",
    "requester leaves",
    "frozen",
    "switched off",
    "no store credit",
    "scope lost",
    "60 days old",
)
MUTATIONS: Final = {
    "orderCancel": "cancel_order",
    "refundCreate": "refund",
    "fulfillmentCancel": "cancel_shipment",
}
# Answers that prove that a request did nothing: the next is like a first one.
_UNDONE: Final = frozenset({"throttle", "401", "402", "403", "423", "429", "430"})
PAYMENTS: Final = (("100.00",), ("60.00",), ("70.00", "30.00"))
CONDITIONS: Final = ("calm", "lag", "lag", "apart", "bank", "all", "all")
METHODS: Final = ("original", "original", "original", "store_credit")
PAUSES: Final = (0, 1, 3, 10, 40, 150, 700, 4000)
TARGETS: Final = ("refundCreate", "orderCancel", "both", "both", "*")
_REFUSALS: Final = (
    ActionRefused,
    StalePreview,
    ShopUnreachable,
    ShopifyError,
    InvalidMoney,
    UserError,
)


class Life:
    """One order of 100.00 and everybody who touches it."""

    world: Installation
    clock: Clock
    counts: Counter[str]
    broken: list[str]

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.counts["lives"] += 1
        self._said: set[str] = set()
        self._steps: list[str] = []
        # When the shop's side last changed in a way that a replica may still hide.
        self._since: dict[str, datetime] = {}
        self._sent: Counter[tuple[int, str]] = Counter()
        self._customers: dict[int, int | None] = {}
        self._put_right()
        self.world.fault()

    def live(self) -> None:
        self.begin()
        self.ask()
        for _ in range(STEPS):
            self._step()
            self._judge_now()
        self.end()

    def _step(self) -> None:
        """One of the things that may happen now, the likelier ones more often."""
        state = self._actions().active().values_list("state", flat=True).first()
        likely: dict[Callable[[], None], int] = {self.webhook: 1, self.world_is_put_right: 2}
        if state is None:
            likely |= {self.another_order: 8} if self._is_over else {self.ask: 8}
        else:
            likely |= {
                self.work: 6,
                self.bad_answer: 7,
                self.world_changes: 7,
                self.nothing_is_read: 1,
                self.time_passes: 1,
                self.withdraw: 1,
            }
        if state == "awaiting_approval":
            likely |= {self.approve: 12, self.decline: 1}
        if state == "needs_human":
            likely |= {self.settle_by_hand: 12}
        [what] = self.dice.choices(list(likely), list(likely.values()))
        what()

    def another_order(self) -> None:
        self.end()
        self._put_right()
        self.begin()
        self.ask()

    def see_canceled_then_not(self, times: int) -> None:
        self._cancel("10.00", "original")
        self._sweep()
        self.clock.advance(3)
        self.webhook()
        self.world.fault({"operation": "order", "phase": "stale_read", "lag": 1, "times": times})
        for _ in range(times):
            self._note("work, and the read is of before")
            self._hurry()
            self._sweep()
            self._judge_now()
        self.world.fault()

    def begin(self, conditions: str = "") -> None:
        payments, conditions = (
            self.dice.choice(PAYMENTS),
            conditions or self.dice.choice(CONDITIONS),
        )
        self._said, self._since = set(), {}
        self.world.shop.store.set_conditions(Conditions())
        order = self.world.orders(1, paid=False)[0]
        placed = self._state.orders[order.legacy_id]
        for number, amount in enumerate(payments):
            gateway = ("shopify_payments", "gift_card")[number]
            self._shop(shop_actions.pay, placed, Decimal(amount), gateway)
        self.order = order
        orders.refresh(order)
        self.world.shop.store.catch_up(DOMAIN)
        self.world.shop.store.set_conditions(self._conditions(conditions))
        self._steps = [f"paid {payments}, {conditions}"]
        self.counts["orders"] += 1

    def _conditions(self, name: str) -> Conditions:
        lag: dict[str, Any] = {"lagging_reads": 0.6, "lag": 5, "lag_s": LAG_S, "shuffled": True}
        apart: dict[str, Any] = {
            "cancels": (
                "together",
                "job_open",
                "job_done",
                "no_refund",
                "no_refund_failed",
                "failed",
            ),
            "refund_after_s": 30.0,
            "jobs_kept_s": 3600.0,
        }
        bank: dict[str, Any] = {
            "refunds": (
                "success",
                "success",
                "pending_success",
                "pending_failure",
                "failure",
                "half_failure",
            ),
            "bank_s": 3600.0,
        }
        chosen: dict[str, dict[str, Any]] = {
            "calm": {},
            "lag": lag,
            "apart": lag | apart,
            "bank": bank | {"shuffled": True},
            "all": lag | apart | bank,
        }
        return Conditions(seed=self.dice.randrange(2**31), **chosen[name])

    # What there is.

    @property
    def _state(self) -> ShopState:
        return self.world.shop.store.world.shops[DOMAIN]

    @property
    def _placed(self) -> ShopOrder:
        return self._state.orders[self.order.legacy_id]

    @property
    def _left(self) -> Decimal:
        return shop_money.net(self._placed)

    @property
    def _has_active(self) -> bool:
        return bool(self._actions().active().exists())

    @property
    def _is_over(self) -> bool:
        """Nothing more can be asked for."""
        return self._placed.cancelled_at is not None or self._left <= 0

    def _fresh(self) -> Order:
        return Order.objects.select_related("store").get(pk=self.order.pk)

    def _actions(self) -> Any:
        return OrderAction.objects.filter(order=self.order)

    def _facts(self) -> list[history.ActionFact]:
        return history.facts_of(self._actions().select_related("order"))

    def _note(self, *words: Any) -> None:
        self.counts["steps"] += 1
        self._steps.append(" ".join(str(word) for word in words))

    def _try(self, work: Any, *words: Any, **named: Any) -> Any:
        try:
            return work(*words, **named)
        except _REFUSALS:
            self.counts["refused"] += 1
        except Exception as error:  # noqa: BLE001  no agent may see a traceback
            name = getattr(work, "__name__", "something")
            self._blame([f"{name} died: {type(error).__name__}: {error}"])
        return None

    def _shop(self, work: Any, *words: Any) -> None:
        """Something happens at the shop."""
        self._try(self.world.shop.act, lambda context: work(context, *words))

    def _is_known(self, what: str) -> bool:
        """It changed, and so long ago that every read shows it."""
        since = self._since.get(what)
        return since is not None and timezone.now() - since > timedelta(seconds=LAG_S)

    # People.

    def ask(self) -> None:
        left, part = str(self._left), f"{self.dice.randint(1, 60)}.00"
        method = self.dice.choice(METHODS)
        if self.dice.random() < 0.5:
            self._refund(part, method)
        else:
            self._cancel(self.dice.choice((None, left, part, part)), method)

    def _refund(self, amount: str, method: str) -> None:
        self._note("refund", amount, method)
        choice = previews.RefundChoice(
            reason="other",
            amount=Money(Decimal(amount), "EUR"),
            method=RefundMethod(method),
            returned="not_needed",
        )
        self._ask(choice)

    def _cancel(self, amount: str | None, method: str) -> None:
        self._note("cancel", amount, method)
        money = Money(Decimal(amount), "EUR") if amount else None
        self._ask(
            previews.CancelChoice(reason="CUSTOMER", amount=money, method=RefundMethod(method))
        )

    def _ask(self, choice: previews.Choice) -> None:
        made = self._try(self.world.act, self._fresh(), choice)
        if made is not None:
            self._customers[made.pk] = self._placed.customer_number

    def withdraw(self) -> None:
        self._note("withdraw")
        self._on_active(services.withdraw, by=self.world.alice)

    def approve(self) -> None:
        self._note("approve")
        self._on_active(services.approve, by=self.world.sara, guard=lambda _order: None)

    def decline(self) -> None:
        self._note("decline")
        self._on_active(services.decline, by=self.world.sara, note="no")

    def settle_by_hand(self) -> None:
        """By a supervisor who checked the shop and saw that nothing more will happen."""
        self._note("settle by hand")
        if self.world.shop.store.is_idle():
            self._settle_truly()

    def _settle_truly(self) -> None:
        books = history.Books(self._facts(), self._ledger())
        for fact in self._facts():
            happened = books.happened(fact)
            is_all = happened.is_all_of(fact)
            if fact.state != "needs_human" or (happened.anything and not is_all):
                continue
            self._try(
                services.settle_by_hand,
                action_id=fact.id,
                by=self.world.sara,
                reason="seen",
                was_applied=is_all,
                now=timezone.now(),
            )

    def _on_active(self, verb: Any, **words: Any) -> None:
        for pk in self._actions().active().values_list("pk", flat=True):
            self._try(verb, action_id=pk, now=timezone.now(), **words)

    # Work, time and answers.

    def work(self) -> None:
        pause = self.dice.choice(PAUSES)
        self._note("work after", pause)
        self.clock.advance(pause)
        self._sweep()

    def bad_answer(self) -> None:
        fault, times = self.dice.choice(FAULTS), self.dice.randint(1, 2)
        where = self.dice.choice(TARGETS)
        self._note("bad answer", fault, "to", where, times)
        names = ("refundCreate", "orderCancel") if where == "both" else (where,)
        self.world.fault(*(fault | {"operation": name, "times": times} for name in names))
        self._hurry()
        self._sweep()
        self.world.fault()
        # Shopify tells what it did, whatever it answered.
        if self.dice.random() < 0.5:
            self.clock.advance(1)
            self.webhook()

    def nothing_is_read(self) -> None:
        times = self.dice.randint(1, 3)
        self._note("null order", times)
        self.world.fault({"operation": "order", "phase": "null_order", "times": times})
        self._hurry()
        self._sweep()
        self.world.fault()

    def time_passes(self) -> None:
        hours = self.dice.choice((1, 5, 21, 25))
        self._note(hours, "hours pass, no worker runs")
        self.clock.advance(hours * 3600)

    def webhook(self) -> None:
        self._note("webhook")
        self._try(orders.refresh, self._fresh())

    def _hurry(self) -> None:
        """To the moment when something is due, so that a fault hits a running worker."""
        due = self._actions().active().exclude(next_attempt_at=None)
        next_at = due.order_by("next_attempt_at").values_list("next_attempt_at", flat=True).first()
        if next_at is not None:
            self.clock.advance(max(0.0, (next_at - timezone.now()).total_seconds()))

    def _sweep(self) -> None:
        """What the scheduler does every few seconds; then the judge looks at what was sent."""
        active = self._actions().active().select_related("order__store", "requested_by").first()
        world = self._world(active) if active else None
        done = self._seen_done(active) if active else set[str]()
        log = self.world.shop.store.requests
        seen = len(log)
        try:
            sweep_actions()
        except Exception as error:  # noqa: BLE001  a sweep that dies is what is looked for
            self._blame([f"the sweep died: {type(error).__name__}: {error}"])
        sent = [entry for entry in log[seen:] if entry["operation"] in MUTATIONS]
        if active is None or world is None:
            return
        self._blame(history.sent_against_rules([self._send(active, e, world, done) for e in sent]))
        self.counts["sends"] += len(sent)

    def _send(
        self, action: OrderAction, entry: dict[str, Any], world: history.World, done: set[str]
    ) -> history.Send:
        goal = MUTATIONS[entry["operation"]]
        key = (action.pk, goal)
        again = self._sent[key] > 0
        is_undone = entry["fault"] in _UNDONE or str(entry["status"]) in _UNDONE
        self._sent[key] += not is_undone
        return history.Send(
            action=action.pk,
            goal=goal,
            again=again,
            is_seen_done=goal in done,
            world=self._moving(action, goal, world),
            is_store_credit=action.proposal.get("method") == RefundMethod.STORE_CREDIT
            and (goal == "refund" or bool(action.proposal.get("is_full_refund"))),
        )

    def _seen_done(self, action: OrderAction) -> set[str]:
        """The goals that our own copy of the order shows reached by this action."""
        order, marker = self._fresh(), f"[ax:{action.marker}]"
        if not order.document:
            return set()
        seen = order.snapshot
        done = set[str]()
        if seen.cancelled_at and marker in seen.cancel_staff_note:
            done.add("cancel_order")
        if any(marker in refund.note for refund in seen.refunds):
            done.add("refund")
        return done

    def _world(self, action: OrderAction) -> history.World:
        store = Store.objects.get(pk=self.world.store.pk)
        placed = self._placed
        disputed_at = self._since.get("dispute")
        return history.World(
            store_is_active=store.is_active,
            store_is_frozen=store.is_frozen,
            requester_is_active=User.objects.get(pk=action.requested_by_id).is_active,
            ruling=_ruling(action),
            is_delivered=self._is_known("delivery"),
            has_new_dispute=placed.dispute is not None
            and disputed_at is not None
            and disputed_at > action.requested_at
            and self._is_known("dispute"),
            has_other_customer=self._is_known("customer")
            and placed.customer_number != self._customers.get(action.pk),
            credit_is_on=store.allow_store_credit,
            left=None if "money" in self._since and not self._is_known("money") else self._left,
        )

    def _moving(self, action: OrderAction, goal: str, world: history.World) -> history.World:
        if goal == "refund":
            return replace(world, moves=action.amount)
        if goal == "cancel_order" and action.proposal.get("is_full_refund"):
            return replace(world, moves=world.left, confirmed=action.amount)
        return world

    # The world changes between the click and the send.

    def world_changes(self) -> None:
        what, wait = self.dice.choice(CHANGES), self.dice.random() < 0.6
        self._note(what, "seen by all" if wait else "")
        changes: dict[str, Callable[[], object]] = {
            "staff refund": lambda: self._at_shop("money", shop_actions.refund, Decimal(7), "gift"),
            "customer pays the rest": lambda: self._at_shop("money", shop_actions.pay),
            "staff cancel": lambda: self._at_shop("money", _cancel_by_staff),
            "delivered": self._deliver,
            "dispute opens": lambda: self._dispute("NEEDS_RESPONSE"),
            "another customer": self._give_to_another,
            "policy: low limit": lambda: self._policy(refund_up_to=5),
            "policy: low maximum": lambda: self._policy(refund_up_to=5, approval_up_to=5),
            "policy: no cancel": lambda: self._policy(cancel=CancelRule.DENY),
            "policy: cancel asks": lambda: self._policy(cancel=CancelRule.APPROVAL),
            "requester leaves": lambda: self._requester(is_active=False),
            "frozen": lambda: Store.objects.update(is_frozen=True),
            "switched off": lambda: Store.objects.update(is_active=False),
            "no store credit": lambda: Store.objects.update(allow_store_credit=False),
            "scope lost": lambda: self._scopes("write_orders"),
            "60 days old": lambda: self._grow_old(is_old=True),
        }
        changes[what]()
        if wait:
            self.clock.advance(LAG_S + 1)
        # Usually a worker takes up the action at once.
        if self.dice.random() < 0.7:
            self._hurry()
            self._sweep()

    def world_is_put_right(self) -> None:
        self._note("put right")
        self._put_right()
        self._grow_old(is_old=False)
        if self._placed.dispute:
            self._dispute(None)

    def _at_shop(self, what: str, work: Any, *words: Any) -> None:
        self._shop(work, self._placed, *words)
        # By our clock; a replica may hide it for a while.
        self._since[what] = timezone.now()

    def _deliver(self) -> None:
        placed = self._placed
        if placed.cancelled_at is None and not placed.fulfillments:
            self._shop(shop_actions.ship, placed)
            self._at_shop("delivery", shop_actions.carrier_says, "DELIVERED")

    def _dispute(self, status: str | None) -> None:
        if self._placed.dispute != status:
            self._placed.dispute = status
            self._at_shop("dispute", lifecycle.touch)

    def _give_to_another(self) -> None:
        email = f"other{self.counts['steps']}@example.com"
        self._placed.customer_number = self.world.shop.place(
            email=email, paid=False
        ).customer_number
        self._at_shop("customer", lifecycle.touch)

    def _policy(self, **changes: Any) -> None:
        Policy.objects.filter(role__name="agents").update(**changes)

    def _requester(self, *, is_active: bool) -> None:
        User.objects.filter(pk=self.world.alice.pk).update(is_active=is_active)

    def _scopes(self, lost: str) -> None:
        self._state.scopes = [s for s in self._state.scopes if s != lost]

    def _grow_old(self, is_old: bool) -> None:
        """Without read_all_orders an order is there for 60 days."""
        age = timedelta(days=61) if is_old else timedelta(hours=1)
        self._placed.created_at = self.world.shop.store.world.now() - age
        # It is no change of the order, so replicas know no older state to go back to.
        self.world.shop.store.catch_up(DOMAIN, self.order.legacy_id)
        if is_old:
            self._scopes("read_all_orders")

    def _put_right(self) -> None:
        Store.objects.update(
            is_frozen=False, is_active=True, allow_store_credit=True, undo_seconds=0
        )
        self._requester(is_active=True)
        self._policy(refund_up_to=LIMIT, approval_up_to=None, cancel=CancelRule.ALLOW)
        self._state.scopes = list(SCOPES)

    # Judgment.

    def _judge_now(self) -> None:
        own = self._actions()
        found = []
        if own.active().count() > 1:
            found.append(f"{self.order}: two active actions")
        held = own.aggregate(sum=Sum("reserved"))["sum"] or 0
        reserved = Order.objects.values_list("reserved", flat=True).get(pk=self.order.pk)
        if held != reserved:
            found.append(f"{self.order}: {reserved} reserved, {held} held")
        self._blame(found + history.violations(self._facts(), self._ledger(), is_drained=False))

    def end(self) -> None:
        """The order's last two days."""
        self.world.fault()
        # Then one pass without faults: every action has to end by itself.
        if self._wait_a_day(self._is_at_rest, by=lambda: None):
            self._blame(history.without_end(self._facts(), now=timezone.now()))
        self.counts["left to people"] += self._actions().filter(state="needs_human").count()
        # Then people see to what is left, with the truth before their eyes.
        self._settle_truly()
        self.world_is_put_right()
        self.world.shop.store.set_conditions(Conditions())
        self._wait_a_day(lambda: not self._has_active, by=self._see_to_it)
        self._try(orders.refresh, self._fresh())
        self._blame(history.violations(self._facts(), self._ledger(), is_drained=True))
        self.counts["actions"] += self._actions().count()
        for state in self._actions().values_list("state", flat=True):
            self.counts[state] += 1

    def _wait_a_day(self, is_over: Callable[[], bool], *, by: Callable[[], None]) -> bool:
        """Whether it took the whole day; `by` is done at each look."""
        for pause in DAY:
            if self.world.shop.store.is_idle() and is_over():
                return False
            self.clock.advance(pause)
            self._sweep()
            # As a webhook or the hourly reconciliation would.
            self._try(orders.refresh, self._fresh())
            by()
        return True

    def _is_at_rest(self) -> bool:
        return not self._actions().active().exclude(state="needs_human").exists()

    def _see_to_it(self) -> None:
        self._settle_truly()
        self._on_active(services.approve, by=self.world.sara, guard=lambda _order: None)

    def _ledger(self) -> dict[str, Any]:
        """The books of this order alone."""
        everything = self._state.orders
        self._state.orders = {self.order.legacy_id: self._placed}
        try:
            return self.world.shop.ledger()
        finally:
            self._state.orders = everything

    def _blame(self, sentences: list[str]) -> None:
        """Each once a life, the first ones with the steps that led there."""
        for sentence in sentences:
            # The state in it may change while the fault stays.
            what = sentence.partition(": ")[2] or sentence
            if what in self._said:
                continue
            self._said.add(what)
            steps = "; ".join(self._steps[-15:])
            self.broken.append(f"{sentence} (life {self.counts['lives']}: {steps})")


def _cancel_by_staff(context: Context, placed: ShopOrder) -> None:
    shop_actions.cancel(context, placed, reason="OTHER", refund_all=False)


def _ruling(action: OrderAction) -> str:
    """What the role of agents says now, by its own words: refused, approval, or nothing."""
    policy = Policy.objects.get(role__name="agents")
    amount, has_approval = action.amount, action.approvals_needed > 0
    if action.kind != "refund" and policy.cancel == CancelRule.DENY:
        return "refused"
    if amount is not None and policy.approval_up_to is not None and amount > policy.approval_up_to:
        return "refused"
    needs = action.kind != "refund" and policy.cancel == CancelRule.APPROVAL
    if amount is not None and policy.refund_up_to is not None:
        needs = needs or amount > policy.refund_up_to
    return "approval" if needs and not has_approval else ""


def refused_reads(world: Installation, run: Run) -> Outcome:
    """Chance seldom brings it about: a cancellation whose answer was lost is seen by a webhook,
    and then some replicas still show the order as it was."""
    _set_the_stage(world, run)
    for number in range(run.size(40, least=10)):
        life = Life(run.seed + number)
        life.begin("calm")
        kept = {"operation": "order", "phase": "stale_read", "times": 0}
        world.fault({"operation": "orderCancel", "phase": "commit_then_drop", "times": 1}, kept)
        life.see_canceled_then_not(life.dice.randint(1, 4))
        life.end()
    # Webhooks reported all of it, so Shopify doesn't have to be asked.
    asked = ["an action was left to a person without need"] * Life.counts["left to people"]
    return Outcome(figures=dict(Life.counts), broken=Life.broken + asked, of=Life.counts["lives"])


def _set_the_stage(world: Installation, run: Run) -> None:
    mutants.apply(run.mutant)
    Policy.objects.create(role=world.alice.groups.get(), refund_up_to=LIMIT)
    Policy.objects.create(role=world.sara.groups.get(), may_approve_up_to=None)
    Life.world, Life.broken = world, []
    Life.clock, Life.counts = Clock(world.shop.store), Counter()


def lives(world: Installation, run: Run) -> Outcome:
    _set_the_stage(world, run)
    for number in range(run.size(LIVES, least=10)):
        Life(run.seed + number).live()
        # Twice the damage that any control has to do is proof enough.
        is_proven = len(Life.broken) > 0.1 * Life.counts["actions"] and number >= 10
        if run.mutant and is_proven:
            break
    return Outcome(figures=dict(Life.counts), broken=Life.broken, of=Life.counts["actions"])


CASES = [
    Case(
        id="T3",
        title="random lives of an order",
        run=lives,
        mutants={
            "no key and no read": 0.05,
            "no check before sending": 0.02,
            "no unknown": 0.02,
        },
        mutant_scale=0.25,
        takes_s=400,
    ),
    Case(
        id="T3-refused",
        title="reads that the projection refused",
        run=refused_reads,
        mutants={"accept rejected reads": 0.5},
        mutant_scale=0.5,
    ),
]
