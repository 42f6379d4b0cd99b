"""Approving with a passkey, through the pages: asked for above the limit, and for one use."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal.auth import WebAuthn
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from fido2.utils import websafe_decode

from inbox.decisions.approvals import digest_of
from inbox.models import Conversation
from orders import audit
from orders.models import ActionState, AuditEntry, AuditKind, Order, OrderAction, Policy
from tests.conftest import logged_in
from tests.flows.test_main_job import confirm, review
from tests.support.people.passkeys import Passkey
from tests.support.shop.in_process import Shop, work_off

Seen = Callable[[], Order]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def limits(alice: User, sara: User) -> Policy:
    """Supervisors approve up to 100, with their passkey above 12."""
    Policy.objects.create(role=alice.groups.get(), refund_up_to=10)
    return Policy.objects.create(role=sara.groups.get(), may_approve_up_to=100, sign_above=12)


@pytest.fixture
def ask(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> Callable[[str], OrderAction]:
    """Alice confirms a refund in the dialog; the action it made."""

    def ask(amount: str) -> OrderAction:
        shop.place(paid=True)
        order = seen()
        token = review(as_alice, conversation, order, "refund", reason="other", amount=amount)
        assert confirm(as_alice, conversation, order, token) == 200
        return OrderAction.objects.latest("pk")

    return ask


@pytest.fixture
def action(limits: Policy, ask: Callable[[str], OrderAction]) -> OrderAction:
    return ask("15.00")


@pytest.fixture
def passkey(sara: User) -> Passkey:
    found = Passkey()
    WebAuthn.add(sara, "Phone", found.registration())
    return found


def asked(client: Client, action: OrderAction) -> bytes:
    """The challenge that the server wants signed."""
    answer = client.get(reverse("inbox:signing_options", args=[action.pk]), secure=True)
    assert "no-store" in answer["Cache-Control"]
    options = answer.json()["request_options"]["publicKey"]
    assert options["userVerification"] == "required"
    return bytes(websafe_decode(options["challenge"]))


def approve(client: Client, action: OrderAction, assertion: Any = None) -> str:
    data = {"digest": digest_of(action)}
    if assertion:
        data["credential"] = json.dumps(assertion)
    url = reverse("inbox:approve", args=[action.pk])
    return unescape(client.post(url, data, follow=True, secure=True).content.decode())


def state(action: OrderAction) -> str:
    action.refresh_from_db()
    return action.state


def test_a_passkey_approves_and_the_log_proves_it(
    shop: Shop, action: OrderAction, passkey: Passkey, sara: User, as_alice: Client
) -> None:
    client = logged_in(sara)
    page = client.get("/inbox/decisions/", secure=True).content.decode()
    assert "Approve with passkey" in page
    assert "requires your passkey" in approve(client, action)
    assert state(action) == ActionState.AWAITING_APPROVAL
    text = approve(client, action, passkey.sign(asked(client, action)))
    assert "Approved: Refund €15.00" in text
    work_off(shop, as_alice)
    assert state(action) == ActionState.SUCCEEDED
    audit.seal_for(10)
    # Neither the passkey nor its owner is needed to check it.
    Authenticator.objects.all().delete()
    found = audit.verify()
    assert (found.signed, found.problems) == (1, ())


def test_an_answer_counts_once_and_for_its_request(
    action: OrderAction, passkey: Passkey, sara: User
) -> None:
    client = logged_in(sara)
    old = passkey.sign(asked(client, action))
    asked(client, action)
    assert "isn’t valid for this request" in approve(client, action, old)
    # The request is used up, even though its answer was refused.
    newest = passkey.sign(asked(client, action))
    approve(client, action, {"id": "nonsense"})
    assert "requires your passkey" in approve(client, action, newest)
    assert state(action) == ActionState.AWAITING_APPROVAL


def test_nobody_signs_with_a_colleagues_passkey(
    action: OrderAction, passkey: Passkey, bob: User, sara: User
) -> None:
    other = Passkey()
    WebAuthn.add(bob, "Phone", other.registration())
    client = logged_in(sara)
    text = approve(client, action, other.sign(asked(client, action)))
    assert "isn’t valid for this request" in text
    assert state(action) == ActionState.AWAITING_APPROVAL


def test_who_has_no_passkey_is_told_where_to_add_one(action: OrderAction, sara: User) -> None:
    client = logged_in(sara)
    page = unescape(client.get("/inbox/decisions/", secure=True).content.decode())
    assert "you don’t have one yet" in page
    assert reverse("mfa_add_webauthn") in page
    assert "Approve with passkey" not in page
    url = reverse("inbox:signing_options", args=[action.pk])
    assert client.get(url, secure=True).status_code == 409
    # Declining takes none.
    url = reverse("inbox:decline", args=[action.pk])
    client.post(url, {"note": "Too much."}, secure=True)
    assert state(action) == ActionState.DECLINED


def test_the_api_approves_nothing_that_takes_a_passkey(
    action: OrderAction, passkey: Passkey, sara: User
) -> None:
    answer = logged_in(sara).post(f"/api/v1/actions/{action.pk}/approve/", secure=True)
    assert answer.status_code in {403, 409, 422}
    assert state(action) == ActionState.AWAITING_APPROVAL


def test_below_the_limit_nothing_changes(
    limits: Policy, ask: Callable[[str], OrderAction], sara: User
) -> None:
    small = ask("11.00")
    assert "Approved: Refund €11.00" in approve(logged_in(sara), small)


def test_passkeys_are_written_down_with_their_public_key(passkey: Passkey, sara: User) -> None:
    ((credential_id, public_key),) = passkey.key.items()
    entry = AuditEntry.objects.filter(kind=AuditKind.PERMISSIONS).latest("pk")
    assert entry.detail == {
        "user": sara.pk,
        "change": audit.PASSKEY_ADDED,
        "credential_id": credential_id,
        "public_key": public_key,
    }
    Authenticator.objects.all().delete()
    entry = AuditEntry.objects.filter(kind=AuditKind.PERMISSIONS).latest("pk")
    assert entry.detail["change"] == "passkey removed"
