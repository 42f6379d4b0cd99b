"""Customers get messages in their own language, exactly as the agent saw them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from django.utils import timezone
from django.utils.translation import override, trans_real

from inbox.campaigns import order_events as rules
from inbox.campaigns.order_events import (
    handle_event,
    preview_messages,
)
from inbox.demo.campaigns import CAMPAIGNS
from inbox.models import (
    Campaign,
    CampaignMessage,
    CampaignTranslation,
    Contact,
    Conversation,
    MessageKind,
    Via,
)
from inbox.tasks import sweep_outbox
from orders.models import (
    ActionKind,
    ActionState,
    EventKind,
    EventSource,
    Order,
    OrderAction,
    OrderEvent,
    Store,
)
from orders.money import Money
from orders.previews import Proposal
from orders.snapshot import Address, CustomerSnapshot, encode
from tests.support.orders import snapshots
from tests.support.servers import texts

pytestmark = pytest.mark.django_db

SUM = Money(Decimal("1234.50"), "EUR")
LATIN = re.compile(r"[A-Za-z]{3,}")
ENGLISH = re.compile(
    r"\b(the|your|you|we|are|was|were|order|refund\w*|cancel\w*|hello|regards|within|of)\b",
    re.IGNORECASE,
)
# What may stand in a text of any language: names and addresses.
NAMES = re.compile(r"Jane Doe|Jane|Demo|https?://\S+")


@pytest.fixture(autouse=True)
def seeded(settings: Any) -> Iterator[None]:
    settings.SMS_BACKEND = texts.KEPT
    for name, columns, translations in CAMPAIGNS:
        campaign = Campaign.objects.create(name=name, via_sms=True, **columns)
        campaign.full_clean(exclude=["name"])
        for language, (subject, body) in translations.items():
            row = CampaignTranslation(
                campaign=campaign, language=language, subject=subject, body=body
            )
            row.full_clean()
            row.save()
    texts.SENT.clear()
    # The sentence as the Arabic catalog has it, whether it was compiled already or not.
    catalog = trans_real.translation("ar")._catalog  # type: ignore[attr-defined]
    had = catalog.get("We are refunding %(sum)s.")
    catalog["We are refunding %(sum)s."] = had or "نعيد إليكم %(sum)s."
    yield
    catalog["We are refunding %(sum)s."] = had or ""


@pytest.fixture
def order(db: None) -> Order:
    store = Store.objects.create(
        domain="demo.myshopify.com", name="Demo", currency="EUR", time_zone="Europe/Berlin"
    )
    snapshot = snapshots.order(
        email="jane@example.com",
        phone="+4915112345678",
        customer=CustomerSnapshot(gid="gid://shopify/Customer/7", legacy_id=7, name="Jane Doe"),
    )
    return Order.objects.create(
        store=store,
        gid=snapshot.gid,
        legacy_id=1,
        name="#1001",
        email=snapshot.email,
        phone=snapshot.phone,
        currency="EUR",
        customer_gid="gid://shopify/Customer/7",
        document=encode(snapshot),
    )


def proposal(kind: str) -> Proposal:
    return Proposal(
        kind=ActionKind(kind),
        amount=SUM,
        reason="CUSTOMER",
        reason_label="x",
        targets=(),
        is_full_refund=False,
        lines=(),
        shipping=None,
        restock=False,
        notify=False,
        staff_note="",
        returned="",
        shipments_to_cancel=(),
        facts={},
    )


def act(order: Order, conversation: Conversation, kind: str, by: User) -> list[OrderEvent]:
    """The action as it ended, and the events its snapshot shows."""
    action = OrderAction.objects.create(
        order=order,
        kind=kind,
        state=ActionState.SUCCEEDED,
        requested_by=by,
        origin=conversation.origin,
        nonce="n",
        digest="d",
        proposal={},
        steps=[],
        amount=SUM.amount,
        currency="EUR",
        settled_at=timezone.now(),
        evidence_at=timezone.now(),
    )
    kinds = [EventKind.REFUNDED]
    if kind != ActionKind.REFUND:
        kinds.insert(0, EventKind.CANCELED)
    return [
        OrderEvent.objects.create(
            order=order,
            kind=each,
            key=each,
            occurred_at=timezone.now(),
            source=EventSource.AGENT,
            action=action,
            amount=SUM.amount if each == EventKind.REFUNDED else None,
            currency="EUR" if each == EventKind.REFUNDED else "",
        )
        for each in kinds
    ]


def left(conversation: Conversation) -> dict[str, tuple[str, str, str]]:
    """What was sent: channel, recipient, subject and text."""
    sweep_outbox()
    [letter], [text] = mail.outbox, texts.SENT
    sent = {
        Via.EMAIL.value: (letter.to[0], str(letter.subject), str(letter.body)),
        Via.SMS.value: (text[0], "", text[1]),
    }
    for said in conversation.messages.filter(kind=MessageKind.CONFIRMATION):
        sent[Via.CONVERSATION.value] = ("", "", said.text)
    return sent


@pytest.mark.slow
@pytest.mark.parametrize("kind", [ActionKind.REFUND, ActionKind.CANCEL_AND_REFUND])
@pytest.mark.parametrize("language", ["", "de", "ar", "de-AT"])
def test_the_review_shows_exactly_what_leaves_on_each_channel(
    order: Order, conversation: Conversation, alice: User, kind: str, language: str
) -> None:
    Contact.objects.update(language=language)
    conversation.refresh_from_db()
    with override("en"):  # the agent's own language changes nothing
        drafts = preview_messages(order=order, proposal=proposal(kind), origin=conversation.origin)
    assert [draft.refusal for draft in drafts] == ["", "", ""]
    with override("de"):
        for event in act(order, conversation, kind, alice):
            handle_event(event.pk)
    assert left(conversation) == {d.via.value: (d.recipient, d.subject, d.body) for d in drafts}


def test_a_preview_that_another_text_follows_is_noticed(
    order: Order, conversation: Conversation, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: were the message composed another way than its preview, the test above
    would fail."""
    drafts = preview_messages(
        order=order, proposal=proposal(ActionKind.REFUND), origin=conversation.origin
    )
    monkeypatch.setattr(rules, "language_of", lambda order, conversation: "de")
    for event in act(order, conversation, ActionKind.REFUND, alice):
        handle_event(event.pk)
    assert left(conversation) != {d.via.value: (d.recipient, d.subject, d.body) for d in drafts}


