"""Staging says so on every page, also on those of the admin, of libraries and of errors."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import Client, RequestFactory

from inbox.middleware import StagingMark
from inbox.models import Conversation
from tests.conftest import logged_in

pytestmark = pytest.mark.django_db
MARK = '<p class="staging-mark" role="note">Staging: '


@pytest.fixture
def in_staging(settings: Any) -> None:
    settings.MIDDLEWARE = ["inbox.middleware.StagingMark", *settings.MIDDLEWARE]


@pytest.fixture
def root(in_staging: None) -> Client:
    return logged_in(User.objects.create_superuser("root"))


PAGES = {
    "/inbox/": 200,
    "/inbox/orders/": 200,
    "/admin/": 200,
    "/admin/auth/user/add/?_popup=1": 200,
    "/api/docs/": 200,
    "/account/": 200,
    "/nowhere/": 404,
    "/inbox/conversations/999999/": 404,
}


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_marked_once(in_staging: None, root: Client, alice: User, path: str) -> None:
    web = root if path.startswith("/admin/") else logged_in(alice)
    answer = web.get(path)
    assert answer.status_code == PAGES[path]
    page = b"".join(answer) if answer.streaming else answer.content
    assert page.decode().count(MARK) == 1
    if length := answer.headers.get("Content-Length"):
        assert int(length) == len(page)


def test_people_who_are_not_logged_in_see_it_too(root: Client) -> None:
    assert MARK in Client().get("/login/").content.decode()
    german = Client().get("/login/", headers={"Accept-Language": "de"}).content.decode()
    assert "nur Übungsshops" in german


def test_parts_of_pages_and_data_stay_as_they_are(
    in_staging: None, as_alice: Client, conversation: Conversation
) -> None:
    part = as_alice.get(
        f"/inbox/conversations/{conversation.pk}/header/", headers={"HX-Request": "true"}
    )
    assert part.status_code == 200
    assert MARK not in part.content.decode()
    assert "staging" not in as_alice.get("/api/schema/").content.decode()


def test_a_page_that_is_sent_in_parts_is_marked_in_the_first() -> None:
    def view(request: HttpRequest) -> StreamingHttpResponse:
        return StreamingHttpResponse(["<html><body class='a'>first", "second"])

    answer = StagingMark(view)(RequestFactory().get("/"))
    first, second = list(answer)
    assert first.decode().startswith("<html><body class='a'><link ")
    assert (first.endswith(b"first"), second) == (True, b"second")


def test_without_it_no_page_is_marked(db: None) -> None:
    """Negative control: production's pages have no such line."""
    page = Client().get("/login/")
    assert isinstance(page, HttpResponse)
    assert "staging-mark" not in page.content.decode()
