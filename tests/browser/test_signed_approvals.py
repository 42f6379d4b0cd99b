"""Approving with a passkey in Chromium, on a phone's screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from allauth.mfa.webauthn.internal.auth import WebAuthn
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, expect

from inbox.models import Conversation
from orders import audit
from orders.models import ActionState, Order, OrderAction, Policy
from tests.browser.conftest import Watched
from tests.browser.test_signing_in import (  # noqa: F401  fixtures
    add_authenticator,
    address,
    axe,
    chromium,
)
from tests.conftest import alice, logged_in  # noqa: F401  not the demo's page
from tests.flows.test_main_job import confirm, review
from tests.support.people.passkeys import Passkey
from tests.support.shop.in_process import Shop

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def action(
    address: str,  # noqa: F811
    shop: Shop,
    seen: Callable[[], Order],
    as_alice: Client,
    conversation: Conversation,
    alice: User,  # noqa: F811
    sara: User,
    settings: Any,
) -> OrderAction:
    settings.SECOND_FACTOR_REQUIRED = False
    Policy.objects.create(role=alice.groups.get(), refund_up_to=10)
    Policy.objects.create(role=sara.groups.get(), may_approve_up_to=100, sign_above=12)
    shop.place(paid=True)
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="15.00")
    assert confirm(as_alice, conversation, order, token) == 200
    return OrderAction.objects.latest("pk")


def test_a_supervisor_adds_a_passkey_and_approves_with_it(
    chromium: Browser,  # noqa: F811
    address: str,  # noqa: F811
    action: OrderAction,
    sara: User,
    settings: Any,
) -> None:
    settings.REAUTHENTICATION_MINUTES = 15
    context = chromium.new_context(base_url=address, viewport={"width": 390, "height": 844})
    watched = Watched(context.new_page())
    page = watched.page
    add_authenticator(context, page)
    # On a phone, the list and a request are two pages.
    request = f"/inbox/decisions/?request={action.pk}"
    page.goto(f"/login/?{urlencode({'next': request})}")
    page.get_by_label("Username or email").fill("sara")
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url("**/inbox/decisions/*")
    expect(page.get_by_text("you don’t have one yet")).to_be_visible()
    assert axe(page) == []
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name").fill("Phone")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()

    page.goto(request)
    button = page.get_by_role("button", name="Approve with passkey")
    expect(button).to_be_visible()
    assert axe(page) == []
    box = button.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 390
    button.click()
    expect(page.get_by_text("Approved: Refund €15.00")).to_be_visible()
    action.refresh_from_db()
    assert action.state != ActionState.AWAITING_APPROVAL
    audit.seal_for(10)
    found = audit.verify()
    assert (found.signed, found.problems) == (1, ())
    # This server has no event stream; what else went wrong would be listed.
    assert [trouble for trouble in watched.troubles if "404" not in trouble] == []
    context.close()


def test_a_passkey_that_is_not_used_approves_nothing(
    chromium: Browser,  # noqa: F811
    address: str,  # noqa: F811
    action: OrderAction,
    sara: User,
) -> None:
    """The person cancels: here, there is no authenticator that knows the passkey."""
    WebAuthn.add(sara, "Lost phone", Passkey("localhost", address).registration())
    context = chromium.new_context(base_url=address)
    page = context.new_page()
    add_authenticator(context, page)
    session = logged_in(sara).cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": address}])
    page.goto("/inbox/decisions/")
    page.get_by_role("button", name="Approve with passkey").click()
    expect(page.get_by_text("nothing was approved")).to_be_visible()
    action.refresh_from_db()
    assert action.state == ActionState.AWAITING_APPROVAL
    context.close()
