"""Normalize addresses and names: one spelling each, without invisible characters."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext_lazy as _

from core.email_and_phone import (
    dialed_phone,
    email_key,
    normal_phone,
)
from orders.models import Store

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise as _StrPromise

NAME_LENGTH: Final = 255
_CUSTOMER: Final = re.compile(r"[0-9]{1,18}:\S+\Z", re.ASCII)
_BARE_CUSTOMER: Final = "gid://shopify/Customer/"
# Names in some scripts need joiners, and so do emoji.
_JOINERS: Final = "\u200c\u200d"
# Letters and symbols by Unicode category, yet blank on every screen.
_BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def email(text: str) -> str:
    """Return the address in lower case with its domain in Unicode (exämple.de); "" if invalid."""
    address = email_key(text.strip())
    try:
        validate_email(address)
    except ValidationError:
        return ""
    return address if len(address) <= 255 else ""


def phone(text: str) -> str:
    """Return a phone number in E.164.

    A number without a country code is read as dialed in the countries of the active stores (one
    query). "" if it isn't a number, or if two countries read it as different numbers.
    """
    if found := normal_phone(text):
        return found
    countries = Store.objects.active().exclude(country="").order_by()
    regions = countries.values_list("country", flat=True).distinct()
    found_all = {dialed_phone(text, region) for region in regions} - {""}
    return found_all.pop() if len(found_all) == 1 else ""


def customer(text: str) -> str:
    """Return a Shopify customer as <store ID>:<gid>; "" if invalid.

    A bare gid works only while there is exactly one active store, which takes one query.
    """
    words = text.strip()
    if words.startswith(_BARE_CUSTOMER):
        stores = list(Store.objects.active().values_list("pk", flat=True)[:2])
        words = f"{stores[0]}:{words}" if len(stores) == 1 else ""
    return words if _CUSTOMER.match(words) else ""


_READERS: Final = {"email": email, "phone": phone, "shopify_customer": customer}
_HINTS: Final[dict[str, _StrPromise]] = {
    "email": _("Enter one email address, such as jane@example.com."),
    "phone": _("Enter a phone number with its country code: +49 151 12345678."),
    "shopify_customer": _(
        "Enter the store’s ID and the customer’s: 1:gid://shopify/Customer/123456789."
    ),
}


def value(kind: str, text: str) -> str:
    """Return an identity's value as it is stored; "" if it isn't valid for its kind."""
    reader = _READERS.get(kind)
    return reader(text) if reader else text.strip()


def how_to_write(kind: str) -> _StrPromise:
    """Return a hint for an agent who typed a value that isn't valid for its kind."""
    return _HINTS.get(kind, _("Enter the ID."))


def name(text: str) -> str:
    """Return a name on one line without control and formatting characters.

    "" if nothing visible is left.
    """
    # NFC, so that é as one character and é as two are the same name.
    kept = "".join(_visible(letter) for letter in unicodedata.normalize("NFC", text))
    words = " ".join(kept.split()).strip(_JOINERS + " ")[:NAME_LENGTH]
    return words if any(_is_seen(letter) for letter in words) else ""


def _visible(letter: str) -> str:
    if letter in _JOINERS:
        return letter
    kind = unicodedata.category(letter)
    # Line and paragraph separators still separate words.
    if kind in {"Zl", "Zp"} or letter in "\t\n\r":
        return " "
    return "" if kind in {"Cc", "Cf", "Cs", "Co"} or letter in _BLANK else letter


def _is_seen(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "LNPS"
