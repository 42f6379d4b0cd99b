"""One installation under attack: a database, a practice store, people, orders, workers."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import OperationalError, connections
from django.db.models import Q
from django.test import Client
from django.utils import timezone

from inbox.conversations import services as inbox_services
from inbox.models import Channel, Conversation
from orders import previews, services
from orders.errors import ActionRefused, ShopUnreachable, StalePreview
from orders.models import ActionState, Order, OrderAction, Store
from orders.money import Money
from orders.snapshot import LineQuantity
from practice_store.changes import staff_actions as shop_actions
from practice_store.faults.lasting import Conditions
from practice_store.graphql import idempotency
from practice_store.sales import cancellation
from shopify_sync.api.errors import ShopifyError
from shopify_sync.reading import orders as ingest
from shopify_sync.setup import connect
from tests.chaos.judging import history
from tests.chaos.processes.workers import Workers
from tests.support.servers.postgres_and_redis import Redis
from tests.support.shop.in_process import DOMAIN, Shop

# A row of conversations' addresses; every order belongs to one of these people.
EMAIL = "customer{}@example.com"
# So long a mean shop's replicas may still show what has been replaced.
LAG_S = 2.0


class Installation:
    """Made once per run of a case, in a process of its own whose settings are tests.chaos.settings."""

    def __init__(self, folder: Path, *, broker: Redis | None = None) -> None:
        from django.conf import settings

        self.folder = folder
        self.broker = broker
        # What the database said each time it gave up waiting for a lock that an agent needed.
        self.lock_waits: list[str] = []
        # The workers are forked by a process of their own, before this one has threads.
        self.workers = Workers()
        call_command("migrate", verbosity=0)
        patch.object(cancellation, "JOB_SECONDS", 0.05).start()
        self.shop = Shop()
        settings.SHOPIFY_ADMIN_ORIGIN = self.shop.origin
        settings.PUBLIC_URL = "http://testserver"
        self._give_the_shop_room()
        connection = connect.connect(
            domain=DOMAIN, token="shpat_practice_demo", secret="shpss_practice_demo"
        )
        Store.objects.filter(pk=connection.store_id).update(
            name="Demo", currency="EUR", notify_by_default=False
        )
        self.store = Store.objects.get(pk=connection.store_id)
        self.alice = self.person("alice", "agents")
        self.sara = self.person("sara", "supervisors")

    def _give_the_shop_room(self) -> None:
        """Rates are not what is tested here, unless a case says so."""
        shop = self.shop.store.world.shops[DOMAIN]
        for name in ("bucket", "restore_rate"):
            if hasattr(shop, name):
                setattr(shop, name, 1e9)

    def be_mean(self, seed: int) -> None:
        """The shop's replicas lag, its lists come in any order, and so on; in seconds, as the
        workers' own times are short here."""
        self.shop.store.set_conditions(
            Conditions(
                seed=seed,
                lagging_reads=0.3,
                lag=5,
                lag_s=LAG_S,
                shuffled=True,
                cancels=("together", "job_open", "job_done"),
                refund_after_s=0.4,
                jobs_kept_s=20.0,
                refunds=("success",) * 4 + ("pending_success", "pending_failure"),
                bank_s=0.5,
            )
        )

    def be_calm(self) -> None:
        """The shop's own work is done, and all of it is to be seen."""
        until = time.monotonic() + 30
        while not self.shop.store.is_idle() and time.monotonic() < until:
            time.sleep(0.05)
        self.shop.store.set_conditions(Conditions())

    def close(self) -> None:
        self.workers.stop()
        self.shop.stop()
        connections.close_all()

    def person(self, username: str, group: str) -> User:
        user, _ = User.objects.get_or_create(
            username=username, defaults={"first_name": username.title()}
        )
        user.groups.add(Group.objects.get_or_create(name=group)[0])
        return user

    def people(self, count: int) -> list[User]:
        return [self.person(f"agent{number}", "agents") for number in range(count)]

    def client(self, user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    def conversation(self, order: Order, assignee: User) -> Conversation:
        """The order's customer writes; `assignee` has the conversation."""
        channel, _ = Channel.objects.get_or_create(
            name="Messenger", defaults={"proves_addresses": True}
        )
        message, _is_new = inbox_services.receive(
            channel=channel,
            external_id=f"m-{order.pk}",
            conversation_id=f"c-{order.pk}",
            sender=inbox_services.Sender(external_id=order.email, name="Jane", email=order.email),
            text="Hello",
            sent_at=timezone.now(),
        )
        inbox_services.assign(conversation=message.conversation, to=assignee)
        return Conversation.objects.get(pk=message.conversation_id)

    def orders(
        self, count: int, *, price: str = "1.00", quantity: int = 100, paid: bool = True
    ) -> list[Order]:
        """Fresh orders of price × quantity, one customer each, read into our tables."""
        made: list[Order] = []
        for _ in range(count):
            number = Order.objects.count() + len(made)
            placed = self.shop.place(
                email=EMAIL.format(f"{number}-{random.getrandbits(32):x}"),
                items=(("Thing", price, quantity),),
                paid=paid,
            )
            pk = ingest.mark(self.store, placed.number_id, timezone.now())
            order = Order.objects.select_related("store").get(pk=pk)
            self.shop.store.catch_up(DOMAIN, placed.number_id)
            self._insist(ingest.refresh, order)
            made.append(Order.objects.select_related("store").get(pk=pk))
        self.shop.held.clear()
        return made

    def returned_orders(self, count: int, *, rng: random.Random) -> list[Order]:
        """Orders of 100 things, shipped, all on their way back, some of them booked in."""
        made = self.orders(count)
        for order in made:
            placed = self.shop.store.world.shops[DOMAIN].orders[order.legacy_id]
            here = rng.choice([0, 3, 100])

            def come_back(context: Any, placed: Any = placed, here: int = here) -> None:
                shop_actions.ship(context, placed)
                shop_actions.open_return(context, placed)
                shop_actions.receive_return(context, placed, units=here)

            self.shop.act(come_back)
            self.shop.store.catch_up(DOMAIN, placed.number_id)
            self._insist(ingest.refresh, order)
        self.shop.held.clear()
        return made

    def refund_through(
        self, order: Order, units: int, *, by: User | None = None
    ) -> OrderAction | None:
        """So many units of the order's return, received and to be restocked."""
        lines = (LineQuantity(line_gid=order.snapshot.lines[0].gid, quantity=units),)
        choice = previews.RefundChoice(
            reason="changed_mind", lines=lines, returned="received", restock=True
        )
        return self.act(order, choice, by=by)

    def refund(self, order: Order, amount: str, *, by: User | None = None) -> OrderAction | None:
        """Preview and confirm a refund, as the dialogs do. None: the rules refused it."""
        choice = previews.RefundChoice(
            reason="other", amount=Money(Decimal(amount), order.currency), lines=()
        )
        return self.act(order, choice, by=by)

    def cancel(
        self, order: Order, amount: str | None = None, *, by: User | None = None
    ) -> OrderAction | None:
        money = Money(Decimal(amount), order.currency) if amount else None
        return self.act(order, previews.CancelChoice(reason="CUSTOMER", amount=money), by=by)

    def act(
        self, order: Order, choice: previews.Choice, *, by: User | None = None
    ) -> OrderAction | None:
        by = by or self.alice
        preview = (
            previews.preview_refund
            if isinstance(choice, previews.RefundChoice)
            else previews.preview_cancel
        )
        try:
            shown = preview(order, choice, by=by, now=timezone.now())  # type: ignore[arg-type]
            return services.request_action(
                token=shown.token,
                order_id=order.pk,
                by=by,
                now=timezone.now(),
                origin="chaos",
                guard=lambda _order: None,
            )
        except ActionRefused as error:
            # `refused_when_busy` says so instead of letting the database's error through.
            if error.refusal.code == "busy":
                self.lock_waits.append(str(error.__cause__))
            return None
        except (StalePreview, ShopUnreachable):
            return None

    def _insist(self, work: Callable[..., Any], *words: Any) -> None:
        """Setting the scene must not fail by the faults that are to come."""
        for _ in range(20):
            try:
                work(*words)
            except (ShopifyError, OperationalError):
                time.sleep(0.05)
            else:
                return
        raise RuntimeError("the practice store cannot be read")

    def forget_keys(self) -> None:
        """From now on the shop keeps no idempotency key: as if each retry came a day late."""
        from datetime import timedelta

        idempotency.WINDOW = timedelta(0)  # type: ignore[misc]

    def fault(self, *rules: dict[str, Any]) -> None:
        self.shop.store.faults.set(list(rules))

    def open_actions(self) -> int:
        """Those the machine still has to end; what waits in Decisions is not its work."""
        return OrderAction.objects.active().exclude(state=ActionState.NEEDS_HUMAN).count()

    def drain(self, *, within_s: float = 120.0, hurry: bool = True) -> bool:
        """Wait until the running workers have settled every action. `hurry` makes waiting ones
        due at once, as the clock would. Returns whether nothing is open."""
        until = time.monotonic() + within_s
        while self.open_actions():
            if time.monotonic() > until:
                return False
            if hurry:
                hurried = OrderAction.objects.active().exclude(state=ActionState.NEEDS_HUMAN)
                hurried.update(next_attempt_at=None)
            time.sleep(0.2)
        return True

    def check(self, *, accepted: Iterable[int] = (), is_drained: bool = True) -> list[str]:
        """Our rows against the shop's books. Drained, each order with something left to tell is
        read once more first, as a webhook or the reconciliation would."""
        if is_drained:
            self.be_calm()
            failed = {
                refund["order"]
                for refund in self.shop.ledger()["refunds"]
                if any(t["status"] == "FAILURE" for t in refund["transactions"])
            }
            waiting = (ActionState.AWAITING_BANK, ActionState.PARTIAL)
            told = Q(actions__state__in=waiting) | Q(gid__in=failed)
            for order in Order.objects.select_related("store").filter(told).distinct():
                self._insist(ingest.refresh, order)
        rows = OrderAction.objects.select_related("order")
        return history.violations(
            history.facts_of(rows), self.shop.ledger(), accepted=accepted, is_drained=is_drained
        )


def in_threads(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """All at once; each answer, or the exception it ended with."""
    answers: list[Any] = [None] * len(works)
    gate = threading.Barrier(len(works))

    def one(index: int) -> None:
        gate.wait()
        try:
            answers[index] = works[index]()
        except Exception as error:  # noqa: BLE001  an answer like another
            answers[index] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
