"""The Shopify customer an order panel is about, with fields ready to display.

Templates only choose. One query for any number of customers.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from babel import Locale, UnknownLocaleError
from django.db.models import Q
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from orders.models import Customer
from orders.money import Money
from orders.statuses.badges import (
    Badge,
    Tone,
)

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise as _StrPromise

logger = logging.getLogger(__name__)

Pair = tuple[int, str]
_MERGES_FOLLOWED: Final = 5
_Labels = dict[str, "tuple[_StrPromise, Tone]"]
# By Shopify's raw values; one that's missing here is shown raw.
_ACCOUNT: Final[_Labels] = {
    "DISABLED": (gettext_lazy("No account"), Tone.DEFAULT),
    "INVITED": (gettext_lazy("Invited"), Tone.INFO),
    "ENABLED": (gettext_lazy("Account enabled"), Tone.DEFAULT),
    "DECLINED": (gettext_lazy("Declined the invitation"), Tone.WARNING),
}
_CONSENT: Final[_Labels] = {
    "SUBSCRIBED": (gettext_lazy("Subscribed"), Tone.SUCCESS),
    "NOT_SUBSCRIBED": (gettext_lazy("Not subscribed"), Tone.DEFAULT),
    # SMS consent has its own status for this.
    "NEVER_SUBSCRIBED": (gettext_lazy("Never subscribed"), Tone.DEFAULT),
    "UNSUBSCRIBED": (gettext_lazy("Unsubscribed"), Tone.DEFAULT),
    "PENDING": (gettext_lazy("Pending confirmation"), Tone.INFO),
    "INVALID": (gettext_lazy("Invalid address"), Tone.WARNING),
    "REDACTED": (gettext_lazy("Removed for privacy"), Tone.DEFAULT),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerHead:
    """One Shopify customer of one store. None and "" mean Shopify hasn't provided it."""

    pk: int
    store_id: int
    gid: str
    number: str
    name: str
    store_name: str
    email: str
    phone: str
    admin_url: str
    order_count: int | None
    spent: Money | None
    tags: tuple[str, ...]
    note: str
    account: Badge | None
    email_consent: Badge | None
    sms_consent: Badge | None
    tax_exempt: bool | None
    customer_since: datetime | None
    language: str
    as_of: datetime | None
    is_deleted: bool

    @property
    def pair(self) -> Pair:
        """The customer's key across stores: (store ID, gid)."""
        return self.store_id, self.gid


def customers_for(
    *,
    pairs: Iterable[Pair],
    emails: Sequence[str],
    phones: Sequence[str],
    stores: Collection[int] | None = None,
) -> list[Customer]:
    """Find customers of active stores by (store ID, gid), and undeleted ones by address.

    `stores` are the IDs of the stores to search; None means all of them. One query. Leaves out
    customers that were merged into another.
    """
    match = Q(pk__in=[])
    if emails:
        match |= Q(email__in=[email.lower() for email in emails], deleted_at=None)
    if phones:
        match |= Q(phone__in=phones, deleted_at=None)
    for store_id, gid in pairs:
        match |= Q(store_id=store_id, gid=gid)
    rows = Customer.objects.of_active_stores().filter(match).select_related("store")
    if stores is not None:
        rows = rows.filter(store__in=stores)
    # A merged customer is represented by the one it became, and its orders are moving there.
    return [
        row for row in rows.order_by("store_id", "pk") if not row.deleted_at or not row.merged_into
    ]


def merged_into(pairs: Sequence[Pair], *, never: Collection[Pair] = ()) -> list[Pair]:
    """Return the customers that these were merged into, as far as Shopify told us.

    Customers in `never` are not followed, nor what they became. One query if there are pairs and
    none of them was merged.
    """
    became = {old: new for old, new in merges_of(pairs).items() if new not in never}
    found = dict.fromkeys(step for pair in pairs for step in steps(pair, became))
    return [step for step in found if step not in pairs]


def merges_of(pairs: Iterable[Pair]) -> dict[Pair, Pair]:
    """Map each of these customers to the one it was merged into, following chains.

    The number of queries doesn't depend on the number of pairs; one if none was merged.
    """
    found: dict[Pair, Pair] = {}
    todo = set(pairs)
    for _round in range(_MERGES_FOLLOWED):
        if not todo:
            break
        match = Q(pk__in=[])
        for store_id, gid in sorted(todo):
            match |= Q(store_id=store_id, gid=gid)
        gone = Customer.objects.filter(match, deleted_at__isnull=False).exclude(merged_into="")
        new = {
            (store_id, gid): (store_id, into)
            for store_id, gid, into in gone.values_list("store_id", "gid", "merged_into")
        }
        found |= new
        todo = set(new.values()) - found.keys()
    return found


def steps(pair: Pair, became: Mapping[Pair, Pair]) -> list[Pair]:
    """Return the chain of customers this one became, in order, without itself."""
    found: list[Pair] = []
    at = became.get(pair)
    while at is not None and at != pair and at not in found:
        found.append(at)
        at = became.get(at)
    return found


def head(customer: Customer) -> CustomerHead:
    """Build the display fields for a customer. Expects its `store` to be loaded."""
    return CustomerHead(
        pk=customer.pk,
        store_id=customer.store_id,
        gid=customer.gid,
        number=customer.legacy_id,
        name=customer.name or customer.email or customer.phone,
        store_name=str(customer.store),
        email=customer.email,
        phone=customer.phone,
        admin_url=customer.admin_url,
        order_count=customer.order_count,
        spent=customer.amount_spent,
        tags=tuple(str(tag) for tag in customer.tags),
        note=customer.note,
        account=_badge(_ACCOUNT, customer.account_state, "account state"),
        email_consent=_badge(_CONSENT, customer.email_consent, "e-mail consent"),
        sms_consent=_badge(_CONSENT, customer.sms_consent, "SMS consent"),
        tax_exempt=customer.tax_exempt,
        customer_since=customer.customer_since,
        language=_language(customer.locale),
        as_of=customer.read_started_at,
        is_deleted=customer.deleted_at is not None,
    )


def consent_word(state: str) -> str:
    """Return the label of a consent state, as shown on its badge."""
    badge = _badge(_CONSENT, state, "consent")
    return badge.label if badge else ""


def masked_email(email: str) -> str:
    """Mask an email so that two stay distinguishable but neither is revealed: j•••@example.com."""
    name, at, domain = email.partition("@")
    return f"{name[:1]}•••@{domain}" if at else ""


def masked_phone(phone: str) -> str:
    """Show only the first three and last three characters: +49 ••• 678."""
    return f"{phone[:3]} ••• {phone[-3:]}" if len(phone) > 6 else ""


def _badge(labels: _Labels, raw: str, what: str) -> Badge | None:
    if not raw:
        return None
    if raw in labels:
        label, tone = labels[raw]
        return Badge(str(label), tone, raw=raw)
    logger.warning("unknown %s from Shopify: %s", what, raw)
    return Badge(_("Unknown (%(word)s)") % {"word": raw}, Tone.WARNING, raw=raw)


def _language(code: str) -> str:
    """Return the language's name in the reader's language; the code itself if it's unknown."""
    if not code:
        return ""
    try:
        reader = Locale.parse((translation.get_language() or "en").replace("-", "_"))
        return Locale.parse(code.replace("-", "_")).get_display_name(reader) or code
    except (UnknownLocaleError, ValueError):
        return code
