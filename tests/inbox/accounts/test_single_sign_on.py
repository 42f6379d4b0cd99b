"""Logging in through a provider of identities, which here is a real one on this machine."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.test import Client
from django.utils.html import escape

from inbox.accounts.login import single_sign_on
from orders.models import AuditEntry
from tests.conftest import logged_in
from tests.support.people.oidc import SECRET, Provider, rsa_key, settings_for
from tests.support.people.signing_in import code, enter_code, give_app

pytestmark = pytest.mark.django_db


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


@pytest.fixture
def provider(settings: Any) -> Iterator[Provider]:
    found = Provider()
    settings.OIDC_ISSUER, settings.OIDC_NAME = found.issuer, "Test company"
    settings.SOCIALACCOUNT_PROVIDERS = settings_for(found)
    settings.ACCOUNT_DEFAULT_HTTP_PROTOCOL = "http"
    yield found
    found.stop()


def come(web: Client, *, next_page: str = "") -> Any:
    """Press the button on the login page, go to the provider and back."""
    assert "Log in with Test company" in web.get("/login/").content.decode()
    return back_from(web, leave(web, next_page=next_page))


def leave(web: Client, *, next_page: str = "") -> Any:
    return web.post("/login/sso/", {"next": next_page} if next_page else {})


def leads_to(answer: Any) -> str:
    address: str = answer["Refresh"].removeprefix("0; url=")
    assert f'href="{escape(address)}"' in answer.content.decode()
    return address


def back_from(web: Client, left: Any) -> Any:
    """Let the provider say who it is, and come back."""
    there = leads_to(left)
    try:
        urllib.request.build_opener(_Stay()).open(there)
    except urllib.error.HTTPError as answer:
        back = urlsplit(answer.headers["Location"])
    return web.get(f"{back.path}?{back.query}")


def person(email: str, *, verified: bool = True, sub: str = "s-1") -> dict[str, Any]:
    return {"sub": sub, "email": email, "email_verified": verified, "name": "Alice"}


def test_a_person_whose_address_the_provider_verified_comes_in(
    provider: Provider, alice: User
) -> None:
    User.objects.filter(pk=alice.pk).update(email="alice@shop.example")
    provider.person = person("Alice@shop.example")
    web = Client()
    assert come(web, next_page="/inbox/decisions/")["Location"] == "/inbox/decisions/"
    assert web.get("/inbox/").status_code == 200
    assert provider.refused == []
    # From now on the subject counts, whatever becomes of the address.
    User.objects.filter(pk=alice.pk).update(email="other@shop.example")
    again = Client()
    come(again)
    assert again.get("/inbox/").status_code == 200


@pytest.mark.parametrize(
    ("email", "verified"),
    [("alice@shop.example", False), ("mallory@shop.example", True), ("left@shop.example", True)],
)
def test_nobody_else_does(provider: Provider, alice: User, email: str, verified: bool) -> None:
    User.objects.filter(pk=alice.pk).update(email="alice@shop.example")
    User.objects.create_user("left", email="left@shop.example", is_active=False)
    provider.person = person(email, verified=verified)
    web = Client()
    assert come(web).status_code == 403
    assert web.get("/inbox/").status_code == 302
    assert not SocialAccount.objects.exists()
    assert User.objects.count() == 2


def test_the_second_factor_is_asked_here_too(provider: Provider, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(email="alice@shop.example")
    give_app(alice)
    provider.person = person("alice@shop.example")
    web = Client()
    assert come(web)["Location"] == "/account/step/"
    assert web.get("/inbox/").status_code == 302
    enter_code(web, code())
    assert web.get("/inbox/").status_code == 200


@pytest.mark.parametrize("has_factor", [False, True])
def test_the_window_of_the_sidebar_keeps_its_opener(
    provider: Provider, alice: User, has_factor: bool
) -> None:
    User.objects.filter(pk=alice.pk).update(email="alice@shop.example")
    provider.person = person("alice@shop.example")
    if has_factor:
        give_app(alice)
    web = Client()
    where = "/sidebar/connect/?frame=1&challenge=c"
    there = leave(web, next_page=where)
    back = back_from(web, there)
    assert back["Location"] == ("/account/step/" if has_factor else where)
    for answer in (there, back):
        assert answer["Cross-Origin-Opener-Policy"] == "unsafe-none"
    other = Client()
    assert come(other, next_page="/inbox/")["Cross-Origin-Opener-Policy"] == "same-origin"


def test_a_link_begins_no_login(provider: Provider, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(email="alice@shop.example")
    provider.person = person("alice@shop.example")
    web = Client(enforce_csrf_checks=True)
    page = web.get("/login/sso/?next=/inbox/")
    assert page.status_code == 200
    assert "Refresh" not in page
    assert "socialaccount_states" not in web.session
    form = page.content.decode()
    assert 'name="next" value="/inbox/"' in form
    assert leave(web).status_code == 403
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)', form)
    assert token
    left = web.post("/login/sso/", {"next": "/inbox/", "csrfmiddlewaretoken": token[1]})
    assert back_from(web, left)["Location"] == "/inbox/"


def test_an_answer_that_was_not_asked_for_is_refused(provider: Provider, alice: User) -> None:
    web = Client()
    answer = web.get("/login/sso/back/", {"code": "x", "state": "y"})
    assert answer.status_code in {200, 401, 403}
    assert web.get("/inbox/").status_code == 302


def change_address(user: User, address: str) -> None:
    """As an administrator does it."""
    root = logged_in(User.objects.create_superuser("root"))
    fields = {"username": user.username, "email": address, "is_active": "on", "groups": []}
    assert root.post(f"/admin/auth/user/{user.pk}/change/", fields).status_code == 302


def test_a_new_address_ends_the_tie_and_the_sessions(provider: Provider, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(email="alice@shop.example")
    alice.refresh_from_db()
    provider.person = person("alice@shop.example")
    web = Client()
    come(web)
    assert web.get("/account/").status_code == 200
    change_address(alice, "other@shop.example")
    assert web.get("/account/").status_code == 302
    assert not SocialAccount.objects.exists()
    again = Client()
    assert come(again).status_code == 403
    assert again.get("/account/").status_code == 302
    said = AuditEntry.objects.filter(detail__user=alice.pk, detail__change__startswith="single")
    assert [(entry.actor, entry.detail["change"]) for entry in said.order_by("pk")] == [
        ("", "single sign-on tied"),  # before she is logged in
        ("root", "single sign-on removed"),
    ]


def test_the_subject_of_another_issuer_is_someone_else(
    provider: Provider, alice: User, settings: Any
) -> None:
    """The number that Alice had at the old provider is Mallory's at the new one."""
    User.objects.filter(pk=alice.pk).update(email="alice@shop.example")
    provider.person = person("alice@shop.example", sub="s-1")
    come(Client())
    moved = Provider()
    try:
        settings.OIDC_ISSUER = moved.issuer
        settings.SOCIALACCOUNT_PROVIDERS = settings_for(moved)
        moved.person = person("mallory@shop.example", sub="s-1")
        web = Client()
        assert come(web).status_code == 403
        assert web.get("/account/").status_code == 302
        # Alice comes in through her address, and her old tie is gone.
        moved.person = person("alice@shop.example", sub="s-2")
        web = Client()
        come(web)
        assert web.get("/account/").status_code == 200
        assert SocialAccount.objects.count() == 1
    finally:
        moved.stop()


