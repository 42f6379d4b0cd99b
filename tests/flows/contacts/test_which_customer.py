"""Which customer the orders belong to: if in doubt, the agent is asked and no money moves."""

from __future__ import annotations

import json
from html import unescape
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from inbox import access
from inbox.contacts import address_edits, identities
from inbox.contacts.matching import Matching
from inbox.decisions.approvals import digest_of
from inbox.models import Contact, Conversation, Identity, IdentityKind
from orders import services
from orders.actions import added_rules
from orders.models import ActionState, Customer, Order, OrderAction, Policy, Store
from orders.shopify_port import get_gateway
from practice_store.changes import staff_actions
from shopify_sync.setup import connect
from tests.conftest import logged_in
from tests.flows.test_main_job import confirm, panel, review
from tests.support.shop.in_process import DOMAIN, SECOND, Shop, fetch_dirty, read_customers

pytestmark = pytest.mark.django_db(transaction=True)
QUESTION = "Which customer is this?"
NUMBER = "+4915112345678"
REFUSAL = "It’s not clear which Shopify customer"


def arrive(shop: Shop) -> None:
    shop.deliver(Client())
    fetch_dirty()
    read_customers()


def place_for(shop: Shop, owner: str, *, bearing: str, **more: Any) -> Order:
    """An order of one customer that bears another's email address."""
    shop.act(
        lambda context: staff_actions.place(
            context,
            email=bearing,
            currency="EUR",
            customer={"toUpsert": {"email": owner, "firstName": "Janine"}},
            lineItems=[
                {
                    "title": "Vase",
                    "quantity": 1,
                    "requiresShipping": True,
                    "priceSet": {"shopMoney": {"amount": "30.00", "currencyCode": "EUR"}},
                }
            ],
            financialStatus="PAID",
            **more,
        )
    )
    arrive(shop)
    return Order.objects.select_related("store").order_by("-pk")[0]


@pytest.fixture
def two(shop: Shop, store: Store, conversation: Conversation) -> tuple[Order, Order]:
    """Jane's own order, and one with her address that another Shopify customer owns."""
    shop.place()
    arrive(shop)
    mine = Order.objects.select_related("store").get()
    return mine, place_for(shop, "janine@example.com", bearing="jane@example.com")


def page(client: Client, conversation: Conversation) -> str:
    return unescape(panel(client, conversation))


def api(user: User, order: Order, kind: str = "cancel") -> Any:
    body = {"kind": kind, "reason": "CUSTOMER" if kind == "cancel" else "other"}
    return logged_in(user).post(
        f"/api/v1/orders/{order.pk}/previews/", json.dumps(body), content_type="application/json"
    )


def answer(client: Client, conversation: Conversation, *orders: Order) -> Any:
    chosen = [f"{order.store_id}:{order.customer_gid}" for order in orders]
    return client.post(
        f"/inbox/contacts/{conversation.contact_id}/customers/",
        {"customer": chosen, "conversation": conversation.pk},
    )


def test_one_customer_is_no_question(
    shop: Shop, store: Store, as_alice: Client, conversation: Conversation, alice: User
) -> None:
    shop.place()
    arrive(shop)
    text = page(as_alice, conversation)
    assert QUESTION not in text
    assert "Matched by: Email" in text
    assert "Wrong person?" in text
    assert api(alice, Order.objects.get()).status_code == 200


@pytest.mark.slow
def test_an_ambiguous_match_asks_and_moves_no_money_by_either_door(
    two: tuple[Order, Order], as_alice: Client, conversation: Conversation, alice: User, sara: User
) -> None:
    text = page(as_alice, conversation)
    assert QUESTION in text
    assert "j•••@example.com" in text
    assert "janine@example.com" not in text.split(QUESTION)[1].split("</section>")[0]
    assert all(order.name in text for order in two)
    assert REFUSAL in text
    for order in two:
        for kind in ("cancel", "refund"):
            at = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/{kind}/"
            assert REFUSAL in unescape(as_alice.get(at).content.decode())
            for user in (alice, sara):
                refused = api(user, order, kind)
                assert refused.status_code == 403
                assert refused.json()["reason_code"] == "ambiguous_customer"
                assert "Which customer is this?" in str(refused.json())
        found = logged_in(alice).get(f"/api/v1/orders/{order.pk}/").json()["actions"]
        assert found["cancel"]["reason_code"] == "ambiguous_customer"
        assert not found["refund"]["allowed"]


