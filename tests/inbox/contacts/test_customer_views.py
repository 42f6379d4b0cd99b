"""Who opened which customer is recorded once an hour, shown to auditors, and forgotten in time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inbox.contacts import customer_views
from inbox.models import Conversation, CustomerView, ViewedKind
from orders.models import Order, Store
from orders.privacy import retention
from tests.conftest import logged_in

pytestmark = pytest.mark.django_db


def rows() -> list[tuple[str, str, int]]:
    found = CustomerView.objects.order_by("pk").values_list("viewer__username", "kind", "number")
    return list(found)


@pytest.mark.parametrize(
    "path",
    [
        "/inbox/conversations/{conversation}/",
        "/inbox/conversations/{conversation}/thread/",
        "/inbox/contacts/{contact}/",
        "/inbox/conversations/{conversation}/orders/",
    ],
)
def test_opening_a_customer_is_recorded(
    path: str, as_alice: Client, conversation: Conversation
) -> None:
    contact = conversation.contact_id
    answer = as_alice.get(path.format(conversation=conversation.pk, contact=contact))
    assert answer.status_code == 200
    assert rows() == [("alice", ViewedKind.CONTACT, contact)]


def test_once_per_person_customer_and_hour(
    as_alice: Client, bob: User, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/inbox/conversations/{conversation.pk}/"
    for _ in range(3):
        as_alice.get(path)
        # Another process, which remembers nothing.
        customer_views.forget()
    logged_in(bob).get(path)
    assert [who for who, _kind, _number in rows()] == ["alice", "bob"]
    later = timezone.now() + timedelta(hours=1)
    monkeypatch.setattr(timezone, "now", lambda: later)
    customer_views.note_contact(bob, conversation.contact_id)
    assert [who for who, _kind, _number in rows()] == ["alice", "bob", "bob"]


@pytest.mark.django_db(transaction=True)
def test_a_page_that_refreshes_itself_costs_no_query(alice: User, conversation: Any) -> None:
    customer_views.note_contact(alice, conversation.contact_id)
    with CaptureQueriesContext(connection) as asked:
        customer_views.note_contact(alice, conversation.contact_id)
    assert len(asked) == 0
    # The control: without that memory, it's an insertion each time.
    customer_views.forget()
    with CaptureQueriesContext(connection) as asked:
        customer_views.note_contact(alice, conversation.contact_id)
    assert len(asked) > 0


def test_a_refused_page_shows_and_records_nothing(conversation: Conversation) -> None:
    stranger = User.objects.create_user("stranger")
    answer = logged_in(stranger).get(f"/inbox/conversations/{conversation.pk}/")
    assert answer.status_code in {302, 403, 404}
    assert rows() == []


@pytest.mark.django_db(transaction=True)
def test_an_order_opened_by_rest_is_recorded(
    seen: Callable[[], Order], shop: Any, store: Store, as_alice: Client
) -> None:
    shop.place(paid=True)
    order = seen()
    assert as_alice.get(f"/api/v1/orders/{order.pk}/").status_code == 200
    assert rows() == [("alice", ViewedKind.ORDER, order.pk)]


def test_auditors_read_it_and_change_nothing(as_alice: Client, conversation: Conversation) -> None:
    as_alice.get(f"/inbox/conversations/{conversation.pk}/")
    auditor = User.objects.create_user("ada", is_staff=True)
    auditor.groups.add(Group.objects.get(name="auditors"))
    client = logged_in(auditor)
    path = "/admin/inbox/customerview/"
    page = client.get(path, {"q": str(conversation.contact_id)}).content.decode()
    assert "alice" in page
    row = CustomerView.objects.get()
    assert client.post(f"{path}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert CustomerView.objects.exists()


def test_views_are_forgotten_after_their_time(
    alice: User, conversation: Conversation, settings: Any
) -> None:
    customer_views.note_contact(alice, conversation.contact_id)
    rule = next(rule for rule in retention.RULES if rule.name == "viewed customers")
    soon = rule.cutoff(timezone.now() + timedelta(days=settings.RETENTION_VIEWS_DAYS - 1))
    late = rule.cutoff(timezone.now() + timedelta(days=settings.RETENTION_VIEWS_DAYS + 1))
    assert soon is not None
    assert late is not None
    assert list(rule.due(soon)) == []
    assert rule.apply(list(rule.due(late))) == 1
