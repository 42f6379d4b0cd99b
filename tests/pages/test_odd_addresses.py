"""Odd URLs never cause a server error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final
from urllib.parse import quote

import pytest
from django.test import Client

from orders.panels import filters
from tests.pages.conftest import Desk
from tests.support.browser.demo import ROOT

pytestmark = pytest.mark.django_db(transaction=True)
# As they stand in an address. Surrogates and broken UTF-8 are not what `quote` would write.
VALUES: Final = (
    "2026-13-45T00:00:00~5",
    "2026-02-30T00:00:00%2B00:00~5",
    "0001-01-01T00:00:00%2B23:59~5",
    "9999-12-31T23:59:59-23:59~1",
    "2026-01-01~1",
    "2026-11-26T10:00:00Z~99999999999999999999",
    "9" * 4500,
    "-1",
    "a%00b",
    "%ED%A0%80",
    "%C2%B2",
    "http://[",
    quote("🙂" * 150),
    "",
)
# Read by a name in a variable, by Django, or by the admin's lists.
MORE_NAMES: Final = frozenset(
    {
        "show",
        "store",
        "count",
        "next",
        "p",
        "o",
        "e",
        "all",
        "_facets",
        "_popup",
        "_to_field",
        "format",
        "page",
        "cursor",
        "id__exact",
        "pk__in",
        "is_active__exact",
        "state__exact",
        "created_at__gte",
        "occurred_at__gte",
        "requested_at__year",
        "store__id__exact",
    }
)


@cache
def names() -> list[str]:
    """Every parameter that a page of ours reads, from the source."""
    found = set(MORE_NAMES)
    for package in ("inbox", "orders", "shopify_sync"):
        for path in (ROOT / package).rglob("*.py"):
            if "practice_store" not in path.parts:
                text = path.read_text()
                found |= set(re.findall(r'(?:GET|query_params|asked)(?:\.get\(|\[)"(\w+)"', text))
    return sorted(found)


def test_the_source_names_its_parameters() -> None:
    assert {"q", "after", "before", "since", "selected", "summary", "frame", "shop"} < set(names())


def odd(path: str, values: tuple[str, ...]) -> Iterator[str]:
    """Addresses of a page that hold all parameters, in which each in turn has each value."""
    known = names()
    for turn in range(len(values)):
        asked = (f"{name}={values[(n + turn) % len(values)]}" for n, name in enumerate(known))
        yield f"{path}?{'&'.join(asked)}"
    for words in ("q[]=1&after[x]=2", "q=1&q=2&after=1~2&after=~", "&&==&%", "=%00"):
        yield f"{path}?{words}"


def broken(client: Client, paths: list[str], values: tuple[str, ...] = VALUES) -> list[str]:
    client.raise_request_exception = False
    return [
        f"{code} {address[:300]}"
        for path in paths
        for address in odd(path, values)
        if (code := client.get(address).status_code) >= 500
    ]


@pytest.mark.slow
def test_no_address_breaks_a_page(desk: Desk) -> None:
    # The windows' views are those beside a conversation.
    pages = [p for p in desk.pages() if not p.startswith(("/admin/", "/sidebar/window/"))]
    assert broken(desk.client, pages) == []


@pytest.mark.slow
def test_no_address_breaks_a_list_of_the_admin(desk: Desk) -> None:
    pages = [path for path in desk.pages() if path.startswith("/admin/")]
    assert broken(desk.client, pages, VALUES[::2]) == []


@pytest.mark.django_db
def test_no_odd_address_breaks_the_log_in() -> None:
    assert broken(Client(), ["/login/", "/", "/sidebar/", "/sidebar/connect/"]) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "after",
    [
        "2026-13-45T00:00:00~5",
        "2026-02-30T00:00:00~5",
        "2026-01-01~5",
        "0001-01-01T00:00:00%2B23:59~5",
        "%00~5",
        "2026-01-01T00:00:00Z~99999999999999999999",
    ],
)
def test_a_list_after_no_moment_begins_with_the_newest(desk: Desk, after: str) -> None:
    for path in ("/inbox/", "/inbox/rows/"):
        answer = desk.client.get(f"{path}?after={after}")
        assert answer.status_code == 200
        page = answer.content.decode()
        assert f'id="row-{desk.conversation.pk}"' in page
        assert "Newest conversations" not in page


@pytest.mark.parametrize("where", ["http://[", "//[x", "%00", "x" * 9000])
def test_a_script_on_an_odd_page_is_told_that_the_session_has_ended(where: str) -> None:
    answer = Client().get(
        "/inbox/decisions/", headers={"HX-Request": "true", "HX-Current-URL": where}
    )
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("2026-11-26T10:00:00+01:00", True),
        ("2026-11-26T09:00:00Z", True),
        ("2026-11-26", False),
        ("2026-11-26T10:00:00", False),
        ("2026-02-30T10:00:00Z", False),
        ("", False),
        ("9999-12-31T23:59:59-23:59", False),
        ("0001-01-01T00:00:00+01:00", False),
    ],
)
def test_which_texts_are_accepted_as_a_moment(text: str, is_one: bool) -> None:
    assert (filters.moment(text) is not None) == is_one


@pytest.mark.slow
def test_a_broken_page_fails_the_check(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control."""
    from inbox.conversations import listing as pages

    def careless(text: str) -> Any:
        if text.startswith("2026-13"):
            raise ValueError(text)

    monkeypatch.setattr(pages, "moment", careless)
    found = broken(desk.client, ["/inbox/rows/"], VALUES[:2])
    assert any("/inbox/rows/" in line for line in found)
