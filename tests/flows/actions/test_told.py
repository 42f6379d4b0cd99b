"""Customers are told about a cancellation or refund after it happened, once each, and exactly
as the review showed it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from django.utils import timezone

from inbox import tasks
from inbox.campaigns import order_events as campaign_verbs
from inbox.campaigns.order_events import preview_messages
from inbox.campaigns.texts import facts_of_event
from inbox.conversations import services
from inbox.demo.campaigns import CAMPAIGNS
from inbox.models import (
    Campaign,
    CampaignMessage,
    Channel,
    ChannelKind,
    Contact,
    Conversation,
    Identity,
    Message,
    MessageKind,
    SendState,
    Via,
)
from inbox.texts.refunds import (
    Way,
    sentence,
    way_of,
)
from orders.models import ActionState, Customer, Order, OrderAction, OrderEvent, RefundMethod
from orders.models import Store as OurStore
from orders.panels import card_rows
from orders.previews import decode_proposal
from practice_store.changes import staff_actions as shop_actions
from practice_store.state import Tracking
from tests.conftest import message_time
from tests.flows.test_main_job import confirm, confirmations, panel, review
from tests.support.servers import texts
from tests.support.shop.in_process import Shop, fetch_dirty, read_customers, work_off

Seen = Callable[[], Order]
CANCEL_PARCEL = "mutation($id: ID!) { fulfillmentCancel(id: $id) { userErrors { message } } }"
pytestmark = pytest.mark.django_db(transaction=True)


def send() -> None:
    OrderEvent.objects.unannounced().update(announce_after=None)
    tasks.sweep_events()
    tasks.sweep_events()
    tasks.sweep_outbox()


@pytest.fixture
def told(db: None) -> list[Campaign]:
    """The demo's campaigns, as a merchant has them."""
    made = []
    for name, columns, translations in CAMPAIGNS[:2]:
        campaign = Campaign.objects.create(name=name, **columns)
        made.append(campaign)
        for language, (subject, body) in translations.items():
            campaign.translations.create(language=language, subject=subject, body=body)
    return made


@pytest.fixture
def sink(channel: Channel, settings: Any) -> Any:
    """A messenger that takes replies; `answer` is what it says."""
    settings.DEBUG = True
    bodies: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        answer = 200

        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(Handler.answer)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    Channel.objects.filter(pk=channel.pk).update(callback_url=url)
    server.bodies, server.handler = bodies, Handler  # type: ignore[attr-defined]
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def mailbox(alice: User) -> Conversation:
    """Jane writes by email, from the order's address, which is proven."""
    channel = Channel.objects.create(name="Post", kind=ChannelKind.EMAIL, proves_addresses=True)
    message, _is_new = services.receive(
        channel=channel,
        external_id="e-1",
        conversation_id="e-1",
        sender=services.Sender(
            external_id="jane@example.com", name="Jane Doe", email="jane@example.com"
        ),
        text="Where is it?",
        sent_at=message_time(),
    )
    services.assign(conversation=message.conversation, to=alice)
    Conversation.objects.update(subject="My  order")
    return Conversation.objects.get(pk=message.conversation_id)


def pay(shop: Shop, gateway: str, amount: str = "40.00", **more: Any) -> Any:
    placed = shop.place(paid=False, **more)
    shop.act(lambda c: shop_actions.pay(c, placed, Decimal(amount), gateway=gateway))
    return placed


def refund(
    shop: Shop, client: Client, talk: Conversation, order: Order, amount: str = "5.00", **more: str
) -> OrderAction:
    token = review(client, talk, order, "refund", reason="other", amount=amount, **more)
    assert confirm(client, talk, order, token) == 200
    work_off(shop, client)
    return OrderAction.objects.latest("pk")


def everything_said() -> str:
    said = Message.objects.filter(kind=MessageKind.CONFIRMATION).values_list("text", flat=True)
    return "\n".join([*said, *(str(m.body) for m in mail.outbox)])