def test_without_the_rule_both_doors_would_open(
    two: tuple[Order, Order], as_alice: Client, conversation: Conversation, alice: User
) -> None:
    """Negative control: the very same requests, the rule taken out."""
    with patch.object(Matching, "refusal", lambda *_: None):
        assert REFUSAL not in page(as_alice, conversation)
        assert api(alice, two[0]).status_code == 200
        assert review(as_alice, conversation, two[0], "cancel", reason="CUSTOMER")


def test_a_summary_from_before_the_doubt_is_not_confirmed(
    shop: Shop, store: Store, as_alice: Client, conversation: Conversation, alice: User
) -> None:
    shop.place()
    arrive(shop)
    mine = Order.objects.select_related("store").get()
    token = review(as_alice, conversation, mine, "cancel", reason="CUSTOMER")
    api_token = api(alice, mine).json()["token"]
    place_for(shop, "janine@example.com", bearing="jane@example.com")
    at = f"/inbox/conversations/{conversation.pk}/orders/{mine.pk}/confirm/"
    assert as_alice.post(at, {"token": token}).status_code == 403
    by_api = logged_in(alice).post(
        f"/api/v1/orders/{mine.pk}/actions/",
        json.dumps({"token": api_token}),
        content_type="application/json",
        headers={"Idempotency-Key": "k"},
    )
    assert by_api.status_code == 403
    assert not OrderAction.objects.exists()


@pytest.mark.slow
def test_a_doubt_that_came_later_stops_the_approval_at_both_doors(
    shop: Shop, store: Store, as_alice: Client, conversation: Conversation, alice: User, sara: User
) -> None:
    Policy.objects.create(role=sara.groups.get(), may_approve_up_to=100)
    Policy.objects.create(role=alice.groups.get(), refund_up_to=10)
    shop.place()
    arrive(shop)
    mine = Order.objects.select_related("store").get()
    token = review(as_alice, conversation, mine, "refund", reason="other", amount="15.00")
    assert confirm(as_alice, conversation, mine, token) == 200
    place_for(shop, "janine@example.com", bearing="jane@example.com")
    action = OrderAction.objects.get()
    as_sara = logged_in(sara)
    url, shown = f"/inbox/decisions/{action.pk}/approve/", {"digest": digest_of(action)}
    said = as_sara.post(url, shown, follow=True).content.decode()
    assert REFUSAL in unescape(said)
    by_api = as_sara.post(f"/api/v1/actions/{action.pk}/approve/")
    assert by_api.json()["reason_code"] == "ambiguous_customer"
    action.refresh_from_db()
    assert action.state == ActionState.AWAITING_APPROVAL
    # Answered, the same click goes through.
    answer(as_alice, conversation, mine)
    assert as_sara.post(f"/api/v1/actions/{action.pk}/approve/").status_code == 200


@pytest.fixture
def numbered(shop: Shop, store: Store, conversation: Conversation, bob: User) -> Order:
    """Jane's order, with a phone number that no contact has yet; `doubt` gives it to Tom."""
    shop.place()
    arrive(shop)
    Customer.objects.update(phone=NUMBER)
    return Order.objects.select_related("store").get()


def doubt(by: User) -> None:
    """Tom has proven that the number is his."""
    tom = Contact.objects.create(name="Tom")
    Identity.objects.create(contact=tom, kind=IdentityKind.PHONE, value=NUMBER, added_by=by)


def confirm_by(door: str, client: Client, talk: Conversation, order: Order, token: str) -> Any:
    if door == "page":
        return client.post(
            f"/inbox/conversations/{talk.pk}/orders/{order.pk}/confirm/", {"token": token}
        )
    return client.post(
        f"/api/v1/orders/{order.pk}/actions/",
        json.dumps({"token": token}),
        content_type="application/json",
        headers={"Idempotency-Key": "k"},
    )


