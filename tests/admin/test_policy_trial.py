"""“What would happen if” applies the real rules to values that aren't saved."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from orders import policies
from orders.models import AuditEntry, AuditKind, Policy, Store
from tests.conftest import logged_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(db: None) -> Client:
    return logged_in(User.objects.create_superuser("root"))


@pytest.fixture
def store(db: None) -> Store:
    return Store.objects.create(domain="demo.myshopify.com", name="Demo", currency="EUR")


@pytest.fixture
def policy(alice: User, sara: User, store: Store) -> Policy:
    Policy.objects.create(
        role=Group.objects.get(name="supervisors"), refund_up_to=500, may_approve_up_to=2000
    )
    return Policy.objects.create(role=Group.objects.get(name="agents"), refund_up_to=50)


def ask(client: Client, policy: Policy | None, store: Store, **words: Any) -> str:
    """The ruling's text, as the page shows it."""
    agents = Group.objects.get(name="agents")
    typed = {
        "role": agents.pk,
        "store": "",
        "refund_up_to": "50",
        "refund_per_day": "300",
        "note_above": "",
        "approval_up_to": "1000",
        "two_approvers_above": "600",
        "cancel": "allow",
        "may_approve_up_to": "0",
        "if-who": f"role:{agents.pk}",
        "if-store": store.pk,
        "if-kind": "refund",
        "if-amount": "40.00",
        "if-spent": "0",
        "_try": "1",
    } | words
    where = f"{policy.pk}/change/" if policy else "add/"
    answer = client.post(f"/admin/orders/policy/{where}", typed)
    assert answer.status_code == 200
    page = answer.content.decode()
    ruling = page.partition('id="what-if-ruling"')[2].partition("</section>")[0]
    return " ".join(ruling.replace("&#x27;", "'").split())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, "Allowed without approval"),
        ({"if-amount": "50.01"}, "Needs approval by one other person"),
        ({"if-amount": "601"}, "Needs approval by two other people"),
        ({"if-amount": "1000.01"}, "Your role can refund up to €1,000.00."),
        ({"if-spent": "270"}, "Above your daily limit of €300.00: €270.00 already used."),
        ({"note_above": "20"}, "Needs a staff note"),
        ({"note_above": "20", "if-has_note": "on"}, "Allowed without approval"),
        ({"cancel": "deny", "if-kind": "cancel"}, "Your role can’t cancel orders."),
        ({"cancel": "approval", "if-kind": "cancel_and_refund"}, "Needs approval by one"),
        ({"if-amount": "1.2.3"}, "Enter an amount such as"),
        ({"if-amount": "1.000"}, "can be read two ways"),
        ({"if-amount": "0"}, "Enter the amount to refund."),
        ({"refund_up_to": "lots"}, "Correct the highlighted fields above first."),
    ],
)
def test_the_ruling_is_that_of_the_values_as_typed(
    root: Client, policy: Policy, store: Store, words: dict[str, str], expected: str
) -> None:
    assert expected in ask(root, policy, store, **words)
    policy.refresh_from_db()
    assert policy.refund_per_day is None, "a try must not save"
    assert not AuditEntry.objects.filter(kind=AuditKind.POLICY).exists()


def test_who_could_approve_is_named(root: Client, policy: Policy, store: Store, sara: User) -> None:
    text = ask(root, policy, store, **{"if-amount": "60"})
    assert "Could approve it: Sara." in text
    assert "Only Sara could approve it" in ask(root, policy, store, **{"if-amount": "700"})
    # Never one's own.
    mine = ask(root, policy, store, **{"if-who": f"user:{sara.pk}", "if-amount": "600"})
    assert "No one could approve this" in mine


def test_a_person_has_the_most_generous_of_their_roles(
    root: Client, policy: Policy, store: Store, alice: User
) -> None:
    words = {"if-who": f"user:{alice.pk}", "if-amount": "60"}
    assert "Needs approval" in ask(root, policy, store, **words)
    alice.groups.add(Group.objects.get(name="supervisors"))
    text = ask(root, policy, store, **words)
    assert "Allowed without approval" in text
    assert "The policy of supervisors at every store applies, as saved." in text


def test_it_works_before_a_policy_is_added(root: Client, store: Store) -> None:
    Group.objects.get_or_create(name="agents")
    assert "as filled in above" in ask(root, None, store)
    assert not Policy.objects.exists()


