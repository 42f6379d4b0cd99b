"""The inbox's entry points: channel API, orders API and pages; who gets in, what comes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from inbox.channels import keys
from inbox.conversations import services
from inbox.models import (
    Channel,
    Contact,
    Conversation,
    ConversationState,
    DeliveryState,
    Identity,
    Message,
    MessageKind,
    Route,
)
from inbox.tasks import sweep_outbox
from inbox.texts import placeholders
from orders.models import Order, OrderAction
from tests.conftest import logged_in
from tests.support.shop.in_process import SECOND, Shop, work_off

Seen = Callable[[], Order]


@pytest.fixture
def key(channel: Channel) -> str:
    return keys.new_key(channel)


def body(**changes: Any) -> dict[str, Any]:
    return {
        "external_id": "m-9",
        "conversation": "c-9",
        "sender": {
            "external_id": "u-9",
            "name": "Jane Doe",
            "email": "Jane@Example.com",
            "phone": "+49 151 12345678",
        },
        "text": "Where is my order #1043?",
        "sent_at": "2026-11-23T10:00:00Z",
    } | changes


def push(channel: Channel, key: str, data: Any) -> Any:
    return Client().post(
        f"/api/v1/channels/{channel.pk}/messages/",
        data if isinstance(data, bytes) else json.dumps(data),
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}"},
    )


@pytest.mark.django_db
def test_a_pushed_message_makes_contact_and_conversation(channel: Channel, key: str) -> None:
    assert push(channel, key, body()).status_code == 201
    message = Message.objects.get()
    assert (message.kind, message.text) == (MessageKind.INBOUND, "Where is my order #1043?")
    values = set(Identity.objects.values_list("value", flat=True))
    assert {"jane@example.com", "+4915112345678"} <= values
    assert message.conversation.is_unread


@pytest.mark.django_db
def test_a_repeat_answers_200_with_the_first_message(channel: Channel, key: str) -> None:
    first = push(channel, key, body())
    again = push(channel, key, body(text="changed"))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert Message.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        body(text="a\x00b"),
        body(text=[]),
        body(external_id="x" * 201),
        body(extra=1),
        body(sender={}),
        body(sender="x"),
        body(sent_at="yesterday"),
        b'{"text": "\\ud800"}',
        body(text=None),
        body(conversation=""),
    ],
)
def test_bad_input_is_a_400_that_names_the_problem(channel: Channel, key: str, data: Any) -> None:
    answer = push(channel, key, data)
    assert answer.status_code == 400
    assert answer["Content-Type"].startswith("application/problem+json")
    assert answer.json()["type"].startswith("urn:agent-inbox:")
    assert not Message.objects.exists()


@pytest.mark.django_db
def test_a_key_opens_its_own_channel_only(channel: Channel, key: str) -> None:
    other = Channel.objects.create(name="Other")
    assert push(other, key, body()).status_code == 403
    for wrong in ("", "axk_x_y", key[:-1], "é", key + "0"):
        assert push(channel, wrong, body()).status_code == 401
    Channel.objects.filter(pk=channel.pk).update(is_active=False)
    assert push(channel, key, body()).status_code == 401
    assert not Message.objects.exists()


@pytest.mark.django_db
def test_a_new_message_opens_a_resolved_conversation_again(channel: Channel, key: str) -> None:
    push(channel, key, body())
    conversation = Conversation.objects.get()
    services.resolve(conversation=conversation)
    push(channel, key, body(external_id="m-10"))
    conversation.refresh_from_db()
    assert conversation.state == ConversationState.OPEN


@pytest.mark.django_db
def test_two_people_are_never_merged_by_a_taken_address(channel: Channel, key: str) -> None:
    push(channel, key, body())
    sender = body()["sender"] | {"external_id": "u-10", "email": "other@example.com", "phone": ""}
    push(channel, key, body(external_id="m-11", conversation="c-11", sender=sender))
    assert Contact.objects.count() == 2


PAGES = [
    "/inbox/",
    "/inbox/rows/",
    "/inbox/conversations/{c}/",
    "/inbox/conversations/{c}/header/",
    "/inbox/conversations/{c}/thread/",
    "/inbox/conversations/{c}/orders/",
    "/inbox/contacts/{p}/",
    "/inbox/contacts/{p}/activity/",
]


@pytest.mark.django_db
@pytest.mark.parametrize("page", PAGES)
def test_pages_answer_agents_and_send_strangers_to_the_log_in(
    page: str, conversation: Conversation, as_alice: Client
) -> None:
    url = page.format(c=conversation.pk, p=conversation.contact_id)
    assert as_alice.get(url).status_code == 200
    stranger = Client().get(url)
    assert (stranger.status_code, stranger["Location"][:7]) == (302, "/login/")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "door", ["reply", "note", "assign", "snooze", "resolve", "reopen", "orders/refresh"]
)
def test_doors_that_change_something_need_a_post_and_a_token(
    door: str, conversation: Conversation, alice: User
) -> None:
    url = f"/inbox/conversations/{conversation.pk}/{door}/"
    assert logged_in(alice).get(url).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    assert strict.post(url).status_code == 403
    assert Client().post(url).status_code == 302


@pytest.mark.django_db(transaction=True)
def test_reply_note_and_states_by_the_pages(as_alice: Client, conversation: Conversation) -> None:
    at = f"/inbox/conversations/{conversation.pk}/"
    as_alice.post(f"{at}reply/", {"text": "On its way!"})
    as_alice.post(f"{at}note/", {"text": "be kind"})
    assert as_alice.post(f"{at}reply/", {"text": ""}).status_code == 422
    kinds = list(conversation.messages.order_by("pk").values_list("kind", "delivery_state"))
    assert kinds[1:] == [
        (MessageKind.REPLY, DeliveryState.KEPT),
        (MessageKind.NOTE, DeliveryState.KEPT),
    ]
    page = as_alice.get(at).content.decode()
    assert "On its way!" in page
    assert "be kind" in page
    as_alice.post(f"{at}snooze/", {"hours": "1"})
    conversation.refresh_from_db()
    assert conversation.state == ConversationState.SNOOZED
    as_alice.post(f"{at}reopen/")
    as_alice.post(f"{at}assign/", {"assignee": ""})
    conversation.refresh_from_db()
    assert (conversation.state, conversation.assignee) == (ConversationState.OPEN, None)


@pytest.mark.django_db(transaction=True)
def test_a_reply_to_a_dead_callback_fails_in_the_open(
    channel: Channel, conversation: Conversation, alice: User, settings: Any
) -> None:
    settings.DEBUG = True
    Channel.objects.filter(pk=channel.pk).update(callback_url="http://127.0.0.1:9/hook")
    conversation.channel.refresh_from_db()
    message = services.reply(conversation=conversation, by=alice, text="hello")
    for _ in range(8):
        Message.objects.filter(pk=message.pk).update(next_attempt_at=None)
        # A host that does not answer is given a rest, too.
        Route.objects.update(rest_until=None)
        sweep_outbox()
    message.refresh_from_db()
    assert message.delivery_state == DeliveryState.FAILED
    assert "didn’t respond" in message.error


@pytest.mark.django_db
def test_outside_debug_a_private_callback_is_never_called(
    channel: Channel, conversation: Conversation, alice: User
) -> None:
    Channel.objects.filter(pk=channel.pk).update(callback_url="http://127.0.0.1:9/hook")
    conversation.channel.refresh_from_db()
    message = services.reply(conversation=conversation, by=alice, text="hello")
    sweep_outbox()
    message.refresh_from_db()
    assert (message.delivery_state, message.attempts) == (DeliveryState.FAILED, 1)


@pytest.mark.django_db(transaction=True)
def test_the_rest_door_previews_confirms_once_and_tells_how_it_stands(
    shop: Shop, seen: Seen, alice: User, conversation: Conversation
) -> None:
    shop.place()
    order = seen()
    api = logged_in(alice)
    found = api.get("/api/v1/orders/", {"q": order.name}).json()["results"]
    assert [row["id"] for row in found] == [order.pk]
    detail = api.get(f"/api/v1/orders/{order.pk}/").json()
    assert detail["actions"]["refund"]["allowed"]
    assert [b["label"] for b in detail["badges"]] == ["Open", "Paid", "Unfulfilled"]
    wish = {"kind": "refund", "reason": "other", "amount": "12.50"}
    preview = api.post(
        f"/api/v1/orders/{order.pk}/previews/", wish, content_type="application/json"
    ).json()
    assert preview["amount"] == {"amount": "12.50", "currency": "EUR"}
    url, token = f"/api/v1/orders/{order.pk}/actions/", {"token": preview["token"]}
    assert api.post(url, token, content_type="application/json").status_code == 400
    headers = {"Idempotency-Key": "k-1"}
    answers = [
        api.post(url, token, content_type="application/json", headers=headers) for _ in range(3)
    ]
    assert [a.status_code for a in answers] == [202] * 3
    assert len({a.json()["id"] for a in answers}) == 1
    work_off(shop, api)
    action = api.get(f"/api/v1/actions/{answers[0].json()['id']}/").json()
    assert (action["state"], action["requested_by"]) == ("succeeded", "alice")
    assert len(shop.ledger()["refunds"]) == 1
    stale = api.post(
        url, token, content_type="application/json", headers={"Idempotency-Key": "k-2"}
    )
    assert stale.status_code == 409
    assert stale.json()["preview"]["amount"]["amount"] == "12.50"


@pytest.mark.django_db(transaction=True)
def test_the_rest_door_refuses_with_the_pages_words(
    shop: Shop, seen: Seen, bob: User, conversation: Conversation
) -> None:
    shop.place()
    order = seen()
    wish = {"kind": "refund", "reason": "other", "amount": "1.00"}
    answer = logged_in(bob).post(
        f"/api/v1/orders/{order.pk}/previews/", wish, content_type="application/json"
    )
    assert (answer.status_code, answer.json()["reason_code"]) == (403, "not_assigned")
    assert Client().get(f"/api/v1/orders/{order.pk}/").status_code in {401, 403}


@pytest.mark.django_db(transaction=True)
def test_another_customers_order_does_not_exist_in_a_conversation(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    shop.place(email="stranger@example.com")
    order = seen()
    at = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}"
    for door in ("cancel", "refund"):
        assert as_alice.get(f"{at}/{door}/").status_code == 404
    for door in ("cancel", "refund", "confirm", "suggestion"):
        assert as_alice.post(f"{at}/{door}/").status_code == 404
    assert not OrderAction.objects.exists()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "order",
    [
        {"email": None},
        {"email": "jane@example.com", "items": (("Free sample", "0.00", 1),), "paid": False},
        {"currency": "JPY", "items": (("Mug", "1500", 1),)},
        {"currency": "KWD", "items": (("Mug", "1.125", 3),)},
        {"items": (("<script>alert(1)</script>", "1.00", 1),), "note": "<b>&</b>"},
        {"items": (("هدية 🎁", "1.00", 1),)},
    ],
)
def test_awkward_orders_are_shown_and_never_a_500(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, order: dict[str, Any]
) -> None:
    shop.place(**order)
    found = seen()
    assert found.document
    page = as_alice.get(
        f"/inbox/conversations/{conversation.pk}/orders/", headers={"HX-Request": "true"}
    )
    assert page.status_code == 200
    assert b"<script>alert" not in page.content
    if found.email:
        at = f"/inbox/conversations/{conversation.pk}/orders/{found.pk}"
        assert as_alice.get(f"{at}/cancel/").status_code == 200
        assert as_alice.get(f"{at}/refund/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_deleted_order_is_buried_after_two_reads_an_hour_apart(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    from datetime import timedelta

    from practice_store.sales import lifecycle
    from shopify_sync.reading import orders as ingest

    placed = shop.place()
    order = seen()
    shop.act(lambda c: lifecycle.delete(c, placed))
    seen()
    order.refresh_from_db()
    assert order.deleted_at is None
    assert order.missing_since is not None
    Order.objects.update(missing_since=order.missing_since - timedelta(hours=2))
    ingest.refresh(Order.objects.get(pk=order.pk))
    assert not Order.objects.visible().exists()


@pytest.mark.django_db(transaction=True)
def test_shopify_down_is_said_and_nothing_is_lost(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    shop.place()
    order = seen()
    shop.store.faults.set([{"operation": "*", "phase": "500_before"}])
    at = f"/inbox/conversations/{conversation.pk}/orders"
    page = as_alice.post(f"{at}/refresh/", headers={"HX-Request": "true"}).content.decode()
    assert "Shopify can’t be reached" in page
    assert order.name in page
    answer = as_alice.post(f"{at}/{order.pk}/cancel/", {"reason": "OTHER", "refund": "later"})
    assert "Shopify can’t be reached" in answer.content.decode()
    assert not OrderAction.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_stores_with_one_customer_are_told_apart(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    from shopify_sync.setup import connect

    connect.connect(domain=SECOND, token="shpat_practice_second", secret="shpss_practice_second")
    shop.place()
    shop.place(domain=SECOND)
    seen()
    orders = list(Order.objects.order_by("pk"))
    assert orders[0].name == orders[1].name
    assert {o.store.domain for o in orders} == {"demo.myshopify.com", SECOND}
    page = as_alice.get(
        f"/inbox/conversations/{conversation.pk}/orders/", headers={"HX-Request": "true"}
    ).content.decode()
    assert page.count(orders[0].name) >= 2
    assert "chip truncate" in page


def test_a_text_is_sent_without_blanks_or_not_at_all() -> None:
    assert placeholders.fill("Hi {{ customer.first_name|there }}!", {}) == "Hi there!"
    with pytest.raises(placeholders.MissingValue) as caught:
        placeholders.fill("{{ order.number }}", {})
    assert caught.value.name == "order.number"
    sly = {"customer.name": "{{ order.number }}", "order.number": "#1"}
    assert placeholders.fill("{{ customer.name }}", sly) == "{{ order.number }}"
    assert placeholders.unknown("{{ settings.SECRET_KEY }}") == ["settings.SECRET_KEY"]