def test_metadata_of_another_issuer_is_refused(provider: Provider, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(email="alice@shop.example")
    provider.person = person("alice@shop.example")
    provider.says_issuer = f"{provider.issuer}/other"
    answer = leave(Client())
    assert answer.status_code == 401
    assert "didn’t confirm who you are" in answer.content.decode()
    # A slash at the end makes no other issuer.
    provider.says_issuer = f"{provider.issuer}/"
    assert leads_to(leave(Client())).startswith(provider.issuer)


def test_the_metadata_is_compared_on_the_way_back_too(provider: Provider, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(email="alice@shop.example")
    provider.person = person("alice@shop.example")
    web = Client()
    there = leave(web)
    provider.says_issuer = "https://evil.example"
    assert back_from(web, there).status_code == 401
    assert web.get("/account/").status_code == 302
    assert not SocialAccount.objects.exists()


def test_a_provider_that_is_down_gets_a_page(provider: Provider, alice: User) -> None:
    web = Client()
    there = leads_to(leave(web))
    assert there.startswith(provider.issuer)
    state = parse_qs(urlsplit(there).query)["state"][0]
    provider.stop()
    for answer in (leave(web), web.get(f"/login/sso/back/?code=x&state={state}")):
        assert answer.status_code == 503
        assert "Your provider can’t be reached" in answer.content.decode()


@pytest.mark.parametrize(("status", "padding"), [(302, ""), (500, ""), (200, "x" * (1024 * 1024))])
def test_odd_metadata_gets_a_page(provider: Provider, status: int, padding: str) -> None:
    provider.metadata_status, provider.padding = status, padding
    assert leave(Client()).status_code == 503
    assert provider.refused == [], "no redirect is followed"


def test_a_provider_that_drips_is_cut_off(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_sign_on, "TIMEOUT_S", 0.3)
    provider.drips = True
    began = time.monotonic()
    assert leave(Client()).status_code == 503
    assert time.monotonic() - began < 8, "it would take ten seconds"


@pytest.mark.parametrize(
    "what", ["", "signature", "secret", "unsigned", "audience", "issuer", "time", "nonce", "person"]
)
def test_a_forged_or_foreign_id_token_is_refused(
    provider: Provider, alice: User, what: str
) -> None:
    """Without any flaw, the control, she comes in."""
    User.objects.filter(pk=alice.pk).update(email="alice@shop.example")
    provider.person = person("alice@shop.example")
    if what == "signature":
        provider.signing_key = rsa_key()
    elif what == "secret":
        provider.signing_key, provider.algorithm = SECRET * 2, "HS256"
    elif what == "unsigned":
        provider.signing_key, provider.algorithm = "", "none"
    elif what == "person":
        provider.userinfo = person("alice@shop.example", sub="s-2")
    flaws: dict[str, dict[str, Any]] = {
        "audience": {"aud": "another-client"},
        "issuer": {"iss": "https://evil.example"},
        "time": {"exp": int(time.time()) - 60},
        "nonce": {"nonce": "of another login"},
    }
    provider.claims = flaws.get(what, {})
    web = Client()
    answer = come(web)
    assert answer.status_code == (401 if what else 302)
    assert web.get("/account/").status_code == (302 if what else 200)
    assert SocialAccount.objects.exists() is not bool(what)
