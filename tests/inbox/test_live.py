"""Live updates over real HTTP: every change reaches every listener, whenever it connected."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import redis
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.utils import timezone

from inbox.accounts.login import sessions
from inbox.live import (
    access,
)
from inbox.live import (
    events as live,
)
from inbox.live import (
    hub as live_hub,
)
from inbox.live import (
    stream as live_stream,
)
from inbox.models import Conversation, LiveEvent
from inbox.visibility import EVERYTHING, Scope
from tests.conftest import logged_in
from tests.support.browser.listening import Stream, cookie_of, stream
from tests.support.servers.postgres_and_redis import Redis, free_port
from tests.support.shop.doors import native_door

# The streams look by connections of their own.
pytestmark = pytest.mark.django_db(transaction=True)
on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has one writer at a time"
)


def position() -> live.Position:
    """After all that was told so far. On PostgreSQL a position reaches back to the oldest
    transaction that is open anywhere in the cluster, and the tests beside have some."""
    last = LiveEvent.objects.order_by("pk").last()
    found = live.position()
    while last and found.at <= last.at:
        time.sleep(0.01)
        found = live.position()
    return found


def from_on(last_id: str) -> list[str]:
    """What a stream that goes on from there is told. On PostgreSQL that includes what it has heard,
    as long as a transaction that is older than it is open anywhere in the cluster."""
    mark = live.Position.parse(last_id)
    assert mark
    events = LiveEvent.objects.filter(at__gte=mark.at).order_by("pk")
    topics = [topic for event in events for topic in event.topics.split()]
    return [topic for topic in topics if not topic.startswith("session")]


@pytest.fixture
def port(transactional_db: None) -> Iterator[int]:
    with native_door() as door:
        yield door.port


@pytest.fixture
def listen(port: int, as_alice: Client) -> Iterator[Callable[..., Stream]]:
    """Open alice's stream, up to its first beat."""
    made: list[Stream] = []

    def open_one(**how: str) -> Stream:
        made.append(Stream(port, cookie=cookie_of(as_alice), **how))
        made[-1].beat()
        return made[-1]

    yield open_one
    for one in made:
        one.close()


@pytest.fixture
def redis_port(tmp_path: Path, settings: Any) -> Iterator[int]:
    """Where a Redis will be."""
    found = free_port()
    settings.REDIS_URL = f"redis://127.0.0.1:{found}/0"
    live._client.cache_clear()
    live._resting_until = 0.0
    yield found
    live._client().close()
    live._client.cache_clear()
    live._resting_until = 0.0


def in_another_connection(work: Callable[[], object]) -> None:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


# --- From the page on ------------------------------------------------------------------------------
def test_what_is_announced_reaches_an_open_stream(listen: Callable[..., Stream]) -> None:
    heard = listen()
    live.announce("order:7", "decisions")
    assert heard.topic("order:7").topics == ["decisions", "order:7"]


def test_a_stream_begins_with_what_came_after_its_page(listen: Callable[..., Stream]) -> None:
    """The hole between a page and its stream; without a position it stays open (the control)."""
    live.announce("order:1")
    page = position()
    live.announce("order:2")
    live.announce("order:3")
    assert listen(after=str(page)).topics == ["order:2", "order:3"]
    assert listen().topics == []


def test_a_stream_that_is_opened_again_goes_on_where_it_was(
    listen: Callable[..., Stream],
) -> None:
    first = listen()
    live.announce("order:1")
    position = first.topic("order:1").id
    first.close()
    live.announce("order:2")
    expected = from_on(position)
    assert "order:2" in expected
    assert expected == ["order:2"] or connection.vendor == "postgresql"
    assert listen(last_id=position).topics == expected
    # The header is the newer one of the two.
    assert listen(last_id=position, after="1-0").topics == expected


def test_the_events_of_one_read_are_all_told_again_until_the_last(
    listen: Callable[..., Stream],
) -> None:
    """A line that breaks between two of them loses neither."""
    first = listen()
    with transaction.atomic():
        live.announce("order:1")
        live.announce("order:2")
    position = first.topic("order:1").id
    assert "order:2" in listen(last_id=position).topics
    last = first.topic("order:2").id
    expected = from_on(last)
    assert not expected or connection.vendor == "postgresql"
    assert listen(last_id=last).topics == expected


