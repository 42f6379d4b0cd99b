"""An order's own page: who acts there with and without a conversation, and what is told of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.core import mail
from django.test import Client
from django.utils import timezone

from inbox import access
from inbox.campaigns import order_events
from inbox.conversations import services
from inbox.decisions.approvals import digest_of
from inbox.models import Campaign, Channel, Contact, Conversation, Identity, Team
from inbox.tasks import sweep_events, sweep_outbox
from orders import previews
from orders.errors import Refusal
from orders.models import ActionState, AuditEntry, Order, OrderAction, Policy, Store
from orders.tasks import sweep_actions
from tests.conftest import logged_in
from tests.support.orders.acting import refund
from tests.support.shop.in_process import Shop, work_off

pytestmark = pytest.mark.django_db(transaction=True)
Seen = Callable[[], Order]
QUIET, PHONE = "quiet@example.com", "+491701234567"
FREE = '<a class="button" role="button" data-act="refund"'


@pytest.fixture
def quiet(shop: Shop, seen: Seen) -> Order:
    """A paid order of €40.00 whose customer never wrote."""
    shop.place(email=QUIET)
    return seen()


def page(client: Client, order: Order, door: str = "", **data: str) -> Any:
    url = f"/inbox/orders/{order.pk}/{door}"
    return client.post(url, data) if data else client.get(url)


def text_of(answer: Any) -> str:
    return unescape(answer.content.decode())


def token_of(answer: Any) -> str:
    found = re.search(r'name="token" value="([^"]+)"', text_of(answer))
    assert found, text_of(answer)
    return found[1]


def reviewed(client: Client, order: Order, amount: str = "12.50") -> str:
    """Fill the dialog in; the token of the summary it answers with."""
    assert page(client, order, "refund/").status_code == 200
    answer = page(client, order, "refund/", mode="amount", amount=amount, reason="goodwill")
    return token_of(answer)


def own_token(order: Order, by: User) -> str:
    """A summary that the person may not have been shown."""
    return previews.preview_refund(order, refund("5.00"), by=by, now=timezone.now()).token


def write(channel: Channel, *, to: User | None) -> Conversation:
    """The quiet customer writes, and an agent gets the conversation."""
    message, _is_new = services.receive(
        channel=channel,
        external_id="q-1",
        conversation_id="q-1",
        sender=services.Sender(external_id="q", name="Quiet Quinn", email=QUIET),
        text="Hello?",
        sent_at=timezone.now(),
    )
    if to:
        services.assign(conversation=message.conversation, to=to)
    return message.conversation


# --- Without a conversation ----------------------------------------------------------------------
def test_an_order_nobody_wrote_about_is_refunded_from_its_page(
    shop: Shop, quiet: Order, as_alice: Client, campaigns: list[Campaign]
) -> None:
    shown = text_of(page(as_alice, quiet))
    assert "This customer hasn’t written yet." in shown
    assert FREE in shown
    token = reviewed(as_alice, quiet)
    assert page(as_alice, quiet, "confirm/", token=token).status_code == 302
    # The same click again finds the same action, and ends on the same page.
    assert page(as_alice, quiet, "confirm/", token=token).status_code == 200
    work_off(shop, as_alice)
    sweep_events()
    sweep_outbox()

    action = OrderAction.objects.get()
    assert [r["amount"] for r in shop.ledger()["refunds"]] == ["12.5"]
    assert (action.state, action.origin) == (ActionState.SUCCEEDED, f"order:{quiet.pk}")
    # The customer is told on the address of the order; there is no conversation to say it in.
    assert [m.to for m in mail.outbox] == [[QUIET]]
    assert not Conversation.objects.exists()
    # Where it was done is in the timeline and in the audit log.
    assert "Alice · on the order’s page" in text_of(page(as_alice, quiet))
    created = AuditEntry.objects.get(action_id=action.pk, before="")
    assert created.detail["where"] == action.origin
    assert not AuditEntry.objects.exclude(pk=created.pk).filter(detail__has_key="where").exists()


@pytest.mark.slow
def test_an_order_nobody_wrote_about_is_canceled_from_its_page(
    shop: Shop, quiet: Order, as_alice: Client
) -> None:
    answer = page(as_alice, quiet, "cancel/", reason="CUSTOMER", refund="now", amount="40.00")
    page(as_alice, quiet, "confirm/", token=token_of(answer))
    work_off(shop, as_alice)
    assert len(shop.ledger()["cancelations"]) == 1
    assert "Canceled" in text_of(page(as_alice, quiet))


@pytest.mark.slow
def test_a_contact_alone_is_no_conversation(
    quiet: Order, as_alice: Client, channel: Channel
) -> None:
    """Retention has deleted what they wrote."""
    conversation = write(channel, to=None)
    assert FREE not in text_of(page(as_alice, quiet))
    contact = conversation.contact
    conversation.messages.all().delete()
    conversation.participants.all().delete()
    conversation.delete()
    assert contact.identities.filter(value=QUIET).exists()
    assert FREE in text_of(page(as_alice, quiet))
    # Doubt about whose order it is counts here as everywhere.
    other = Contact.objects.create(name="Someone else")
    Identity.objects.create(contact=other, kind="phone", value=PHONE)
    Order.objects.filter(pk=quiet.pk).update(phone=PHONE)
    assert "also belongs to another contact" in text_of(page(as_alice, quiet))


def test_the_policy_decides_as_everywhere(
    shop: Shop, quiet: Order, as_alice: Client, sara: User
) -> None:
    agents = Group.objects.get(name="agents")
    Policy.objects.create(role=agents, refund_up_to=Decimal(10), approval_up_to=Decimal(30))
    answer = page(as_alice, quiet, "refund/", mode="amount", amount="35.00", reason="goodwill")
    assert "Your role can refund up to" in text_of(answer)
    page(as_alice, quiet, "confirm/", token=reviewed(as_alice, quiet))
    assert OrderAction.objects.get().state == ActionState.AWAITING_APPROVAL
    boss = logged_in(sara)
    Policy.objects.create(role=Group.objects.get(name="supervisors"), may_approve_up_to=None)
    decisions = text_of(boss.get("/inbox/decisions/"))
    assert f'href="/inbox/orders/{quiet.pk}/"' in decisions
    assert "Open the conversation" not in decisions
    action = OrderAction.objects.get()
    boss.post(f"/inbox/decisions/{action.pk}/approve/", {"digest": digest_of(action)})
    work_off(shop, as_alice)
    assert OrderAction.objects.get().state == ActionState.SUCCEEDED


def test_a_frozen_store_says_so_and_sends_nothing(
    shop: Shop, quiet: Order, as_alice: Client
) -> None:
    assert "is frozen" not in text_of(page(as_alice, quiet))
    Store.objects.update(is_frozen=True)
    assert "Demo is frozen" in text_of(page(as_alice, quiet))
    page(as_alice, quiet, "confirm/", token=reviewed(as_alice, quiet))
    sweep_actions()
    assert shop.ledger()["refunds"] == []
    assert OrderAction.objects.get().state == ActionState.QUEUED


@pytest.mark.slow
def test_an_archived_order_can_still_be_refunded(
    shop: Shop, quiet: Order, as_alice: Client
) -> None:
    Order.objects.filter(pk=quiet.pk).update(closed_at=timezone.now())
    page(as_alice, quiet, "confirm/", token=reviewed(as_alice, quiet))
    work_off(shop, as_alice)
    assert len(shop.ledger()["refunds"]) == 1


# --- With a conversation -------------------------------------------------------------------------
def test_with_a_conversation_its_assignee_decides(
    shop: Shop, quiet: Order, alice: User, bob: User, sara: User, channel: Channel
) -> None:
    conversation = write(channel, to=alice)
    client = logged_in(bob)
    shown = text_of(page(client, quiet))
    assert "None of this customer’s conversations is assigned to you." in shown
    assert FREE not in shown
    assert f'href="/inbox/conversations/{conversation.pk}/#order-{quiet.pk}"' in shown
    answer = page(client, quiet, "confirm/", token=own_token(quiet, bob))
    assert (answer.status_code, OrderAction.objects.exists()) == (403, False)
    for user in (alice, sara):
        assert FREE in text_of(page(logged_in(user), quiet))
    # In a resolved conversation nobody but a supervisor acts.
    services.resolve(conversation=conversation)
    assert "Reopen the conversation first." in text_of(page(logged_in(alice), quiet))
    assert page(logged_in(sara), quiet, "confirm/", token=own_token(quiet, sara)).status_code == 302


def test_without_the_assignee_rule_anyone_would_act(
    quiet: Order, alice: User, bob: User, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control of the test above."""
    write(channel, to=alice)
    monkeypatch.setattr(access, "has_conversation", lambda _order: False)
    monkeypatch.setattr(access, "unproven_refusal", lambda _order: None)
    answer = page(logged_in(bob), quiet, "confirm/", token=own_token(quiet, bob))
    assert (answer.status_code, OrderAction.objects.count()) == (302, 1)