@pytest.mark.parametrize("kind", [ActionKind.REFUND, ActionKind.CANCEL_AND_REFUND])
def test_a_german_confirmation_is_german_to_the_last_word(
    order: Order, conversation: Conversation, alice: User, kind: str
) -> None:
    Contact.objects.update(language="de")
    for event in act(order, conversation, kind, alice):
        handle_event(event.pk)
    for _to, subject, body in left(conversation).values():
        assert "1.234,50\xa0€" in body
        assert "Freundliche Grüße" in body
        assert not ENGLISH.search(NAMES.sub("", f"{subject}\n{body}"))


@pytest.mark.parametrize("kind", [ActionKind.REFUND, ActionKind.CANCEL_AND_REFUND])
def test_an_arabic_confirmation_has_no_latin_word(
    order: Order, conversation: Conversation, alice: User, kind: str
) -> None:
    Contact.objects.update(language="ar")
    for event in act(order, conversation, kind, alice):
        handle_event(event.pk)
    for _to, subject, body in left(conversation).values():
        assert SUM.format("ar") in body
        assert not LATIN.search(NAMES.sub("", f"{subject}\n{body}"))


def test_an_english_confirmation_fails_the_check(
    order: Order, conversation: Conversation, alice: User
) -> None:
    """Negative control of the two tests above."""
    CampaignTranslation.objects.all().delete()
    Contact.objects.update(language="de")
    for event in act(order, conversation, ActionKind.REFUND, alice):
        handle_event(event.pk)
    for _to, subject, body in left(conversation).values():
        assert ENGLISH.search(NAMES.sub("", f"{subject}\n{body}"))
        # No German sum in an English sentence either.
        assert "€1,234.50" in body


