"""Two stores with the same order ID, number and customer are never mixed up."""

from __future__ import annotations

from html import unescape
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from inbox.models import Conversation
from orders.models import Order, OrderAction, OrderEvent, Store
from shopify_sync.models import WebhookEvent
from shopify_sync.setup import connect
from tests.conftest import logged_in
from tests.flows.test_main_job import confirm, panel, review
from tests.support.shop.in_process import (
    DOMAIN,
    SECOND,
    Shop,
    fetch_dirty,
    read_customers,
    work_off,
)

pytestmark = pytest.mark.django_db(transaction=True)
Twins = tuple[Order, Order]
# URLs that show orders and are requested below; add a new one here.
WALKED = {
    "inbox:list",
    "inbox:list_rows",
    "inbox:conversation",
    "inbox:header",
    "inbox:thread",
    "inbox:orders",
    "inbox:order_cancel",
    "inbox:order_refund",
    "inbox:contact",
    "inbox:contact_activity",
    "inbox:decisions",
    "inbox:order_search",
    "inbox:order_card",
    "inbox:order_history",
    # tests/flows/orders/history/test_order_then.py asks for another store's order.
    "inbox:order_then",
}
# Doors that only change something, or are about the person; those about money are gone through by
# name below.
VERBS = {
    "notices",
    "waiting",
    # tests/inbox/decisions/test_refunds_due.py looks at stores and teams.
    "refunds_due",
    "keep_several",
    "read",
    "reply",
    "note",
    "assign",
    "snooze",
    "resolve",
    "reopen",
    "orders_refresh",
    "order_suggestion",
    "order_confirm",
    "order_action",
    "action_withdraw",
    "action_check",
    "action_again",
    "action_replay",
    "approve",
    "signing_options",
    "decline",
    "move",
    "tokens",
    "token_revoke",
    "settle",
    "logout",
    "identity_add",
    "identity_remove",
    "identity_restore",
    "customer_link",
    "suggestion_accept",
    "suggestion_set_aside",
    "draft",
    "make_contact",
    "send_again",
    "dismiss",
    "forget_search",
}


@pytest.fixture
def twins(shop: Shop, store: Store) -> Twins:
    second = connect.connect(
        domain=SECOND, token="shpat_practice_second", secret="shpss_practice_second"
    ).store
    Store.objects.filter(pk=second.pk).update(name="Second")
    ours, theirs = shop.place(), shop.place(domain=SECOND, currency="USD")
    assert (ours.name, ours.id, ours.email) == (theirs.name, theirs.id, theirs.email)
    shop.deliver(Client())
    fetch_dirty()
    return Order.objects.get(store=store), Order.objects.get(store=second)


def test_each_store_shows_only_its_own_orders(twins: Twins, conversation: Conversation) -> None:
    one, other = twins
    assert (one.gid, one.name, one.email) == (other.gid, other.name, other.email)
    assert (one.currency, other.currency) == ("EUR", "USD")
    assert not set(one.events.values_list("pk")) & set(other.events.values_list("pk"))


def test_every_page_names_the_store(
    twins: Twins, as_alice: Client, conversation: Conversation
) -> None:
    pages = {
        f"/inbox/conversations/{conversation.pk}/orders/": True,
        f"/inbox/orders/?q={twins[0].name.strip('#')}": True,
        f"/inbox/orders/?q={twins[0].legacy_id}": True,
        "/inbox/orders/?q=jane@example.com": True,
        f"/inbox/contacts/{conversation.contact_id}/": False,
        f"/inbox/contacts/{conversation.contact_id}/activity/": False,
        "/inbox/decisions/": False,
    }
    for address, lists_both in pages.items():
        text = unescape(as_alice.get(address).content.decode())
        if lists_both:
            assert text.count(twins[0].name) >= 2, address
            assert "Demo" in text, address
            assert "Second" in text, address


def test_the_contact_has_a_customer_at_each_store(
    shop: Shop, twins: Twins, as_alice: Client, conversation: Conversation
) -> None:
    customers = shop.store.world.shops[SECOND].customers
    next(iter(customers.values())).note = "only of the second"
    read_customers()
    at = f"/inbox/contacts/{conversation.contact_id}/"
    first, _, rest = unescape(as_alice.get(at).content.decode()).partition("Customer at Second")
    assert "Customer at Demo" in first
    assert "€40.00" in first.split("Customer at Demo")[1]
    assert "only of the second" not in first
    card = rest.split("</section>")[0]
    assert "$40.00" in card
    assert "only of the second" in card
    # One customer of each store is no doubt.
    assert "Which customer is this?" not in first + rest