def test_a_customer_who_writes_meanwhile_gets_an_assignee_first(
    quiet: Order, alice: User, bob: User, channel: Channel
) -> None:
    """Between the summary and the click, and between the click and an undo."""
    client = logged_in(bob)
    first, second = reviewed(client, quiet, "5.00"), reviewed(client, quiet, "6.00")
    Store.objects.update(undo_seconds=60)
    assert page(client, quiet, "confirm/", token=first).status_code == 302
    write(channel, to=alice)
    assert page(client, quiet, "confirm/", token=second).status_code == 403
    # Who asked may still take it back; a third person may not.
    carol = User.objects.create_user("carol")
    carol.groups.add(Group.objects.get(name="agents"))
    undo = f"/inbox/orders/actions/{OrderAction.objects.get().pk}/withdraw/"
    logged_in(carol).post(undo)
    assert OrderAction.objects.get().state == ActionState.QUEUED
    client.post(undo)
    assert OrderAction.objects.get().state == ActionState.WITHDRAWN


def test_the_guard_runs_under_the_orders_lock(
    quiet: Order, as_alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first question is answered with yes, the one that counts with no."""
    token = reviewed(as_alice, quiet)
    answers = iter([None, None, Refusal("not_assigned", "Too late.")])
    monkeypatch.setattr(access, "money_refusal_on_page", lambda *_: next(answers))
    answer = page(as_alice, quiet, "confirm/", token=token)
    assert (answer.status_code, OrderAction.objects.exists()) == (409, False)


# --- Teams and roles -----------------------------------------------------------------------------
def test_teams_and_stores_bound_it(
    quiet: Order, alice: User, bob: User, sara: User, channel: Channel
) -> None:
    north, south = Team.objects.create(name="North"), Team.objects.create(name="South")
    north.members.add(alice)
    south.members.add(bob, sara)
    north.stores.add(quiet.store)
    token = own_token(quiet, bob)
    for user in (bob, sara):
        client = logged_in(user)
        for door in ("", "cancel/", "refund/", "history/"):
            assert page(client, quiet, door).status_code == 404
        for door in ("confirm/", "refund/", "refresh/", "suggestion/"):
            assert page(client, quiet, door, token=token).status_code == 404
    assert FREE in text_of(page(logged_in(alice), quiet))
    # Another team's conversation: its assignee acts, and the page doesn't show what was written.
    Channel.objects.update(team=south)
    write(channel, to=bob)
    shown = text_of(page(logged_in(alice), quiet))
    assert "Another team has this customer’s conversation." in shown
    assert FREE not in shown
    assert "Hello?" not in shown
    answer = page(logged_in(alice), quiet, "confirm/", token=own_token(quiet, alice))
    assert (answer.status_code, OrderAction.objects.exists()) == (403, False)


def test_a_role_without_the_right_to_money_stays_out(quiet: Order, alice: User) -> None:
    token = own_token(quiet, alice)
    alice.groups.set([Group.objects.get_or_create(name="auditors")[0]])
    for answer in (
        page(logged_in(alice), quiet),
        page(logged_in(alice), quiet, "confirm/", token=token),
    ):
        assert answer.status_code == 403
    # Even if the door were open, the rule refuses.
    refusal = access.money_refusal_on_page(alice, quiet)
    assert refusal
    assert refusal.code == "no_acting_role"


# --- Beside it -----------------------------------------------------------------------------------
def test_a_program_needs_a_conversation_and_is_told_the_way(
    quiet: Order, as_alice: Client, bob: User
) -> None:
    wish = {"kind": "refund", "reason": "goodwill", "amount": "1.00"}
    answer = as_alice.post(
        f"/api/v1/orders/{quiet.pk}/previews/", wish, content_type="application/json"
    )
    assert (answer.status_code, answer.json()["reason_code"]) == (403, "not_assigned")
    assert "own page" in answer.content.decode()
    # What was requested on the page, the same person can withdraw by REST; nobody else.
    Store.objects.update(undo_seconds=60)
    page(as_alice, quiet, "confirm/", token=reviewed(as_alice, quiet))
    url = f"/api/v1/actions/{OrderAction.objects.get().pk}/withdraw/"
    assert logged_in(bob).post(url).status_code == 403
    assert as_alice.post(url).status_code == 200


def test_numbers_lead_to_the_page(
    quiet: Order, as_alice: Client, alice: User, channel: Channel
) -> None:
    address = f'href="/inbox/orders/{quiet.pk}/"'
    for path in (f"/inbox/orders/?q={quiet.name[1:]}", f"/inbox/orders/?q={QUIET}"):
        assert address in text_of(as_alice.get(path))
    conversation = write(channel, to=alice)
    for path in (
        f"/inbox/contacts/{conversation.contact_id}/",
        f"/inbox/conversations/{conversation.pk}/",
        f"/inbox/conversations/{conversation.pk}/orders/",
    ):
        assert address in text_of(as_alice.get(path)), path


@pytest.mark.slow
def test_the_page_is_live_and_refreshes_from_shopify(
    shop: Shop, quiet: Order, as_alice: Client, channel: Channel
) -> None:
    conversation = write(channel, to=None)
    part = as_alice.get(f"/inbox/orders/{quiet.pk}/", headers={"HX-Request": "true"})
    shown = text_of(part)
    assert "<html" not in shown
    topics = re.search(r'data-live-topics="([^"]*)" data-live-src="([^"]*)"', shown)
    assert topics
    assert topics[1].split() == [
        f"order:{quiet.pk}",
        f"contact:{conversation.contact_id}",
        f"conversation:{conversation.pk}",
    ]
    assert topics[2] == f"/inbox/orders/{quiet.pk}/"
    quiet.refresh_from_db()
    assert as_alice.post(f"/inbox/orders/{quiet.pk}/refresh/").status_code == 302
    later = Order.objects.filter(read_started_at__gt=quiet.read_started_at)
    assert later.filter(pk=quiet.pk).exists()


@pytest.mark.slow
def test_messages_are_previewed_without_a_conversation(
    quiet: Order, as_alice: Client, campaigns: list[Campaign]
) -> None:
    answer = page(as_alice, quiet, "refund/", mode="amount", amount="5.00", reason="goodwill")
    shown = text_of(answer)
    assert QUIET in shown
    assert order_events._conversation(quiet, f"order:{quiet.pk}") is None


# --- Starting a conversation ---------------------------------------------------------------------
@pytest.fixture
def mailbox(db: None) -> Channel:
    return Channel.objects.create(name="Support mail", kind="email")


START = "Start a conversation"


def started(client: Client, order: Order, press: str = "", **more: str) -> Any:
    press = press or str(uuid4())
    return client.post(f"/inbox/orders/{order.pk}/start/", {"press": press, **more}, follow=True)


def test_an_agent_writes_first(
    quiet: Order, as_alice: Client, alice: User, bob: User, mailbox: Channel
) -> None:
    assert f"By email to {QUIET}" in text_of(page(as_alice, quiet))
    press = str(uuid4())
    shown = text_of(started(as_alice, quiet, press))
    assert "Nothing has been sent yet." in shown
    # The same click again leads to the same conversation.
    assert started(as_alice, quiet, press).redirect_chain[-1][0].startswith("/inbox/conversations/")
    made = Conversation.objects.get()
    assert (made.assignee, made.subject) == (alice, f"Your order {quiet.name}")
    # Nothing was sent, and the order is beside it.
    sweep_outbox()
    assert mail.outbox == []
    assert quiet.name in text_of(as_alice.get(f"/inbox/conversations/{made.pk}/orders/"))
    assert AuditEntry.objects.get(kind="identity").detail["because"] == "order"
    # What the agent then sends goes to the address of the order.
    as_alice.post(f"/inbox/conversations/{made.pk}/reply/", {"text": "Your parcel waits."})
    sweep_outbox()
    assert [m.to for m in mail.outbox] == [[QUIET]]
    # From now on the assignee decides, and no second conversation is offered.
    assert START not in text_of(page(as_alice, quiet))
    assert FREE in text_of(page(as_alice, quiet))
    assert FREE not in text_of(page(logged_in(bob), quiet))
    started(logged_in(bob), quiet)
    assert Conversation.objects.count() == 1


def test_who_cannot_be_reached_is_not_written_to(
    quiet: Order, as_alice: Client, alice: User, mailbox: Channel
) -> None:
    def refused(why: str) -> None:
        shown = text_of(page(as_alice, quiet))
        assert f"You can’t start a conversation: {why}" in shown
        assert START not in shown
        assert why in text_of(started(as_alice, quiet, channel=str(mailbox.pk)))
        assert not Conversation.objects.exists()

    orders, channels = Order.objects.filter(pk=quiet.pk), Channel.objects.filter(pk=mailbox.pk)
    orders.update(email="")
    refused("The order has no email address.")
    orders.update(email=QUIET, masked_at=timezone.now())
    refused("The customer’s data was deleted.")
    orders.update(masked_at=None)
    channels.update(is_active=False)
    refused("None of your teams has an email channel.")
    # A channel of another team is none of theirs, even if a form names it.
    mine, other = Team.objects.create(name="Mine"), Team.objects.create(name="Other")
    mine.members.add(alice)
    mine.stores.add(quiet.store)
    channels.update(is_active=True, team=other)
    refused("None of your teams has an email channel.")
    # Two contacts hold the addresses of the order: whose conversation would it be?
    channels.update(team=mine)
    orders.update(phone=PHONE)
    for kind, value in (("email", QUIET), ("phone", PHONE)):
        contact = Contact.objects.create(name=kind)
        Identity.objects.create(contact=contact, kind=kind, value=value)
    refused("It’s not clear which contact this order belongs to.")
    # Negative control: without the doubt it begins, with the contact that is already known.
    Identity.objects.filter(kind="phone").delete()
    assert START in text_of(page(as_alice, quiet))
    started(as_alice, quiet, channel=str(mailbox.pk))
    assert Conversation.objects.get().contact.name == "email"


def test_an_open_conversation_is_not_doubled(
    quiet: Order, as_alice: Client, bob: User, channel: Channel, mailbox: Channel
) -> None:
    """Or its agent could act beside the one that the customer's conversation is assigned to."""
    conversation = write(channel, to=bob)
    assert START not in text_of(page(as_alice, quiet))
    assert "already has an open conversation" in text_of(started(as_alice, quiet))
    assert Conversation.objects.count() == 1
    services.resolve(conversation=conversation)
    started(as_alice, quiet)
    made = Conversation.objects.exclude(pk=conversation.pk).get()
    assert made.contact == conversation.contact
    assert FREE in text_of(page(as_alice, quiet))


def test_a_channel_that_was_given_away_meanwhile_starts_nothing(
    db: None, alice: User, mailbox: Channel
) -> None:
    """Between the page's check and the channel's lock."""
    mailbox.team = Team.objects.create(name="Other")
    mailbox.save()
    with pytest.raises(services.NotStarted):
        services.start(
            channel=mailbox,
            contact=None,
            address=QUIET,
            name="Quinn",
            subject="Hello",
            by=alice,
            press=uuid4(),
        )
    assert not Contact.objects.exists()
