"""A help desk that builds a new frame for each conversation: the agent logs in once."""

# ruff: noqa: F811  fixtures of the other file, by their names

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.test import Client

from inbox.frames import tokens
from inbox.models import FrameKind, HelpDeskFrame
from orders.models import AuditEntry, AuditKind, Order
from tests.flows.frames.test_frames import (  # noqa: F401  fixtures
    DESK,
    JANE,
    VERIFIER,
    Framed,
    alice,
    chatwoot,
    connect,
    entered,
    signed,
    zammad,
)
from tests.support.shop.in_process import Shop

pytestmark = pytest.mark.django_db(transaction=True)
Seen = Callable[[], Order]
MINE = {"assignee": "alice@shop.example"}


def resume(frame: HelpDeskFrame, seat: str, **said: str) -> tuple[int, dict[str, Any]]:
    """As the next frame's script, in a browser that holds the seat for this help desk."""
    browser = Client()
    browser.cookies[f"sidebar-seat-{frame.pk}"] = seat
    answer = browser.post("/sidebar/resume/", {"frame": frame.pk, **JANE, **said})
    return answer.status_code, answer.json()


def swapped(client: Client, frame: HelpDeskFrame, *, from_site: str = "same-origin") -> Any:
    data = {"frame": frame.pk, "code": connect(client, frame), "verifier": VERIFIER, **JANE, **MINE}
    return Client().post("/sidebar/swap/", data, headers={"Sec-Fetch-Site": from_site})


def seat_of(client: Client, frame: HelpDeskFrame) -> str:
    return str(swapped(client, frame).cookies[f"sidebar-seat-{frame.pk}"].value)


def test_the_seat_is_kept_apart_from_every_other_page(
    alice: User,
    as_alice: Client,
    chatwoot: HelpDeskFrame,
    zammad: HelpDeskFrame,
    settings: Any,
) -> None:
    answer = swapped(as_alice, chatwoot)
    [cookie] = answer.cookies.values()
    said = cookie.OutputString()
    assert said.partition("=")[0] == f"sidebar-seat-{chatwoot.pk}"
    for attribute in (
        "HttpOnly",
        "Secure",
        "SameSite=None",
        "Path=/; Partitioned",
        "Max-Age=28800",
    ):
        assert f"; {attribute}" in said
    settings.SESSION_COOKIE_SECURE = True
    assert f"__Host-sidebar-seat-{chatwoot.pk}" in swapped(as_alice, chatwoot).cookies
    settings.SESSION_COOKIE_SECURE = False
    assert cookie.value not in answer.content.decode()
    # Only the frame itself can make a browser keep one, and only after a login.
    for site in ("cross-site", "same-site", "none", ""):
        assert not swapped(as_alice, chatwoot, from_site=site).cookies
    signed_in = Client().post(
        "/sidebar/swap/",
        {"frame": zammad.pk, "signed": signed(zammad)},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    assert (signed_in.status_code, len(signed_in.cookies)) == (200, 0)


def test_the_next_conversations_frame_needs_no_login(
    shop: Shop, seen: Seen, alice: User, as_alice: Client, chatwoot: HelpDeskFrame
) -> None:
    janes, johns = shop.place(), shop.place(email="john@example.com")
    seen()
    seat = seat_of(as_alice, chatwoot)
    status, told = resume(chatwoot, seat, email="john@example.com", **MINE)
    assert (status, told["may_act"]) == (200, True)
    assert johns.name in Framed(told).panel()
    assert janes.name not in Framed(told).panel()
    # Whose conversation it is, is asked for each.
    assert resume(chatwoot, seat, assignee="bob@shop.example")[1]["may_act"] is False
    assert AuditEntry.objects.filter(kind=AuditKind.LOG_IN, detail__frame=chatwoot.pk).count() == 1


def test_a_seat_ends_with_the_login_the_role_the_frame_and_the_day(
    alice: User, as_alice: Client, chatwoot: HelpDeskFrame
) -> None:
    seat = seat_of(as_alice, chatwoot)
    other = HelpDeskFrame.objects.create(name="Other", kind=FrameKind.CHATWOOT, origins=DESK)
    assert resume(other, seat) == (401, {"code": "ended"})
    with patch("inbox.frames.tokens.SEAT_S", -1):
        assert resume(chatwoot, seat) == (401, {"code": "ended"})
    HelpDeskFrame.objects.filter(pk=chatwoot.pk).update(is_active=False)
    assert resume(chatwoot, seat) == (403, {"code": "off"})
    HelpDeskFrame.objects.filter(pk=chatwoot.pk).update(is_active=True)
    groups = list(alice.groups.all())
    alice.groups.clear()
    assert resume(chatwoot, seat) == (403, {"code": "not_an_agent"})
    alice.groups.set(groups)
    assert resume(chatwoot, seat)[0] == 200
    as_alice.post("/inbox/logout/")
    assert resume(chatwoot, seat) == (401, {"code": "ended"})


def test_nothing_else_is_a_seat(
    alice: User, as_alice: Client, chatwoot: HelpDeskFrame, zammad: HelpDeskFrame
) -> None:
    answer = swapped(as_alice, chatwoot)
    told, seat = answer.json(), answer.cookies[f"sidebar-seat-{chatwoot.pk}"].value
    for other in ("", "x", told["pass"], told["stream_token"]):
        assert resume(chatwoot, other) == (401, {"code": "ended"}), other
    # Nor is a seat a pass.
    headers = {"Authorization": f"Frame {seat}"}
    assert Client().get("/sidebar/orders/", headers=headers).status_code == 401
    # Who was vouched for in a signed address has no login to resume.
    vouched = entered(zammad)
    made = tokens.seal_seat(tokens.open_pass(vouched.told["pass"]))
    assert resume(zammad, made) == (401, {"code": "ended"})