def test_money_of_one_never_touches_the_other(
    shop: Shop, twins: Twins, as_alice: Client, conversation: Conversation
) -> None:
    one, other = twins
    token = review(as_alice, conversation, other, "refund", reason="other", amount="10.00")
    # The other store's order does not take its twin's summary.
    assert confirm(as_alice, conversation, one, token) != 200
    assert confirm(as_alice, conversation, other, token) == 200
    work_off(shop, as_alice)
    assert shop.store.ledger(DOMAIN)["refunds"] == []
    assert len(shop.store.ledger(SECOND)["refunds"]) == 1
    one.refresh_from_db()
    other.refresh_from_db()
    assert (one.refunded, other.refunded) == (0, 10)
    refunded = OrderEvent.objects.filter(kind="refunded")
    assert [event.order_id for event in refunded] == [other.pk]
    assert {a.order_id for a in OrderAction.objects.all()} == {other.pk}
    assert "10.00" in panel(as_alice, conversation)


def test_the_api_keeps_them_apart(twins: Twins, sara: User) -> None:
    client = logged_in(sara)
    rows: list[dict[str, Any]] = client.get(f"/api/v1/orders/?q={twins[0].name[1:]}").json()[
        "results"
    ]
    assert {(row["id"], row["store"]) for row in rows} == {
        (twins[0].pk, DOMAIN),
        (twins[1].pk, SECOND),
    }
    for order in twins:
        found = client.get(f"/api/v1/orders/{order.pk}/").json()
        assert found["id"] == order.pk
        assert order.currency in str(found)


def test_a_webhook_counts_only_for_the_shop_whose_secret_signed_it(
    shop: Shop, twins: Twins, as_alice: Client
) -> None:
    known = WebhookEvent.objects.count()
    shop.place(domain=SECOND)
    _state, _topic, body, headers = shop.held.pop(0)
    shop.held.clear()
    swapped = headers | {"X-Shopify-Shop-Domain": DOMAIN}

    def send(h: dict[str, str]) -> int:
        return (
            Client()
            .post("/webhooks/shopify/", body, content_type="application/json", headers=h)
            .status_code
        )

    assert send(swapped) == 401
    assert WebhookEvent.objects.count() == known
    # Negative control: without the check of the signature it would count for the other shop.
    with patch("shopify_sync.webhooks.view.is_signed", lambda *_: True):
        assert send(swapped) == 200
    assert (
        WebhookEvent.objects.get(webhook_id=headers["X-Shopify-Webhook-Id"]).store.domain == DOMAIN
    )


def test_without_the_store_in_its_key_one_order_would_overwrite_the_other(twins: Twins) -> None:
    """Negative control: by Shopify's id alone there is no telling them apart."""
    assert Order.objects.filter(gid=twins[0].gid).count() == 2
    assert Order.objects.filter(gid=twins[0].gid, store=twins[0].store).get() == twins[0]


def names_by_app() -> dict[str, set[str | None]]:
    """The names of the inbox's addresses, by their app_name."""
    inbox = next(
        p
        for p in get_resolver().url_patterns
        if isinstance(p, URLResolver) and not p.app_name and "inbox.urls" in str(p.urlconf_name)
    )
    return {
        p.app_name: {q.name for q in p.url_patterns if isinstance(q, URLPattern)}
        for p in inbox.url_patterns
        if isinstance(p, URLResolver) and p.app_name
    }


def test_every_address_of_the_inbox_is_looked_at_or_known() -> None:
    found = names_by_app()
    names = {name for name in found["inbox"] if name}
    assert names == found["inbox"], "each has a name"
    assert names == {name.removeprefix("inbox:") for name in WALKED} | VERBS
    # The panel's doors in a frame are the same views; tests/flows/frames/test_frames.py goes through them.
    panel = {
        name
        for name in names
        # A frame has neither the inbox's search nor messages.
        if name.startswith(("order", "action")) and name not in {"order_search", "order_then"}
    }
    assert found["sidebar"] == panel | {"frame", "swap", "look", "renew", "resume", "connect"}
    assert found["sidebar_window"] == panel | {"order_review"}
    # So are those of an order's own page (tests/flows/orders/test_order_page.py).
    own = found["order"]
    assert own - {"page", "refresh", "start"} == panel - {"orders", "orders_refresh", "order_card"}