def test_what_was_rolled_back_is_not_told(listen: Callable[..., Stream]) -> None:
    heard = listen()
    with transaction.atomic():
        live.announce("order:1")
        transaction.set_rollback(True)
    live.announce("order:2")
    heard.topic("order:2")
    assert heard.topics == ["order:2"]


@on_postgresql
@pytest.mark.parametrize("rule", ["positions", "ids"])
def test_a_late_commit_reaches_open_streams(rule: str) -> None:
    """Two write at once, and the first to write commits last. A reader that goes by IDs (the
    control) has seen the higher one by then and never looks at the lower."""
    mark = live.read(at_most=0).mark
    seen: list[str] = []

    def look() -> None:
        nonlocal mark
        if rule == "positions":
            found = live.read(mark, at_most=10)
            mark = found.mark
            seen.extend(topic for event in found.events for topic in event.topics)
            return
        last = int(mark) if mark.isdigit() else 0
        for event in LiveEvent.objects.filter(pk__gt=last).order_by("pk"):
            mark = str(event.pk)
            seen.append(event.topics)

    with transaction.atomic():
        live.announce("order:1")
        in_another_connection(lambda: live.announce("order:2"))
        in_another_connection(look)
        assert seen == ["order:2"]
    look()
    look()
    assert seen == (["order:2", "order:1"] if rule == "positions" else ["order:2"])


@on_postgresql
def test_a_late_commit_reaches_a_page_that_was_read_before_it(
    listen: Callable[..., Stream],
) -> None:
    pages: list[live.Position] = []
    with transaction.atomic():
        live.announce("order:1")
        in_another_connection(lambda: live.announce("order:2"))
        in_another_connection(lambda: pages.append(live.position()))
    assert "order:1" in listen(after=str(pages[0])).topics


