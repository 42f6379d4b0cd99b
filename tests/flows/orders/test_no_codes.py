"""No page, list or API text shows a code of Shopify's or of our database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from graphql import GraphQLEnumType

from inbox.models import Conversation
from orders.models import ActionKind, ActionState, Order, OrderAction, OrderEvent, Outcome, Store
from practice_store import seed
from practice_store.graphql.execution import execute
from practice_store.graphql.scalars import schema
from practice_store.store import Store as PracticeStore
from shopify_sync import mapping
from shopify_sync.api import documents
from tests.support.orders.stored import stored

pytestmark = pytest.mark.django_db
ENUMS = (
    "OrderDisplayFinancialStatus OrderDisplayFulfillmentStatus FulfillmentDisplayStatus "
    "FulfillmentStatus OrderReturnStatus ReturnStatus FulfillmentOrderStatus DisputeStatus "
    "OrderTransactionKind OrderTransactionStatus OrderTransactionErrorCode OrderCancelReason "
    "CustomerState CustomerEmailMarketingState PaymentTermsType DeliveryMethodType"
)
# Fields of an answer that are there to be compared by programs.
_FOR_PROGRAMS = frozenset({"raw", "state", "kind", "outcome", "reason_code", "code", "tone"})


@pytest.fixture(scope="module")
def codes() -> re.Pattern[str]:
    words = {value for kind in (ActionState, Outcome, ActionKind) for value in kind.values}
    found = {word for word in words if "_" in word}
    for name in ENUMS.split():
        kind = schema().type_map.get(name)
        assert isinstance(kind, GraphQLEnumType), name
        found |= {value for value in kind.values if len(value) > 3}
    return re.compile(rf"(?<![\w/-])({'|'.join(sorted(found, key=len, reverse=True))})(?![\w-])")


@pytest.fixture(scope="module")
def snapshots() -> list[Any]:
    """One order of the demo for each combination of Shopify's words."""
    world = PracticeStore(["demo.myshopify.com"])
    seed.seed(world)
    shop = world.world.shops["demo.myshopify.com"]
    text = documents.load("OrderForPanel")
    found: dict[tuple[Any, ...], Any] = {}
    for order in shop.orders.values():
        data = execute(world.context(shop), text, {"id": order.id}, "OrderForPanel")["data"]
        read = mapping.order_snapshot(data["order"])
        parcels = tuple(sorted({str(parcel.display_status) for parcel in read.fulfillments}))
        key = (
            read.financial_status,
            read.fulfillment_status,
            read.return_status,
            read.cancel_reason,
            parcels,
            bool(read.disputes),
        )
        found.setdefault(key, read)
    return list(found.values())


@pytest.fixture
def orders(snapshots: list[Any]) -> list[Order]:
    store = Store.objects.create(domain="demo.myshopify.com", currency="EUR")
    return [stored(replace(snapshot, email="jane@example.com"), store) for snapshot in snapshots]


@pytest.fixture
def ended(orders: list[Order], alice: User) -> list[OrderAction]:
    """An action for each outcome, with its event."""
    found = []
    for number, outcome in enumerate(Outcome):
        action = OrderAction.objects.create(
            order=orders[number],
            kind=ActionKind.REFUND,
            requested_by=alice,
            nonce=str(number),
            digest="d",
            proposal={"reason_label": "Goodwill"},
            steps=[],
            amount="5.00",
            currency="EUR",
            reason="CUSTOMER",
            state=ActionState.REJECTED,
            outcome=outcome,
            settled_at=timezone.now(),
        )
        OrderEvent.objects.create(
            order=orders[number],
            key=f"action:{action.pk}",
            kind="action_failed",
            occurred_at=timezone.now(),
            source="agent",
            action=action,
            amount="5.00",
            currency="EUR",
            reason="INVENTORY",
        )
        found.append(action)
    return found


def shown(page: str) -> str:
    """What a person reads of a page, names read to the blind among it."""
    page = re.sub(r"(?s)<(script|style|template|option)[^>]*>.*?</\1>", " ", page)
    names = " ".join(re.findall(r'(?:aria-label|title|alt|placeholder)="([^"]*)"', page))
    return unescape(re.sub(r"<[^>]+>", " ", page) + " " + names)


def texts(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        # A return's status stands beside its label.
        is_return = key == "returns"
        for name, inner in value.items():
            if not (is_return and name == "status"):
                yield from texts(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner, key)
    elif isinstance(value, str) and key not in _FOR_PROGRAMS:
        yield value


@pytest.mark.slow
def test_no_card_and_no_answer_shows_a_code(
    codes: re.Pattern[str], orders: list[Order], as_alice: Client, conversation: Conversation
) -> None:
    assert len(orders) > 30
    for order in orders:
        card = as_alice.get(f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/")
        assert not codes.findall(shown(card.content.decode())), order.name
        answer = as_alice.get(f"/api/v1/orders/{order.pk}/").json()
        assert not codes.findall("\n".join(texts(answer))), order.name


@pytest.mark.slow
def test_no_page_shows_a_code(
    codes: re.Pattern[str],
    ended: list[OrderAction],
    as_alice: Client,
    sara: User,
    conversation: Conversation,
) -> None:
    sara_client = Client()
    sara_client.force_login(sara)
    for client, path in (
        (as_alice, f"/inbox/conversations/{conversation.pk}/"),
        (as_alice, f"/inbox/conversations/{conversation.pk}/orders/?count=50"),
        (as_alice, f"/inbox/contacts/{conversation.contact_id}/"),
        (as_alice, "/inbox/orders/?q=jane@example.com"),
        (sara_client, "/inbox/decisions/"),
    ):
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert not codes.findall(shown(answer.content.decode())), path
    for action in ended:
        told = as_alice.get(f"/api/v1/actions/{action.pk}/").json()
        assert told["outcome"] == action.outcome
        assert not codes.findall("\n".join(texts(told))), action.outcome


@pytest.mark.slow
def test_no_list_of_the_admin_shows_a_code(
    codes: re.Pattern[str], ended: list[OrderAction], admin_client: Client
) -> None:
    order = ended[0].order_id
    for path in (
        "order/",
        "orderaction/",
        "orderevent/",
        "auditentry/",
        f"order/{order}/change/",
        f"orderaction/{ended[4].pk}/change/",
        f"orderevent/{OrderEvent.objects.latest('pk').pk}/change/",
    ):
        answer = admin_client.get(f"/admin/orders/{path}")
        assert answer.status_code == 200, path
        assert not codes.findall(shown(answer.content.decode())), path
