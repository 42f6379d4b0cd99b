"""Sending a message always ends, whatever the host does (real sockets)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from django.utils import timezone

from core import http
from inbox import outbox
from inbox.channels import api, email, keys, sms
from inbox.channels.errors import NotSent
from inbox.models import (
    Channel,
    ChannelKind,
    Contact,
    Conversation,
    DeliveryState,
    Message,
    MessageKind,
    Route,
)
from inbox.outbox import delivery_lanes
from tests.support.servers import hosts
from tests.support.servers.hosts import Host

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[None]:
    """The deadlines are half a second; what drips would take two, and mute hosts for ever."""
    for channel in (api, email, sms):
        monkeypatch.setattr(channel, "WITHIN_S", 0.5)
    settings.DEBUG = True  # A callback on this machine.
    # It keeps the time-outs of the first call.
    api._pool.cache_clear()
    yield
    api._pool.cache_clear()


def message_by(url: str, *, kind: str = ChannelKind.API, name: str = "Chat") -> Message:
    channel = Channel.objects.create(name=name, kind=kind, callback_url=url)
    keys.new_key(channel)
    conversation = Conversation.objects.create(
        channel=channel, contact=Contact.objects.create(name="Jane"), external_id="c-1"
    )
    return Message.objects.create(
        conversation=conversation,
        channel=channel,
        kind=MessageKind.REPLY,
        text="Hello",
        delivery_state=DeliveryState.PENDING,
    )


def sent(message: Message) -> Message:
    outbox.deliver_message(message.pk)
    message.refresh_from_db()
    return message


@pytest.mark.parametrize("talk", [hosts.mute, hosts.dripping])
def test_a_callback_that_does_not_answer_in_time_is_cut_off(talk: hosts.Talk) -> None:
    with Host(talk) as host:
        message = sent(message_by(host.url))
        assert host.asked == 1
        assert host.said < len(hosts.OK)
    assert message.delivery_state == DeliveryState.PENDING
    assert message.error == "The messenger didn’t respond."
    assert message.lease_until is None
    assert Route.objects.get(key=f"callback:{message.channel_id}").failures == 1


def test_a_callback_that_refuses_connections_is_tried_again() -> None:
    message = sent(message_by(f"http://127.0.0.1:{hosts.refusing_port()}/"))
    assert (message.delivery_state, message.attempts) == (DeliveryState.PENDING, 1)
    assert message.error == "The messenger didn’t respond."


def test_without_the_deadline_what_drips_would_hold_the_thread_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Negative control: no single read waits for long."""
    monkeypatch.setattr(api, "WITHIN_S", 60.0)
    with Host(hosts.dripping, pause_s=0.02) as host:
        message = sent(message_by(host.url))
        assert host.said >= hosts.OK.index(b"\r\n\r\n")
    assert message.delivery_state == DeliveryState.SENT


def test_a_messenger_that_has_taken_it_is_not_asked_again_for_its_endless_answer() -> None:
    with Host(hosts.dripping_body) as host:
        message = sent(message_by(host.url))
        assert host.taken == 1
    assert message.delivery_state == DeliveryState.SENT


def mail_by(host_port: int, settings: Any) -> Message:
    settings.EMAIL_BACKEND = "inbox.channels.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", host_port, 10
    message = message_by("", kind=ChannelKind.EMAIL, name="Mail")
    contact = message.conversation.contact
    contact.identities.create(kind="email", value="jane@example.com")
    return message


@pytest.mark.parametrize("talk", [hosts.mute, hosts.mail])
def test_a_mail_server_that_does_not_answer_in_time_is_cut_off(
    talk: hosts.Talk, settings: Any
) -> None:
    with Host(talk) as host:
        message = sent(mail_by(host.port, settings))
        assert (host.asked, host.taken) == (1, 0)
    assert message.delivery_state == DeliveryState.PENDING
    assert message.error.startswith("The mail server ")
    assert Route.objects.get(key="email").failures == 1


def test_a_mail_server_that_refuses_connections_is_tried_again(settings: Any) -> None:
    message = sent(mail_by(hosts.refusing_port(), settings))
    assert (message.delivery_state, message.attempts) == (DeliveryState.PENDING, 1)
    assert message.error == "The mail server didn’t respond."