@pytest.mark.slow
@pytest.mark.parametrize("is_guarded", [True, False], ids=["guarded", "control"])
@pytest.mark.parametrize("door", ["page", "api"])
def test_a_doubt_between_the_doors_look_and_the_orders_lock_is_seen(
    door: str,
    is_guarded: bool,
    numbered: Order,
    as_alice: Client,
    conversation: Conversation,
    alice: User,
    bob: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control asks at the door only."""
    order, request = numbered, services.request_action
    token = api(alice, order).json()["token"]

    def change_first(*, guard: services.Guard, **words: Any) -> OrderAction:
        doubt(bob)
        return request(guard=guard if is_guarded else lambda _order: None, **words)

    monkeypatch.setattr(services, "request_action", change_first)
    answer = confirm_by(door, as_alice, conversation, order, token)
    if is_guarded:
        assert answer.status_code == 409
        assert REFUSAL in unescape(answer.content.decode())
    assert OrderAction.objects.exists() is not is_guarded


@pytest.mark.slow
@pytest.mark.parametrize("is_guarded", [True, False], ids=["guarded", "control"])
@pytest.mark.parametrize("door", ["page", "api"])
def test_a_doubt_that_comes_while_an_approval_reads_shopify_is_seen(
    door: str,
    is_guarded: bool,
    numbered: Order,
    as_alice: Client,
    conversation: Conversation,
    alice: User,
    bob: User,
    sara: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Policy.objects.create(role=sara.groups.get(), may_approve_up_to=100)
    Policy.objects.create(role=alice.groups.get(), refund_up_to=10)
    token = review(as_alice, conversation, numbered, "refund", reason="other", amount="15.00")
    assert confirm(as_alice, conversation, numbered, token) == 200
    action = OrderAction.objects.get()
    read = get_gateway().refresh

    def refresh(order: Order) -> None:
        assert access.approving_refusal(order) is None
        read(order)
        doubt(bob)

    monkeypatch.setattr(get_gateway(), "refresh", refresh)
    if not is_guarded:
        monkeypatch.setattr(access, "approving_refusal", lambda _order: None)
        monkeypatch.setattr(added_rules, "RULES", [])
    page = f"/inbox/decisions/{action.pk}/approve/"
    at = page if door == "page" else f"/api/v1/actions/{action.pk}/approve/"
    data = {"digest": digest_of(action)} if door == "page" else {}
    said = unescape(logged_in(sara).post(at, data, follow=True).content.decode())
    assert (REFUSAL in said) is is_guarded
    action.refresh_from_db()
    assert (action.state == ActionState.AWAITING_APPROVAL) is is_guarded


@pytest.mark.slow
def test_the_answer_links_the_customer_and_is_undone(
    two: tuple[Order, Order], as_alice: Client, conversation: Conversation, alice: User
) -> None:
    mine, other = two
    assert answer(as_alice, conversation, mine).status_code == 302
    link = Identity.objects.get(kind=IdentityKind.SHOPIFY_CUSTOMER)
    assert (link.source, link.added_by) == ("agent", alice)
    text = page(as_alice, conversation)
    assert QUESTION not in text
    assert "Matched by: Shopify customer" in text
    # The other customer's order is not theirs any more, by either door.
    assert list(identities.orders_of(conversation.contact)) == [mine]
    assert api(alice, mine).status_code == 200
    assert api(alice, other).status_code == 403
    at = f"/inbox/conversations/{conversation.pk}/orders/{other.pk}/cancel/"
    assert as_alice.get(at).status_code == 404
    # Wrong person: the question is back, and Undo gives the answer back.
    where = f"/inbox/contacts/{conversation.contact_id}/identities/{link.pk}"
    as_alice.post(f"{where}/remove/", {"conversation": conversation.pk})
    text = page(as_alice, conversation)
    assert QUESTION in text
    assert "Undo" in text
    as_alice.post(f"{where}/restore/", {"conversation": conversation.pk})
    assert QUESTION not in page(as_alice, conversation)


def test_both_may_be_the_same_person(
    two: tuple[Order, Order], as_alice: Client, conversation: Conversation, alice: User
) -> None:
    answer(as_alice, conversation, *two)
    assert set(identities.orders_of(conversation.contact)) == set(two)
    assert all(api(alice, order).status_code == 200 for order in two)


@pytest.mark.slow
def test_only_what_was_asked_can_be_answered(
    two: tuple[Order, Order], shop: Shop, as_alice: Client, conversation: Conversation
) -> None:
    stranger = place_for(shop, "eve@example.com", bearing="eve@example.com")
    answer(as_alice, conversation, stranger)
    answer(as_alice, conversation)
    as_alice.post(
        f"/inbox/contacts/{conversation.contact_id}/customers/", {"customer": "1:<script>"}
    )
    assert not Identity.objects.filter(kind=IdentityKind.SHOPIFY_CUSTOMER).exists()


def test_a_phone_number_of_another_contact_is_a_doubt(
    shop: Shop, store: Store, as_alice: Client, conversation: Conversation, alice: User, sara: User
) -> None:
    shop.place()
    arrive(shop)
    order = Order.objects.select_related("store").get()
    assert api(alice, order).status_code == 200
    tom = Contact.objects.create(name="Tom")
    Customer.objects.update(phone="+4915112345678")
    address_edits.add_address(contact=tom, text="+4915112345678", by=sara)
    text = page(as_alice, conversation)
    assert QUESTION in text
    assert "also belongs to another contact" in text
    assert api(alice, order).status_code == 403
    answer(as_alice, conversation, order)
    assert api(alice, order).status_code == 200


def test_a_customer_that_another_contact_is_linked_to_cannot_be_taken(
    two: tuple[Order, Order], as_alice: Client, conversation: Conversation, alice: User, bob: User
) -> None:
    tom = Contact.objects.create(name="Tom")
    mine, _other = two
    address_edits.link_customers(
        contact=tom, customers=[(mine.store_id, mine.customer_gid)], by=bob
    )
    assert "Linked to another contact" in page(as_alice, conversation)
    answer(as_alice, conversation, mine)
    assert Identity.objects.get(kind=IdentityKind.SHOPIFY_CUSTOMER).contact == tom
    assert api(alice, mine).status_code == 403


def test_doubt_at_one_store_says_nothing_of_the_other(
    two: tuple[Order, Order], shop: Shop, as_alice: Client, conversation: Conversation, alice: User
) -> None:
    connect.connect(domain=SECOND, token="shpat_practice_second", secret="shpss_practice_second")
    Store.objects.filter(domain=SECOND).update(name="Second")
    shop.place(domain=SECOND, currency="USD")
    arrive(shop)
    there = Order.objects.select_related("store").get(store__domain=SECOND)
    assert api(alice, there).status_code == 200
    text = page(as_alice, conversation)
    assert text.count(QUESTION) == 1
    assert "More than one customer of Demo" in text
    # The same number at both stores: the answer for one is none for the other.
    answer(as_alice, conversation, two[0])
    assert there in identities.orders_of(conversation.contact)
    link = Identity.objects.get(kind=IdentityKind.SHOPIFY_CUSTOMER)
    assert link.value.startswith(f"{two[0].store_id}:")


def test_an_order_of_anothers_customer_moves_no_money_though_the_customer_was_never_read(
    shop: Shop, store: Store, conversation: Conversation, alice: User
) -> None:
    shop.place()
    arrive(shop)
    mine = Order.objects.get()
    # As orders were that came before customers had rows of their own.
    Customer.objects.all().delete()
    assert api(alice, mine).status_code == 200
    other = Contact.objects.create(name="Janine")
    address_edits.link_customers(
        contact=other, customers=[(mine.store_id, mine.customer_gid)], by=alice
    )
    refused = api(alice, mine)
    assert refused.status_code == 403
    assert refused.json()["reason_code"] == "ambiguous_customer"


@pytest.mark.slow
def test_a_merged_customer_is_followed(
    two: tuple[Order, Order], shop: Shop, as_alice: Client, conversation: Conversation, alice: User
) -> None:
    mine, other = two
    answer(as_alice, conversation, mine)
    kept, gone = (int(o.customer_gid.rsplit("/", 1)[-1]) for o in (other, mine))
    shop.act(lambda context: staff_actions.merge_customers(context, kept=kept, gone=gone))
    shop.store.world.shops[DOMAIN].scopes.append("read_customer_merge")
    arrive(shop)
    for order in two:
        order.refresh_from_db()
    assert mine.customer_gid == other.customer_gid
    assert set(identities.orders_of(conversation.contact)) == set(two)
    assert QUESTION not in page(as_alice, conversation)
    assert all(api(alice, order).status_code == 200 for order in two)


@pytest.mark.slow
def test_the_panel_asks_the_database_a_fixed_number_of_times(
    two: tuple[Order, Order],
    shop: Shop,
    as_alice: Client,
    conversation: Conversation,
) -> None:
    page(as_alice, conversation)
    # Which stores answer is remembered for two seconds.
    cache.clear()
    with CaptureQueriesContext(connection) as few:
        page(as_alice, conversation)
    for _ in range(5):
        shop.place()
    arrive(shop)
    page(as_alice, conversation)
    cache.clear()
    with CaptureQueriesContext(connection) as more:
        page(as_alice, conversation)
    assert len(more) == len(few)


def test_a_linked_contact_costs_the_panel_one_query_more_and_nothing_is_read_twice(
    shop: Shop, store: Store, as_alice: Client, conversation: Conversation, alice: User
) -> None:
    shop.place()
    arrive(shop)
    order = Order.objects.get()
    pair = (order.store_id, order.customer_gid)

    def queries() -> list[str]:
        page(as_alice, conversation)
        with CaptureQueriesContext(connection) as captured:
            page(as_alice, conversation)
        return [query["sql"] for query in captured.captured_queries]

    by_address = queries()
    address_edits.link_customers(contact=conversation.contact, customers=[pair], by=alice)
    linked = queries()
    # The linked customer's state is queried once.
    assert len(linked) == len(by_address) + 1
    assert len(set(linked)) == len(linked)
    assert sum('FROM "inbox_identity"' in sql and "contact_id" in sql for sql in linked) == 2
