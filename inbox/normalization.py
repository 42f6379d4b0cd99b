"""How addresses and names are kept: in one spelling, and without what cannot be seen."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext_lazy as _

from core.addresses import (
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
# Joiners belong inside names of some scripts, and inside emoji.
_JOINERS: Final = "\u200c\u200d"
# Letters and symbols by their category, and blank on every screen.
_BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def email(text: str) -> str:
    """The address in lower case, its domain in letters (exämple.de), or "" for what is none."""
    address = email_key(text.strip())
    try:
        validate_email(address)
    except ValidationError:
        return ""
    return address if len(address) <= 255 else ""


def phone(text: str) -> str:
    """E.164 of a number as people write it, dialed in the country of a store; "" where it is
    none, or where two stores' countries read two numbers in it. One query for a number without
    its country."""
    if found := normal_phone(text):
        return found
    countries = Store.objects.active().exclude(country="").order_by()
    regions = countries.values_list("country", flat=True).distinct()
    found_all = {dialed_phone(text, region) for region in regions} - {""}
    return found_all.pop() if len(found_all) == 1 else ""


def customer(text: str) -> str:
    """A Shopify customer as <store id>:<gid>; "" where the store is not named and there is not
    exactly one. One query for a bare gid."""
    words = text.strip()
    if words.startswith(_BARE_CUSTOMER):
        stores = list(Store.objects.active().values_list("pk", flat=True)[:2])
        words = f"{stores[0]}:{words}" if len(stores) == 1 else ""
    return words if _CUSTOMER.match(words) else ""


_READERS: Final = {"email": email, "phone": phone, "shopify_customer": customer}
_HINTS: Final[dict[str, _StrPromise]] = {
    "email": _("Write one e-mail address, such as jane@example.com."),
    "phone": _("Write a phone number with its country: +49 151 12345678."),
    "shopify_customer": _(
        "Write the store's id and the customer's: 1:gid://shopify/Customer/123456789."
    ),
}


def value(kind: str, text: str) -> str:
    """An identity's value of this kind as it is kept; "" for what is none."""
    reader = _READERS.get(kind)
    return reader(text) if reader else text.strip()


def how_to_write(kind: str) -> _StrPromise:
    """For whoever typed a value that is none of its kind."""
    return _HINTS.get(kind, _("Write the id."))


def name(text: str) -> str:
    """A name in one line without control and formatting characters; "" where nothing of it can
    be seen."""
    kept = "".join(_visible(letter) for letter in unicodedata.normalize("NFC", text))
    words = " ".join(kept.split()).strip(_JOINERS + " ")[:NAME_LENGTH]
    return words if any(_is_seen(letter) for letter in words) else ""


def _visible(letter: str) -> str:
    if letter in _JOINERS:
        return letter
    kind = unicodedata.category(letter)
    if kind in {"Zl", "Zp"} or letter in "\t\n\r":
        return " "
    return "" if kind in {"Cc", "Cf", "Cs", "Co"} or letter in _BLANK else letter


def _is_seen(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "LNPS"
