"""Customer facts from Shopify: known values translated, unknown ones raw, missing ones missing."""

from __future__ import annotations

from decimal import Decimal

import pytest

from orders.models import Customer, Store
from orders.panels import customers


def customer(**fields: object) -> Customer:
    store = Store(pk=1, domain="demo.myshopify.com", name="Demo")
    return Customer(pk=1, store=store, gid="gid://shopify/Customer/77", **fields)


def test_what_shopify_has_not_told_stays_untold() -> None:
    head = customers.head(customer())
    assert (head.order_count, head.spent, head.tax_exempt) == (None, None, None)
    assert (head.account, head.email_consent, head.sms_consent) == (None, None, None)
    assert (head.language, head.customer_since) == ("", None)
    assert head.number == "77"
    assert head.admin_url == "https://admin.shopify.com/store/demo/customers/77"


@pytest.mark.parametrize(
    ("field", "raw", "label"),
    [
        ("account_state", "DISABLED", "No account"),
        ("account_state", "ON_ICE", "Unknown (ON_ICE)"),
        ("email_consent", "SUBSCRIBED", "Subscribed"),
        ("email_consent", "MAYBE", "Unknown (MAYBE)"),
        ("sms_consent", "REDACTED", "Removed for privacy"),
    ],
)
def test_a_word_is_known_or_shown_raw(field: str, raw: str, label: str) -> None:
    head = customers.head(customer(**{field: raw}))
    badge = {
        "account_state": head.account,
        "email_consent": head.email_consent,
        "sms_consent": head.sms_consent,
    }[field]
    assert badge is not None
    assert (badge.label, badge.raw) == (label, raw)


def test_a_sum_has_its_currency_or_is_none() -> None:
    told = customers.head(customer(spent=Decimal("12.5"), spent_currency="EUR"))
    assert told.spent is not None
    assert told.spent.format("en") == "€12.50"
    assert customers.head(customer(spent=Decimal("12.5"))).spent is None


@pytest.mark.parametrize(
    ("code", "shown"), [("de", "German"), ("pt-BR", "Portuguese (Brazil)"), ("xx-1", "xx-1")]
)
def test_a_language_by_its_name(code: str, shown: str) -> None:
    assert customers.head(customer(locale=code)).language == shown


def test_hints_tell_apart_and_give_nothing_away() -> None:
    assert customers.masked_email("jane@example.com") == "j•••@example.com"
    assert customers.masked_email("") == customers.masked_email("jane") == ""
    assert customers.masked_phone("+4915112345678") == "+49 ••• 678"
    assert customers.masked_phone("+49") == ""
