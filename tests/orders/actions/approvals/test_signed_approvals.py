"""Above a limit, an approval takes the signature of the approver's passkey."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from fido2.utils import websafe_encode

from orders import audit, previews, services
from orders.actions import approvals, requests
from orders.audit.approval_signatures import Signed
from orders.errors import ActionRefused
from orders.models import (
    ActionState,
    AuditEntry,
    AuditKind,
    AuditSeal,
    OrderAction,
    Policy,
    Store,
)
from orders.previews import RefundChoice, build
from tests.orders.actions.test_requesting import Gateway
from tests.support.database.copies import without_triggers
from tests.support.orders.snapshots import NOW, order
from tests.support.orders.stored import eur, stored
from tests.support.people.passkeys import Passkey

pytestmark = pytest.mark.django_db


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch, alice: User, sara: User) -> OrderAction:
    """A refund of 5.00 by alice; sara's approvals above 2 take her passkey."""
    gateway = Gateway()
    for module in (build, requests, approvals):
        monkeypatch.setattr(module, "get_gateway", lambda: gateway)
    store = Store.objects.create(domain="demo.myshopify.com", name="Demo", currency="EUR")
    Policy.objects.create(role=alice.groups.get(), refund_up_to=0)
    Policy.objects.create(role=sara.groups.get(), may_approve_up_to=None, sign_above=2)
    found = stored(order(), store)
    refund = RefundChoice(reason="other", amount=eur("5.00"))
    token = previews.preview_refund(found, refund, by=alice, now=NOW).token
    return services.request_action(
        token=token, order_id=found.pk, by=alice, guard=lambda _o: None, now=timezone.now()
    )


@pytest.fixture
def passkey(sara: User) -> Passkey:
    """Sara's, with its registration in the log."""
    found = Passkey()
    register(found, sara)
    return found


def register(passkey: Passkey, user: User) -> None:
    ((credential_id, public_key),) = passkey.key.items()
    audit.record(
        AuditKind.PERMISSIONS,
        actor=user,
        user=user.pk,
        change=audit.PASSKEY_ADDED,
        credential_id=credential_id,
        public_key=public_key,
    )


def sign(passkey: Passkey, action: OrderAction, by: User, **how: Any) -> Signed:
    nonce, at, challenge = services.signing_request(_read(action), by, now=timezone.now())
    return Signed(nonce, at, passkey.rp_id, passkey.sign(challenge, **how), passkey.key)


def _read(action: OrderAction) -> OrderAction:
    return OrderAction.objects.select_related("order__store").get(pk=action.pk)


def approve(action: OrderAction, by: User, signed: Signed | None) -> OrderAction:
    return services.approve(
        action_id=action.pk, by=by, guard=lambda _o: None, now=timezone.now(), signed=signed
    )


def why_refused(action: OrderAction, by: User, signed: Signed | None) -> str:
    with pytest.raises(ActionRefused) as refused:
        approve(action, by, signed)
    assert _read(action).state == ActionState.AWAITING_APPROVAL
    return refused.value.refusal.code


def test_a_signed_approval_is_sealed_and_verified_without_the_users(
    waiting: OrderAction, passkey: Passkey, sara: User
) -> None:
    assert why_refused(waiting, sara, None) == "signature_needed"
    approve(waiting, sara, sign(passkey, waiting, sara))
    assert _read(waiting).state == ActionState.QUEUED
    kept = AuditEntry.objects.get(kind=AuditKind.APPROVAL).detail["signature"]
    said = json.loads(kept["document"])
    assert (said["action"], said["amount"], said["currency"]) == (waiting.pk, "5.0000", "EUR")
    assert (said["store"], said["approver"]) == ("demo.myshopify.com", "sara")
    audit.seal()
    found = audit.verify()
    assert (found.signed, found.problems) == (1, ())


def test_below_the_limit_and_without_one_no_signature_is_asked_for(
    waiting: OrderAction, sara: User
) -> None:
    Policy.objects.filter(role=sara.groups.get()).update(sign_above=5)
    approve(waiting, sara, None)
    assert _read(waiting).state == ActionState.QUEUED


FORGED: dict[str, Callable[[Passkey, OrderAction, User], Signed]] = {
    "another document": lambda key, action, by: Signed(
        "0" * 32,
        timezone.now().isoformat(),
        key.rp_id,
        key.sign(services.signing_request(_read(action), by, now=timezone.now())[2]),
        key.key,
    ),
    "another passkey": lambda key, action, by: Signed(
        *_asked(action, by)[:2],
        key.rp_id,
        Passkey().sign(_asked(action, by)[2]),
        key.key,
    ),
    "no user verification": lambda key, action, by: sign(key, action, by, verified=False),
    "another website": lambda key, action, by: sign(key, action, by, origin="https://evil.example"),
    "a registration": lambda key, action, by: sign(key, action, by, type="webauthn.create"),
    "a frame": lambda key, action, by: sign(key, action, by, cross_origin=True),
    "unreadable": lambda key, action, by: Signed(
        *_asked(action, by)[:2], key.rp_id, {"id": "x", "response": []}, key.key
    ),
}


