"""A page runs as many queries for twenty rows as for two."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inbox.conversations import services
from inbox.models import (
    Campaign,
    Channel,
    Contact,
    Conversation,
    HelpDeskFrame,
    Identity,
    IdentityKind,
)
from orders.models import (
    ActionKind,
    ActionState,
    Customer,
    EventKind,
    EventSource,
    Order,
    OrderAction,
    OrderEvent,
    Policy,
    Store,
)
from orders.previews import Proposal, encode_proposal
from shopify_sync.models import Drift, ShopConnection, WebhookEvent
from tests.conftest import logged_in
from tests.support.orders import snapshots
from tests.support.orders.stored import stored
from tests.support.pages.addresses import lists_of_the_admin
from tests.support.people.tokens import api_token

pytestmark = pytest.mark.django_db
MANY: Final = 20
Make = Callable[[int], None]


@pytest.fixture
def store(db: None) -> Store:
    return Store.objects.create(domain="demo.myshopify.com", name="Demo", currency="EUR")


@pytest.fixture
def boss(sara: User) -> Client:
    User.objects.filter(pk=sara.pk).update(is_staff=True, is_superuser=True)
    return logged_in(User.objects.get(pk=sara.pk))


def customer_gid(number: int) -> str:
    return f"gid://shopify/Customer/{number}"


def an_order(store: Store, number: int, email: str) -> Order:
    snapshot = snapshots.order(
        gid=f"gid://shopify/Order/{number}", legacy_id=number, name=f"#{number}", email=email
    )
    order = stored(snapshot, store)
    Order.objects.filter(pk=order.pk).update(customer_gid=customer_gid(number))
    order.refresh_from_db()
    return order


def a_person(channel: Channel, store: Store, number: int, to: User | None = None) -> Conversation:
    """A contact who has written and is linked to a customer of the store."""
    message, _is_new = services.receive(
        channel=channel,
        external_id=f"m-{number}",
        conversation_id=f"c-{number}",
        sender=services.Sender(
            external_id=f"u-{number}", name=f"Jane {number}", email=f"jane{number}@example.com"
        ),
        text="Where is it?",
        sent_at=timezone.now() - timedelta(minutes=number),
    )
    found = message.conversation
    Identity.objects.create(
        contact=found.contact,
        kind=IdentityKind.SHOPIFY_CUSTOMER,
        value=f"{store.pk}:{customer_gid(number)}",
        added_by=to,
    )
    Customer.objects.create(store=store, gid=customer_gid(number), name=f"Jane {number}")
    if to is not None:
        services.assign(conversation=found, to=to)
    return found


def an_action(order: Order, by: User, **more: Any) -> OrderAction:
    proposal = Proposal(
        kind=ActionKind.REFUND,
        reason="goodwill",
        reason_label="Goodwill",
        staff_note="As agreed.",
        amount=order.snapshot.money.total.presentment,
        is_full_refund=False,
        notify=False,
        restock=False,
        targets=(),
        lines=(),
        shipping=None,
        returned="",
        shipments_to_cancel=(),
        facts={},
    )
    values: dict[str, Any] = {
        "order": order,
        "kind": ActionKind.REFUND,
        "state": ActionState.AWAITING_APPROVAL,
        "requested_by": by,
        "nonce": f"n{order.pk}",
        "digest": "d",
        "proposal": encode_proposal(proposal),
        "steps": [],
        "amount": Decimal(5),
        "amount_shop": Decimal(5),
        "currency": "EUR",
        "approvals_needed": 0,
        "expires_at": timezone.now() + timedelta(hours=1),
        "why_approval": "Above the limit.",
        "staff_note": "As agreed.",
    }
    return OrderAction.objects.create(**(values | more))


def counted(client: Client, path: str, **headers: str) -> list[str]:
    client.get(path, headers=headers)  # what is remembered is not counted
    with CaptureQueriesContext(connection) as asked:
        answer = client.get(path, headers=headers)
    assert answer.status_code == 200, (path, answer.status_code)
    return [query["sql"] for query in asked]


def same_for_many(make: Make, ask: Callable[[], list[str]]) -> None:
    make(2)
    few = ask()
    make(MANY)
    many = ask()
    # One more: what is asked once a minute may be due just now.
    assert len(many) <= len(few) + 1, "\n".join(many)


def test_the_list(channel: Channel, store: Store, boss: Client, alice: User) -> None:
    def make(count: int) -> None:
        for number in range(Conversation.objects.count(), count):
            a_person(channel, store, number, to=alice)

    same_for_many(make, lambda: counted(boss, "/inbox/?scope=all"))
    same_for_many(make, lambda: counted(boss, "/inbox/rows/?q=jane"))


@pytest.mark.slow
@pytest.mark.parametrize("whole", [True, False])
def test_a_thread(channel: Channel, store: Store, boss: Client, alice: User, whole: bool) -> None:
    found = a_person(channel, store, 1, to=alice)
    order = an_order(store, 1, "jane1@example.com")

    def make(count: int) -> None:
        for number in range(count):
            services.note(conversation=found, by=alice, text=f"Note {number}")
            an_event(order, alice, number + count)

    path = f"/inbox/conversations/{found.pk}/{'' if whole else 'thread/'}"
    same_for_many(make, lambda: counted(boss, path))


def an_event(order: Order, by: User, number: int) -> None:
    action = an_action(
        order, by, nonce=f"event-{number}", state=ActionState.REJECTED, settled_at=timezone.now()
    )
    OrderEvent.objects.create(
        order=order,
        kind=EventKind.ACTION_FAILED,
        key=f"failed:{number}",
        action=action,
        occurred_at=timezone.now(),
        source=EventSource.AGENT,
        actor=by,
    )


@pytest.mark.slow
@pytest.mark.parametrize("part", ["", "activity/", "activity/?show=messages"])
def test_a_contact(channel: Channel, store: Store, boss: Client, alice: User, part: str) -> None:
    contact = a_person(channel, store, 0, to=alice).contact

    def make(count: int) -> None:
        for number in range(1, count + 1):
            order = an_order(store, number, "jane0@example.com")
            Order.objects.filter(pk=order.pk).update(customer_gid=customer_gid(0))
            an_event(order, alice, number + 100 * count)
            Identity.objects.get_or_create(
                contact=contact,
                kind="email",
                value=f"also{number}@example.com",
                added_by=alice,
                removed_by=alice,
                removed_at=timezone.now() if number % 2 else None,
            )
            more = Conversation.objects.create(
                contact=contact, channel=channel, external_id=f"more-{count}-{number}"
            )
            services.note(conversation=more, by=alice, text="Seen.")
            services.reply(conversation=more, by=alice, text="Hello!")

    same_for_many(make, lambda: counted(boss, f"/inbox/contacts/{contact.pk}/{part}"))


@pytest.mark.slow
@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_the_order_search(
    channel: Channel, store: Store, boss: Client, headers: dict[str, str]
) -> None:
    """Twenty orders of one address, whose owners are twenty linked contacts."""

    def make(count: int) -> None:
        for number in range(Conversation.objects.count(), count):
            a_person(channel, store, number)
            an_order(store, number, "family@example.com")

    path = "/inbox/orders/?q=family@example.com"
    same_for_many(make, lambda: counted(boss, path, **headers))
    page = boss.get(path, headers=headers).content.decode()
    assert page.count("Open the conversation") == MANY
    # One of them asks for the teams, which bound what may be found; the page also asks which
    # approvals wait.
    assert len(counted(boss, path, **headers)) <= 16


def test_the_search_by_rest(channel: Channel, store: Store, boss: Client) -> None:
    def make(count: int) -> None:
        for number in range(Order.objects.count(), count):
            an_order(store, number, "family@example.com")

    same_for_many(make, lambda: counted(boss, "/api/v1/orders/?q=family@example.com"))


@pytest.mark.slow
@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_decisions(
    channel: Channel, store: Store, boss: Client, alice: User, headers: dict[str, str]
) -> None:
    """Approvals, uncertain outcomes and money that is held, each of another customer."""

    def make(count: int) -> None:
        for number in range(Conversation.objects.count(), count):
            a_person(channel, store, number)
            states = ((ActionState.AWAITING_APPROVAL, 1), (ActionState.NEEDS_HUMAN, 0))
            for state, needed in states:
                order = an_order(store, number + 100 * needed, f"jane{number}@example.com")
                Order.objects.filter(pk=order.pk).update(customer_gid="")
                an_action(
                    order, alice, state=state, approvals_needed=needed, nonce=f"{state}-{number}"
                )
            held = an_order(store, number + 1000, f"jane{number}@example.com")
            Order.objects.filter(pk=held.pk).update(
                cancelled_at=timezone.now(), net_payment=Decimal(20), customer_gid=""
            )

    same_for_many(make, lambda: counted(boss, "/inbox/decisions/", **headers))


@pytest.mark.slow
def test_the_order_panel(channel: Channel, store: Store, boss: Client, alice: User) -> None:
    found = a_person(channel, store, 0, to=alice)

    def make(count: int) -> None:
        for number in range(1, count + 1):
            order = an_order(store, number, "jane0@example.com")
            Order.objects.filter(pk=order.pk).update(customer_gid=customer_gid(0))
            an_event(order, alice, number + 100 * count)

    path = f"/inbox/conversations/{found.pk}/orders/?count=20"
    same_for_many(make, lambda: counted(boss, path, **{"HX-Request": "true"}))


# --- The admin's lists --------------------------------------------------------------------------
def rows_of_the_admin(channel: Channel, store: Store, alice: User, count: int) -> None:
    """So many rows of what has lists worth paging through, each with rows behind it."""
    now = timezone.now()
    for number in range(Conversation.objects.count(), count):
        a_person(channel, store, number, to=alice)
        other = Store.objects.create(domain=f"s{number}.myshopify.com", currency="EUR")
        order = an_order(other, number, f"jane{number}@example.com")
        an_event(order, alice, number)
        group = Group.objects.create(name=f"group {number}")
        user = User.objects.create_user(f"user-{number}")
        user.groups.add(group)
        api_token(user)
        Policy.objects.create(role=group, store=other)
        ShopConnection.objects.create(store=other, access_token="t", api_secret="s")
        WebhookEvent.objects.create(
            store=other, webhook_id=f"w{number}", topic="orders/updated", body=b"{}"
        )
        Drift.objects.create(store=other, order_gid=order.gid, found_at=now, shop_updated_at=now)
        Campaign.objects.create(name=f"C{number}", event_kind="refunded", subject="S", body="B")
        Channel.objects.create(name=f"Channel {number}")
        HelpDeskFrame.objects.create(name=f"F{number}", kind="generic", origins="https://d.example")


@pytest.mark.slow
def test_the_lists_of_the_admin(channel: Channel, store: Store, boss: Client, alice: User) -> None:
    # The balance is no list: it runs four queries per store, and stores are few.
    lists = [path for path in lists_of_the_admin() if "webhooktally" not in path]
    assert len(lists) == len(admin.site._registry) - 1 > 20
    rows_of_the_admin(channel, store, alice, 2)
    few = {path: len(counted(boss, path)) for path in lists}
    rows_of_the_admin(channel, store, alice, MANY)
    troubles = []
    for path in lists:
        asked = counted(boss, path)
        if len(asked) > few[path] + 1:
            again = max(set(asked), key=lambda sql: sum(s[:120] == sql[:120] for s in asked))
            troubles.append(f"{path}: {few[path]} for two, {len(asked)} for {MANY}: {again[:200]}")
    assert "\n".join(troubles) == ""


def test_a_query_per_row_fails_the_check(
    channel: Channel, store: Store, boss: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: the list without its select_related."""
    from inbox import access

    monkeypatch.setattr(access, "conversations_for", lambda agent: Conversation.objects.all())

    def make(count: int) -> None:
        for number in range(Conversation.objects.count(), count):
            a_person(channel, store, number, to=alice)

    with pytest.raises(AssertionError):
        same_for_many(make, lambda: counted(boss, "/inbox/?scope=all"))
    assert Contact.objects.count() == MANY
