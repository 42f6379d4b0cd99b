"""Logging in through a provider of identities, which here is a real one on this machine."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.test import Client

from tests.support.oidc import Provider, settings_for
from tests.support.signing_in import code, enter_code, give_app

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
    """Follow the link on the log-in page to the provider and back."""
    assert "Log in with Test company" in web.get("/login/").content.decode()
    there = web.get("/login/sso/", {"next": next_page} if next_page else {})["Location"]
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


def test_an_answer_that_was_not_asked_for_is_refused(provider: Provider, alice: User) -> None:
    web = Client()
    answer = web.get("/login/sso/back/", {"code": "x", "state": "y"})
    assert answer.status_code in {200, 401, 403}
    assert web.get("/inbox/").status_code == 302
