"""API tokens: what each allows, when it ends, and that nobody can read it again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from inbox import api_tokens
from inbox.models import ApiToken, Conversation, TokenScope
from orders.models import ActionState, AuditEntry, Order, OrderAction, Policy, Store
from shopify_sync.tasks import sweep_actions
from tests.conftest import logged_in
from tests.flows.actions.test_api_clicks import confirm, preview
from tests.support.people.tokens import api_token, bearing
from tests.support.shop.in_process import Shop, work_off

Seen = Callable[[], Order]
SEARCH = "/api/v1/orders/?q=1001"


def api(text: str) -> Client:
    return Client(headers=bearing(text))


def code(text: str) -> int:
    return api(text).get(SEARCH).status_code


# --- What it allows -------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_each_scope_allows_so_much(
    shop: Shop, seen: Seen, conversation: Conversation, alice: User, sara: User
) -> None:
    shop.place()
    order = seen()
    reading, proposing, acting = (
        api(api_token(alice, scope, name=scope)) for scope in ("read", "propose", "act")
    )
    assert reading.get(SEARCH).json()["results"]
    refused = preview(reading, order, "5.00")
    assert refused.status_code == 403
    assert refused.json()["detail"] == "This token's scope doesn't allow that."
    # Her policy has no limit; still, a program that only proposes needs another person.
    token = preview(proposing, order, "5.00").json()["token"]
    asked = confirm(proposing, order, token, "k-1")
    assert (asked.status_code, asked.json()["state"]) == (202, ActionState.AWAITING_APPROVAL)
    pk = asked.json()["id"]
    for verb in ("approve", "decline", "withdraw"):
        assert proposing.post(f"/api/v1/actions/{pk}/{verb}/").status_code == 403
    sweep_actions()
    assert shop.ledger()["refunds"] == []
    Policy.objects.create(role=sara.groups.get(), may_approve_up_to=None)
    # Not even her own wider token makes up for the other person.
    own = acting.post(f"/api/v1/actions/{pk}/approve/")
    assert (own.status_code, own.json()["reason_code"]) == (409, "own_action")
    assert api(api_token(sara)).post(f"/api/v1/actions/{pk}/approve/").status_code == 200
    work_off(shop, acting)
    assert [refund["amount"] for refund in shop.ledger()["refunds"]] == ["5.0"]
    token = preview(acting, order, "6.00").json()["token"]
    assert confirm(acting, order, token, "k-2").status_code == 202
    work_off(shop, acting)
    assert [refund["amount"] for refund in shop.ledger()["refunds"]] == ["5.0", "6.0"]


@pytest.mark.django_db(transaction=True)
def test_a_token_of_one_store_knows_no_other(
    shop: Shop, seen: Seen, conversation: Conversation, alice: User
) -> None:
    shop.place()
    order = seen()
    here = api(api_token(alice, name="here", stores=[order.store]))
    pk = confirm(here, order, preview(here, order, "5.00").json()["token"], "k-1").json()["id"]
    other = Store.objects.create(domain="other.myshopify.com", currency="EUR")
    there = api(api_token(alice, name="there", stores=[other]))
    name = order.name.lstrip("#")
    assert len(here.get(f"/api/v1/orders/?q={name}").json()["results"]) == 1
    assert there.get(f"/api/v1/orders/?q={name}").json()["results"] == []
    assert there.get(f"/api/v1/orders/{order.pk}/").status_code == 404
    assert preview(there, order, "5.00").status_code == 404
    assert there.get(f"/api/v1/actions/{pk}/").status_code == 404
    assert there.post(f"/api/v1/actions/{pk}/withdraw/").status_code == 404
    assert OrderAction.objects.get().state != ActionState.WITHDRAWN


# --- When it ends ---------------------------------------------------------------------------------
@pytest.mark.django_db
def test_a_token_ends_with_its_time_and_its_owner(alice: User) -> None:
    text = api_token(alice)
    assert code(text) == 200
    ApiToken.objects.update(expires_at=timezone.now())
    assert code(text) == 401
    ApiToken.objects.update(expires_at=timezone.now() + timedelta(days=1))
    assert code(text) == 200
    User.objects.update(is_active=False)  # without a signal
    assert code(text) == 401
    assert code(text[:-1] + "x") == 401
    assert code("") == 401


@pytest.mark.django_db
@pytest.mark.parametrize("loss", ["deactivated", "role removed", "removed from group", "cleared"])
def test_it_stays_revoked_when_its_owner_returns(alice: User, loss: str) -> None:
    text, group = api_token(alice), alice.groups.get()
    if loss == "deactivated":
        alice.is_active = False
        alice.save()
        alice.is_active = True
        alice.save()
    elif loss == "role removed":
        alice.groups.remove(group)
    elif loss == "removed from group":
        group.user_set.remove(alice)
    else:
        alice.groups.clear()
    alice.groups.add(group)
    assert code(text) == 401
    assert AuditEntry.objects.filter(detail__change="revoked").count() == 1


@pytest.mark.django_db
def test_another_role_keeps_it(alice: User) -> None:
    text = api_token(alice)
    alice.groups.add(Group.objects.get_or_create(name="supervisors")[0])
    alice.groups.remove(Group.objects.get(name="agents"))
    assert code(text) == 200


@pytest.mark.django_db
@pytest.mark.parametrize("days", [0, -1, 366])
def test_no_token_lasts_forever(alice: User, days: int) -> None:
    with pytest.raises(ValueError, match="days"):
        api_token(alice, days=days)


@pytest.mark.django_db
def test_its_last_use_is_written_once_a_minute(alice: User) -> None:
    text, began = api_token(alice), timezone.now()
    code(text)
    used = ApiToken.objects.get()
    assert used.last_used_at is not None
    assert used.last_used_at >= began
    assert used.last_used_ip == "127.0.0.1"
    code(text)
    assert ApiToken.objects.get().last_used_at == used.last_used_at
    ApiToken.objects.update(last_used_at=used.last_used_at - timedelta(minutes=2))
    code(text)
    assert ApiToken.objects.filter(last_used_at__gte=used.last_used_at).exists()


# --- Its pages --------------------------------------------------------------------------------------
def wish(**changes: Any) -> dict[str, Any]:
    return {"name": "Export", "scope": "propose", "days": "30"} | changes


@pytest.mark.django_db
def test_people_make_their_own_and_see_it_once(as_alice: Client, alice: User, bob: User) -> None:
    page = as_alice.post("/inbox/tokens/", wish())
    token = ApiToken.objects.get()
    assert (token.owner, token.scope, token.name) == (alice, "propose", "Export")
    assert timedelta(days=29) < token.expires_at - timezone.now() <= timedelta(days=30)
    text = page.content.decode().split('id="new-token" value="')[1].split('"')[0]
    assert code(text) == 200
    assert text not in as_alice.get("/inbox/tokens/").content.decode()
    held = json.dumps(list(ApiToken.objects.values()), default=str)
    assert text not in held
    assert text not in json.dumps(list(AuditEntry.objects.values()), default=str)
    # Sent again by a reload: not a second one.
    again = as_alice.post("/inbox/tokens/", wish())
    assert (again.status_code, ApiToken.objects.count()) == (422, 1)
    assert "Export" not in logged_in(bob).get("/inbox/tokens/").content.decode()
    assert logged_in(bob).post(f"/inbox/tokens/{token.pk}/revoke/").status_code == 404
    assert code(text) == 200
    assert as_alice.get(f"/inbox/tokens/{token.pk}/revoke/").status_code == 405
    as_alice.post(f"/inbox/tokens/{token.pk}/revoke/")
    assert code(text) == 401


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "x" * 101},
        {"scope": "everything"},
        {"days": "366"},
        {"days": "0"},
        {"days": "soon"},
        {"stores": ["987654"]},
        {"stores": ["x"]},
    ],
)
def test_what_cannot_be_is_refused(as_alice: Client, changes: dict[str, Any]) -> None:
    assert as_alice.post("/inbox/tokens/", wish(**changes)).status_code == 422
    assert not ApiToken.objects.exists()


@pytest.mark.django_db
def test_a_name_is_shown_as_text(as_alice: Client) -> None:
    name = "<script>alert(1)</script>"
    as_alice.post("/inbox/tokens/", wish(name=name))
    page = as_alice.get("/inbox/tokens/").content.decode()
    assert name not in page
    assert escape(name) in page


# --- Those from before ------------------------------------------------------------------------------
@pytest.mark.django_db
def test_tokens_from_before_keep_working_hashed(alice: User, bob: User) -> None:
    upgrade = import_module("inbox.migrations.0023_hash_api_tokens")
    bob.is_active = False
    bob.save()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE authtoken_token (key varchar(40) PRIMARY KEY, user_id integer UNIQUE,"
            " created timestamp)"
        )
        for user, key in ((alice, "a" * 40), (bob, "b" * 40)):
            cursor.execute(
                "INSERT INTO authtoken_token (key, user_id) VALUES (%s, %s)", [key, user.pk]
            )
    editor = SimpleNamespace(connection=connection)
    upgrade.hash_tokens(apps, editor)
    upgrade.hash_tokens(apps, editor)  # nothing is left to do
    token = ApiToken.objects.get(owner=alice)
    assert token.scope == TokenScope.ACT
    assert timedelta(days=89) < token.expires_at - timezone.now() <= timedelta(days=90)
    assert code("a" * 40) == 200
    assert code("b" * 40) == 401
    assert ApiToken.objects.get(owner=bob).revoked_at is not None
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM authtoken_token")
        assert cursor.fetchone() == (0,)
        cursor.execute("DROP TABLE authtoken_token")


@pytest.mark.django_db
def test_the_text_is_nowhere_in_the_database(alice: User) -> None:
    """Negative control: what is stored opens nothing."""
    api_token(alice)
    stored = ApiToken.objects.get()
    assert code(stored.digest) == 401
    assert code(stored.hint) == 401
    assert api_tokens.owned_by(stored.digest, now=timezone.now()) is None