def test_without_the_deadline_a_dripping_mail_server_would_hold_the_thread(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: it greets in two seconds, and no read waits for long."""
    monkeypatch.setattr(http, "deadline", lambda within_s: nullcontext())
    with Host(hosts.mail, pause_s=0.02) as host:
        message = sent(mail_by(host.port, settings))
        assert host.taken == 1
    assert message.delivery_state == DeliveryState.SENT


def test_a_mail_that_was_taken_is_not_sent_again_for_want_of_a_goodbye(settings: Any) -> None:
    with Host(hosts.mail_without_goodbye) as host:
        message = sent(mail_by(host.port, settings))
        assert host.taken == 1
    assert message.delivery_state == DeliveryState.SENT


class Hanging:
    """A provider's class that waits for an answer without an end."""

    free = threading.Event()
    asked = 0

    def send(self, *, to: str, text: str, message_id: str) -> None:
        type(self).asked += 1
        self.free.wait()


@pytest.fixture
def hanging(settings: Any) -> Iterator[None]:
    settings.SMS_BACKEND = f"{__name__}.Hanging"
    Hanging.asked = 0
    Hanging.free.clear()
    yield
    Hanging.free.set()
    for thread in list(sms._hanging):
        thread.join()


def test_a_provider_that_hangs_is_left_behind_and_not_begun_without_an_end(hanging: None) -> None:
    for number in range(5):
        with pytest.raises(NotSent, match="didn’t respond") as caught:
            sms.send_text(to="+4915112345678", text="x", message_id=f"m-{number}")
        assert caught.value.is_down
    assert Hanging.asked == 2


def test_a_provider_that_answers_again_is_asked_again(hanging: None) -> None:
    for number in range(3):
        with pytest.raises(NotSent):
            sms.send_text(to="+4915112345678", text="x", message_id=f"m-{number}")
    Hanging.free.set()
    for thread in list(sms._hanging):
        thread.join()
    sms.send_text(to="+4915112345678", text="x", message_id="m-3")
    assert Hanging.asked == 3


def test_a_provider_that_hangs_for_ever_is_asked_again_in_the_end(
    hanging: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        with pytest.raises(NotSent):
            sms.send_text(to="+4915112345678", text="x", message_id=f"m-{number}")
    assert Hanging.asked == 2
    monkeypatch.setattr(sms, "_FORGOTTEN_AFTER_S", 0.0)
    with pytest.raises(NotSent):
        sms.send_text(to="+4915112345678", text="x", message_id="m-3")
    assert Hanging.asked == 3


def test_after_three_hosts_in_a_row_without_an_answer_the_rest_do_not_try() -> None:
    """Each of 250 would otherwise wait for its own ten seconds."""
    with Host(hosts.mute) as host:
        first = message_by(host.url)
        for number in range(6):
            talk = Conversation.objects.create(
                channel=first.channel, contact=first.conversation.contact, external_id=f"x{number}"
            )
            outbox.deliver_message(
                Message.objects.create(
                    conversation=talk,
                    channel=first.channel,
                    kind=MessageKind.REPLY,
                    text="x",
                    delivery_state=DeliveryState.PENDING,
                ).pk
            )
        assert host.asked == delivery_lanes.FAILURES
    tried = Message.objects.filter(attempts__gt=0)
    assert tried.count() == delivery_lanes.FAILURES


def test_a_route_that_rested_is_tried_by_one_and_opens_when_it_answers(
    time_machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    with Host(hosts.polite) as host:
        message = message_by(host.url)
        key = f"callback:{message.channel_id}"
        for _ in range(delivery_lanes.FAILURES):
            Route.objects.get_or_create(key=key)
            delivery_lanes.did_not_answer(key, now=now)
        sent(message)
        assert (message.attempts, host.asked) == (0, 0)
        time_machine.move_to(Route.objects.get(key=key).rest_until)
        time_machine.shift(1)
        sent(message)
        assert (message.delivery_state, host.asked) == (DeliveryState.SENT, 1)
    route = Route.objects.get(key=key)
    assert (route.failures, route.rest_until) == (0, None)


def unproven(message: Message) -> None:
    raise NotSent("The address is no longer verified.", is_final=True, was_tried=False)


def broken(message: Message) -> None:
    raise KeyError


def refused(message: Message) -> None:
    raise NotSent("The messenger responded with 422.")


@pytest.mark.parametrize(("carry", "failures"), [(unproven, 3), (broken, 3), (refused, 0)])
def test_what_never_reached_the_other_side_says_nothing_of_it(
    carry: Any, failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A route that rests is not opened by it, for all that waits to find out one by one."""
    monkeypatch.setitem(outbox.SENDERS, ChannelKind.API, carry)
    message = message_by("https://chat.example/")
    key = f"callback:{message.channel_id}"
    Route.objects.create(key=key, failures=3, rest_until=timezone.now())
    assert sent(message).attempts == 1
    assert Route.objects.get(key=key).failures == failures


@pytest.mark.parametrize("url", ["ftp://chat.example/", "http://127.0.0.1/"])
def test_a_callback_that_may_not_be_reached_was_not_tried(url: str, settings: Any) -> None:
    settings.DEBUG = False
    with pytest.raises(NotSent) as caught:
        api.check_address(url)
    assert not caught.value.was_tried


def test_a_refusal_of_one_message_says_nothing_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(message: Any) -> None:
        raise NotSent("The messenger responded with 422.")

    monkeypatch.setitem(outbox.SENDERS, ChannelKind.API, refuse)
    message = message_by("https://chat.example/")
    for _ in range(delivery_lanes.FAILURES + 1):
        Message.objects.update(next_attempt_at=None)
        sent(message)
    assert message.attempts == delivery_lanes.FAILURES + 1
    assert Route.objects.get(key=f"callback:{message.channel_id}").failures == 0


def test_a_route_pauses_longer_with_each_failure_from_the_third() -> None:
    now = timezone.now()
    Route.objects.create(key="callback:1")
    Route.objects.create(key="callback:2")
    pauses_s = []
    for _ in range(7):
        delivery_lanes.did_not_answer("callback:1", now=now)
        until = Route.objects.get(key="callback:1").rest_until
        pauses_s.append((until - now).total_seconds() if until else 0)
    assert pauses_s == [0, 0, 30, 60, 120, 300, 300]
    other = Route.objects.get(key="callback:2")
    assert (other.failures, other.rest_until) == (0, None)
    # A route that is gone has nothing to count.
    delivery_lanes.did_not_answer("callback:3", now=now)