def test_a_failed_refund_sends_no_message(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, told: list[Campaign]
) -> None:
    """The bank declines a refund of 7.00."""
    shop.conditions(refunds=("failure",))
    shop.place()
    order = seen()
    action = refund(shop, as_alice, conversation, order, "7.00")
    send()
    assert action.state == ActionState.REVERSED
    assert everything_said() == ""
    assert not CampaignMessage.objects.filter(state=SendState.WRITTEN).exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("course", "hears"), [("pending_success", True), ("pending_failure", False)]
)
def test_a_refund_is_announced_once_its_bank_has_answered(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    conversation: Conversation,
    told: list[Campaign],
    course: str,
    hears: bool,
) -> None:
    """Nothing is said while the refund is pending; then its outcome decides."""
    shop.conditions(refunds=(course,), bank_s=3600)
    shop.place()
    order = seen()
    action = refund(shop, as_alice, conversation, order, "7.00")
    assert action.state == ActionState.AWAITING_BANK
    for _again in range(3):
        send()
    assert everything_said() == ""
    assert OrderEvent.objects.unannounced().filter(unsettled_at__isnull=False).count() == 1
    shop.advance(3700)
    seen()
    send()
    action.refresh_from_db()
    assert action.state == (ActionState.SUCCEEDED if hears else ActionState.REVERSED)
    assert ("€7.00" in everything_said()) is hears
    assert len(mail.outbox) == hears
    assert not OrderEvent.objects.unannounced().exists()
    reasons = set(CampaignMessage.objects.exclude(reason="").values_list("reason", flat=True))
    assert reasons == (set() if hears else {"The refund failed at the payment provider."})


def test_a_bank_that_took_a_week_is_no_old_news(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, told: list[Campaign]
) -> None:
    shop.conditions(refunds=("pending_success",), bank_s=3600)
    shop.place()
    refund(shop, as_alice, conversation, seen(), "7.00")
    send()
    week_ago = timezone.now() - timedelta(days=7)
    OrderEvent.objects.filter(kind="refunded").update(occurred_at=week_ago, recorded_at=week_ago)
    shop.advance(3700)
    seen()
    send()
    assert "€7.00" in everything_said()


def test_a_cancellation_whose_refund_failed_announces_only_the_cancellation(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, told: list[Campaign]
) -> None:
    shop.conditions(refunds=("failure",))
    shop.place()
    order = seen()
    token = review(
        as_alice, conversation, order, "cancel", reason="CUSTOMER", refund="now", amount="40.00"
    )
    assert confirm(as_alice, conversation, order, token) == 200
    work_off(shop, as_alice)
    send()
    said = everything_said()
    assert "was canceled" in said
    assert "refund" not in said
    assert "40" not in said


def test_only_money_that_has_moved_is_announced(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, told: list[Campaign]
) -> None:
    shop.conditions(refunds=("half_failure",))
    placed = shop.place(paid=False)
    for amount, gateway in (("30", "shopify_payments"), ("10", "gift_card")):
        received = partial(shop_actions.pay, order=placed, amount=Decimal(amount), gateway=gateway)
        shop.act(received)
    refund(shop, as_alice, conversation, seen(), "40.00")
    send()
    said = everything_said()
    assert "€40.00" not in said
    assert ("€30.00" in said) or ("€10.00" in said)


WAYS = {
    "shopify_payments": "Depending on your bank, it arrives within ten days.",
    "Cash on Delivery (COD)": "You paid in cash, so we will arrange with you how to return your money.",
    "Bank Deposit": "We return it by bank transfer.",
    "gift_card": "It is back on the gift card you paid with.",
}


@pytest.mark.slow
@pytest.mark.parametrize("gateway", WAYS)
def test_a_sentence_that_is_true_of_the_way_the_money_goes(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    conversation: Conversation,
    told: list[Campaign],
    gateway: str,
) -> None:
    """Each payment method has a sentence; the one for cash on delivery doesn't mention banks."""
    pay(shop, gateway)
    refund(shop, as_alice, conversation, seen())
    send()
    said = everything_said()
    assert WAYS[gateway] in said
    assert not any(other in said for name, other in WAYS.items() if name != gateway)


