"""Less important facts about an order, behind a disclosure to keep its card calm."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from babel.numbers import format_decimal
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from orders.money import babel_locale
from orders.panels.types import (
    Detail,
    TransactionRow,
)
from orders.snapshot import Address, Attribute, OrderSnapshot, Transaction
from orders.statuses.badges import Badge
from orders.statuses.payment_labels import (
    bank_reason,
    kind_label,
    state_label,
)

# Shops and apps use such keys for internal data; Shopify hides them, too.
_PRIVATE: Final = "_"


def details(snapshot: OrderSnapshot) -> tuple[Detail, ...]:
    """Return the shipping method, sales channel and so on, as far as they are known."""
    return tuple(detail for detail in _details(snapshot) if detail.text)


def attributes(found: Iterable[Attribute]) -> tuple[Detail, ...]:
    """Return the custom attributes of an order or item that are meant for people."""
    return tuple(
        Detail(label=each.key, text=each.value)
        for each in found
        if each.value and not each.key.startswith(_PRIVATE)
    )


def billing_address(snapshot: OrderSnapshot) -> Address | None:
    """Return the billing address if it differs from the shipping address, else None."""
    own = snapshot.billing_address
    there = snapshot.shipping_address
    if own is None or (there and _written(own) == _written(there)):
        return None
    return own if _written(own) != Address() else None


def transactions(
    snapshot: OrderSnapshot, *, gids: Collection[str] | None = None
) -> tuple[TransactionRow, ...]:
    """Return the transactions Shopify reports, oldest first: those with these gids, or every one."""
    latest = datetime.max.replace(tzinfo=UTC)
    rows = sorted(snapshot.transactions, key=lambda each: each.processed_at or latest)
    return tuple(_transaction(row) for row in rows if gids is None or row.gid in gids)


def _details(snapshot: OrderSnapshot) -> Iterator[Detail]:
    yield Detail(label=_("Shipping method"), text=snapshot.shipping_title)
    yield Detail(label=_("Sales channel"), text=snapshot.channel)
    yield Detail(label=_("Discount codes"), text=", ".join(snapshot.discount_codes))
    yield Detail(
        label=_("Payment terms"), text=snapshot.payment_terms.name if snapshot.payment_terms else ""
    )
    notes = (note for work in snapshot.fulfillment_orders for note in work.hold_notes)
    yield Detail(label=_("Hold note"), text=" · ".join(dict.fromkeys(notes)))
    yield from attributes(snapshot.attributes)


def _transaction(row: Transaction) -> TransactionRow:
    label, tone = state_label(row.status)
    return TransactionRow(
        label=kind_label(row.kind),
        gateway=f"{row.gateway_label or row.gateway} {row.account_number}".strip(),
        amount=row.amount.presentment,
        state=Badge(label, tone, raw=row.status),
        reason=bank_reason(row.error_code) if row.error_code else "",
        at=row.processed_at,
        reference=row.acquirer_reference,
        settlement=_settlement(row),
    )


def _settlement(row: Transaction) -> str:
    """Say in which currency the provider settles, if that isn't the customer's; "" if unknown."""
    own = row.amount.presentment.currency
    if not row.settlement_currency or row.settlement_currency == own:
        return ""
    if row.settlement_rate is None:
        return _("settled in %(currency)s") % {"currency": row.settlement_currency}
    rate = format_decimal(
        row.settlement_rate, locale=babel_locale(get_language() or "en"), decimal_quantization=False
    )
    return _("settled in %(currency)s at %(rate)s") % {
        "currency": row.settlement_currency,
        "rate": rate,
    }


def _written(address: Address) -> Address:
    """Return only the parts of an address that are printed."""
    return replace(address, phone="", time_zone="", province_code="", country_code="")