@pytest.mark.parametrize("why", ["too long ago", "too much", "a newer database"])
def test_who_cannot_be_told_what_is_missing_looks_at_everything(
    listen: Callable[..., Stream], monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    page = position()
    if why == "too long ago":
        page = live.Position(page.at, page.ms - int(live.CATCH_UP_S * 1000) - 1000)
    elif why == "too much":
        monkeypatch.setattr(live_stream, "CATCH_UP_EVENTS", 2)
        for number in range(3):
            live.announce(f"order:{number}")
    else:
        page = live.Position(page.at + 10**9, page.ms)
    heard = listen(after=str(page))
    assert [event.kind for event in heard.heard] == ["resync", "beat"]


def test_a_page_that_is_newer_than_the_last_look_is_told_what_comes(
    listen: Callable[..., Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub looks once a second; a page that was made since knows more than it."""
    first = listen()
    monkeypatch.setattr(live_hub, "LOOK_EVERY_S", 60.0)
    # It waits for the next look by the old pace still.
    live.announce("order:1")
    first.topic("order:1")
    live.announce("order:2")
    page = position()
    heard = listen(after=str(page))
    assert [event.kind for event in heard.heard] == ["beat"]


@on_postgresql
def test_the_numbers_of_another_server_are_no_news() -> None:
    """A dump that is read into a new server brings rows of transactions that it has yet to see."""
    LiveEvent.objects.create(topics="order:1", at=10**15)
    mark = live.read(at_most=0).mark
    live.announce("order:2")
    assert [event.topics for event in live.read(mark, at_most=10).events] == [("order:2",)]


@pytest.mark.parametrize("after", ["", "x", "1", "-1-2", "0-0", "9" * 30 + "-1", "1-" + "9" * 30])
def test_no_position_is_where_it_begins_now(listen: Callable[..., Stream], after: str) -> None:
    live.announce("order:1")
    assert listen(after=after).topics == []


def test_old_events_are_pruned_and_the_newest_stays(alice: User) -> None:
    for number in range(3):
        live.announce(f"order:{number}")
    old = timezone.now() - live.KEEP - timedelta(seconds=1)
    LiveEvent.objects.update(created_at=old)
    last = LiveEvent.objects.latest("pk")
    before = live.position().at
    assert live.prune() == 2
    assert LiveEvent.objects.get() == last
    assert live.position().at >= before


def test_events_are_kept_longer_than_any_listener_may_need_them() -> None:
    assert live.KEEP.total_seconds() >= 2 * live.CATCH_UP_S


# --- Alive ----------------------------------------------------------------------------------------
def test_a_beat_is_an_event_with_position_and_time(
    listen: Callable[..., Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_stream, "HEARTBEAT_S", 0.2)
    heard = listen()
    began = live.Position.parse(heard.heard[-1].id)
    live.announce("order:1")
    heard.topic("order:1")
    later = live.Position.parse(heard.beat().id)
    assert began
    assert later
    assert later.at > began.at
    assert later.ms > began.ms


def a_stream(
    *,
    queue: asyncio.Queue[live_hub.Told] | None = None,
    said: list[bytes] | None = None,
    look_up: Callable[[], Scope | None] = lambda: EVERYTHING,
) -> Any:
    """Without a browser: what it sends is in `said`."""

    async def send(message: MutableMapping[str, Any]) -> None:
        if said is not None:
            said.append(message["body"])

    return live_stream._Stream(
        access.Listener(None, look_up, scope=EVERYTHING),
        queue or asyncio.Queue(),
        send,
        Mock(spec=asyncio.Task),
        _now=lambda: 0,
    )


@pytest.mark.parametrize("is_waiting", [True, False])
def test_a_beat_does_not_step_over_what_waits_to_be_told(
    monkeypatch: pytest.MonkeyPatch, is_waiting: bool
) -> None:
    """A browser whose line breaks then begins again at the last id it was given."""
    hub = live_hub.Hub()
    monkeypatch.setattr(live_stream, "_hub", hub)
    said: list[bytes] = []

    async def beat() -> None:
        hub._went_well(live.Reading(live.mark_at(9), ()))
        queue: asyncio.Queue[live_hub.Told] = asyncio.Queue()
        if is_waiting:
            queue.put_nowait(live_hub.Told("event", live.Event(1, 8, ("order:1",)), hub.position))
        await a_stream(queue=queue, said=said)._beat()

    asyncio.run(beat())
    assert b"event: beat" in said[0]
    assert (b"id: 9-" in said[0]) is not is_waiting


def test_without_redis_changes_are_told_all_the_same(
    listen: Callable[..., Stream], redis_port: int
) -> None:
    """There is none at that port."""
    heard = listen()
    live.announce("order:1")
    heard.topic("order:1")


@pytest.mark.slow
def test_a_redis_that_is_killed_and_comes_back_loses_nothing(
    listen: Callable[..., Stream], redis_port: int, tmp_path: Path
) -> None:
    redis = Redis(tmp_path, redis_port, is_embedded=True)
    heard = listen()
    for turn in range(3):
        live.announce(f"order:{turn}0")
        heard.topic(f"order:{turn}0")
        redis.kill()
        live.announce(f"order:{turn}1")
        heard.topic(f"order:{turn}1")
        redis.start()
    redis.kill()
    assert heard.topics == ["order:00", "order:01", "order:10", "order:11", "order:20", "order:21"]


def test_a_redis_that_hangs_holds_up_one_change_in_five_seconds(
    redis_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Hanging:
        def publish(self, *_: object) -> None:
            asked.append(1)
            raise redis.TimeoutError

        def close(self) -> None:
            pass

    hanging: Any = lambda: Hanging()  # noqa: E731
    hanging.cache_clear = lambda: None
    monkeypatch.setattr(live, "_client", hanging)
    for number in range(5):
        live.announce(f"order:{number}")
    assert len(asked) == 1
    assert LiveEvent.objects.count() == 5


def test_a_database_that_does_not_answer_is_said_and_nothing_is_lost(
    listen: Callable[..., Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = listen()
    real = live.read

    def broken(*_words: object, **_more: object) -> live.Reading:
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(live, "read", broken)
    heard.kind("lost")
    live.announce("order:1")
    monkeypatch.setattr(live, "read", real)
    heard.topic("order:1")
    heard.beat()
    assert heard.topics == ["order:1"]


def test_many_streams_cost_one_read(
    listen: Callable[..., Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = [listen() for _ in range(8)]
    threads: list[str] = []
    real = live.read

    def counted(*words: Any, **more: Any) -> live.Reading:
        threads.append(threading.current_thread().name)
        return real(*words, **more)

    monkeypatch.setattr(live, "read", counted)
    live.announce("order:1")
    for one in streams:
        one.topic("order:1")
    # However long this took, each second has one, by one connection.
    assert len(threads) < len(streams)
    assert len(set(threads)) == 1


def test_a_browser_that_lags_behind_looks_at_everything(alice: User) -> None:
    """Its queue does not grow for ever."""
    hub = live_hub.Hub()
    queue: asyncio.Queue[live_hub.Told] = asyncio.Queue(maxsize=live_hub._BACKLOG)
    hub._queues.add(queue)
    for number in range(live_hub._BACKLOG + 1):
        hub._tell(live_hub.Told("event", live.Event(number, number, ("inbox",))))
    assert queue.qsize() == 1
    assert queue.get_nowait().kind == "resync"


def frame_token(agent: User, topic: str = "", *, session_key: str = "", for_s: int = 600) -> str:
    """A frame's token; without a session, its help desk vouches for the agent for so long."""
    until = int(time.time()) + for_s
    topics = (topic or live.person_topic("jane@example.com"),)
    return live.frame_stream_token(
        live.FrameStream(
            agent_id=agent.pk, topics=topics, session_key=session_key, vouched_until=until
        )
    )


# --- Who listens ------------------------------------------------------------------------------------
def test_no_stream_opens_without_a_session(port: int, as_alice: Client) -> None:
    for how in ({}, {"cookie": "x"}, {"token": "forged"}):
        with stream(port, **how) as heard:
            assert heard.status == 403
    with stream(port, cookie=cookie_of(as_alice), check="1") as heard:
        assert heard.status == 204


@pytest.mark.parametrize("what", ["logged out", "no role", "deactivated"])
def test_a_stream_ends_with_its_persons_rights(
    listen: Callable[..., Stream],
    as_alice: Client,
    alice: User,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    monkeypatch.setattr(live_stream, "RECHECK_S", 0.3)
    heard = listen()
    if what == "logged out":
        as_alice.post("/inbox/logout/")
    elif what == "no role":
        alice.groups.clear()
    else:
        User.objects.filter(pk=alice.pk).update(is_active=False)
    heard.kind("ended")
    assert heard.is_over()


def test_a_stream_ends_at_once_with_a_session_that_is_ended_from_elsewhere(
    listen: Callable[..., Stream], as_alice: Client, alice: User
) -> None:
    """Long before its next check."""
    UserSession.objects.create(
        user=alice, session_key=as_alice.session.session_key, ip="127.0.0.1", user_agent=""
    )
    heard = listen()
    sessions.end_all(alice)
    heard.kind("ended")
    assert heard.is_over()


def test_a_slow_answer_to_who_listens_holds_nothing_up(
    listen: Callable[..., Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And two threads of its own do the asking, whatever else waits for one."""
    monkeypatch.setattr(live_stream, "RECHECK_S", 0.1)
    heard = [listen() for _ in range(3)]
    answer, asking = threading.Event(), threading.Semaphore(0)
    names: set[str] = set()

    def slow(*_: object) -> Scope | None:
        names.add(threading.current_thread().name.rpartition("_")[0])
        asking.release()
        return EVERYTHING if answer.wait(20) else None

    monkeypatch.setattr(access, "_scope_of_session", slow)
    try:
        assert asking.acquire(timeout=10)
        assert asking.acquire(timeout=10)
        live.announce("order:1")
        for one in heard:
            one.topic("order:1")
        assert not asking.acquire(timeout=0.5)
    finally:
        answer.set()
    assert names == {"live-checks"}


def test_not_all_streams_are_asked_about_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And none later than RECHECK_S says."""
    waits: list[float] = []

    async def wait_for(waiting: Any, seconds: float) -> None:
        waiting.close()
        waits.append(seconds)
        raise TimeoutError

    monkeypatch.setattr(asyncio, "wait_for", wait_for)
    for _ in range(20):
        asyncio.run(a_stream(look_up=lambda: None)._until_over())
    assert len({round(wait, 3) for wait in waits}) > 10
    assert all(live_stream.RECHECK_S / 2 < wait <= live_stream.RECHECK_S for wait in waits)


def test_a_stream_outlives_a_database_that_is_away_when_it_is_asked_again(
    listen: Callable[..., Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_stream, "RECHECK_S", 0.1)
    heard = listen()
    asked: list[int] = []

    def broken(*_: object) -> bool:
        asked.append(1)
        raise OperationalError

    monkeypatch.setattr(access, "_scope_of_session", broken)
    live.announce("order:1")
    heard.topic("order:1")
    assert "ended" not in [event.kind for event in heard.heard]


@pytest.mark.parametrize("is_filtered", [True, False])
def test_a_frames_stream_hears_of_its_own_customer_only(
    port: int, alice: User, as_alice: Client, is_filtered: bool
) -> None:
    """Without the filter (the control, an agent's own stream) the other order is heard too."""
    jane, john = live.person_topic("jane@example.com"), live.person_topic("john@example.com")
    page = position()
    live.announce("order:8", "contact:2", john)
    live.announce("order:7", "contact:1", "decisions", jane)
    token = frame_token(alice, jane)
    how = {"token": token} if is_filtered else {"cookie": cookie_of(as_alice)}
    with stream(port, after=str(page), **how) as heard:
        heard.beat()
        live.announce("order:9", john)
        live.announce("order:6", "contact:1", jane)
        heard.topic("order:6")
        told = heard.topics
    assert {jane, "order:7", "order:6"} <= set(told)
    others = {"order:8", "order:9", "contact:1", "contact:2", "decisions", john}
    assert others.isdisjoint(told) is is_filtered


def test_a_frames_stream_ends_with_its_token(
    port: int, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token's time has whole seconds: here it is the stream's alone that is short."""
    real, age_s = live.open_frame_token, live.FRAME_TOKEN_AGE_S

    def open_frame_token(token: str) -> live.FrameStream:
        with monkeypatch.context() as temporarily:
            temporarily.setattr(live, "FRAME_TOKEN_AGE_S", age_s)
            return real(token)

    monkeypatch.setattr(live, "open_frame_token", open_frame_token)
    monkeypatch.setattr(live, "FRAME_TOKEN_AGE_S", 0.3)
    token = frame_token(alice)
    with stream(port, token=token) as heard:
        assert heard.status == 200
        assert heard.is_over()


def test_a_token_whose_time_is_over_opens_nothing(
    port: int, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "FRAME_TOKEN_AGE_S", -1)
    token = frame_token(alice)
    with stream(port, token=token) as heard:
        assert heard.status == 403


def test_a_frames_stream_ends_with_its_agents_role(
    port: int, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_stream, "RECHECK_S", 0.3)
    token = frame_token(alice)
    with stream(port, token=token) as heard:
        heard.beat()
        alice.groups.clear()
        heard.kind("ended")
    with stream(port, token=token) as heard:
        assert heard.status == 403


@pytest.mark.parametrize("how", ["logged out", "ended elsewhere", "new password", "deactivated"])
def test_streams_end_with_their_session_at_once(
    port: int, as_alice: Client, alice: User, how: str
) -> None:
    """Within seconds, although the next look at the database is a minute away."""
    key = cookie_of(as_alice)
    others = cookie_of(logged_in(alice)) if how == "logged out" else ""
    with (
        stream(port, cookie=key) as own,
        stream(port, token=frame_token(alice, session_key=key)) as framed,
    ):
        own.beat()
        framed.beat()
        began = time.monotonic()
        if how == "logged out":
            as_alice.post("/inbox/logout/")
        elif how == "ended elsewhere":
            Session.objects.filter(session_key=key).delete()
        elif how == "new password":
            alice.set_password("another")
            alice.save()
        else:
            alice.is_active = False
            alice.save()
        own.kind("ended")
        framed.kind("ended")
        assert time.monotonic() - began < live_stream.RECHECK_S / 4
    for again in ({"cookie": key}, {"token": frame_token(alice, session_key=key)}):
        with stream(port, **again) as heard:
            assert heard.status == 403
    if others:
        # Of another browser, which goes on.
        with stream(port, cookie=others) as heard:
            assert heard.status == 200


def test_streams_go_on_with_the_key_that_a_fresh_proof_gave(
    port: int, as_alice: Client, alice: User
) -> None:
    """And still end with the session, which had three keys by then."""
    key = cookie_of(as_alice)
    UserSession.objects.create(user=alice, session_key=key, ip="127.0.0.1", user_agent="")
    with (
        stream(port, cookie=key) as own,
        stream(port, token=frame_token(alice, session_key=key)) as framed,
    ):
        own.beat()
        framed.beat()
        for number in (1, 2):
            assert as_alice.post("/account/confirm/?next=/", {"password": "demo"})["Location"]
            live.announce(f"order:{number}", "decisions")
            own.topic(f"order:{number}")
        assert cookie_of(as_alice) != key
        as_alice.post("/inbox/logout/")
        own.kind("ended")
        framed.kind("ended")
    # The key that was replaced opens none.
    with stream(port, cookie=key) as again:
        assert again.status == 403


def test_a_stream_token_is_of_no_use_elsewhere(port: int, as_alice: Client, alice: User) -> None:
    token = frame_token(alice, session_key=cookie_of(as_alice))
    assert cookie_of(as_alice) not in token
    for scheme in ("Stream", "Frame", "Token"):
        headers = {"Authorization": f"{scheme} {token}"}
        assert Client().get("/sidebar/orders/", headers=headers).status_code in {401, 403}
        assert Client().get("/api/v1/orders/?q=1", headers=headers).status_code in {401, 403}
    with stream(port, after="1-1", check="1", x=token) as heard:
        assert heard.status == 403, "in the URL it counts for nothing"
    with stream(port, token=frame_token(alice, for_s=-1)) as heard:
        assert heard.status == 403, "the help desk's word for the agent is over"


def test_a_change_of_rights_is_told_to_no_browser(
    listen: Callable[..., Stream], alice: User, bob: User
) -> None:
    heard = listen()
    bob.first_name = "Robert"
    bob.save()
    live.announce("order:1")
    heard.topic("order:1")
    assert not any(topic.startswith("session") for topic in heard.topics)


# --- What pages carry -------------------------------------------------------------------------------
def positions_in(html: str) -> list[int]:
    return [int(part.split("-", 1)[0]) for part in html.split('data-live-position="')[1:]]


@pytest.mark.parametrize("what", ["page", "view", "thread", "header", "list"])
def test_what_happens_while_a_page_is_computed_counts_as_news(
    as_alice: Client, conversation: Conversation, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The position is from before anything was read."""
    from inbox.middleware import LivePositions

    real = LivePositions.process_view

    def change_first(self: Any, request: Any, *words: Any) -> None:
        real(self, request, *words)
        live.announce("inbox", f"conversation:{conversation.pk}")

    monkeypatch.setattr(LivePositions, "process_view", change_first)
    here = f"/inbox/conversations/{conversation.pk}/"
    headers = {"X-Fragment": "view"} if what == "view" else {}
    address = {"thread": f"{here}thread/", "header": f"{here}header/", "list": "/inbox/rows/"}
    page = as_alice.get(address.get(what, here), headers=headers).content.decode()
    event = LiveEvent.objects.filter(topics__startswith="conversation:").latest("pk")
    found = positions_in(page)
    assert found
    assert max(found) <= event.at


def test_every_live_part_of_a_page_carries_its_position(
    as_alice: Client, conversation: Conversation
) -> None:
    here = f"/inbox/conversations/{conversation.pk}/"
    for address in (
        here,
        "/inbox/",
        f"/inbox/contacts/{conversation.contact_id}/",
        "/inbox/decisions/",
        f"{here}orders/",
    ):
        page = as_alice.get(address).content.decode()
        tags = [tag for tag in page.split("<") if "data-live-src" in tag.split(">")[0]]
        assert tags
        assert all("data-live-position" in tag.split(">")[0] for tag in tags)


def test_a_change_and_its_announcement_are_committed_together(
    transactional_db: None, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies right after the commit has still notified every listener."""
    from inbox.conversations import services

    monkeypatch.setattr(transaction, "on_commit", lambda *_words, **_more: None)
    before = position()
    assert conversation.assignee is not None
    services.note(conversation=conversation, by=conversation.assignee, text="Called.")
    events = live.read(live.mark_at(before.at), at_most=10).events
    assert [event.topics for event in events] == [(f"conversation:{conversation.pk}",)]