@pytest.mark.slow
def test_store_credit_has_a_sentence_of_its_own(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    conversation: Conversation,
    told: list[Campaign],
    store: OurStore,
) -> None:
    OurStore.objects.update(allow_store_credit=True)
    shop.place()
    refund(shop, as_alice, conversation, seen(), method=RefundMethod.STORE_CREDIT)
    send()
    assert "It is available as store credit in your customer account." in everything_said()
    assert "bank" not in everything_said()


@pytest.mark.parametrize(
    ("gateway", "is_manual", "way"),
    [
        ("shopify_payments", False, Way.CARD),
        ("paypal", False, Way.CARD),
        ("", False, Way.CARD),
        ("cash", True, Way.CASH),
        ("Cash on Delivery (COD)", True, Way.CASH),
        ("cash_on_delivery", True, Way.CASH),
        ("bank_deposit", True, Way.BANK),
        ("Bank Deposit", True, Way.BANK),
        ("gift_card", False, Way.GIFT_CARD),
        ("shopify_store_credit", False, Way.STORE_CREDIT),
        ("manual", True, Way.BY_HAND),
        ("Nachnahme", True, Way.BY_HAND),
        ("Money Order", True, Way.BY_HAND),
    ],
)
def test_the_refund_sentence_depends_on_the_gateway(
    gateway: str, is_manual: bool, way: Way
) -> None:
    assert way_of(gateway, is_manual=is_manual) == way
    assert ("bank" in sentence(way)) == (way in {Way.CARD, Way.BANK})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["thirteen@example.com", "+49 151 12345678", ""])
def test_a_greeting_never_uses_an_address_as_a_name(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    conversation: Conversation,
    told: list[Campaign],
    name: str,
) -> None:
    """Shopify shows the email address as the name of a customer who gave none."""
    placed = shop.place()
    assert placed.customer_number is not None
    person = shop.store.world.shops["demo.myshopify.com"].customers[placed.customer_number]
    person.first_name, person.last_name = None, None
    if not name.startswith("+"):
        assert person.display_name == "jane@example.com"
    order = seen()
    refund(shop, as_alice, conversation, order)
    send()
    said = everything_said()
    assert "Hello there," in said
    assert "Hello jane" not in said


def test_only_live_parcels_have_numbers(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    """The first shipment was canceled, and the second is in transit."""
    placed = shop.place()
    for company, number in (("UPS", "OLD"), ("DHL", "NEW")):
        tracking = [Tracking(company=company, number=number)]
        shop.act(partial(shop_actions.ship, order=placed, tracking=tracking))
        if number == "OLD":
            # It was known before it was canceled.
            order = seen()
            gid = order.snapshot.fulfillments[0].gid
            answer = shop.graphql(CANCEL_PARCEL, {"id": gid})
            assert not answer["data"]["fulfillmentCancel"]["userErrors"]
    order = seen()
    assert [f.status for f in order.snapshot.fulfillments] == ["CANCELLED", "SUCCESS"]
    assert card_rows.tracking_text(order.snapshot) == "DHL NEW"
    Campaign.objects.create(
        name="Shipped",
        event_kind="fulfilled",
        subject="s",
        body="{{ tracking.numbers|a parcel }} is on its way",
    )
    OrderEvent.objects.update(announced_at=None)
    send()
    assert "OLD" not in everything_said()
    assert "NEW is on its way" in everything_said()
    shown = panel(as_alice, conversation)
    assert "UPS OLD" not in re.findall(r'data-insert="([^"]*)"', shown)


def bodies_of(page: str) -> list[str]:
    """What the review shows as messages, as text."""
    found = re.findall(r'<div class="preview-message" dir="auto">(.*?)</div>', page, re.DOTALL)
    return [unescape(re.sub(r"</?strong>", "", each)) for each in found]


@pytest.mark.slow
@pytest.mark.parametrize("language", ["", "de", "ar", "fr"])
@pytest.mark.parametrize("kind", ["refund", "cancel", "cancel_and_refund"])
@pytest.mark.parametrize("gateway", ["shopify_payments", "Cash on Delivery (COD)", "gift_card"])
def test_the_review_shows_what_the_recipients_get_byte_for_byte(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    conversation: Conversation,
    told: list[Campaign],
    sink: Any,
    settings: Any,
    kind: str,
    gateway: str,
    language: str,
) -> None:
    """Every channel, every way, by the doors: the page, the mail, the callback and the SMS."""
    settings.SMS_BACKEND = texts.KEPT
    texts.SENT.clear()
    Campaign.objects.update(via_sms=True, sms_text="{{ order.number }}: {{ refund_sentence }}")
    Contact.objects.update(language=language)
    pay(
        shop,
        gateway,
        billingAddress={"countryCode": "DE", "phone": "0151 12345678"},
        shippingAddress={"countryCode": "DE", "phone": "0151 12345678"},
    )
    order = seen()
    at = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/"
    data = {"reason": "other", "amount": "12.50"}
    if kind != "refund":
        when = "later" if kind == "cancel" else "now"
        data = {"reason": "CUSTOMER", "refund": when, "amount": "40.00"}
    page = as_alice.post(f"{at}{'refund' if kind == 'refund' else 'cancel'}/", data)
    shown = bodies_of(page.content.decode())
    assert len(shown) == 2, page.content.decode()
    token = re.search(r'name="token" value="([^"]+)"', unescape(page.content.decode()))
    assert token
    assert confirm(as_alice, conversation, order, token[1]) == 200
    work_off(shop, as_alice)
    for _again in range(2):
        send()
    got = [body["data"]["text"] for body in sink.bodies] + [text for _to, text, _id in texts.SENT]
    assert shown == got
    assert shown[0].encode() == got[0].encode()
    # Told in the conversation, so not by email as well.
    assert mail.outbox == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["refund", "cancel"])
