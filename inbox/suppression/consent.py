"""Whether a message may leave: consent to marketing, and reasons that came up since it was written.

Consent is what Shopify says now, or there is none. A single function answers (`consent_of`), so
its source could become a table of ours without any caller noticing.
"""

from __future__ import annotations

from django.utils import timezone
from django.utils.translation import gettext as _

from core.email_and_phone import normal_phone
from inbox.models import CampaignMessage, Via
from inbox.suppression import (
    opt_outs,
    relevance,
)
from orders.checkout_snapshot import (
    CheckoutSnapshot,
    Consent,
    Consents,
)
from orders.models import Checkout, Order
from orders.panels.customers import consent_word
from orders.services import record_checkout
from orders.shopify_port import get_gateway


def consent_of(thing: Order | CheckoutSnapshot, via: Via) -> Consent | None:
    """Return the consent of an order's or checkout's customer; None if Shopify has none.

    For an order it asks Shopify, so it must not be called in a transaction; raises
    ShopUnreachable. A checkout's snapshot already contains it.
    """
    found = thing.consents if isinstance(thing, CheckoutSnapshot) else _of_order(thing)
    if via == Via.EMAIL:
        return found.email
    return found.phone if via == Via.SMS else None


def refusal(consent: Consent | None) -> str:
    """Return why marketing must not be sent; "" if the customer consented and didn't opt out."""
    if consent is None or not consent.state:
        return _("The customer hasn’t agreed to marketing on this channel.")
    if not consent.is_given:
        return _("Consent to marketing: %(state)s.") % {"state": consent_word(consent.state)}
    if opt_outs.has(consent.address):
        return _("The customer unsubscribed from our emails.")
    return ""


def leaving_refusal(row: CampaignMessage, *, by_hand: bool = False) -> str:
    """Return why a message that was written must no longer leave; "" if it may.

    `by_hand`: an agent has read it and resends it, despite its age or a campaign that is off.

    Call it before every attempt: while a mail server is down, a customer may unsubscribe, an order
    be redacted or a campaign be switched off. For marketing it asks Shopify, so it must not be
    called in a transaction; if it raises ShopUnreachable, the message has to wait.
    """
    thing = thing_of(row)
    reason = "" if by_hand else campaign_refusal(row)
    reason = reason or _redaction_refusal(thing)
    if reason := reason or relevance.refusal(row, now=timezone.now(), by_hand=by_hand):
        return reason
    if row.campaign.is_marketing:
        return _marketing_refusal(row, thing)
    # In a conversation, the conversation decides where it goes.
    if isinstance(thing, Order) and row.message_id is None:
        return _address_refusal(row, recipient_of(thing, Via(row.via)))
    return ""


def thing_of(row: CampaignMessage) -> Order | Checkout:
    """Return the order or checkout a message is about."""
    if row.checkout:
        return row.checkout
    if row.event is None:
        raise ValueError("a message of neither an event nor a checkout")
    return row.event.order


def campaign_refusal(row: CampaignMessage) -> str:
    """Return why the campaign no longer sends on the row's channel; "" if it does."""
    if row.campaign.is_active and Via(row.via) in row.campaign.channels:
        return ""
    return _("The campaign has since been turned off.")


def read_checkout(checkout: Checkout) -> CheckoutSnapshot | None:
    """Read a checkout from Shopify and record it.

    None if it is gone, or if its customer's data was deleted here. Must not be called in a
    transaction. Raises ShopUnreachable.
    """
    snapshot = get_gateway().read_checkout(checkout)
    return record_checkout(checkout=checkout, snapshot=snapshot, now=timezone.now())


def checkout_refusal(checkout: Checkout, read: CheckoutSnapshot | None) -> str:
    """Return why a checkout no longer gets a reminder; "" if it does."""
    if read is None or checkout.deleted_at:
        return _("This checkout no longer exists in Shopify.")
    if read.completed_at:
        return _("The checkout has become an order.")
    if read.last_order_at and read.last_order_at >= read.started_at:
        return _("The customer has since placed an order.")
    return ""


def recipient_of(order: Order, via: Via) -> str:
    """Return the order's address for a channel; "" if there is none, or for a conversation."""
    if via == Via.EMAIL:
        return order.email
    if via == Via.SMS:
        address = order.snapshot.shipping_address
        region = address.country_code if address else ""
        phones = (order.phone, address.phone if address else "")
        return next((p for p in (normal_phone(n, region) for n in phones) if p), "")
    return ""


def _redaction_refusal(thing: Order | Checkout) -> str:
    if isinstance(thing, Order) and thing.masked_at:
        return _("The customer’s data was deleted.")
    return ""


def _marketing_refusal(row: CampaignMessage, thing: Order | Checkout) -> str:
    if isinstance(thing, Order):
        found = consent_of(thing, Via(row.via))
    else:
        read = read_checkout(thing)
        reason = checkout_refusal(thing, read)
        if reason or read is None:
            return reason
        found = consent_of(read, Via(row.via))
    return refusal(found) or _address_refusal(row, found.address if found else "")


def _address_refusal(row: CampaignMessage, address: str) -> str:
    """Refuse if the address has changed: the old one may be someone else's by now."""
    if address == row.recipient:
        return ""
    return _("The customer’s address has since been changed or removed.")


def _of_order(order: Order) -> Consents:
    # Shopify may still know a customer who was redacted here.
    if not order.customer_gid or order.masked_at:
        return Consents()
    return get_gateway().read_consents(order.store, order.customer_gid)