def test_without_a_contact_the_language_is_the_one_shopify_knows(order: Order, alice: User) -> None:
    customer = CustomerSnapshot(gid="g", legacy_id=7, name="Jane Doe", locale="de-DE")
    order.document = encode(snapshots.order(email="jane@example.com", customer=customer))
    order.save(update_fields=["document"])
    event = OrderEvent.objects.create(
        order=order, kind="canceled", key="canceled", occurred_at=timezone.now(), source="shopify"
    )
    handle_event(event.pk)
    row = CampaignMessage.objects.get(via=Via.EMAIL)
    assert row.subject == "Ihre Bestellung #1001 wurde storniert"


def test_dates_are_of_the_store_s_day_in_the_customer_s_language(
    order: Order, conversation: Conversation
) -> None:
    campaign = Campaign.objects.create(
        name="d",
        event_kind="placed",
        via_conversation=False,
        subject="s",
        body="{{ order.number }} of {{ order.date }}",
    )
    CampaignTranslation.objects.create(
        campaign=campaign,
        language="de",
        subject="s",
        body="{{ order.number }} vom {{ order.date }}",
    )
    Contact.objects.update(language="de")
    event = OrderEvent.objects.create(
        order=order, kind="placed", key="placed", occurred_at=timezone.now(), source="shopify"
    )
    handle_event(event.pk)
    assert CampaignMessage.objects.get(campaign=campaign).body == "#1001 vom 19. November 2026"


def test_a_number_as_it_is_dialled_at_home_is_written_for_the_world(
    order: Order, conversation: Conversation, alice: User
) -> None:
    address = Address(country_code="DE", phone="0151 12345678")
    order.document = encode(snapshots.order(email="jane@example.com", shipping_address=address))
    order.phone = ""
    order.save(update_fields=["document", "phone"])
    drafts = preview_messages(
        order=order, proposal=proposal(ActionKind.REFUND), origin=conversation.origin
    )
    assert {d.via: d.recipient for d in drafts}[Via.SMS] == "+4915112345678"


def test_a_channel_that_leads_nowhere_says_so_in_the_review(
    order: Order, conversation: Conversation, settings: Any, as_alice: Client
) -> None:
    settings.SMS_BACKEND = ""
    order.email = ""
    drafts = preview_messages(
        order=order, proposal=proposal(ActionKind.REFUND), origin=conversation.origin
    )
    assert {d.via: d.refusal for d in drafts} == {
        # Without an address nothing proves that the order is Jane's.
        Via.CONVERSATION: "The customer has no conversation.",
        Via.EMAIL: "The order has no email address.",
        Via.SMS: "No SMS provider is set up.",
    }


@pytest.mark.parametrize("language", ["jp", "jp-XX", "de-XXXXX", "de", ""])
def test_an_unknown_language_does_not_stop_a_message(order: Order, language: str) -> None:
    """Japanese is ja: an administrator's slip must cost the date's language, not the message."""
    Campaign.objects.all().delete()
    Campaign.objects.create(
        name="Placed",
        event_kind="placed",
        language=language,
        via_conversation=False,
        subject="s",
        body="{{ order.date }}, {{ amount }}",
    )
    placed = OrderEvent.objects.create(
        order=order,
        kind=EventKind.PLACED,
        key="placed",
        occurred_at=timezone.now(),
        source=EventSource.SHOPIFY,
    )
    assert handle_event(placed.pk)
    assert "202" in CampaignMessage.objects.get().body
