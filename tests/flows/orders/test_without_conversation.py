"""Orders without a conversation: who acts on them if someone may have written elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from inbox import access
from inbox.conversations import services
from inbox.models import (
    Channel,
    Contact,
    Conversation,
    HelpDeskFrame,
    Identity,
    Participant,
    Team,
)
from orders import previews
from orders.models import ActionState, Order, OrderAction, Store
from orders.shopify_port import get_gateway
from tests.conftest import logged_in
from tests.support.orders import snapshots
from tests.support.orders.acting import refund
from tests.support.orders.stored import stored
from tests.support.people import two_teams

pytestmark = pytest.mark.django_db
QUIET, PHONE = "quiet@example.com", "+491701234567"
FREE = 'data-act="refund"'
UNPROVEN = "Someone wrote with this order’s address but didn’t verify it."


class PlanningGateway(two_teams.OfflineGateway):
    """A gateway with nothing to send."""

    def plan(self, _action: OrderAction) -> list[Any]:
        return []


@pytest.fixture
def quiet(db: None, settings: Any) -> Iterator[Order]:
    """A paid order whose customer hasn't written."""
    settings.ORDERS_GATEWAY = f"{__name__}.{PlanningGateway.__name__}"
    get_gateway.cache_clear()
    yield stored(snapshots.order(email=QUIET, phone=PHONE))
    get_gateway.cache_clear()


@pytest.fixture
def frame(db: None) -> HelpDeskFrame:
    return HelpDeskFrame.objects.create(
        name="Zammad", kind="generic", origins="https://desk.example.com"
    )


def shown_to(user: User, order: Order) -> str:
    return unescape(logged_in(user).get(f"/inbox/orders/{order.pk}/").content.decode())


def press(user: User, order: Order) -> int:
    """Confirm a refund that the person may not have been shown; the answer's status."""
    token = previews.preview_refund(order, refund("5.00"), by=user, now=timezone.now()).token
    url = f"/inbox/orders/{order.pk}/confirm/"
    return logged_in(user).post(url, {"token": token}).status_code


def write(
    channel: Channel, *, sender: str = "u-9", thread: str = "c-9", **gave: Any
) -> Conversation:
    message, _is_new = services.receive(
        channel=channel,
        external_id=f"{thread}-{sender}",
        conversation_id=thread,
        sender=services.Sender(external_id=sender, name="Mallory", **gave),
        text="Cancel it!",
        sent_at=timezone.now(),
    )
    return message.conversation


# --- The help desk's assignee --------------------------------------------------------------------
def test_while_a_help_desk_shows_the_panel_its_assignee_decides(
    quiet: Order, alice: User, sara: User, frame: HelpDeskFrame, channel: Channel
) -> None:
    Channel.objects.create(name="Mail", kind="email")
    shown = shown_to(alice, quiet)
    assert "it may have one in your help desk" in shown
    assert FREE not in shown
    # A conversation of one's own would be the way around it.
    assert "Start a conversation" not in shown
    logged_in(alice).post(f"/inbox/orders/{quiet.pk}/start/")
    assert (press(alice, quiet), OrderAction.objects.exists()) == (403, False)
    assert not Conversation.objects.exists()
    assert FREE in shown_to(sara, quiet)
    # Negative control: a frame that is switched off shows the panel to no one.
    HelpDeskFrame.objects.update(is_active=False)
    assert (press(alice, quiet), OrderAction.objects.count()) == (302, 1)


@pytest.mark.parametrize(("who", "status"), [("agents", 302), ("supervisors", 403)])
def test_a_setting_says_who_acts(
    quiet: Order, alice: User, sara: User, settings: Any, who: str, status: int, request: Any
) -> None:
    settings.ORDERS_WITHOUT_CONVERSATION = who
    if who == "agents":
        request.getfixturevalue("frame")
    assert press(alice, quiet) == status
    if who == "supervisors":
        assert press(sara, quiet) == 302


def test_what_was_requested_in_a_help_desk_is_undone_by_its_requester(
    quiet: Order, alice: User, bob: User, sara: User
) -> None:
    """Even where agents act on orders without a conversation."""
    Store.objects.update(undo_seconds=60)
    assert press(bob, quiet) == 302
    action = OrderAction.objects.get()
    OrderAction.objects.update(origin="frame:1")
    url = f"/inbox/orders/actions/{action.pk}/withdraw/"
    for user, state in ((alice, ActionState.QUEUED), (bob, ActionState.WITHDRAWN)):
        logged_in(user).post(url)
        assert OrderAction.objects.get().state == state
    refusal = access.withdrawing_refusal_on_page
    assert (refusal(bob, action), refusal(sara, action)) == (None, None)


