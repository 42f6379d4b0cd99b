"""An order without its customer: IDs, amounts, dates and quantities stay, text goes. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from orders.snapshot import (
    Address,
    CustomerSnapshot,
    Fulfillment,
    FulfillmentEvent,
    OrderSnapshot,
    Refund,
    Return,
    Transaction,
)

# Identifies our own actions in Shopify's notes. A random number, so not personal data.
_MARKER: Final = re.compile(r"\[ax:[0-9a-f]{1,20}\]")


def masked(snapshot: OrderSnapshot) -> OrderSnapshot:
    """Return the order with everything blanked that names, reaches or describes a person.

    Idempotent. Totals, refunds and the markers that prove our actions stay the same.
    """
    customer = snapshot.customer
    return replace(
        snapshot,
        cancel_staff_note=markers(snapshot.cancel_staff_note),
        customer=customer
        and CustomerSnapshot(
            gid=customer.gid, legacy_id=customer.legacy_id, order_count=customer.order_count
        ),
        email="",
        phone="",
        note="",
        tags=(),
        # Free text from shops and apps: an engraving may be a name, a code may be a birthday.
        attributes=(),
        discount_codes=(),
        status_page_url="",
        shipping_address=_country_only(snapshot.shipping_address),
        billing_address=_country_only(snapshot.billing_address),
        lines=tuple(replace(line, attributes=()) for line in snapshot.lines),
        fulfillment_orders=tuple(
            replace(work, hold_notes=()) for work in snapshot.fulfillment_orders
        ),
        fulfillments=tuple(_parcel(parcel) for parcel in snapshot.fulfillments),
        transactions=tuple(_payment(payment) for payment in snapshot.transactions),
        refunds=tuple(_refund(refund) for refund in snapshot.refunds),
        returns=tuple(_return(found) for found in snapshot.returns),
    )


def markers(note: str) -> str:
    """Return only our actions' markers from a note."""
    return " ".join(_MARKER.findall(note))


def _country_only(address: Address | None) -> Address | None:
    # Tax reports need the country.
    return address and Address(country_code=address.country_code)


def _parcel(parcel: Fulfillment) -> Fulfillment:
    # On the carrier's site, a tracking number reveals the name and address.
    return replace(
        parcel,
        tracking=(),
        events=tuple(_event(event) for event in parcel.events),
    )


def _return(found: Return) -> Return:
    # Return notes are the customer's own words.
    return replace(found, lines=tuple(replace(line, note="") for line in found.lines))


def _event(event: FulfillmentEvent) -> FulfillmentEvent:
    return replace(event, message="", place="")


def _payment(payment: Transaction) -> Transaction:
    return replace(payment, account_number="", acquirer_reference="")


def _refund(refund: Refund) -> Refund:
    return replace(refund, note=markers(refund.note))