def _asked(action: OrderAction, by: User) -> tuple[str, str, bytes]:
    return services.signing_request(_read(action), by, now=timezone.now())


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_signature_approves_nothing(
    waiting: OrderAction, passkey: Passkey, sara: User, forged: str
) -> None:
    signed = FORGED[forged](passkey, waiting, sara)
    assert why_refused(waiting, sara, signed) == "signature_refused"


def test_another_ones_answer_with_the_same_id_is_refused(
    waiting: OrderAction, passkey: Passkey, sara: User
) -> None:
    """The signature itself: the credential's ID is public."""
    thief = Passkey()
    thief.id = passkey.id
    nonce, at, challenge = _asked(waiting, sara)
    signed = Signed(nonce, at, passkey.rp_id, thief.sign(challenge), passkey.key)
    assert why_refused(waiting, sara, signed) == "signature_refused"


def test_a_signature_counts_for_five_minutes(
    waiting: OrderAction, passkey: Passkey, sara: User
) -> None:
    at = (timezone.now() - timedelta(minutes=6)).isoformat()
    signed = Signed("0" * 32, at, passkey.rp_id, passkey.sign(b"0" * 32), passkey.key)
    assert why_refused(waiting, sara, signed) == "signature_late"


def test_a_signature_for_another_request_is_refused(
    waiting: OrderAction, passkey: Passkey, sara: User
) -> None:
    """Signed for one amount, used after the row was changed to another."""
    signed = sign(passkey, waiting, sara)
    with without_triggers(connection):
        OrderAction.objects.filter(pk=waiting.pk).update(amount="6.00")
    assert why_refused(waiting, sara, signed) == "signature_refused"
    with without_triggers(connection):
        OrderAction.objects.filter(pk=waiting.pk).update(amount="5.00")
    approve(waiting, sara, signed)


def _change(**changes: Any) -> Callable[[AuditEntry], None]:
    def change(entry: AuditEntry) -> None:
        entry.detail["signature"] |= changes

    return change


def _other_amount(entry: AuditEntry) -> None:
    entry.amount = "500.00"


def _unregister(_entry: AuditEntry) -> None:
    AuditEntry.objects.filter(kind=AuditKind.PERMISSIONS).update(detail={})


def _own_key(entry: AuditEntry) -> None:
    """A whole approval made with an intruder's own key, whose registration nobody saw."""
    thief = Passkey()
    kept = entry.detail["signature"]
    challenge = audit.approval_signatures.challenge_of(kept["document"])
    response = thief.sign(challenge)["response"]
    ((credential_id, public_key),) = thief.key.items()
    kept |= {
        "credential_id": credential_id,
        "public_key": public_key,
        "authenticator_data": response["authenticatorData"],
        "client_data": response["clientDataJSON"],
        "signature": response["signature"],
    }


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        (_change(signature=websafe_encode(b"x" * 70)), "doesn't match the passkey"),
        (_change(document='{"action": 1}'), "something else than what was proposed"),
        (_change(public_key="!"), "can't be read"),
        (_other_amount, "another amount"),
        (_unregister, "never registered"),
        (_own_key, "never registered"),
    ],
)
def test_the_log_shows_a_signature_changed_before_it_was_sealed(
    waiting: OrderAction,
    passkey: Passkey,
    sara: User,
    attack: Callable[[AuditEntry], None],
    said: str,
) -> None:
    """Even by who can write to the log and let the job seal it: the chain itself is whole."""
    approve(waiting, sara, sign(passkey, waiting, sara))
    entry = AuditEntry.objects.get(kind=AuditKind.APPROVAL)
    with without_triggers(connection):
        attack(entry)
        entry.save()
    audit.seal()
    problems = audit.verify().problems
    assert len(problems) == 1
    assert said in problems[0]


def test_a_signature_used_twice_is_found_in_the_log(
    waiting: OrderAction, passkey: Passkey, sara: User
) -> None:
    approve(waiting, sara, sign(passkey, waiting, sara))
    entry = AuditEntry.objects.get(kind=AuditKind.APPROVAL)
    entry.pk = None
    entry.save(force_insert=True)
    audit.seal()
    assert "used before" in audit.verify().problems[0]
    # A run that goes on behind the registration, or behind the first use, still knows them.
    for kind in (AuditKind.PERMISSIONS, AuditKind.APPROVAL):
        (problem,) = audit.verify(since=_first_link(kind)).problems
        assert "used before" in problem


def test_a_run_that_goes_on_behind_the_registration_accepts_the_approval(
    waiting: OrderAction, passkey: Passkey, sara: User
) -> None:
    approve(waiting, sara, sign(passkey, waiting, sara))
    audit.seal()
    found = audit.verify(since=_first_link(AuditKind.PERMISSIONS))
    assert (found.signed, found.problems) == (1, ())


def _first_link(kind: AuditKind) -> str:
    """The link of the first entry that registers a passkey, or that approves."""
    rows = AuditEntry.objects.filter(kind=kind)
    if kind == AuditKind.PERMISSIONS:
        rows = rows.filter(detail__change=audit.PASSKEY_ADDED)
    entry = rows.order_by("pk").first()
    assert entry is not None
    return AuditSeal.objects.get(entry_id=entry.pk).hash