def test_the_page_asks_the_rules_themselves(
    root: Client, policy: Policy, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: with other rules the page says something else."""
    assert "Needs approval" in ask(root, policy, store, **{"if-amount": "60"})
    monkeypatch.setattr(policies, "judge", lambda *args, **words: policies.ALLOWED)
    assert "Allowed without approval" in ask(root, policy, store, **{"if-amount": "60"})


def test_saving_still_saves(root: Client, policy: Policy) -> None:
    words = {
        "role": policy.role_id,
        "refund_up_to": "75.50",
        "cancel": "allow",
        "may_approve_up_to": "0",
    }
    assert root.post(f"/admin/orders/policy/{policy.pk}/change/", words).status_code == 302
    policy.refresh_from_db()
    assert str(policy.refund_up_to) == "75.5000"
    assert AuditEntry.objects.filter(kind=AuditKind.POLICY).count() == 1


def test_who_may_do_what_is_one_table(root: Client, policy: Policy, store: Store) -> None:
    page = root.get("/admin/orders/policy/").content.decode()
    assert "up to €50.00" in page
    assert "up to €2,000.00" in page
    Policy.objects.filter(pk=policy.pk).delete()
    assert "no policy" in root.get("/admin/orders/policy/").content.decode()


@pytest.mark.parametrize(
    ("language", "typed", "kept"),
    [("de", "75,50", "75.5000"), ("en", "1,234.50", "1234.5000"), ("de", "12,5050", "12.5050")],
)
def test_a_limit_is_typed_in_the_language_of_the_typist(
    root: Client, policy: Policy, language: str, typed: str, kept: str
) -> None:
    words = {
        "role": policy.role_id,
        "refund_up_to": typed,
        "cancel": "allow",
        "may_approve_up_to": "0",
        "_continue": "1",
    }
    url = f"/admin/orders/policy/{policy.pk}/change/"
    spoken = {"Accept-Language": language}
    answer = root.post(url, words, headers=spoken)
    assert answer.status_code == 302, answer.content.decode()
    policy.refresh_from_db()
    assert str(policy.refund_up_to) == kept
    shown = re.search(
        r'name="refund_up_to" value="([^"]*)"', root.get(url, headers=spoken).content.decode()
    )
    assert shown
    again = root.post(url, words | {"refund_up_to": shown[1]}, headers=spoken)
    assert again.status_code == 302, "what is prefilled is accepted"
    policy.refresh_from_db()
    assert str(policy.refund_up_to) == kept


@pytest.mark.parametrize("typed", ["1.000", "1,000"])
def test_a_limit_that_could_be_two_is_asked_about(root: Client, policy: Policy, typed: str) -> None:
    words = {
        "role": policy.role_id,
        "refund_up_to": typed,
        "cancel": "allow",
        "may_approve_up_to": "0",
    }
    answer = root.post(f"/admin/orders/policy/{policy.pk}/change/", words)
    assert answer.status_code == 200
    assert "can be read two ways" in answer.content.decode()
    policy.refresh_from_db()
    assert policy.refund_up_to == 50, "and not taken for no limit"


CONDITIONS = {
    "approval_disputed": "on",
    "approval_unverified": "on",
    "approval_days_after_delivery": "30",
    "approval_reasons": ["damaged", "FRAUD"],
    "approval_products": "Ring\r\n\r\n  RING-2 \r\nring",
    "approval_order_tags": "wholesale",
    "approval_payment_methods": "",
    "customer_refunds_up_to": "100.50",
    "customer_refund_count": "0",
    "order_value_up_to": "500",
    "new_agent_days": "30",
}


def saved(root: Client, policy: Policy, **words: Any) -> str:
    """What the form says; "" if it was saved."""
    typed = {"role": policy.role_id, "cancel": "allow", "may_approve_up_to": "0", **words}
    answer = root.post(f"/admin/orders/policy/{policy.pk}/change/", typed)
    policy.refresh_from_db()
    return "" if answer.status_code == 302 else answer.content.decode()


def test_conditions_are_typed_kept_and_shown(root: Client, policy: Policy, store: Store) -> None:
    assert saved(root, policy, **CONDITIONS) == ""
    assert policy.approval_disputed
    assert policy.approval_unverified
    assert policy.approval_days_after_delivery == 30
    assert policy.approval_reasons == ["damaged", "FRAUD"]
    assert policy.approval_products == ["ring", "RING-2"]
    assert policy.approval_order_tags == ["wholesale"]
    assert policy.approval_payment_methods == []
    assert policy.customer_refunds_up_to == Decimal("100.50")
    assert policy.customer_refund_count == 0
    assert policy.order_value_up_to == 500
    assert policy.new_agent_days == 30
    logged = AuditEntry.objects.get(kind=AuditKind.POLICY).detail["values"]
    assert logged["approval_reasons"] == ["[]", "['damaged', 'FRAUD']"]
    assert "approval_payment_methods" not in logged
    page = root.get(f"/admin/orders/policy/{policy.pk}/change/").content.decode()
    assert "ring\nRING-2</textarea>" in page
    assert 'value="FRAUD" id="id_approval_reasons_10" checked' in page
    rows = root.get("/admin/orders/policy/").content.decode()
    assert "disputed orders, unverified senders, days since delivery, reasons, products" in rows
    assert "payment methods" not in rows


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"new_agent_days": "0"}, "greater than or equal to 1"),
        ({"approval_days_after_delivery": "-1"}, "greater than or equal to 0"),
        ({"order_value_up_to": "-1"}, "Enter an amount"),
        ({"customer_refunds_up_to": "lots"}, "Enter an amount such as"),
        ({"approval_reasons": ["boredom"]}, "boredom is not one of the available choices"),
        ({"approval_products": "\n".join(map(str, range(201)))}, "Enter at most 200."),
    ],
)
def test_senseless_conditions_are_refused_with_the_reason(
    root: Client, policy: Policy, words: dict[str, Any], expected: str
) -> None:
    assert expected in saved(root, policy, **words)


def test_a_try_says_which_conditions_it_leaves_out(
    root: Client, policy: Policy, store: Store
) -> None:
    text = ask(root, policy, store, approval_disputed="on", new_agent_days="30")
    assert "Allowed without approval" in text
    assert "Approval may also be needed because of: disputed orders, an agent's first days." in text
    assert "Approval may also" not in ask(root, policy, store)
