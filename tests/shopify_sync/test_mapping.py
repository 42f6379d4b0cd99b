"""Whatever Shopify omits, nulls or invents becomes a snapshot or MalformedAnswer."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from orders import snapshot as snapshots
from practice_store import seed
from practice_store.graphql.execution import execute
from practice_store.store import Store
from shopify_sync import mapping
from shopify_sync.api import documents
from shopify_sync.mapping import MalformedAnswer


@pytest.fixture(scope="module")
def answers() -> list[dict[str, Any]]:
    """Every order of the demo shop as the practice store tells it."""
    store = Store(["demo.myshopify.com"])
    seed.seed(store)
    shop = store.world.shops["demo.myshopify.com"]
    text = documents.load("OrderForPanel")
    found = []
    for order in shop.orders.values():
        answer = execute(store.context(shop), text, {"id": order.id}, "OrderForPanel")
        assert "errors" not in answer
        found.append(answer["data"]["order"])
    return found


def test_every_order_of_the_demo_is_read(answers: list[dict[str, Any]]) -> None:
    read = [mapping.order_snapshot(answer) for answer in answers]
    assert len(read) == seed.ORDERS + seed.PEOPLES_ORDERS
    assert {s.currency for s in read} >= {"EUR", "JPY", "KWD", "USD"}
    for one in read:
        assert snapshots.decode(snapshots.encode(one)) == one


REQUIRED = {"id", "legacyResourceId", "createdAt", "updatedAt", "currencyCode"}


@pytest.mark.slow
def test_any_single_field_may_be_null_or_missing(answers: list[dict[str, Any]]) -> None:
    story = next(a for a in answers if a["name"] == "#1060")
    for name in story:
        for broken in (story | {name: None}, {k: v for k, v in story.items() if k != name}):
            if name in REQUIRED:
                with pytest.raises(MalformedAnswer):
                    mapping.order_snapshot(broken)
            else:
                assert mapping.order_snapshot(broken).gid == story["id"]


def test_unknown_words_survive_to_the_snapshot(answers: list[dict[str, Any]]) -> None:
    story = copy.deepcopy(next(a for a in answers if a["name"] == "#1060"))
    story["displayFinancialStatus"] = "ON_ICE"
    story["fulfillments"][0]["displayStatus"] = "BEAMED_UP"
    read = mapping.order_snapshot(story)
    assert read.financial_status == "ON_ICE"
    assert read.fulfillments[0].display_status == "BEAMED_UP"


@pytest.mark.slow
@pytest.mark.parametrize("amount", ["abc", "1e5", None, 12, "", "--1"])
def test_a_sum_that_is_no_number_is_malformed(
    answers: list[dict[str, Any]], amount: object
) -> None:
    broken = copy.deepcopy(answers[0])
    broken["totalPriceSet"]["presentmentMoney"]["amount"] = amount
    with pytest.raises(MalformedAnswer):
        mapping.order_snapshot(broken)


SUM = {
    "shopMoney": {"amount": "4.20", "currencyCode": "EUR"},
    "presentmentMoney": {"amount": "4.20", "currencyCode": "EUR"},
}
SUGGESTED = {
    "amountSet": SUM,
    "maximumRefundableSet": SUM,
    "refundLineItems": [{"lineItem": {"id": "line-1"}, "quantity": 1}],
}


@pytest.mark.parametrize(
    "broken",
    [
        {"amountSet": None},
        {"amountSet": {"presentmentMoney": {"amount": "4,20", "currencyCode": "EUR"}}},
        {"refundLineItems": [{"lineItem": None, "quantity": 1}]},
        {"refundLineItems": [{"lineItem": {"id": "line-1"}, "quantity": "some"}]},
    ],
)
def test_a_suggestion_of_another_shape_is_malformed(broken: dict[str, Any]) -> None:
    assert mapping.suggested_refund(SUGGESTED).lines[0].quantity == 1
    with pytest.raises(MalformedAnswer):
        mapping.suggested_refund(SUGGESTED | broken)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://dhl.example/1", True),
        ("http://dhl.example/1", True),
        ("HTTPS://dhl.example/1", True),
        ("javascript:alert(1)", False),
        ("JaVaScRiPt:alert(1)", False),
        ("data:text/html,x", False),
        (" javascript:alert(1)", False),
        ("//dhl.example/1", False),
        ("https://", False),
        ("http://[::1", False),
        (None, False),
        (5, False),
    ],
)
def test_only_web_addresses_are_links(url: object, kept: bool) -> None:
    assert bool(mapping.to_url(url)) is kept


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(data=st.data())
@hypothesis_settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_json_in_any_place_is_read_or_refused(
    answers: list[dict[str, Any]], data: st.DataObject
) -> None:
    broken = copy.deepcopy(data.draw(st.sampled_from(answers[:40])))
    name = data.draw(st.sampled_from(sorted(broken)))
    broken[name] = data.draw(JSON)
    with contextlib.suppress(MalformedAnswer):
        mapping.order_snapshot(broken)
