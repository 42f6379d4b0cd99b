"""The panel inside another help desk: who gets in, what they may do, and who may frame it."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html import escape, unescape
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client

from inbox.frames import (
    authentication,
    tokens,
)
from inbox.models import (
    Conversation,
    CustomerView,
    FrameCode,
    FrameKind,
    HelpDeskFrame,
)
from orders.models import AuditEntry, AuditKind, Order, OrderAction
from tests.conftest import logged_in
from tests.support.people.signing_in import code, enter_code, give_app, log_in
from tests.support.shop.in_process import Shop, work_off

pytestmark = pytest.mark.django_db(transaction=True)
Seen = Callable[[], Order]
DESK = "https://desk.example.com"
VERIFIER = "a" * 64
CHALLENGE = hashlib.sha256(VERIFIER.encode()).hexdigest()
JANE = {"email": "jane@example.com"}


@pytest.fixture
def alice(alice: User) -> User:
    User.objects.filter(pk=alice.pk).update(email="alice@shop.example")
    alice.refresh_from_db()
    return alice


@pytest.fixture
def chatwoot(db: None) -> HelpDeskFrame:
    return HelpDeskFrame.objects.create(
        name="Chatwoot", kind=FrameKind.CHATWOOT, origins=DESK, proves_addresses=True
    )


@pytest.fixture
def zammad(db: None) -> HelpDeskFrame:
    frame = HelpDeskFrame.objects.create(
        name="Zammad", kind=FrameKind.GENERIC, origins=DESK, proves_addresses=True
    )
    authentication.new_secret(frame)
    return frame


def signed(frame: HelpDeskFrame, /, **said: str) -> str:
    """The query of an address, as the help desk's server makes it (docs/sidebar.md)."""
    plain = {
        "frame": str(frame.pk),
        "agent": "alice@shop.example",
        "ts": str(int(time.time())),
        "nonce": hashlib.sha256(repr((said, time.time())).encode()).hexdigest(),
        **JANE,
        **said,
    }
    frame.refresh_from_db()
    plain["sig"] = authentication.signature(frame.secret.reveal(), plain)
    return urlencode(plain)


def swap(frame: HelpDeskFrame, query: str) -> tuple[int, dict[str, Any]]:
    answer = Client().post("/sidebar/swap/", {"frame": frame.pk, "signed": query})
    return answer.status_code, answer.json()


def connect(client: Client, frame: HelpDeskFrame) -> str:
    """Alice agrees in the window; the code it hands over."""
    where = f"/sidebar/connect/?frame={frame.pk}&challenge={CHALLENGE}"
    assert "Connect the sidebar" in client.get(where).content.decode()
    page = client.post("/sidebar/connect/", {"frame": frame.pk, "challenge": CHALLENGE})
    found = re.search(r'data-code="([^"]+)"', page.content.decode())
    assert found, page.content.decode()
    return found[1]


def swap_code(frame: HelpDeskFrame, code: str, **more: str) -> tuple[int, dict[str, Any]]:
    data = {"frame": frame.pk, "code": code, "verifier": VERIFIER, **JANE, **more}
    answer = Client().post("/sidebar/swap/", data)
    return answer.status_code, answer.json()