def test_the_mail_is_what_the_review_showed(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    mailbox: Conversation,
    told: list[Campaign],
    kind: str,
) -> None:
    """An email conversation got two: one in the conversation, and one to the order's address."""
    shop.place()
    order = seen()
    at = f"/inbox/conversations/{mailbox.pk}/orders/{order.pk}/{kind}/"
    data = {"reason": "other", "amount": "12.50"}
    if kind == "cancel":
        data = {"reason": "CUSTOMER", "refund": "now", "amount": "40.00"}
    page = as_alice.post(at, data).content.decode()
    shown = bodies_of(page)
    assert "The customer gets it in the conversation." in unescape(page)
    token = re.search(r'name="token" value="([^"]+)"', unescape(page))
    assert token
    assert confirm(as_alice, mailbox, order, token[1]) == 200
    work_off(shop, as_alice)
    send()
    (one,) = mail.outbox
    assert one.to == ["jane@example.com"]
    assert shown == [f"{one.subject}\n{one.body}"]


def test_without_a_conversation_that_leaves_it_goes_by_mail_once(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, told: list[Campaign]
) -> None:
    """The messenger has no callback address: said before it is confirmed, and in the composer."""
    shop.place()
    order = seen()
    at = f"/inbox/conversations/{conversation.pk}/"
    assert "Messenger has no callback URL" in unescape(as_alice.get(at).content.decode())
    data = {"reason": "other", "amount": "12.50"}
    page = as_alice.post(f"{at}orders/{order.pk}/refund/", data).content.decode()
    assert "Messenger has no callback URL" in unescape(page)
    refund(shop, as_alice, conversation, order, "12.50")
    send()
    (one,) = mail.outbox
    assert bodies_of(page)[1] == f"{one.subject}\n{one.body}"
    assert confirmations(conversation) == [bodies_of(page)[0]]


@pytest.mark.slow
@pytest.mark.parametrize("status", [403, 410])
def test_a_person_who_takes_no_messages_is_told_by_mail_and_the_composer_says_so(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    conversation: Conversation,
    told: list[Campaign],
    sink: Any,
    alice: User,
    status: int,
) -> None:
    sink.handler.answer = status
    services.reply(conversation=Conversation.objects.get(), by=alice, text="Hello")
    tasks.sweep_outbox()
    at = f"/inbox/conversations/{conversation.pk}/"
    said = "This person no longer receives messages here."
    assert said in unescape(as_alice.get(at).content.decode())
    shop.place()
    order = seen()
    page = as_alice.post(f"{at}orders/{order.pk}/refund/", {"reason": "other", "amount": "5.00"})
    assert said in unescape(page.content.decode())
    refund(shop, as_alice, conversation, order)
    send()
    assert [m.to for m in mail.outbox] == [["jane@example.com"]]


