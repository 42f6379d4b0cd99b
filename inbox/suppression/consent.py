"""Whether a customer may be written to: their consent to marketing, and every reason that came up
since a message was written.

Consent is as Shopify says now, or there is none. One function answers, so that what is asked can
become a row of ours without anybody noticing.
"""

from __future__ import annotations

from django.utils import timezone
from django.utils.translation import gettext as _

from core.addresses import normal_phone
from inbox.models import CampaignMessage, Via
from inbox.suppression import (
    opt_outs,
    relevance,
)
from orders.checkouts import (
    CheckoutSnapshot,
    Consent,
    Consents,
)
from orders.models import Checkout, Order
from orders.panels.customers import consent_word
from orders.services import record_checkout
from orders.shopify_port import get_gateway


def consent_of(thing: Order | CheckoutSnapshot, via: Via) -> Consent | None:
    """The consent of the customer of an order or checkout; None: Shopify tells of none.

    Asks Shopify for an order's, so it must not be called in a transaction. Raises
    ShopUnreachable. A checkout was just read, together with it.
    """
    found = thing.consents if isinstance(thing, CheckoutSnapshot) else _of_order(thing)
    if via == Via.EMAIL:
        return found.email
    return found.phone if via == Via.SMS else None


def refusal(consent: Consent | None) -> str:
    """Why marketing must not be sent; "" where the customer said yes."""
    if consent is None or not consent.state:
        return _("Shopify tells of no consent to marketing on this channel.")
    if not consent.is_given:
        return _("Consent to marketing: %(state)s.") % {"state": consent_word(consent.state)}
    if opt_outs.has(consent.address):
        return _("They have unsubscribed from our e-mails.")
    return ""


def leaving_refusal(row: CampaignMessage, *, by_hand: bool = False) -> str:
    """Why a message that was written must not leave any more; "" where it may. `by_hand`: an agent
    has read it and sends it again, which its age and its campaign's switch do not forbid.

    To be asked before every try: a customer unsubscribes, an order is redacted and a campaign is
    switched off while a mail server is down. For marketing it asks Shopify, so it must not be
    called in a transaction; raises ShopUnreachable, and then the message has to wait.
    """
    thing = thing_of(row)
    reason = "" if by_hand else campaign_refusal(row)
    reason = reason or _redaction_refusal(thing)
    if reason := reason or relevance.refusal(row, now=timezone.now(), by_hand=by_hand):
        return reason
    if row.campaign.is_marketing:
        return _marketing_refusal(row, thing)
    # In a conversation it goes where the conversation does.
    if isinstance(thing, Order) and row.message_id is None:
        return _address_refusal(row, recipient_of(thing, Via(row.via)))
    return ""


def thing_of(row: CampaignMessage) -> Order | Checkout:
    """What a message is about."""
    if row.checkout:
        return row.checkout
    if row.event is None:
        raise ValueError("a message of neither an event nor a checkout")
    return row.event.order


def campaign_refusal(row: CampaignMessage) -> str:
    if row.campaign.is_active and Via(row.via) in row.campaign.channels:
        return ""
    return _("The campaign was switched off meanwhile.")


def read_checkout(checkout: Checkout) -> CheckoutSnapshot | None:
    """As Shopify shows it now, recorded; None: there is none any more, or it is of somebody whose
    data was deleted here. Not in a transaction. Raises ShopUnreachable."""
    snapshot = get_gateway().read_checkout(checkout)
    return record_checkout(checkout=checkout, snapshot=snapshot, now=timezone.now())


def checkout_refusal(checkout: Checkout, read: CheckoutSnapshot | None) -> str:
    """Why nobody is reminded of a checkout any more."""
    if read is None or checkout.deleted_at:
        return _("Shopify has no such checkout any more.")
    if read.completed_at:
        return _("Its order was placed.")
    if read.last_order_at and read.last_order_at >= read.started_at:
        return _("The customer has placed an order since.")
    return ""


def recipient_of(order: Order, via: Via) -> str:
    """The order's address for a channel, "" for none; of a conversation none is needed."""
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
    """It was written to an address that may be somebody else's by now."""
    if address == row.recipient:
        return ""
    return _("The customer’s address was changed or removed meanwhile.")


def _of_order(order: Order) -> Consents:
    # Shopify may still know a person who was redacted here.
    if not order.customer_gid or order.masked_at:
        return Consents()
    return get_gateway().read_consents(order.store, order.customer_gid)
