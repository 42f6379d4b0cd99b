"""An order without its customer: ids, amounts, dates and quantities stay, words go. Pure."""

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

# What finds our own actions again in Shopify's notes; a random number, nobody's data.
_MARKER: Final = re.compile(r"\[ax:[0-9a-f]{1,20}\]")


def masked(snapshot: OrderSnapshot) -> OrderSnapshot:
    """The same order with everything emptied that names, reaches or describes a person.

    Masking it again changes nothing. Totals, refunds and the proof of our actions stay equal.
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
        # Free text of shops and apps: an engraving is a name, a code somebody's birthday.
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
    """Only our actions' markers of a note."""
    return " ".join(_MARKER.findall(note))


def _country_only(address: Address | None) -> Address | None:
    # Taxes are reported by country.
    return address and Address(country_code=address.country_code)


def _parcel(parcel: Fulfillment) -> Fulfillment:
    # A tracking number opens the name and the address at the carrier's.
    return replace(
        parcel,
        tracking=(),
        events=tuple(_event(event) for event in parcel.events),
    )


def _return(found: Return) -> Return:
    # Why something comes back is told in the customer's own words.
    return replace(found, lines=tuple(replace(line, note="") for line in found.lines))


def _event(event: FulfillmentEvent) -> FulfillmentEvent:
    return replace(event, message="", place="")


def _payment(payment: Transaction) -> Transaction:
    return replace(payment, account_number="")


def _refund(refund: Refund) -> Refund:
    return replace(refund, note=markers(refund.note))