# --- Written without proof -----------------------------------------------------------------------
def by_mail(channel: Channel) -> Conversation:
    return write(channel, email=QUIET)


def by_phone(channel: Channel) -> Conversation:
    return write(channel, phone=PHONE)


def as_second(channel: Channel) -> Conversation:
    """Beside someone else, in their conversation."""
    write(channel, sender="u-1", email="other@example.com")
    return write(channel, email=QUIET)


@pytest.mark.parametrize("way", [by_mail, by_phone, as_second])
def test_who_gave_the_address_without_proof_may_be_its_customer(
    quiet: Order,
    alice: User,
    sara: User,
    channel: Channel,
    way: Callable[[Channel], Conversation],
) -> None:
    Channel.objects.create(name="Mail", kind="email")
    Channel.objects.filter(pk=channel.pk).update(proves_addresses=False)
    channel.refresh_from_db()
    conversation = way(channel)
    shown = shown_to(alice, quiet)
    assert UNPROVEN in shown
    assert "hasn’t written" not in shown
    assert FREE not in shown
    assert "Start a conversation" not in shown
    assert (press(alice, quiet), OrderAction.objects.exists()) == (403, False)
    logged_in(sara).post(f"/inbox/orders/{quiet.pk}/start/")
    assert Conversation.objects.get() == conversation
    assert FREE in shown_to(sara, quiet)
    # Negative control: once it is resolved, no one decides there any more.
    services.resolve(conversation=conversation)
    assert FREE in shown_to(alice, quiet)


def test_a_customer_who_takes_part_elsewhere_has_written(
    quiet: Order, alice: User, channel: Channel
) -> None:
    conversation = write(channel, email="other@example.com")
    contact = Contact.objects.create(name="Quiet Quinn")
    Identity.objects.create(contact=contact, kind="email", value=QUIET)
    assert FREE in shown_to(alice, quiet)
    Participant.objects.create(conversation=conversation, contact=contact, external_id="u-2")
    shown = shown_to(alice, quiet)
    assert "takes part in another person’s conversation" in shown
    assert FREE not in shown
    assert press(alice, quiet) == 403


# --- Writing first -------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["phone", "email"])
def test_a_phone_number_alone_names_no_contact_to_write_to(
    quiet: Order, alice: User, kind: str
) -> None:
    """Or the address of one person would get into the conversation of another."""
    Channel.objects.create(name="Mail", kind="email")
    contact = Contact.objects.create(name="Shares the phone")
    value = {"phone": PHONE, "email": QUIET}[kind]
    Identity.objects.create(contact=contact, kind=kind, value=value)
    page = f"/inbox/orders/{quiet.pk}/start/"
    answer = logged_in(alice).post(page, {"press": str(uuid4())}, follow=True)
    if kind == "phone":
        assert "It’s not clear which contact this order belongs to." in unescape(
            answer.content.decode()
        )
        assert not Conversation.objects.exists()
    else:
        assert Conversation.objects.get().contact == contact


def test_lists_say_what_is_known_of_the_conversation(quiet: Order, alice: User) -> None:
    """None here, another team's, or one in which nothing was sent."""
    Channel.objects.create(name="Mail", kind="email")
    found = f"/inbox/orders/?q={QUIET}"

    def shown(url: str) -> str:
        return unescape(logged_in(alice).get(url).content.decode())

    assert "No conversation" in shown(found)
    logged_in(alice).post(f"/inbox/orders/{quiet.pk}/start/", {"press": str(uuid4())})
    assert "No conversation" not in shown(found)
    listed = shown("/inbox/?scope=mine")
    assert "Nothing has been sent yet." in listed
    assert "A message without text" not in listed
    # Moved to another team: there is a conversation, but not for these eyes.
    mine, other = Team.objects.create(name="Mine"), Team.objects.create(name="Other")
    mine.members.add(alice)
    mine.stores.add(quiet.store)
    Conversation.objects.update(team=other)
    assert "Another team has this customer’s conversation." in shown(found)