class Framed:
    """The frame's script: no cookies, the pass in a header."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.client = Client()
        self.headers = {"Authorization": f"Frame {told['pass']}", "HX-Request": "true"}

    def get(self, path: str) -> Any:
        return self.client.get(f"/sidebar/{path}", headers=self.headers)

    def post(self, path: str, data: dict[str, Any] | None = None) -> Any:
        return self.client.post(f"/sidebar/{path}", data or {}, headers=self.headers)

    def panel(self) -> str:
        return unescape(self.get("orders/").content.decode())

    def review(self, order: Order, kind: str = "refund", **data: str) -> str:
        answer = self.post(f"orders/{order.pk}/{kind}/", data)
        assert answer.status_code == 200, answer.content
        return unescape(answer.content.decode())


def token_in(page: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found, page
    return found[1]


def entered(frame: HelpDeskFrame, **said: str) -> Framed:
    status, told = swap(frame, signed(frame, **said))
    assert status == 200, told
    return Framed(told)


def refusals() -> list[str]:
    rows = AuditEntry.objects.filter(kind=AuditKind.LOG_IN_FAILED).order_by("pk")
    return [row.detail["why"] for row in rows]


# --- The way in: a signed address --------------------------------------------------------------


def test_a_signed_address_shows_the_customers_orders(
    shop: Shop, seen: Seen, alice: User, zammad: HelpDeskFrame
) -> None:
    shop.place()
    order = seen()
    page = entered(zammad).panel()
    assert order.name in page
    assert "Refund" in page
    entry = AuditEntry.objects.filter(kind=AuditKind.LOG_IN).get()
    assert (entry.actor, entry.detail) == ("alice", {"frame": zammad.pk})


def test_the_frame_records_whose_customer_it_showed(
    shop: Shop, seen: Seen, alice: User, zammad: HelpDeskFrame, conversation: Conversation
) -> None:
    shop.place()
    order = seen()
    page = entered(zammad)
    assert order.name in page.panel()
    [row] = CustomerView.objects.all()
    assert (row.viewer, row.kind) == (alice, "contact")
    assert row.number == conversation.contact_id


def test_without_a_contact_the_frame_records_the_order_that_was_opened(
    shop: Shop, seen: Seen, alice: User, zammad: HelpDeskFrame
) -> None:
    shop.place()
    order = seen()
    page = entered(zammad)
    page.panel()
    assert not CustomerView.objects.exists()
    assert page.get(f"orders/{order.pk}/").status_code == 200
    [row] = CustomerView.objects.all()
    assert (row.viewer, row.kind, row.number) == (alice, "order", order.pk)


def test_a_signed_address_works_once(alice: User, zammad: HelpDeskFrame) -> None:
    query = signed(zammad)
    assert swap(zammad, query)[0] == 200
    assert swap(zammad, query) == (403, {"code": "used"})
    assert refusals() == ["used"]
    # Negative control: without the row of its nonce it would open again.
    with patch("inbox.frames.authentication._use_nonce", lambda *_: None):
        assert swap(zammad, query)[0] == 200


def test_an_old_or_early_address_is_refused(alice: User, zammad: HelpDeskFrame) -> None:
    for ts in (time.time() - 121, time.time() + 60, 0):
        assert swap(zammad, signed(zammad, ts=str(int(ts)))) == (403, {"code": "late"})
    assert swap(zammad, signed(zammad, ts="soon")) == (403, {"code": "late"})
    # Negative control: the same address, looked at with a longer patience.
    with patch("inbox.frames.authentication.CODE_S", 500):
        assert swap(zammad, signed(zammad, ts=str(int(time.time()) - 121)))[0] == 200


def test_a_wrong_signature_or_a_changed_customer_is_refused(
    alice: User, zammad: HelpDeskFrame
) -> None:
    query = signed(zammad)
    changed = query.replace("jane%40example.com", "john%40example.com")
    assert changed != query
    twice = f"{query}&email=john%40example.com"
    split = signed(zammad, about="x\nemail=john@example.com")
    other = HelpDeskFrame.objects.create(name="Other", kind=FrameKind.GENERIC, origins=DESK)
    authentication.new_secret(other)
    foreign = signed(other, frame=str(zammad.pk))
    more = f"{query}&admin=1"
    flipped = query[:-1] + ("1" if query[-1] == "0" else "0")
    for bad in (changed, twice, split, foreign, more, "", "sig=ü", "%ff", flipped):
        status, told = swap(zammad, bad or "x=1")
        assert (status, told["code"]) == (403, "signature"), bad
    # Negative control: without comparing signatures, the changed customer gets in.
    with patch("inbox.frames.authentication.hmac.compare_digest", lambda *_: True):
        assert swap(zammad, changed)[0] == 200


def test_only_an_agent_of_ours_gets_in(
    alice: User, bob: User, zammad: HelpDeskFrame, admin_user: User
) -> None:
    def refused(agent: str) -> bool:
        return swap(zammad, signed(zammad, agent=agent)) == (403, {"code": "not_an_agent"})

    assert refused("stranger@shop.example")
    assert refused("")
    # An administrator handles no orders (no group), and one of two with an address is not guessed.
    assert admin_user.email
    assert refused(admin_user.email)
    User.objects.filter(pk=bob.pk).update(email="alice@shop.example")
    assert refused("alice@shop.example")
    User.objects.filter(pk=bob.pk).update(is_active=False)
    assert not refused("ALICE@shop.example")


def test_failed_attempts_are_limited(shop: Shop, alice: User, zammad: HelpDeskFrame) -> None:
    for _ in range(authentication.REFUSALS_A_TURN):
        assert swap(zammad, "sig=0")[0] == 403
    assert swap(zammad, signed(zammad)) == (429, {"code": "too_many"})
    assert len(refusals()) == authentication.REFUSALS_A_TURN


# --- The way in: a code from a window of ours ---------------------------------------------------


def test_a_code_is_for_one_frame_once_and_not_for_long(
    alice: User, as_alice: Client, chatwoot: HelpDeskFrame
) -> None:
    code = connect(as_alice, chatwoot)
    other = HelpDeskFrame.objects.create(name="Other", kind=FrameKind.CHATWOOT, origins=DESK)
    assert swap_code(other, code) == (403, {"code": "bad_code"})
    # Overheard, it is of no use without the secret that stayed in the frame.
    assert swap_code(chatwoot, code, verifier="b" * 64) == (403, {"code": "bad_code"})
    assert swap_code(chatwoot, code)[0] == 200
    assert swap_code(chatwoot, code) == (403, {"code": "used"})
    late = connect(as_alice, chatwoot)
    FrameCode.objects.update(expires_at=authentication._now())
    assert swap_code(chatwoot, late) == (403, {"code": "late"})
    assert refusals() == ["bad_code", "bad_code", "used", "late"]
    assert FrameCode.objects.filter(digest=hashlib.sha256(code.encode()).hexdigest()).exists()
    # Negative control: taken without comparing, a code works as often as it is shown.
    again = connect(as_alice, chatwoot)
    with patch("inbox.frames.authentication._take", lambda *_: True):
        assert [swap_code(chatwoot, again)[0] for _ in range(2)] == [200, 200]


def test_a_code_presented_many_times_at_once_works_once(
    alice: User, as_alice: Client, chatwoot: HelpDeskFrame, zammad: HelpDeskFrame
) -> None:
    query, code = signed(zammad), connect(as_alice, chatwoot)

    def both(_: int) -> tuple[int, int]:
        try:
            return swap(zammad, query)[0], swap_code(chatwoot, code)[0]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        pairs = list(pool.map(both, range(8)))
    for statuses in zip(*pairs, strict=True):
        assert sorted(statuses) == [200] + [403] * 7


def test_a_stranger_and_an_administrator_get_no_code(
    chatwoot: HelpDeskFrame, admin_client: Client
) -> None:
    where = f"/sidebar/connect/?frame={chatwoot.pk}&challenge={CHALLENGE}"
    answer = Client().get(where)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/login/")
    page = admin_client.post("/sidebar/connect/", {"frame": chatwoot.pk, "challenge": CHALLENGE})
    assert page.status_code == 403
    assert not FrameCode.objects.exists()


def test_the_window_keeps_its_opener_and_is_never_framed(
    as_alice: Client, chatwoot: HelpDeskFrame
) -> None:
    where = f"/sidebar/connect/?frame={chatwoot.pk}&challenge={CHALLENGE}"
    on_the_way = f"/login/?{urlencode({'next': where})}"
    for client, path in ((as_alice, where), (Client(), where), (Client(), on_the_way)):
        answer = client.get(path)
        assert answer["Cross-Origin-Opener-Policy"] == "unsafe-none", path
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
        assert answer["X-Frame-Options"] == "DENY"
    # The login's own answer is a step of the way: it would cut the tie as well.
    logged_in = Client().post("/login/", {"username": "alice", "password": "demo", "next": where})
    assert (logged_in.status_code, logged_in["Location"]) == (302, where)
    assert logged_in["Cross-Origin-Opener-Policy"] == "unsafe-none"
    for path in (
        "/inbox/",
        "/login/",
        "/login/?next=/inbox/",
        "/login/?next=//evil/sidebar/connect/x",
    ):
        assert as_alice.get(path)["Cross-Origin-Opener-Policy"] == "same-origin", path


def keeps_opener(answer: Any) -> bool:
    return bool(answer["Cross-Origin-Opener-Policy"] == "unsafe-none")


def test_it_keeps_its_opener_through_the_second_step(alice: User, chatwoot: HelpDeskFrame) -> None:
    give_app(alice)
    web = Client()
    where = f"/sidebar/connect/?frame={chatwoot.pk}&challenge={CHALLENGE}"
    sent = web.get(where)
    page = web.get(sent["Location"])
    asked = log_in("alice", web=web, next=where)
    assert asked["Location"] == "/account/step/"
    step = web.get("/account/step/")
    wrong = enter_code(web, "000000")
    assert "Incorrect code" in wrong.content.decode()
    right = enter_code(web, code())
    assert right["Location"] == where
    here = web.get(where)
    assert "in the name of" in here.content.decode()
    answers = [sent, page, asked, step, wrong, right, here]
    assert [keeps_opener(answer) for answer in answers] == [True] * 7


def test_another_second_step_has_no_opener(alice: User) -> None:
    give_app(alice)
    web = log_in("alice", next="/inbox/").client
    # Where the address says that it leads doesn't count.
    answers = [
        web.get("/account/step/?next=/sidebar/connect/"),
        web.post("/account/step/", {"code": "000000", "next": "/sidebar/connect/"}),
        enter_code(web, code()),
    ]
    assert [keeps_opener(answer) for answer in answers] == [False] * 3


def test_a_passkey_that_is_not_known_keeps_the_way_to_the_sidebar(chatwoot: HelpDeskFrame) -> None:
    where = f"/sidebar/connect/?frame={chatwoot.pk}&challenge={CHALLENGE}"
    answer = Client().post("/login/passkey/", {"credential": "{}", "next": where})
    assert "We don’t recognize this passkey" in answer.content.decode()
    assert f'name="next" value="{escape(where)}"' in answer.content.decode()
    assert keeps_opener(answer)


def test_a_pass_dies_with_the_log_in(
    shop: Shop, seen: Seen, alice: User, as_alice: Client, chatwoot: HelpDeskFrame
) -> None:
    framed = Framed(swap_code(chatwoot, connect(as_alice, chatwoot))[1])
    assert framed.get("orders/").status_code == 200
    renewed = Framed(framed.post("renew/").json())
    as_alice.post("/inbox/logout/")
    for held in (framed, renewed):
        assert held.get("orders/").status_code == 401
        assert held.post("renew/").json() == {"code": "ended"}


def test_a_pass_outlives_a_fresh_proof_in_its_log_in(
    shop: Shop, seen: Seen, alice: User, chatwoot: HelpDeskFrame
) -> None:
    """The proof gives the session a new key."""
    web = log_in("alice").client
    framed = Framed(swap_code(chatwoot, connect(web, chatwoot))[1])
    key = web.cookies["sessionid"].value
    assert web.post("/account/confirm/?next=/", {"password": "demo"}).status_code == 302
    assert web.cookies["sessionid"].value != key
    assert framed.get("orders/").status_code == 200
    web.post("/inbox/logout/")
    assert framed.get("orders/").status_code == 401


def test_a_pass_ends_by_itself_and_with_what_it_rests_on(
    shop: Shop, seen: Seen, alice: User, zammad: HelpDeskFrame
) -> None:
    framed = entered(zammad)
    with patch("inbox.frames.tokens.PASS_S", -1):
        assert framed.get("orders/").status_code == 401
    with patch("inbox.frames.authentication.VOUCHED_S", -1):
        assert framed.post("renew/").status_code == 401
    assert framed.get("orders/").status_code == 200
    HelpDeskFrame.objects.update(is_active=False)
    assert framed.get("orders/").json() == {"code": "off"}
    HelpDeskFrame.objects.update(is_active=True)
    alice.groups.clear()
    assert framed.get("orders/").json() == {"code": "not_an_agent"}


def test_the_empty_frame_says_what_it_needs(zammad: HelpDeskFrame) -> None:
    page = Client().get(f"/sidebar/?frame={zammad.pk}").content.decode()
    without_script = re.search(r"<noscript>(.*?)</noscript>", page, re.DOTALL)
    assert without_script
    assert "needs JavaScript" in without_script[1]
    assert 'href="/inbox/"' in without_script[1]
    assert "csrf" not in page.lower()


# --- What a pass gives, and nothing else ---------------------------------------------------------


def test_a_session_cookie_alone_gives_nothing_in_the_frame(
    shop: Shop, seen: Seen, as_alice: Client, zammad: HelpDeskFrame
) -> None:
    shop.place()
    order = seen()
    for path in ("orders/", f"orders/{order.pk}/", f"orders/{order.pk}/refund/"):
        answer = as_alice.get(f"/sidebar/{path}", headers={"HX-Request": "true"})
        assert (answer.status_code, answer.json()) == (401, {"code": "ended"})
        assert order.name not in answer.content.decode()
    for path in ("renew/", "look/", f"orders/{order.pk}/confirm/", "orders/refresh/"):
        assert as_alice.post(f"/sidebar/{path}", {"token": "x"}).status_code == 401
    # And the frame itself neither reads nor sets one.
    page = as_alice.get(f"/sidebar/?frame={zammad.pk}")
    assert "alice" not in page.content.decode().lower()
    answers = [
        page,
        entered(zammad).get("orders/"),
        entered(zammad).get(f"orders/{order.pk}/refund/"),
    ]
    assert [dict(answer.cookies) for answer in answers] == [{}, {}, {}]


@pytest.mark.parametrize(
    "forged", ["", "Frame", "Frame x", "Frame ü", "Bearer x", "Frame " + "A" * 400]
)
def test_a_forged_pass_is_no_pass(forged: str, zammad: HelpDeskFrame) -> None:
    header = forged.encode().decode("latin-1")
    assert Client().get("/sidebar/orders/", headers={"Authorization": header}).status_code == 401


def test_one_kind_of_token_is_not_accepted_as_another(alice: User, zammad: HelpDeskFrame) -> None:
    framed = entered(zammad)
    held = tokens.open_pass(framed.told["pass"])
    window = {"Authorization": f"Frame {tokens.seal_window(held)}"}
    assert Client().get("/sidebar/orders/", headers=window).status_code == 401
    in_window = logged_in(alice).get(f"/sidebar/window/{framed.told['pass']}/orders/")
    assert in_window.status_code == 403
    assert alice.email not in framed.told["pass"]


def test_another_customers_orders_do_not_exist(
    shop: Shop, seen: Seen, alice: User, zammad: HelpDeskFrame
) -> None:
    shop.place(email="john@example.com")
    johns = seen()
    framed = entered(zammad)
    assert johns.name not in framed.panel()
    paths = ("", "cancel/", "refund/", "history/")
    assert {framed.get(f"orders/{johns.pk}/{path}").status_code for path in paths} == {404}
    for verb in ("cancel/", "refund/", "suggestion/", "confirm/"):
        assert framed.post(f"orders/{johns.pk}/{verb}", {"token": "x"}).status_code == 404
    # Signed, the customer is fixed: what the page says beside it changes nothing.
    assert framed.post("look/", {"email": "john@example.com"}).json() == {"code": "off"}
    # Negative control: with John's pass the same address is there.
    assert entered(zammad, email="john@example.com").get(f"orders/{johns.pk}/").status_code == 200


def test_another_customers_action_does_not_exist(
    shop: Shop, seen: Seen, alice: User, zammad: HelpDeskFrame
) -> None:
    HelpDeskFrame.objects.update(confirm_up_to=100)
    shop.place(email="john@example.com")
    johns = seen()
    john = entered(zammad, email="john@example.com")
    token = token_in(john.review(johns, reason="other", amount="5.00"))
    assert john.post(f"orders/{johns.pk}/confirm/", {"token": token}).status_code == 200
    action = OrderAction.objects.get()
    assert action.origin == f"frame:{zammad.pk}"
    jane = entered(zammad)
    assert jane.get(f"actions/{action.pk}/").status_code == 404
    assert jane.post(f"actions/{action.pk}/withdraw/").status_code == 404
    assert john.get(f"actions/{action.pk}/").status_code == 200


def test_the_help_desks_assignee_may_act(
    shop: Shop, seen: Seen, alice: User, sara: User, zammad: HelpDeskFrame
) -> None:
    HelpDeskFrame.objects.update(confirm_up_to=100)
    User.objects.filter(pk=sara.pk).update(email="sara@shop.example")
    shop.place()
    order = seen()
    hers = entered(zammad, assignee="Alice@shop.example")
    token = token_in(hers.review(order, reason="other", amount="5.00"))
    bobs = entered(zammad, assignee="bob@shop.example")
    nobodys = entered(zammad, assignee="")
    for held in (bobs, nobodys):
        assert "To take action, assign the conversation to yourself in Zammad." in held.panel()
        answer = held.post(f"orders/{order.pk}/confirm/", {"token": token})
        assert answer.status_code == 403
    assert not OrderAction.objects.exists()
    saras = entered(zammad, agent="sara@shop.example", assignee="bob@shop.example")
    assert "assign the conversation" not in saras.panel()
    assert hers.post(f"orders/{order.pk}/confirm/", {"token": token}).status_code == 200


def test_chatwoot_moves_on_to_another_customer(
    shop: Shop, seen: Seen, alice: User, as_alice: Client, chatwoot: HelpDeskFrame
) -> None:
    janes, johns = shop.place(), shop.place(email="john@example.com")
    seen()
    mine = {"assignee": "alice@shop.example"}
    framed = Framed(swap_code(chatwoot, connect(as_alice, chatwoot), **mine)[1])
    assert janes.name in framed.panel()
    moved = Framed(framed.post("look/", {"email": "john@example.com", **mine}).json())
    assert johns.name in moved.panel()
    assert janes.name not in moved.panel()
    assert "assign the conversation" not in moved.panel()
    unreadable = Framed(framed.post("look/", {"email": "not an address", "phone": "12"}).json())
    assert "couldn’t be read" in unreadable.panel()


# --- Money ----------------------------------------------------------------------------------------


def test_a_refund_within_the_limit_is_done_in_the_frame(
    shop: Shop, seen: Seen, alice: User, zammad: HelpDeskFrame
) -> None:
    HelpDeskFrame.objects.update(confirm_up_to=10)
    shop.place()
    order = seen()
    framed = entered(zammad)
    token = token_in(framed.review(order, reason="other", amount="10.00"))
    for _ in range(2):
        assert framed.post(f"orders/{order.pk}/confirm/", {"token": token}).status_code == 200
    work_off(shop, framed.client)
    assert [r["amount"] for r in shop.ledger()["refunds"]] == ["10.0"]
    assert OrderAction.objects.get().requested_by == alice
    assert "Partially refunded" in framed.panel()


@pytest.mark.parametrize(("limit", "amount"), [("10", "10.01"), ("0", "0.01")])
def test_a_refund_above_the_limit_is_confirmed_in_a_window_of_its_own(
    shop: Shop, seen: Seen, alice: User, bob: User, zammad: HelpDeskFrame, limit: str, amount: str
) -> None:
    HelpDeskFrame.objects.update(confirm_up_to=limit)
    shop.place()
    order = seen()
    framed = entered(zammad)
    page = framed.review(order, reason="other", amount=amount, staff_note="private words")
    assert 'name="token"' not in page
    found = re.search(r'href="(/sidebar/window/[^"]+)"[^>]*data-window', page)
    assert found, page
    window = found[1]
    assert "private" not in window
    # Without a session, and with another agent's.
    assert Client().get(window).status_code == 302
    assert logged_in(bob).get(window).status_code == 404
    as_alice = logged_in(alice)
    shown = as_alice.get(window)
    assert shown.status_code == 200
    assert "frame-ancestors 'none'" in shown["Content-Security-Policy"]
    token = token_in(unescape(shown.content.decode()))
    # The server holds it: the frame cannot confirm even with the token.
    answer = framed.post(f"orders/{order.pk}/confirm/", {"token": token})
    assert answer.status_code == 403
    assert "in a separate window" in answer.content.decode()
    assert not OrderAction.objects.exists()
    target = re.search(r'action="(/sidebar/window/[^"]+/confirm/)"', shown.content.decode())
    assert target
    done = as_alice.post(target[1], {"token": token})
    assert done.status_code == 302
    assert as_alice.get(done["Location"]).status_code == 200
    work_off(shop, as_alice)
    assert [r["amount"] for r in shop.ledger()["refunds"]] == [amount.rstrip("0")]
    assert "Partially refunded" in framed.panel()


def test_without_the_servers_own_check_the_frame_would_confirm(
    shop: Shop, seen: Seen, alice: User, zammad: HelpDeskFrame
) -> None:
    """Negative control of the test above."""
    shop.place()
    order = seen()
    framed = entered(zammad)
    window = re.search(
        r'href="([^"]+)"[^>]*data-window', framed.review(order, reason="other", amount="5")
    )
    assert window
    token = token_in(unescape(logged_in(alice).get(window[1]).content.decode()))
    with patch("inbox.views.orders.confirming._window_refusal", lambda *_: None):
        assert framed.post(f"orders/{order.pk}/confirm/", {"token": token}).status_code == 200
    assert OrderAction.objects.exists()


def test_the_windows_confirmation_needs_the_csrf_token(
    shop: Shop, seen: Seen, alice: User, zammad: HelpDeskFrame
) -> None:
    shop.place()
    order = seen()
    framed = entered(zammad)
    window = re.search(
        r'href="([^"]+)"[^>]*data-window', framed.review(order, reason="other", amount="5")
    )
    assert window
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    page = strict.get(window[1]).content.decode()
    target = re.search(r'action="(/sidebar/window/[^"]+/confirm/)"', page)
    assert target
    assert strict.post(target[1], {"token": token_in(unescape(page))}).status_code == 403
    assert not OrderAction.objects.exists()


# --- Who may frame it ------------------------------------------------------------------------------


def ancestors(answer: Any) -> str:
    found = re.search(r"frame-ancestors ([^;]+)", answer["Content-Security-Policy"])
    assert found
    return found[1].strip()


def test_exactly_the_listed_origins_may_frame_it(
    shop: Shop, seen: Seen, alice: User, as_alice: Client, zammad: HelpDeskFrame
) -> None:
    HelpDeskFrame.objects.update(origins="https://desk.example.com\nhttps://b.example:8443")
    HelpDeskFrame.objects.create(name="Other", kind=FrameKind.CHATWOOT, origins="https://c.example")
    framed = entered(zammad)
    for answer in (
        Client().get(f"/sidebar/?frame={zammad.pk}"),
        framed.get("orders/"),
        framed.get("orders/99/"),
    ):
        assert ancestors(answer) == "https://desk.example.com https://b.example:8443"
        assert "X-Frame-Options" not in answer
        assert "no-store" in answer["Cache-Control"]
    HelpDeskFrame.objects.filter(pk=zammad.pk).update(is_active=False)
    elsewhere = [
        Client().get(f"/sidebar/?frame={zammad.pk}"),
        Client().get("/sidebar/"),
        Client().get("/sidebar/?frame=x"),
        framed.get("orders/"),
        as_alice.get("/inbox/"),
        Client().get("/login/"),
        as_alice.get("/sidebar/connect/?frame=1"),
    ]
    for answer in elsewhere:
        assert ancestors(answer) == "'none'"
        assert answer["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(
    ("origins", "words"),
    [
        ("https://*.example.com", "wildcards"),
        ("http://desk.example.com", "https://"),
        ("http://127.0.0.1:3000", "https://"),
        ("https://desk.example.com/app", "only scheme, host, and port"),
        ("https://desk.example.com; script-src *", "only scheme, host"),
        ("https://user@desk.example.com", "only scheme, host"),
        ("https://dësk.example", "xn--"),
        ("https://desk.example.com:x", "a valid URL"),
        ("'self'", "https://"),
        ("", "required"),
    ],
)
def test_an_invalid_origin_is_refused_with_a_reason(
    admin_client: Client, origins: str, words: str
) -> None:
    form = {
        "name": "Desk",
        "kind": "chatwoot",
        "origins": origins,
        "confirm_up_to": "0",
        "is_active": "on",
    }
    page = admin_client.post("/admin/inbox/helpdeskframe/add/", form)
    assert page.status_code == 200
    assert words in unescape(page.content.decode())
    assert not HelpDeskFrame.objects.exists()


def test_an_administrator_sets_it_up_and_the_audit_log_knows(
    admin_client: Client, settings: Any, alice: User
) -> None:
    settings.PUBLIC_URL = "https://inbox.example.com"
    form = {
        "name": "Zammad",
        "kind": "generic",
        "origins": "HTTPS://Desk.Example.com:443/\nhttps://b.example",
        "confirm_up_to": "25.00",
        "is_active": "on",
    }
    page = unescape(
        admin_client.post("/admin/inbox/helpdeskframe/add/", form, follow=True).content.decode()
    )
    frame = HelpDeskFrame.objects.get()
    assert frame.allowed_origins() == ("https://desk.example.com", "https://b.example")
    secret = re.search(r"signing secret (axf_\S+)", page)
    assert secret
    assert frame.secret.reveal() == secret[1]
    address = f"/admin/inbox/helpdeskframe/{frame.pk}/change/"
    page = unescape(admin_client.get(address).content.decode())
    assert f"https://inbox.example.com/sidebar/?frame={frame.pk}" in page
    assert secret[1] not in page
    old = signed(frame)
    form["origins"] = frame.origins
    admin_client.post(address, form | {"is_active": ""})
    admin_client.post(address, form)
    admin_client.post(
        "/admin/inbox/helpdeskframe/", {"action": "new_secret", "_selected_action": [frame.pk]}
    )
    assert swap(frame, old) == (403, {"code": "signature"})
    admin_client.post(f"/admin/inbox/helpdeskframe/{frame.pk}/delete/", {"post": "yes"})
    rows = AuditEntry.objects.filter(kind=AuditKind.PERMISSIONS, detail__frame=frame.pk).order_by(
        "pk"
    )
    assert [row.after for row in rows] == [
        "created",
        "new secret",
        "changed",
        "changed",
        "new secret",
        "deleted",
    ]
    assert rows[2].detail["changed"] == {"is_active": "False"}
    assert secret[1] not in "".join(str(row.detail) for row in rows)
