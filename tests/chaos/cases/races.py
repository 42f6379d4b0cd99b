"""T1, T2: many people act at once on one click, one order, one budget."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from functools import partial

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import QuerySet, Sum
from django.utils import timezone

from orders import previews, services
from orders.errors import ActionRefused, StalePreview
from orders.models import Order, OrderAction, Policy
from orders.money import Money
from tests.chaos.case import Case, Outcome, Run
from tests.chaos.installation import Installation, in_threads
from tests.chaos.processes.workers import Temper

AGENTS = 50
ORDERS = 40


def one_click(world: Installation, run: Run) -> Outcome:
    """T1: the same confirmation 20 times at once, and once more with another sum."""
    _disarm(run)
    broken, answers = [], Counter[str]()
    orders = world.orders(run.size(60, least=15))
    for order in orders:
        token = _token(order, world.alice, _refund_of(order, "5.00", world.alice))
        confirm = partial(_confirm, order, world.alice, token)
        found = in_threads([confirm] * 20)
        answers.update(type(answer).__name__ for answer in found)
        rows = OrderAction.objects.filter(order=order).count()
        ids = {answer.pk for answer in found if isinstance(answer, OrderAction)}
        same = sum(isinstance(answer, OrderAction) for answer in found)
        if rows != 1 or len(ids) != 1 or same != len(found):
            broken.append(f"{order}: {rows} actions, {len(ids)} different answers, {same} equal")
        other = _token(order, world.alice, _refund_of(order, "6.00", world.alice))
        changed = _confirm(order, world.alice, other, click=_nonce(token, world.alice))
        if not isinstance(changed, ActionRefused):
            broken.append(f"{order}: the same click with another sum was accepted")
    return Outcome(figures={"forms": len(orders), **answers}, broken=broken, of=len(orders))


def one_order(world: Installation, run: Run) -> Outcome:
    """T2: 50 agents on the same order, half of them cancel, half refund."""
    _disarm(run)
    people = world.people(AGENTS)
    orders = world.orders(run.size(ORDERS, least=8))
    broken, made, refused = [], 0, 0
    for order in orders:
        refund = _refund_of(order, "60.00", world.alice)
        cancel = previews.open_token(
            previews.preview_cancel(
                order,
                previews.CancelChoice(
                    reason="CUSTOMER", amount=Money(_whole(order), order.currency)
                ),
                by=world.alice,
                now=timezone.now(),
            ).token,
            by=world.alice,
        ).proposal
        tokens = [
            (person, _token(order, person, refund if index % 2 else cancel))
            for index, person in enumerate(people)
        ]
        found = in_threads([partial(_confirm, order, person, token) for person, token in tokens])
        active = OrderAction.objects.active().filter(order=order).count()
        made += sum(isinstance(answer, OrderAction) for answer in found)
        refused += sum(isinstance(answer, ActionRefused) for answer in found)
        odd = [a for a in found if not isinstance(a, OrderAction | ActionRefused | StalePreview)]
        broken += [f"{order}: an agent was told {type(a).__name__}: {a}" for a in odd[:1]]
        if active != 1:
            broken.append(f"{order}: {active} active actions")
    if not run.mutant:
        world.workers.start(4, Temper(world.shop.origin))
        world.drain()
        broken += world.check()
    return Outcome(
        figures={
            "orders": len(orders),
            "asked": len(orders) * AGENTS,
            "made": made,
            "refused": refused,
        },
        broken=broken,
        of=len(orders),
    )


def partials(world: Installation, run: Run) -> Outcome:
    """T2: refunds of 10 on orders of 100, by everybody, until nothing is left."""
    people = world.people(10)
    orders = world.orders(run.size(6, least=3))
    world.workers.start(4, Temper(world.shop.origin))

    def greedy(person: User, order: Order) -> int:
        own, tries = 0, 0
        while tries < 60:
            tries += 1
            fresh = Order.objects.select_related("store").get(pk=order.pk)
            try:
                done = world.refund(fresh, "10.00", by=person)
            except ValueError:
                return own
            if done is not None:
                own += 1
            elif fresh.net_payment == 0:
                return own
        return own

    for order in orders:
        in_threads([partial(greedy, person, order) for person in people])
    world.drain()
    refunded = Counter[str]()
    for refund in world.shop.ledger()["refunds"]:
        refunded[refund["order"]] += 1
    return Outcome(
        figures={
            "orders": len(orders),
            "refunds of 10": sum(refunded.values()),
            "most on one order": max(refunded.values(), default=0),
        },
        broken=world.check(),
        of=len(orders),
    )


def one_budget(world: Installation, run: Run) -> Outcome:
    """T2: one person, 50 refunds of 10 at the same moment, 100 a day without approval."""
    if run.mutant:
        QuerySet.select_for_update = lambda self, **_: self  # type: ignore[method-assign]
    broken, spent_most = [], 0
    group = world.alice.groups.get()
    Policy.objects.create(role=group, refund_per_day=100)
    for number in range(run.size(3, least=2)):
        person = world.person(f"spender{number}", "agents")
        orders = world.orders(AGENTS)
        tokens = [(o, _token(o, person, _refund_of(o, "10.00", person))) for o in orders]
        in_threads([partial(_confirm, order, person, token) for order, token in tokens])
        own = OrderAction.objects.filter(requested_by=person, approvals_needed=0)
        spent = int(own.aggregate(sum=Sum("amount_shop"))["sum"] or 0)
        spent_most = max(spent_most, spent)
        if spent > 100:
            broken.append(f"{person} spent {spent} of 100")
        elif spent < 100:
            broken.append(f"{person} could only spend {spent} of 100")
    return Outcome(figures={"most spent of 100": spent_most}, broken=broken, of=3)


def _disarm(run: Run) -> None:
    """The mutant: neither lock nor index, only the `if` before them."""
    if not run.mutant:
        return
    QuerySet.select_for_update = lambda self, **_: self  # type: ignore[method-assign]
    with connection.cursor() as cursor:
        for index in ("orders_one_active_action", "orders_one_action_per_click"):
            cursor.execute(f"ALTER TABLE orders_orderaction DROP CONSTRAINT IF EXISTS {index}")
            cursor.execute(f"DROP INDEX IF EXISTS {index}")
    # Nor may the reservation's conditional UPDATE, which locks the row too, line them up.
    from orders.actions import transitions

    transitions.reserve = lambda order, action: None


def _whole(order: Order) -> Decimal:
    paid: Decimal = order.net_payment
    return paid.quantize(Decimal("0.01"))


def _refund_of(order: Order, amount: str, by: User) -> previews.Proposal:
    choice = previews.RefundChoice(reason="other", amount=Money(Decimal(amount), order.currency))
    shown = previews.preview_refund(order, choice, by=by, now=timezone.now())
    return shown.proposal


def _token(order: Order, by: User, proposal: previews.Proposal) -> str:
    """The summary of this proposal, as it is shown to that person."""
    return previews.sign_token(order, proposal, by=by)


def _nonce(token: str, by: User) -> str:
    return previews.open_token(token, by=by).nonce


def _confirm(order: Order, by: User, token: str, click: str = "") -> OrderAction | Exception:
    try:
        return services.request_action(
            token=token,
            order_id=order.pk,
            by=by,
            now=timezone.now(),
            click=click,
            guard=lambda _order: None,
        )
    except (ActionRefused, StalePreview) as error:
        return error


CASES = [
    Case(
        id="T1",
        title="the same click 20 times",
        run=one_click,
        backend="postgresql",
        mutants={"locks and indexes": 0.2},
        mutant_scale=0.25,
    ),
    Case(
        id="T2-order",
        title="50 agents, one order, cancel against refund",
        run=one_order,
        backend="postgresql",
        is_mean=True,
        mutants={"locks and indexes": 0.5},
        mutant_scale=0.2,
    ),
    Case(
        id="T2-partials",
        title="refunds of 10 on 100",
        run=partials,
        backend="postgresql",
        is_mean=True,
    ),
    Case(
        id="T2-budget",
        title="50 refunds against one day's budget",
        run=one_budget,
        backend="postgresql",
        mutants={"the budget's lock": 0.25},
        mutant_scale=0.5,
    ),
]
