"""What webhooks tell, from the click to the receiver."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inbox.models import Conversation, OffReason, WebhookDelivery, WebhookEndpoint, WebhookType
from inbox.outgoing_webhooks import events
from orders import services
from orders.actions import transitions
from orders.models import ActionState, Order, OrderAction, Policy, Store
from practice_store.changes import staff_actions
from tests.conftest import logged_in
from tests.flows.actions.test_api_clicks import confirm, preview
from tests.support.orders.acting import ask, refund, without_wake_ups
from tests.support.people.tokens import api_token, bearing
from tests.support.servers.webhooks import Receiver, endpoint
from tests.support.shop.in_process import Shop, work_off

Seen = Callable[[], Order]
Everything = tuple[WebhookEndpoint, str]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def order(shop: Shop, seen: Seen, conversation: Conversation) -> Order:
    """Jane's, paid with 40.00; alice has her conversation."""
    shop.place()
    return seen()


def test_that_nobody_listens_is_remembered_for_a_second(
    order: Order, everything: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(events, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    rows = WebhookEndpoint.objects.all()
    off = {"is_active": False, "off_reason": OffReason.GONE, "off_since": timezone.now()}
    on = {"is_active": True, "off_reason": "", "off_since": None}
    rows.update(**off)
    events.listen()
    assert not events.is_anyone_listening()
    with CaptureQueriesContext(connection) as asked:
        assert not events.is_anyone_listening()
    assert not asked.captured_queries
    # Another process turns it on: no signal reaches this one.
    rows.update(**on)
    clock[0] += 0.5
    assert not events.is_anyone_listening()
    clock[0] += 0.6
    assert events.is_anyone_listening()
    # In this process, at once.
    rows.update(**off)
    assert not events.is_anyone_listening()
    everything[0].save()
    rows.update(**on)
    assert events.is_anyone_listening()


def test_a_refund_is_told_from_the_click_to_the_money(
    shop: Shop, order: Order, alice: User, erp: Receiver, everything: Everything
) -> None:
    api = logged_in(alice)
    answer = confirm(api, order, preview(api, order, "5.00").json()["token"], "k-1")
    work_off(shop, api)
    told = [kind for kind in erp.types if kind.startswith("action.")]
    assert told == ["action.requested", "action.succeeded"]
    assert {"order.refunded", "order.changed"} <= set(erp.types)
    done = next(one for one in erp.heard if one.data["type"] == "action.succeeded")
    data = done.verified(everything[1])["data"]
    assert data["action"] == answer.json()["id"]
    assert (data["state"], data["outcome"]) == ("succeeded", "done")
    assert data["amount"] == {"amount": "5.00", "currency": "EUR"}
    assert (data["order"], data["store"]) == (order.pk, order.store.domain)
    assert data["shopify_refund"].startswith("gid://shopify/Refund/")
    refunded = next(one.data for one in erp.heard if one.data["type"] == "order.refunded")
    assert refunded["data"]["action"] == data["action"]
    # The same, as the REST API has it.
    shown = api.get(f"/api/v1/actions/{data['action']}/").json()
    assert {name: shown[name] for name in ("state", "amount", "shopify_refund")} == {
        name: data[name] for name in ("state", "amount", "shopify_refund")
    }


def test_no_payload_names_a_customer(
    shop: Shop, seen: Seen, conversation: Conversation, alice: User, everything: Everything
) -> None:
    shop.place()
    order = seen()
    api = logged_in(alice)
    token = preview(api, order, "5.00", staff_note="She called twice").json()["token"]
    confirm(api, order, token, "k-1")
    work_off(shop, api)
    shop.act(lambda c: staff_actions.ship(c, staff_actions.order_by_name(c, order.name)))
    seen()
    written = list(WebhookDelivery.objects.values_list("event_type", "payload"))
    assert {"order.placed", "order.paid", "order.fulfilled"} <= {kind for kind, _ in written}
    snapshot = order.snapshot
    private = {"She called", "Jane", "jane@", snapshot.email, order.name}
    private |= {word for line in snapshot.lines for word in (line.title, line.sku)}
    for _kind, payload in written:
        assert [text for text in private if text and text in payload] == []


def test_a_request_for_approval_is_a_decision_until_it_is_made(
    shop: Shop, order: Order, alice: User, sara: User, erp: Receiver, everything: Everything
) -> None:
    proposing = Client(headers=bearing(api_token(alice, "propose")))
    Policy.objects.create(role=sara.groups.get(), may_approve_up_to=None)
    for verb, key in (("decline", "k-1"), ("approve", "k-2")):
        erp.heard.clear()
        token = preview(proposing, order, "5.00").json()["token"]
        pk = confirm(proposing, order, token, key).json()["id"]
        assert erp.types == ["action.requested", "decision.opened"]
        opened = erp.heard[1].data["data"]
        assert (opened["decision"], opened["approvals_needed"], opened["approvals_given"]) == (
            "approval",
            1,
            0,
        )
        erp.heard.clear()
        address = f"/api/v1/actions/{pk}/{verb}/"
        decided = logged_in(sara).post(address, {}, content_type="application/json")
        assert decided.status_code == 200
        told = [kind for kind in erp.types if not kind.startswith("order.")]
        assert told[:2] == [f"action.{verb}d", "decision.closed"]


def test_the_first_of_two_approvals_is_told(
    order: Order, alice: User, sara: User, erp: Receiver, everything: Everything, monkeypatch: Any
) -> None:
    without_wake_ups(monkeypatch)
    for user in (alice, sara):
        Policy.objects.create(
            role=user.groups.get(), refund_up_to=1, two_approvers_above=2, may_approve_up_to=None
        )
    action = ask(order, refund("5.00"), alice)
    assert action.approvals_needed == 2
    erp.heard.clear()
    assert logged_in(sara).post(f"/api/v1/actions/{action.pk}/approve/").status_code == 200
    [told] = [one.data for one in erp.heard if one.data["type"].startswith("decision.")]
    assert told["type"] == "decision.updated"
    assert told["data"]["approvals_given"] == 1


def test_an_uncertain_outcome_is_a_decision_too(
    order: Order, alice: User, everything: Everything, monkeypatch: Any
) -> None:
    without_wake_ups(monkeypatch)
    action = ask(order, refund("5.00"), alice)
    before = WebhookDelivery.objects.count()
    with transaction.atomic():
        transitions.move(action, ActionState.SENDING)
        transitions.move(action, ActionState.NEEDS_HUMAN)
    new = WebhookDelivery.objects.order_by("pk").values_list("event_type", flat=True)[before:]
    assert list(new) == ["action.needs_review", "decision.opened"]


def test_what_is_rolled_back_is_not_told(
    order: Order, alice: User, everything: Everything, monkeypatch: Any
) -> None:
    without_wake_ups(monkeypatch)
    action = ask(order, refund("5.00"), alice)
    before = WebhookDelivery.objects.count()
    with transaction.atomic():
        transitions.move(action, ActionState.WITHDRAWN, settled_at=timezone.now())
        assert WebhookDelivery.objects.count() == before + 1
        transaction.set_rollback(True)
    assert WebhookDelivery.objects.count() == before


def test_a_fault_in_writing_them_does_not_stop_the_money(
    shop: Shop, order: Order, alice: User, everything: Everything, monkeypatch: Any
) -> None:
    def fail(*_: object, **__: object) -> None:
        # Leaves the transaction broken, unless it has a savepoint of its own.
        list(WebhookEndpoint.objects.raw("SELECT nothing FROM nowhere"))

    for name in ("action_moved", "order_changed", "events_written"):
        monkeypatch.setattr(events, name, fail)
    logging.disable(logging.CRITICAL)
    try:
        api = logged_in(alice)
        confirm(api, order, preview(api, order, "5.00").json()["token"], "k-1")
        work_off(shop, api)
    finally:
        logging.disable(logging.NOTSET)
    assert OrderAction.objects.get().state == ActionState.SUCCEEDED


def test_each_endpoint_hears_of_its_events_and_stores_only(
    order: Order, alice: User, erp: Receiver, everything: Everything, monkeypatch: Any
) -> None:
    without_wake_ups(monkeypatch)
    other = Store.objects.create(domain="other.myshopify.com", currency="EUR")
    wanted = [WebhookType.ACTION_REQUESTED]
    here, there, _deaf, off = (
        endpoint(alice, erp.url, name=name, types=types)[0]
        for name, types in (
            ("here", wanted),
            ("there", wanted),
            ("deaf", [WebhookType.ORDER_PAID]),
            ("off", wanted),
        )
    )
    here.stores.set([order.store])
    there.stores.set([other])
    WebhookEndpoint.objects.filter(pk=off.pk).update(is_active=False, off_since=order.placed_at)
    ask(order, refund("5.00"), alice)
    rows = WebhookDelivery.objects.filter(event_type="action.requested")
    assert set(rows.values_list("endpoint", flat=True)) == {everything[0].pk, here.pk}
    assert len(set(rows.values_list("message_id", flat=True))) == 1


def test_without_endpoints_it_costs_one_query(
    order: Order, alice: User, monkeypatch: Any, django_assert_num_queries: Any
) -> None:
    without_wake_ups(monkeypatch)
    action = ask(order, refund("5.00"), alice)
    with django_assert_num_queries(1):
        events.action_moved(action.pk, before="queued", after="succeeded")
    # Intermediate states aren't told at all.
    with django_assert_num_queries(0):
        events.action_moved(action.pk, before="queued", after="sending")
    services.withdraw(action_id=action.pk, by=alice, now=timezone.now())
    assert not WebhookDelivery.objects.exists()