def test_a_strangers_conversation_gets_no_confirmation(
    shop: Shop, seen: Seen, as_alice: Client, alice: User, sara: User, told: list[Campaign]
) -> None:
    """The amount, the order and "Hello Jane" are only for Jane."""
    shop.place()
    order = seen()
    fetch_dirty()
    read_customers()
    Customer.objects.update(phone="+4915112345678")
    widget = Channel.objects.create(name="Chat widget")
    message, _is_new = services.receive(
        channel=widget,
        external_id="m",
        conversation_id="c",
        sender=services.Sender(
            external_id="u", name="Robin", phone="+4915112345678", email="robin@example.net"
        ),
        text="refund me",
        sent_at=message_time(),
    )
    origin = f"conversation:{message.conversation_id}"
    action = OrderAction.objects.create(
        order=order,
        kind="refund",
        requested_by=sara,
        origin=origin,
        nonce="n",
        digest="d",
        proposal={},
        steps=[],
        amount=Decimal("5.00"),
        currency="EUR",
    )
    OrderEvent.objects.create(
        order=order,
        kind="refunded",
        key="refunded:gid",
        occurred_at=timezone.now(),
        source="agent",
        action=action,
        amount=Decimal("5.00"),
        currency="EUR",
    )
    send()
    assert not Message.objects.filter(kind=MessageKind.CONFIRMATION).exists()
    assert [m.to for m in mail.outbox] == [["jane@example.com"]]
    assert not Identity.objects.filter(value="robin@example.net").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("minimum", "wait", "told_now", "told_later"),
    [
        ("0", 0, True, True),
        ("5.01", 0, False, False),
        ("5.00", 0, True, True),
        ("0", 30, False, True),
    ],
)
def test_refunds_of_the_shops_own_staff_from_a_sum_and_an_age_on(
    shop: Shop,
    seen: Seen,
    conversation: Conversation,
    told: list[Campaign],
    minimum: str,
    wait: int,
    told_now: bool,
    told_later: bool,
) -> None:
    Campaign.objects.filter(event_kind="refunded").update(
        staff_refund_minimum=minimum, staff_refund_wait_minutes=wait
    )
    placed = shop.place()
    seen()
    shop.act(lambda c: shop_actions.refund(c, placed, Decimal("5.00")))
    seen()
    tasks.sweep_events()
    tasks.sweep_outbox()
    assert bool(mail.outbox) is told_now
    OrderEvent.objects.filter(kind="refunded").update(
        occurred_at=timezone.now() - timedelta(minutes=31)
    )
    send()
    assert bool(mail.outbox) is told_later


def test_an_agents_refund_is_announced_whatever_its_amount(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, told: list[Campaign]
) -> None:
    Campaign.objects.update(staff_refund_minimum=1000, staff_refund_wait_minutes=60)
    shop.place()
    refund(shop, as_alice, conversation, seen())
    send()
    assert [m.to for m in mail.outbox] == [["jane@example.com"]]


def test_the_review_and_the_message_come_from_one_place(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, told: list[Campaign]
) -> None:
    """Negative control: were the message to forget how the money goes, the bytes would differ."""
    pay(shop, "gift_card")
    order = seen()
    with pytest.MonkeyPatch.context() as patch:
        forgetful = _without_ways(facts_of_event)
        patch.setattr(campaign_verbs, "facts_of_event", forgetful)
        action = refund(shop, as_alice, conversation, order)
        send()
    shown = preview_messages(
        order=order, proposal=decode_proposal(action.proposal), origin=conversation.origin
    )
    (one,) = mail.outbox
    assert {d.via: d.body for d in shown}[Via.EMAIL] != one.body


def _without_ways(real: Any) -> Any:
    from dataclasses import replace

    return lambda event: replace(real(event), shares=())
