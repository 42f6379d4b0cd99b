"""The list of orders: filters, keyset paging, and what a person searched for before."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from inbox.models import Team
from inbox.panel import search
from orders.models import ActionState, Order, OrderAction, OrderRefund, Store
from tests.conftest import logged_in
from tests.support.orders import snapshots
from tests.support.orders.stored import stored
from tests.support.people.two_teams import TwoTeams, two_teams

pytestmark = pytest.mark.django_db
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def here() -> Store:
    return Store.objects.create(domain="demo.myshopify.com", name="Demo", currency="EUR")


def order(store: Store, number: int, **columns: Any) -> Order:
    """#`number`, placed that many days after the start."""
    snapshot = snapshots.order(
        gid=f"gid://shopify/Order/{number}", legacy_id=number, name=f"#{number}"
    )
    made = stored(snapshot, store)
    columns = {"placed_at": START + timedelta(days=number)} | columns
    Order.objects.filter(pk=made.pk).update(**columns)
    return made


def listed(client: Client, query: str = "") -> list[str]:
    return names(page(client, query))


def page(client: Client, query: str = "") -> str:
    answer = client.get(f"/inbox/orders/{query}")
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def names(text: str) -> list[str]:
    return re.findall(r'found-name" href="/inbox/orders/\d+/"><bdi>(#\d+)</bdi>', text)


def link(text: str, words: str) -> str:
    found = re.search(rf'href="([^"]+)">(?:<svg.*?</svg>)?{words}', text)
    return found[1].removeprefix("/inbox/orders/") if found else ""


def test_filters_narrow_the_list(here: Store, as_alice: Client) -> None:
    other = Store.objects.create(domain="other.myshopify.com", name="Other", currency="EUR")
    order(here, 1)
    order(here, 2, closed_at=timezone.now())
    order(here, 3, cancelled_at=timezone.now(), net_payment=0)
    order(other, 4)
    assert listed(as_alice) == ["#4", "#3", "#2", "#1"]
    assert listed(as_alice, "?state=open") == ["#4", "#1"]
    assert listed(as_alice, "?state=archived") == ["#2"]
    assert listed(as_alice, "?state=canceled") == ["#3"]
    assert listed(as_alice, f"?store={here.pk}&state=open") == ["#1"]
    # The last day belongs to the period, and so does the first.
    assert listed(as_alice, "?since=2026-03-03&until=2026-03-04") == ["#3", "#2"]
    assert listed(as_alice, "?until=2026-03-02") == ["#1"]
    # Words and filters together.
    assert listed(as_alice, "?q=2&state=archived") == ["#2"]
    assert listed(as_alice, "?q=2&state=open") == []


def test_attention_finds_what_decisions_lists(world: TwoTeams) -> None:
    store, agent = world.north.store, world.people["agent"]
    client = logged_in(agent)
    canceled = {"cancelled_at": timezone.now(), "net_payment": Decimal(9)}
    order(store, 11, **canceled)
    order(store, 12, **canceled, kept=Decimal(9))
    failed = order(store, 13, net_payment=Decimal(9))
    OrderRefund.objects.create(
        order=failed, gid="r", refunded_at=START, amount=9, amount_shop=9, failed=9
    )
    paid_again = order(store, 14, net_payment=0)
    kept = order(store, 15, net_payment=Decimal(9), kept=Decimal(9))
    repeated = order(store, 16, net_payment=Decimal(1))
    for one in (paid_again, kept, repeated):
        OrderRefund.objects.create(
            order=one, gid="s", refunded_at=START, amount=9, amount_shop=9, failed=9
        )
    later = {"refunded_at": START + timedelta(days=1), "amount": 9, "amount_shop": 9}
    OrderRefund.objects.create(order=repeated, gid="t", moved=9, **later)
    assert listed(client, "?attention=held") == ["#11"]
    assert listed(client, "?attention=failed") == ["#13"]
    assert listed(client, "?attention=approval") == [world.north.order.name]
    assert listed(client, "?attention=doubt") == []
    waiting = world.north.action
    OrderAction.objects.create(
        order=paid_again,
        kind=waiting.kind,
        state=ActionState.NEEDS_HUMAN,
        requested_by=agent,
        nonce="doubt",
        digest="d",
        proposal=waiting.proposal,
        steps=[],
        amount=Decimal(5),
        amount_shop=Decimal(5),
        currency="EUR",
        maybe_applied=True,
    )
    assert listed(client, "?attention=doubt") == ["#14"]


