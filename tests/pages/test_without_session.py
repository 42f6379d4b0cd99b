"""Pages that are the same for everyone don't look at who asks, nor say what waits for that person."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from inbox.decisions import people
from inbox.models import FrameKind, HelpDeskFrame
from inbox.suppression import opt_outs
from tests.conftest import logged_in


class Asked(Exception):
    """The page counted what waits for the viewer."""


def rendered(template: str, monkeypatch: pytest.MonkeyPatch) -> str:
    def refuse(_user: object) -> None:
        raise Asked

    monkeypatch.setattr(people, "waiting_for", refuse)
    request: HttpRequest = RequestFactory().get("/")
    request.user = "someone"  # type: ignore[assignment]  # only whether it is looked at matters
    return render_to_string(template, {"origins": ""}, request)


@pytest.mark.parametrize("template", ["sidebar/frame.html", "sidebar/off.html"])
def test_the_sidebar_does_not_count_for_a_cookie(
    template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "<title>" in rendered(template, monkeypatch)


def test_other_pages_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    with pytest.raises(Asked):
        rendered("404.html", monkeypatch)


# Of the login: who asks, and their session.
_READS: Final = re.compile(r'FROM "(django_session|auth_user)"')


def frame_page() -> str:
    frame = HelpDeskFrame.objects.create(
        name="Zammad", kind=FrameKind.GENERIC, origins="https://desk.example.com"
    )
    return f"/sidebar/?frame={frame.pk}"


def unsubscribe_page() -> str:
    return f"/unsubscribe/{opt_outs.token_of('jane@example.com')}/"


# The method, the address, and the status that says that the view itself answered.
OPEN: Final[dict[str, tuple[str, Callable[[], str], int]]] = {
    "the sidebar": ("GET", frame_page, 200),
    "a sidebar that is off": ("GET", lambda: "/sidebar/?frame=99", 404),
    "a credential for a pass": ("POST", lambda: "/sidebar/swap/", 403),
    "the customer shown": ("POST", lambda: "/sidebar/look/", 401),
    "a longer pass": ("POST", lambda: "/sidebar/renew/", 401),
    "the next frame of a login": ("POST", lambda: "/sidebar/resume/", 403),
    "the panel in the sidebar": ("GET", lambda: "/sidebar/orders/", 401),
    "a webhook": ("POST", lambda: "/webhooks/shopify/", 401),
    "a channel's messages": ("POST", lambda: "/api/v1/channels/1/messages/", 401),
    "unsubscribing": ("GET", unsubscribe_page, 200),
    "unsubscribed": ("POST", unsubscribe_page, 200),
    "the metrics": ("GET", lambda: "/metrics", 200),
}


def asked(client: Client, method: str, path: str) -> tuple[Any, list[str]]:
    """The response, and the tables of the login that were read for it."""
    with CaptureQueriesContext(
        connection,
    ) as queries:
        response = client.generic(method, path)
    return response, [found[1] for query in queries if (found := _READS.search(query["sql"]))]


@pytest.mark.parametrize("what", OPEN)
def test_an_open_page_does_not_read_the_session(what: str, sara: User) -> None:
    method, path, status = OPEN[what]
    response, reads = asked(logged_in(sara), method, path())
    assert (response.status_code, reads) == (status, [])
    assert "Cookie" not in response.headers.get("Vary", "")


@pytest.mark.parametrize("path", ["/inbox/", "/login/", "/nowhere/"])
def test_a_page_that_shows_who_is_logged_in_does(path: str, sara: User) -> None:
    """The control."""
    response, reads = asked(logged_in(sara), "GET", path)
    assert {"django_session", "auth_user"} <= set(reads)
    assert "Cookie" in response.headers["Vary"]


def test_everything_else_still_sends_people_to_log_in(db: None) -> None:
    response, _reads = asked(Client(), "GET", "/inbox/")
    assert (response.status_code, response.headers["Location"]) == (302, "/login/?next=/inbox/")
