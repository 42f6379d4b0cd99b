"""An action's outcome reads the same on the page, in the thread, in the list and over REST."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from html import unescape

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from inbox.decisions.approvals import digest_of
from inbox.models import Conversation
from orders.models import Order, OrderAction, Outcome, Policy, Store
from practice_store.changes import staff_actions
from practice_store.context import Context
from practice_store.state import Order as ShopOrder
from tests.conftest import logged_in
from tests.flows.test_main_job import confirm, review
from tests.support.shop.in_process import Shop, work_off

pytestmark = pytest.mark.django_db(transaction=True)
Seen = Callable[[], Order]


def cancel(client: Client, conversation: Conversation, order: Order, **typed: str) -> OrderAction:
    page = review(client, conversation, order, "cancel", reason="CUSTOMER", **typed)
    confirm(client, conversation, order, page)
    return OrderAction.objects.latest("pk")


def refund(client: Client, conversation: Conversation, order: Order, amount: str) -> OrderAction:
    page = review(client, conversation, order, "refund", reason="goodwill", amount=amount)
    confirm(client, conversation, order, page)
    return OrderAction.objects.latest("pk")


def text_of(client: Client, path: str) -> str:
    answer = client.get(path, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def card(client: Client, conversation: Conversation, order: Order) -> str:
    return text_of(client, f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/")


def panel(client: Client, conversation: Conversation) -> str:
    return text_of(client, f"/inbox/conversations/{conversation.pk}/orders/")


def told(client: Client, action: OrderAction) -> dict[str, str]:
    found: dict[str, str] = client.get(f"/api/v1/actions/{action.pk}/").json()
    return found


def test_what_a_cancellation_kept_on_purpose_is_not_outstanding(
    shop: Shop, store: Store, seen: Seen, as_alice: Client, sara: User, conversation: Conversation
) -> None:
    shop.place(items=(("Grinder", "134.49", 1),))
    order = seen()
    action = cancel(as_alice, conversation, order, refund="now", amount="116.00")
    work_off(shop, Client())
    action.refresh_from_db()
    assert action.outcome == Outcome.DONE
    page = panel(as_alice, conversation)
    assert "Kept on purpose: €18.49" in page
    assert "Refund outstanding" not in page
    assert "Canceled, and €116.00 of €134.49 refunded; €18.49 kept on purpose." in page
    assert told(as_alice, action)["message"] == (
        "Canceled, and €116.00 of €134.49 refunded; €18.49 kept on purpose."
    )
    assert order.name not in text_of(logged_in(sara), "/inbox/decisions/")
    order.refresh_from_db()
    assert order.kept == Decimal("18.49")
    assert order.kept_by_id == action.requested_by_id
    # The customer gets another euro from Shopify's admin: the rest is another sum by then.
    shop.act(lambda c: staff_actions.refund(c, shop_order(c, order), Decimal("1.00")))
    seen()
    assert "Refund outstanding" in panel(as_alice, conversation)


def shop_order(context: Context, order: Order) -> ShopOrder:
    return staff_actions.order_by_name(context, order.name)


@pytest.mark.slow
def test_money_that_is_refunded_later_is_outstanding_and_named_by_its_sum(
    shop: Shop, store: Store, seen: Seen, as_alice: Client, sara: User, conversation: Conversation
) -> None:
    shop.place(items=(("Grinder", "134.49", 1),))
    order = seen()
    cancel(as_alice, conversation, order, refund="later")
    work_off(shop, Client())
    assert "Refund outstanding" in panel(as_alice, conversation)
    assert "Canceled but not refunded." in text_of(logged_in(sara), "/inbox/decisions/")
    shop.act(lambda c: staff_actions.refund(c, shop_order(c, order), Decimal("116.00")))
    seen()
    waiting = text_of(logged_in(sara), "/inbox/decisions/")
    assert "Canceled, with €116.00 of €134.49 refunded." in waiting
    assert "not refunded" not in waiting


def test_a_frozen_store_says_so_instead_of_starting(
    shop: Shop, store: Store, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    shop.place()
    order = seen()
    Store.objects.update(undo_seconds=60)
    action = refund(as_alice, conversation, order, "5.00")
    assert "can still be undone" in card(as_alice, conversation, order)
    Store.objects.update(is_frozen=True)
    page = card(as_alice, conversation, order)
    assert "Refund €5.00: waiting, the store is frozen" in page
    assert "starting…" not in page
    assert told(as_alice, action)["outcome"] == "frozen"


def approval(shop: Shop, seen: Seen, client: Client, conversation: Conversation) -> OrderAction:
    Policy.objects.create(role=Group.objects.get(name="agents"), refund_up_to=1)
    Policy.objects.create(role=Group.objects.get(name="supervisors"), may_approve_up_to=100)
    shop.place()
    return refund(client, conversation, seen(), "5.00")


def test_an_approval_of_a_changed_order_was_not_too_late(
    shop: Shop, store: Store, seen: Seen, as_alice: Client, sara: User, conversation: Conversation
) -> None:
    action = approval(shop, seen, as_alice, conversation)
    assert action.state == "awaiting_approval"
    shop.act(lambda c: staff_actions.refund(c, shop_order(c, action.order), Decimal("1.00")))
    url, seen_one = f"/inbox/decisions/{action.pk}/approve/", {"digest": digest_of(action)}
    page = logged_in(sara).post(url, seen_one, follow=True)
    assert "The order changed after this was requested" in page.content.decode()
    assert told(as_alice, action)["outcome"] == "stale"
    shown = card(as_alice, conversation, action.order)
    assert "not sent because the order changed" in shown
    assert "in time" not in shown


def test_a_request_that_was_never_approved_says_it_was_not_approved_in_time(
    shop: Shop, store: Store, seen: Seen, as_alice: Client, sara: User, conversation: Conversation
) -> None:
    action = approval(shop, seen, as_alice, conversation)
    OrderAction.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    url, seen_one = f"/inbox/decisions/{action.pk}/approve/", {"digest": digest_of(action)}
    page = logged_in(sara).post(url, seen_one, follow=True)
    assert "The order changed" not in page.content.decode()
    assert told(as_alice, action)["outcome"] == "not_approved"
    assert "not approved in time" in card(as_alice, conversation, action.order)


def test_our_own_check_is_not_called_shopifys_refusal(
    shop: Shop, store: Store, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    shop.place()
    order = seen()
    Store.objects.update(undo_seconds=60)
    action = refund(as_alice, conversation, order, "5.00")
    Policy.objects.create(role=Group.objects.get(name="agents"), refund_per_day=1)
    work_off(shop, Client())
    action.refresh_from_db()
    assert (action.state, action.outcome) == ("rejected", Outcome.REFUSED_BY_RULES)
    page = card(as_alice, conversation, order)
    assert "stopped by our rules" in page
    assert "refused by Shopify" not in page
    thread = text_of(as_alice, f"/inbox/conversations/{conversation.pk}/thread/")
    assert f"{order.name} · Refund €5.00: stopped by our rules" in thread


def test_an_unpaid_order_that_was_canceled_was_not_refunded(
    shop: Shop, store: Store, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    shop.place(paid=False, items=(("Mug", "20.00", 1),))
    order = seen()
    cancel(as_alice, conversation, order)
    work_off(shop, Client())
    page = card(as_alice, conversation, order)
    assert "refund" not in page.split("Items")[1].split("</section>")[0].lower()
    assert '<p class="line-sub">Canceled</p>' in page


def test_a_refund_that_its_bank_refuses_was_carried_out_and_failed(
    shop: Shop, store: Store, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    shop.conditions(refunds=("failure",))
    shop.place()
    order = seen()
    action = refund(as_alice, conversation, order, "7.00")
    work_off(shop, Client())
    action.refresh_from_db()
    assert action.outcome == Outcome.FAILED_AT_BANK
    thread = text_of(as_alice, f"/inbox/conversations/{conversation.pk}/thread/")
    assert "Refund €7.00: failed at the bank" in thread
    assert "Not carried out" not in thread
    assert "PROCESSING_ERROR" not in thread
    assert "it couldn’t be processed" in thread