def test_only_ones_own_stores_are_listed(world: TwoTeams) -> None:
    client, south = logged_in(world.people["agent"]), world.south
    assert listed(client) == [world.north.order.name]
    assert f'value="{south.store.pk}"' not in page(client)
    # Another team's store is no choice, whatever the address says.
    shown = page(client, f"?store={south.store.pk}")
    assert names(shown) == []
    assert "field-error" in shown
    assert listed(logged_in(world.people["homeless"])) == []
    # Negative control: a team that has the store too.
    Team.objects.get(name="North").stores.add(south.store)
    assert south.order.name in listed(client, f"?store={south.store.pk}")


def test_older_orders_follow_by_keyset(
    here: Store, as_alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "AT_MOST", 2)
    # Two were placed at the same moment.
    for number in (1, 2, 3, 4, 5):
        order(here, number, placed_at=START + timedelta(days=min(number, 4)))
    first = page(as_alice, "?state=open")
    assert names(first) == ["#5", "#4"]
    assert link(first, "Newest orders") == ""
    # One that arrives meanwhile moves nothing.
    order(here, 9)
    second = page(as_alice, link(first, "Older orders"))
    assert names(second) == ["#3", "#2"]
    assert names(page(as_alice, link(second, "Newest orders"))) == ["#9", "#5"]
    last = page(as_alice, link(second, "Older orders"))
    assert names(last) == ["#1"]
    assert link(last, "Older orders") == ""
    # A torn address is the first page.
    for torn in ("after=x", "after=2026-03-03T00:00:00~1", "after=~", "after=2026-03-03~9"):
        assert names(page(as_alice, f"?{torn}")) == ["#9", "#5"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?state=lost", "lost"),
        ("?attention=x", "x"),
        ("?store=999", "Select a valid choice"),
        ("?since=30.02.2026", "Enter a valid date."),
        ("?since=2026-02-30", "Enter a valid date."),
        ("?since=2026-03-05&until=2026-03-04", "This is before the start date."),
        ("?until=9999-12-31", "Choose a year between 2000 and 2100."),
        ("?since=0001-01-01", "Choose a year between 2000 and 2100."),
    ],
)
def test_a_filter_that_means_nothing_is_named(
    query: str, words: str, here: Store, as_alice: Client
) -> None:
    order(here, 1)
    shown = page(as_alice, query)
    assert 'class="field-error"' in shown
    assert words in shown
    assert names(shown) == []


def test_recent_searches_are_ones_own_and_removable(
    here: Store, as_alice: Client, bob: User
) -> None:
    for number in range(1, 11):
        order(here, number)
    for words in ("1", "2", "3", "2", "nothing"):
        page(as_alice, f"?q={words}")
    assert recent(as_alice) == ["2", "3", "1"]
    assert recent(logged_in(bob)) == []
    # What was searched may be an address: the session's row doesn't show it.
    assert "2" not in as_alice.session["order_searches"]
    assert all(len(sealed) > 60 for sealed in as_alice.session["order_searches"])
    as_alice.post("/inbox/orders/recent/forget/", {"words": "3"})
    assert recent(as_alice) == ["2", "1"]
    as_alice.post("/inbox/orders/recent/forget/")
    assert recent(as_alice) == []
    for number in range(1, 11):
        page(as_alice, f"?q={number}")
    assert recent(as_alice) == [str(number) for number in range(10, 2, -1)]


def recent(client: Client) -> list[str]:
    return re.findall(r'href="\?q=[^"]*"><bdi>([^<]*)</bdi>', page(client))


def test_the_panels_search_box_gets_rows_alone(here: Store, as_alice: Client) -> None:
    order(here, 1)
    asked = {"HX-Request": "true"}
    rows = as_alice.get("/inbox/orders/?q=1", headers=asked).content.decode()
    assert "<form" not in rows
    assert names(rows) == ["#1"]
    assert names(as_alice.get("/inbox/orders/", headers=asked).content.decode()) == []
    assert recent(as_alice) == []


@pytest.fixture
def world() -> TwoTeams:
    return two_teams()
