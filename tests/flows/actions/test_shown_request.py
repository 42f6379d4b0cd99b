"""The page never puts another request where the one was that someone is about to approve."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from inbox.decisions import approvals
from orders import services
from orders.models import OrderAction, Policy
from tests.conftest import logged_in
from tests.support.orders import snapshots
from tests.support.orders.stored import stored
from tests.support.people.two_teams import TwoTeams, two_teams

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/inbox/decisions/"


@pytest.fixture
def world() -> TwoTeams:
    """Two teams; the first one's supervisor may approve what its agent asks for."""
    made = two_teams()
    role = made.people["supervisor"].groups.get()
    Policy.objects.create(role=role, may_approve_up_to=100)
    return made


@pytest.fixture
def later(world: TwoTeams) -> OrderAction:
    """A request for another order, with the same facts and so the same digest."""
    first = world.north.action
    gid, email = "gid://shopify/Order/31", "tom@example.com"
    order = stored(
        snapshots.order(gid=gid, legacy_id=31, name="#3001", email=email), world.north.store
    )
    same = ("kind", "state", "requested_by", "digest", "proposal", "steps", "amount", "amount_shop")
    more = ("currency", "approvals_needed", "expires_at", "why_approval", "origin")
    fields = {name: getattr(first, name) for name in (*same, *more)}
    return OrderAction.objects.create(order=order, nonce="another", **fields)


@pytest.fixture
def eve(world: TwoTeams) -> Client:
    return logged_in(world.people["supervisor"])


def text_of(answer: Any) -> str:
    return unescape(answer.content.decode())


def shown(client: Client, path: str = PAGE, **headers: str) -> str:
    return text_of(client.get(path, headers=headers))


def buttons(text: str) -> list[int]:
    """The requests that the page can approve or decline."""
    found = re.findall(r'action="/inbox/decisions/(\d+)/(?:approve|decline)/"', text)
    return sorted({int(pk) for pk in found})


@pytest.mark.parametrize("is_named", [False, True])
def test_a_live_update_says_what_became_of_the_request_and_shows_no_other(
    world: TwoTeams, later: OrderAction, eve: Client, is_named: bool
) -> None:
    first = world.north.action
    text = shown(eve, f"{PAGE}?request={first.pk}" if is_named else PAGE)
    assert buttons(text) == [first.pk]
    [source] = re.findall(r'data-live-topics="decisions" data-live-src="([^"]+)"', text)
    # Only a named request opens in place of the list on a phone.
    assert (" data-named>" in text) is is_named
    answer = eve.post(f"{PAGE}{first.pk}/decline/", {"note": "Ask for a photo."})
    assert answer["Location"] == f"{PAGE}?request={first.pk}"
    text = shown(eve, source, **{"HX-Request": "true"})
    assert "<html" not in text
    assert buttons(text) == []
    assert f"{first.order.name} · Refund €5.00: declined" in text
    assert "supervisor" in text
    assert "Ask for a photo." in text
    assert f'href="{PAGE}?request={later.pk}"' in text
    assert source in text
    assert (" data-named>" in text) is is_named


def test_a_request_that_cannot_be_seen_shows_no_other(world: TwoTeams, eve: Client) -> None:
    text = shown(eve, f"{PAGE}?request={world.south.action.pk}")
    assert buttons(text) == []
    assert "This request isn’t there, or you can’t see it." in text
    assert world.south.order.name not in text


def test_the_last_request_does_not_vanish_without_a_word(world: TwoTeams, eve: Client) -> None:
    first = world.north.action
    text = text_of(eve.post(f"{PAGE}{first.pk}/decline/", {"note": "No."}, follow=True))
    assert "Nothing to decide" in text
    assert "Refund €5.00: declined" in text


def test_a_named_request_is_shown_beyond_the_end_of_the_list(
    world: TwoTeams, later: OrderAction, eve: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approvals, "SHOWN_AT_MOST", 1)
    text = shown(eve, f"{PAGE}?request={later.pk}")
    assert buttons(text) == [later.pk]
    assert f'href="{PAGE}?request={later.pk}"' not in text


@pytest.fixture
def approved(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The requests that reach the service, which would read Shopify."""
    found: list[int] = []

    def approve(*, action_id: int, **_: object) -> OrderAction:
        found.append(action_id)
        return OrderAction.objects.get(pk=action_id)

    monkeypatch.setattr(services, "approve", approve)
    return found


def test_only_the_request_that_was_shown_can_be_approved(
    world: TwoTeams, later: OrderAction, eve: Client, approved: list[int]
) -> None:
    [digest] = re.findall(r'name="digest" value="([^"]+)"', shown(eve))
    for sent in (digest, ""):
        url = f"{PAGE}{later.pk}/approve/"
        answer = text_of(eve.post(url, {"digest": sent}, follow=True))
        assert "The page showed something else, so nothing was approved." in answer
        assert buttons(answer) == [later.pk]
    assert approved == []
    eve.post(f"{PAGE}{world.north.action.pk}/approve/", {"digest": digest})
    assert approved == [world.north.action.pk]


def test_without_the_digest_another_request_would_be_approved(
    later: OrderAction, eve: Client, approved: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: the digest tells apart two requests with the same facts."""
    monkeypatch.setattr(approvals, "digest_of", lambda action: action.digest)
    [digest] = re.findall(r'name="digest" value="([^"]+)"', shown(eve))
    eve.post(f"{PAGE}{later.pk}/approve/", {"digest": digest})
    assert approved == [later.pk]
